// OpensslServer: `openssl s_server` on a port of its own, until destroyed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/address.h"
#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {

// `openssl s_server -www` with a certificate for localhost.
class OpensslServer {
 public:
  explicit OpensslServer(const std::vector<std::string>& arguments);

  std::string certificate() const { return folder_.File("certificate.pem"); }
  bool running() const { return port_ != 0; }
  io::Address address() const { return io::Address::Loopback(static_cast<std::uint16_t>(port_)); }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<ChildProcess> child_;
  int port_ = 0;
};

}  // namespace ktlsim::system_tests
