// The certificates this system trusts, read once and shared by every endpoint: there are some
// hundred, and reading them takes tens of milliseconds. Private to this module.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <openssl/x509.h>

#include "kernel_sim/base/result.h"

namespace ktlsim::tls {

struct SystemTrust {
  std::shared_ptr<X509_STORE> store;
  // Changes whenever the store may hold other certificates.
  std::array<std::uint8_t, 32> identity{};
};

// OpenSSL's default file and directory, or those of SSL_CERT_FILE and SSL_CERT_DIR. The file is
// read again when it has changed; results that were returned earlier stay as they were. A missing
// file is no failure: then no certificate is trusted. kCrypto; kResource. Passive level, any
// thread.
Result<SystemTrust> LoadSystemTrust();

}  // namespace ktlsim::tls
