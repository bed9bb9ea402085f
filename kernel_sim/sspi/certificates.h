// The certificate that a PCCERT_CONTEXT of ours stands for.
#pragma once

#include <ktlsim/sspi_ext.h>

#include "tls/identity/certificate.h"

namespace ktlsim::sspi {

// The certificate of a context that KtlsimLoadCertificate or one of its siblings made; null for a
// foreign one (its DER bytes can still be read).
tls::Certificate::Ptr CertificateOf(PCCERT_CONTEXT context);
// A context for `certificate`, with one reference that is the caller's. May throw bad_alloc.
PCCERT_CONTEXT PublishCertificate(tls::Certificate::Ptr certificate);

// Around a fork.
void LockCertificates();
void UnlockCertificates();

}  // namespace ktlsim::sspi
