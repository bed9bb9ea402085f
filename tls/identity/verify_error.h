// OpenSSL's verdicts on a peer's certificate (X509_V_*) in words and in our own few kinds. Private
// to this module.
#pragma once

#include "tls/identity/certificate.h"

namespace ktlsim::tls {

// "the peer's certificate has expired"; "" for X509_V_OK. A literal, never null.
const char* VerifyErrorText(int verify_error);
CertificateFault CertificateFaultOf(int verify_error);

}  // namespace ktlsim::tls
