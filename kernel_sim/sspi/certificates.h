// What a PCCERT_CONTEXT of ours stands for.
#pragma once

#include <ktlsim/sspi_ext.h>

#include "tls/certificate.h"

namespace ktlsim::sspi {

// The certificate behind a context that KtlsimLoadCertificate and its kin made; null for one that
// is not ours (its DER bytes can still be read).
tls::Certificate::Ptr CertificateOf(PCCERT_CONTEXT context);

}  // namespace ktlsim::sspi
