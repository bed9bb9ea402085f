// HttpsClient: a plain client of HTTP over TLS with OpenSSL, one thread, one request at a time, on
// a connection that it keeps as long as the server does. It verifies nobody.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

namespace ktlsim::system_tests {

class HttpsClient {
 public:
  struct Response {
    int status = 0;         // 0: the connection could not be made, or ended before the response
    std::string challenge;  // of the first WWW-Authenticate field, without "Digest "
  };

  HttpsClient();
  ~HttpsClient() { Close(); }
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;

  // GET `target` from the server at that port of this machine. `authorization` may be empty.
  Response Get(int port, const std::string& target, const std::string& authorization);
  // The same request `count` times without waiting for the responses one by one. Returns how many
  // came, all of them with that status, on one connection.
  std::size_t GetMany(int port, const std::string& target, int status, std::size_t count);
  // The next request is made on a new connection.
  void Close();

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  bool Connect(int port);
  bool Send(std::string_view text);
  // Reads one response: its head, and the body that follows. False: there is none.
  bool Read(std::string* head);
  bool ReadMore();

  const std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  int socket_ = -1;
  int port_ = 0;
  std::string unread_;
};

}  // namespace ktlsim::system_tests
