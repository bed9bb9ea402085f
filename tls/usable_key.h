// Whether a certificate's key can make any handshake with the settings at hand. Private to this
// module.
#pragma once

#include <string>

#include <openssl/x509.h>

namespace ktlsim::tls {

struct EndpointOptions;

// Empty: it can. Else why not, in words that name the key: its kind, its curve, its use. `options`
// has its suites and versions in their final form. May throw bad_alloc.
std::string WhyUnusable(X509& leaf, const EVP_PKEY& key, const EndpointOptions& options);

}  // namespace ktlsim::tls
