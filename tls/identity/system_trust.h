// The certificates this system trusts, read once and shared by every endpoint: they are some
// hundred, and to read them takes tens of milliseconds. Private to this module.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <openssl/x509.h>

#include "kernel_sim/base/result.h"

namespace ktlsim::tls {

struct SystemTrust {
  std::shared_ptr<X509_STORE> store;
  // Another one whenever the store may hold other certificates.
  std::array<std::uint8_t, 32> identity{};
};

// OpenSSL's default file and directory, or those of SSL_CERT_FILE and SSL_CERT_DIR. The file is
// read again when it has changed since; what was given out before stays as it was. A file that is
// not there is no failure: nobody is trusted then. kCrypto; kResource. Passive level, any thread.
Result<SystemTrust> LoadSystemTrust();

}  // namespace ktlsim::tls
