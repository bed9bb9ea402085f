#include "kernel_sim/sspi/packages/tls_credentials.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <algorithm>
#include <utility>

#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/packages/tls_ciphers.h"
#include "kernel_sim/sspi/packages/tls_settings.h"
#include "kernel_sim/sspi/packages/tls_status.h"
#include "tls/types.h"

namespace ktlsim::sspi {
namespace {

constexpr ULONG kServerBits = SP_PROT_TLS1_2_SERVER | SP_PROT_TLS1_3_SERVER;
constexpr ULONG kClientBits = SP_PROT_TLS1_2_CLIENT | SP_PROT_TLS1_3_CLIENT;
constexpr ULONG kAllDtls = SP_PROT_DTLS | SP_PROT_DTLS1_2;
// Server bits are the even positions (7.10 of the constants), client bits the odd ones.
constexpr ULONG kAnyServer = 0x55555555;
constexpr ULONG kAnyClient = 0xAAAAAAAA;

ULONG OwnBits(Direction direction) {
  return direction == Direction::kInbound ? kServerBits : kClientBits;
}

SECURITY_STATUS Refuse(PackageHost& host, SECURITY_STATUS status, const char* reason) {
  host.NoteReason(reason);
  return status;
}

SECURITY_STATUS SetVersions(PackageHost& host, Direction direction, ULONG enabled,
                            TlsCredentialRequest* request) {
  const ULONG own = enabled & OwnBits(direction);
  const bool tls12 = (own & SP_PROT_TLS1_2) != 0;
  const bool tls13 = (own & SP_PROT_TLS1_3) != 0;
  if (!tls12 && !tls13) {
    host.NoteReason("no protocol is left of those that are supported here, TLS 1.2 and TLS 1.3");
    return SEC_E_ALGORITHM_MISMATCH;
  }
  request->protocols = own;
  request->options.versions.min = tls12 ? tls::Version::kTls12 : tls::Version::kTls13;
  request->options.versions.max = tls13 ? tls::Version::kTls13 : tls::Version::kTls12;
  return SEC_E_OK;
}

SECURITY_STATUS ReadCertificates(PackageHost& host, DWORD format, DWORD count,
                                 PCCERT_CONTEXT* contexts, ULONG flags,
                                 tls::EndpointOptions* options) {
  if (count == 0) return SEC_E_OK;
  if (format != SCH_CRED_FORMAT_CERT_CONTEXT) {
    return Refuse(host, SEC_E_UNKNOWN_CREDENTIALS,
                  "dwCredFormat: there are no certificate stores; pass the certificate itself");
  }
  if (contexts == nullptr || count > SCH_CRED_MAX_SUPPORTED_CERTS) {
    return Refuse(host, SEC_E_UNKNOWN_CREDENTIALS, "paCred: NULL, or more than 100 certificates");
  }
  for (DWORD i = 0; i < count; ++i) {
    tls::Certificate::Ptr certificate;
    const SECURITY_STATUS status = ReadOwnCertificate(host, contexts[i], flags, &certificate);
    if (status != SEC_E_OK) return status;
    options->certificates.push_back(std::move(certificate));
  }
  return SEC_E_OK;
}

// `Cred`: either structure. Refuses the members that are not supported in either.
template <typename Cred>
SECURITY_STATUS CheckSettings(PackageHost& host, const Cred& cred) {
  if (const FlagRule* refused = FindRefusal(CredentialFlagRules(), cred.dwFlags)) {
    return Refuse(host, refused->status, refused->refusal);
  }
  constexpr DWORD kBoth = SCH_CRED_AUTO_CRED_VALIDATION | SCH_CRED_MANUAL_CRED_VALIDATION;
  if ((cred.dwFlags & kBoth) == kBoth) {
    return Refuse(host, SEC_E_INVALID_PARAMETER,
                  "SCH_CRED_AUTO_CRED_VALIDATION and SCH_CRED_MANUAL_CRED_VALIDATION exclude each "
                  "other");
  }
  if (cred.hRootStore != nullptr) {
    return Refuse(host, SEC_E_UNSUPPORTED_FUNCTION,
                  "hRootStore: there are no certificate stores; set KTLSIM_ATTR_TRUST instead");
  }
  if (cred.cMappers != 0) {
    return Refuse(host, SEC_E_UNSUPPORTED_FUNCTION, "cMappers: there are no certificate mappers");
  }
  return SEC_E_OK;
}

void ReadFlags(Direction direction, ULONG flags, TlsCredentialRequest* request) {
  request->flags = flags;
  tls::EndpointOptions& options = request->options;
  options.role = direction == Direction::kInbound ? tls::Role::kServer : tls::Role::kClient;
  options.resumption = (flags & SCH_CRED_DISABLE_RECONNECTS) == 0;
  // A server asks for certificates only when a call says so; a client checks unless told not to.
  const bool manual_client =
      direction == Direction::kOutbound && (flags & SCH_CRED_MANUAL_CRED_VALIDATION) != 0;
  options.verification = direction == Direction::kInbound ? tls::PeerVerification::kOnRequest
                         : manual_client                  ? tls::PeerVerification::kNone
                                                          : tls::PeerVerification::kRequired;
}

// `lifespan_ms`: dwSessionLifespan. After ReadFlags.
void ReadLifespan(DWORD lifespan_ms, tls::EndpointOptions* options) {
  constexpr DWORD kDefaultMs = 36'000'000;
  constexpr DWORD kNone = 0xFFFFFFFF;
  if (lifespan_ms == kNone) options->resumption = false;
  options->session_lifespan_ms = std::min<std::int64_t>(lifespan_ms == 0 ? kDefaultMs : lifespan_ms,
                                                        tls::EndpointOptions::kLifespanMsMax);
}

SECURITY_STATUS ReadCiphers(PackageHost& host, const SCHANNEL_CRED& cred,
                            tls::EndpointOptions* options) {
  const bool strengths = cred.dwMinimumCipherStrength != 0 || cred.dwMaximumCipherStrength != 0;
  if (!strengths && cred.cSupportedAlgs == 0) return SEC_E_OK;
  if (cred.cSupportedAlgs > SCH_CRED_MAX_SUPPORTED_ALGS ||
      (cred.cSupportedAlgs != 0 && cred.palgSupportedAlgs == nullptr)) {
    return Refuse(host, SEC_E_INVALID_PARAMETER,
                  "palgSupportedAlgs: NULL, or more than 256 algorithms");
  }
  CipherChoice choice(host);
  choice.KeepStrengths(cred.dwMinimumCipherStrength, cred.dwMaximumCipherStrength);
  const SECURITY_STATUS status =
      choice.KeepAlgorithms({cred.palgSupportedAlgs, cred.cSupportedAlgs});
  return status == SEC_E_OK ? choice.WriteTo(options) : status;
}

SECURITY_STATUS ReadSchannelCred(PackageHost& host, Direction direction, const SCHANNEL_CRED& cred,
                                 TlsCredentialRequest* request) {
  SECURITY_STATUS status = CheckSettings(host, cred);
  if (status != SEC_E_OK) return status;
  const ULONG wrong = direction == Direction::kInbound ? kAnyClient : kAnyServer;
  ULONG enabled = cred.grbitEnabledProtocols;
  if ((enabled & wrong) != 0 && (enabled & ~wrong) == 0) return SEC_E_ALGORITHM_MISMATCH;
  if ((enabled & kAllDtls) != 0 && (enabled & ~kAllDtls) != 0) return SEC_E_ALGORITHM_MISMATCH;
  // The old structure's default ends at TLS 1.2; it has TLS 1.3 only if that is named.
  if (enabled == 0) enabled = SP_PROT_TLS1_2;
  status = SetVersions(host, direction, enabled, request);
  if (status == SEC_E_OK) status = ReadCiphers(host, cred, &request->options);
  if (status != SEC_E_OK) return status;
  ReadFlags(direction, cred.dwFlags, request);
  ReadLifespan(cred.dwSessionLifespan, &request->options);
  return ReadCertificates(host, cred.dwCredFormat, cred.cCreds, cred.paCred, cred.dwFlags,
                          &request->options);
}

SECURITY_STATUS ReadTlsParameters(PackageHost& host, Direction direction,
                                  const TLS_PARAMETERS& parameters, TlsCredentialRequest* request) {
  if (parameters.cDisabledCrypto > SCH_CRED_MAX_SUPPORTED_CRYPTO_SETTINGS ||
      parameters.cAlpnIds > SCH_CRED_MAX_SUPPORTED_ALPN_IDS ||
      (parameters.cDisabledCrypto != 0 && parameters.pDisabledCrypto == nullptr)) {
    return SEC_E_INVALID_PARAMETER;
  }
  if (parameters.cAlpnIds != 0 || parameters.dwFlags != 0) {
    return Refuse(host, SEC_E_UNSUPPORTED_FUNCTION,
                  "TLS_PARAMETERS: there are no sets for some ALPN protocols only");
  }
  if (parameters.cDisabledCrypto != 0) {
    CipherChoice choice(host);
    for (DWORD i = 0; i < parameters.cDisabledCrypto; ++i) {
      const SECURITY_STATUS status = choice.Disable(parameters.pDisabledCrypto[i]);
      if (status != SEC_E_OK) return status;
    }
    const SECURITY_STATUS status = choice.WriteTo(&request->options);
    if (status != SEC_E_OK) return status;
  }
  return SetVersions(host, direction, OwnBits(direction) & ~parameters.grbitDisabledProtocols,
                     request);
}

SECURITY_STATUS ReadSchCredentials(PackageHost& host, Direction direction,
                                   const SCH_CREDENTIALS& cred, TlsCredentialRequest* request) {
  SECURITY_STATUS status = CheckSettings(host, cred);
  if (status != SEC_E_OK) return status;
  if (cred.cTlsParameters > SCH_CRED_MAX_SUPPORTED_PARAMETERS) return SEC_E_INVALID_PARAMETER;
  if (cred.cTlsParameters != 0 && cred.pTlsParameters == nullptr) return SEC_E_INVALID_PARAMETER;
  // Sets per ALPN protocol are not supported: there is exactly one, for every protocol.
  if (cred.cTlsParameters > 1) return SEC_E_UNSUPPORTED_FUNCTION;
  status = cred.cTlsParameters == 0
               ? SetVersions(host, direction, OwnBits(direction), request)
               : ReadTlsParameters(host, direction, cred.pTlsParameters[0], request);
  if (status != SEC_E_OK) return status;
  ReadFlags(direction, cred.dwFlags, request);
  ReadLifespan(cred.dwSessionLifespan, &request->options);
  return ReadCertificates(host, cred.dwCredFormat, cred.cCreds, cred.paCred, cred.dwFlags,
                          &request->options);
}

}  // namespace

SECURITY_STATUS ReadOwnCertificate(PackageHost& host, PCCERT_CONTEXT context, ULONG flags,
                                   tls::Certificate::Ptr* certificate) {
  if (context == nullptr) return SEC_E_UNKNOWN_CREDENTIALS;
  *certificate = CertificateOf(context);
  if (*certificate == nullptr) {
    // Made by the caller itself: it can be read, but there is no key to it.
    if (context->pbCertEncoded == nullptr) return SEC_E_UNKNOWN_CREDENTIALS;
    Result<tls::Certificate::Ptr> parsed =
        tls::Certificate::FromDer({context->pbCertEncoded, context->cbCertEncoded});
    if (!parsed.ok()) return MemoryOr(parsed.status(), SEC_E_UNKNOWN_CREDENTIALS);
    *certificate = std::move(*parsed);
  }
  if (!(*certificate)->has_private_key()) {
    return Refuse(host, SEC_E_NO_CREDENTIALS, "there is no private key to the certificate");
  }
  if ((flags & KTLSIM_CRED_ACCEPT_EXPIRED) != 0) return SEC_E_OK;
  const std::int64_t now = host.wall_seconds();
  const bool expired = (*certificate)->not_after() < now;
  if (expired || (*certificate)->not_before() > now) {
    host.NoteReason({"the certificate for ", (*certificate)->subject(),
                     expired ? " has expired" : " is not valid yet"});
    return SEC_E_CERT_EXPIRED;
  }
  return SEC_E_OK;
}

SECURITY_STATUS ReadTlsCredentials(PackageHost& host, Direction direction, const void* auth_data,
                                   TlsCredentialRequest* request) {
  if (auth_data == nullptr) {
    ReadFlags(direction, 0, request);
    ReadLifespan(0, &request->options);
    return SetVersions(host, direction, OwnBits(direction), request);
  }
  switch (*static_cast<const DWORD*>(auth_data)) {
    case SCHANNEL_CRED_VERSION:
      return ReadSchannelCred(host, direction, *static_cast<const SCHANNEL_CRED*>(auth_data),
                              request);
    case SCH_CREDENTIALS_VERSION:
      return ReadSchCredentials(host, direction, *static_cast<const SCH_CREDENTIALS*>(auth_data),
                                request);
    default:
      return Refuse(host, SEC_E_UNKNOWN_CREDENTIALS,
                    "dwVersion is neither SCHANNEL_CRED_VERSION nor SCH_CREDENTIALS_VERSION");
  }
}

}  // namespace ktlsim::sspi
