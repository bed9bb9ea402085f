// Whether a certificate's key can make any handshake with the settings at hand. Private to this
// module.
#pragma once

#include <string>
#include <string_view>

#include <openssl/x509.h>

#include "tls/types.h"

namespace ktlsim::tls {

// What a handshake of this side may use, in its final form.
struct KeyUse {
  Role role = Role::kServer;
  Version version_max = Version::kTls13;
  // Standard or OpenSSL names with a colon between them.
  std::string_view cipher_suites;
};

// Empty: it can. Else why not, in words that name the key: its kind, its curve, its use. May throw
// bad_alloc.
std::string WhyUnusable(X509& leaf, const EVP_PKEY& key, const KeyUse& use);

}  // namespace ktlsim::tls
