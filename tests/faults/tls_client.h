// A client of OpenSSL's own over a loopback socket, whose allocations neither count nor fail. It
// can wait in steps, because the server may respond only when it has memory again.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <openssl/ssl.h>

#include "tests/support/allocation_faults.h"

namespace ktlsim::test {

class FaultClient {
 public:
  // Sends `request`, then reads `bytes`, or to the end if that is zero.
  FaultClient(std::uint16_t port, std::string request, std::size_t bytes)
      : request_(std::move(request)), bytes_(bytes) {
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    over_ = connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0;
    ssl_ = SSL_new(Context());
    SSL_set_fd(ssl_, socket_);
    SSL_set_connect_state(ssl_);
  }
  FaultClient(const FaultClient&) = delete;
  FaultClient& operator=(const FaultClient&) = delete;
  ~FaultClient() {
    const AllocationFaults::Exempt own;
    SSL_free(ssl_);
    close(socket_);
  }

  // True: the exchange has ended, in whatever way. False: nothing has come for so long.
  bool Run(std::chrono::milliseconds patience) {
    const AllocationFaults::Exempt own;
    const timeval limit = {.tv_sec = patience.count() / 1000,
                           .tv_usec = patience.count() % 1000 * 1000};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    while (!over_) {
      const int result = Step();
      if (result > 0) continue;
      if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return false;
      over_ = true;
    }
    return true;
  }
  const std::string& text() const { return text_; }

 private:
  static SSL_CTX* Context() {
    static SSL_CTX* const context = [] {
      SSL_CTX* made = SSL_CTX_new(TLS_client_method());
      SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
      return made;
    }();
    return context;
  }
  int Step() {
    if (!sent_) {
      const int written = SSL_write(ssl_, request_.data(), static_cast<int>(request_.size()));
      sent_ = written > 0;
      return written;
    }
    std::array<char, 4096> block;
    const int read = SSL_read(ssl_, block.data(), block.size());
    if (read > 0) text_.append(block.data(), static_cast<std::size_t>(read));
    if (bytes_ != 0 && text_.size() >= bytes_) {
      over_ = true;
      SSL_shutdown(ssl_);
    }
    return read;
  }

  const std::string request_;
  const std::size_t bytes_;
  int socket_ = -1;
  SSL* ssl_ = nullptr;
  std::string text_;
  bool sent_ = false;
  bool over_ = false;
};

}  // namespace ktlsim::test
