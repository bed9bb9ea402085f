// Authority: an issuer of certificates, made with the openssl command.
#pragma once

#include <string>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {

class Authority {
 public:
  struct Files {
    std::string certificate;
    std::string key;
  };

  explicit Authority(const std::string& name);

  // The root, for peers that trust what it issues.
  const std::string& certificate() const { return own_.certificate; }
  // A certificate for this DNS name, for a server or a client. Both files live as long as the
  // Authority.
  Files Issue(const std::string& name);

 private:
  Files Place(const std::string& name) const;

  TemporaryFolder folder_;
  Files own_;
};

}  // namespace ktlsim::system_tests
