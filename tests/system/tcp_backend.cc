#include "tests/system/tcp_backend.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ktlsim::system_tests {
namespace {

int Bound(int* port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  bind(listener, reinterpret_cast<sockaddr*>(&address), length);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  *port = ntohs(address.sin_port);
  return listener;
}

}  // namespace

TcpBackend::TcpBackend(Serve serve) : serve_(std::move(serve)), listener_(Bound(&port_)) {
  listen(listener_, 128);
  accepting_ = std::thread([this] { Accept(); });
}

void TcpBackend::Accept() {
  for (;;) {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    ++connections_;
    // A second descriptor, with which the destructor can end it whatever happened to the first.
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
  int port = 0;
  close(Bound(&port));
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
