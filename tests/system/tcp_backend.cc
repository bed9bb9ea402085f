#include "tests/system/tcp_backend.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace ktlsim::system_tests {
namespace {

void BindTo(int listener, const sockaddr* address, socklen_t length) {
  if (bind(listener, address, length) != 0) {
    throw std::system_error(errno, std::generic_category(), "bind");
  }
}

// Returns the descriptor and its port.
std::pair<int, int> Bound() {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  BindTo(listener, reinterpret_cast<sockaddr*>(&address), length);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  return {listener, ntohs(address.sin_port)};
}

std::pair<int, int> BoundTo(const std::string& path) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  BindTo(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address));
  return {listener, 0};
}

}  // namespace

TcpBackend::TcpBackend(Serve serve, const std::string& path)
    : TcpBackend(std::move(serve), BoundTo(path)) {}

TcpBackend::TcpBackend(Serve serve) : TcpBackend(std::move(serve), Bound()) {}

TcpBackend::TcpBackend(Serve serve, std::pair<int, int> bound)
    : serve_(std::move(serve)), port_(bound.second), listener_(bound.first) {
  listen(listener_, 128);
  accepting_ = std::thread([this] { Accept(); });
}

void TcpBackend::Accept() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    ++connections_;
    // A second descriptor, with which the destructor can end the connection whatever happened to
    // the first.
    sockets_.push_back(fcntl(socket, F_DUPFD_CLOEXEC, 0));
    threads_.emplace_back([this, socket] {
      serve_(socket);
      shutdown(socket, SHUT_RDWR);
      close(socket);
    });
  }
}

TcpBackend::~TcpBackend() {
  shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  close(listener_);
  for (const int socket : sockets_) shutdown(socket, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  for (const int socket : sockets_) close(socket);
}

int UnusedPort() {
  const auto [descriptor, port] = Bound();
  close(descriptor);
  return port;
}

std::string ReadUntil(int socket, const std::string& text) {
  std::string all;
  char piece[65536];
  while (text.empty() || all.find(text) == std::string::npos) {
    const ssize_t bytes = recv(socket, piece, sizeof(piece), 0);
    if (bytes <= 0) break;
    all.append(piece, static_cast<std::size_t>(bytes));
  }
  return all;
}

bool WriteAll(int socket, const std::string& text) {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t bytes = send(socket, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (bytes <= 0) return false;
    sent += static_cast<std::size_t>(bytes);
  }
  return true;
}

}  // namespace ktlsim::system_tests
