// TestClient: our own client path, in the test's process, one blocking exchange at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/address.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/transport/client_path.h"

namespace ktlsim::system_tests {

class TestClient {
 public:
  // Trusts what is in `trust_file`. `error()` is not empty when it could not be started.
  TestClient(const std::string& trust_file, command::TlsVersions versions);
  // Stops the path and the library; expects that nothing is left of it.
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  const std::string& error() const { return error_; }

  struct Answer {
    std::string text;  // all that came until the peer closed
    transport::ConnectionInfo info;
    transport::EndReason reason;
  };
  // Connects, sends `request`, reads until the peer closes, closes. Waits for the end.
  Answer Exchange(const io::Address& peer, const std::string& request);

  // `connections` times connect, `request`, the whole answer, close; `in_flight` at once. Answers
  // how many got an answer that ends in `expected` and came to an orderly end.
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
