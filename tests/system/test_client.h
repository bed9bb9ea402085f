// TestClient: our own client path, in the test's process, one blocking exchange at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "io/address.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/transport/client_path.h"

namespace ktlsim::system_tests {

class TestClient {
 public:
  // Trusts the certificates in `trust_file`. `error()` is not empty when the client could not be
  // started.
  TestClient(const std::string& trust_file, command::TlsVersions versions);
  // Stops the path and the library; expects that nothing is left over.
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  const std::string& error() const { return error_; }

  struct Answer {
    std::string text;  // all that came until the peer closed
    transport::ConnectionInfo info;
    transport::EndReason reason;
  };
  // Connects, sends `request`, reads until the peer closes, closes. Returns after the end.
  Answer Exchange(const io::Address& peer, const std::string& request);

  // Makes `connections` connections, `in_flight` at once: connect, `request`, the whole response,
  // close. Returns how many got a response that ends in `expected` and ended in order.
  std::size_t ExchangeMany(const io::Address& peer, const std::string& request,
                           const std::string& expected, std::size_t connections,
                           std::size_t in_flight);

 private:
  std::string error_;
  std::optional<command::Credential> credential_;
  std::optional<transport::TlsProfile> profile_;
  transport::ClientPath path_;
};

}  // namespace ktlsim::system_tests
