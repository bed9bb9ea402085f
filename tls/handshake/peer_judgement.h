// Whether the peer's certificate passes. libssl's own way of asking (up to 3.0 at least) goes on
// when memory fails it in the midst of copying what is to be checked, the name included; so what it
// copied is copied once more here, with its results looked at, and what must not be missed is
// checked once more on the leaf. Private to this module.
#pragma once

#include <openssl/x509_vfy.h>

namespace ktlsim::tls {

// For SSL_CTX_set_cert_verify_callback. 1: passes, or the connection only takes notes; 0: the error
// of `context` says why not, X509_V_ERR_OUT_OF_MEM for want of memory.
int JudgePeerCertificate(X509_STORE_CTX* context, void* unused);
// For endpoints that do not judge: building and checking a chain would be work for nothing.
int AcceptPeerCertificate(X509_STORE_CTX* context, void* unused);

}  // namespace ktlsim::tls
