// Reading SCHANNEL_CRED and SCH_CREDENTIALS.
#pragma once

#include <schannel.h>
#include <sspi.h>

#include "kernel_sim/sspi/packages/package.h"
#include "tls/handshake/endpoint.h"

namespace ktlsim::sspi {

struct TlsCredentialRequest {
  ULONG flags = 0;      // SCH_*
  ULONG protocols = 0;  // SP_PROT_* bits of this direction that are on
  tls::EndpointOptions options;
};

// `auth_data`: one of the two structures, told apart by dwVersion; null: a client with defaults.
// SEC_E_UNKNOWN_CREDENTIALS, SEC_E_NO_CREDENTIALS, SEC_E_CERT_EXPIRED, SEC_E_ALGORITHM_MISMATCH,
// SEC_E_INVALID_PARAMETER; reasons are noted with `host`.
SECURITY_STATUS ReadTlsCredentials(PackageHost& host, Direction direction, const void* auth_data,
                                   TlsCredentialRequest* request);

// The certificate and key of `context`. SEC_E_UNKNOWN_CREDENTIALS: it cannot be read;
// SEC_E_NO_CREDENTIALS: there is no key to it; SEC_E_CERT_EXPIRED: it is not valid now, and
// `flags` (SCH_*) do not have KTLSIM_CRED_ACCEPT_EXPIRED.
SECURITY_STATUS ReadOwnCertificate(PackageHost& host, PCCERT_CONTEXT context, ULONG flags,
                                   tls::Certificate::Ptr* certificate);

}  // namespace ktlsim::sspi
