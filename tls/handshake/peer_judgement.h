// Whether the peer's certificate passes. libssl's own check (up to 3.0 at least) goes on when
// memory runs out while it copies the parameters to check, the name included. So the parameters are
// copied once more here, and the results are checked; and what must not be missed is checked once
// more on the leaf. Private to this module.
#pragma once

#include <openssl/x509_vfy.h>

namespace ktlsim::tls {

// For SSL_CTX_set_cert_verify_callback. 1: passes, or the connection only records the verdict; 0:
// the error of `context` says why not, X509_V_ERR_OUT_OF_MEM if memory ran out.
int JudgePeerCertificate(X509_STORE_CTX* context, void* unused);
// For endpoints that do not judge: building and checking a chain would be useless work.
int AcceptPeerCertificate(X509_STORE_CTX* context, void* unused);

}  // namespace ktlsim::tls
