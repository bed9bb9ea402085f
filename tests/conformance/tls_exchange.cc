#include "tests/conformance/tls_exchange.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace ktlsim::conformance {
namespace {

constexpr int kLimitSeconds = 10;

class Socket {
 public:
  explicit Socket(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{.tv_sec = kLimitSeconds, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int fd() const { return fd_; }
  bool connected() const { return connected_; }

 private:
  const int fd_;
  bool connected_ = false;
};

}  // namespace

ExchangeResult TlsExchange(int port, std::string_view request) {
  ExchangeResult result;
  const Socket socket(port);
  if (!socket.connected()) {
    result.error = "no connection";
    return result;
  }
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context.get()), &SSL_free);
  SSL_set_fd(ssl.get(), socket.fd());
  if (SSL_connect(ssl.get()) != 1) {
    result.error = "no handshake";
    return result;
  }
  std::size_t sent = 0;
  while (sent < request.size()) {
    std::size_t bytes = 0;
    // A server that has refused may have closed already: the bytes that it sent still count.
    if (SSL_write_ex(ssl.get(), request.data() + sent, request.size() - sent, &bytes) != 1) break;
    sent += bytes;
  }
  std::array<char, 16384> buffer{};
  for (;;) {
    std::size_t bytes = 0;
    ERR_clear_error();
    if (SSL_read_ex(ssl.get(), buffer.data(), buffer.size(), &bytes) == 1) {
      result.received.append(buffer.data(), bytes);
      continue;
    }
    const int error = SSL_get_error(ssl.get(), 0);
    result.closed_in_order = error == SSL_ERROR_ZERO_RETURN;
    if (error == SSL_ERROR_WANT_READ) result.error = "the server did not close in time";
    return result;
  }
}

}  // namespace ktlsim::conformance
