#include "kernel_sim/sspi/packages/tls_credentials.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/runtime.h"
#include "kernel_sim/sspi/text.h"
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

SECURITY_STATUS SetVersions(Direction direction, ULONG enabled, TlsCredentialRequest* request) {
  const ULONG own = enabled & OwnBits(direction);
  const bool tls12 = (own & SP_PROT_TLS1_2) != 0;
  const bool tls13 = (own & SP_PROT_TLS1_3) != 0;
  if (!tls12 && !tls13) return SEC_E_ALGORITHM_MISMATCH;
  request->protocols = own;
  request->options.versions.min = tls12 ? tls::Version::kTls12 : tls::Version::kTls13;
  request->options.versions.max = tls13 ? tls::Version::kTls13 : tls::Version::kTls12;
  return SEC_E_OK;
}

SECURITY_STATUS ReadCertificates(DWORD format, DWORD count, PCCERT_CONTEXT* contexts, ULONG flags,
                                 tls::EndpointOptions* options) {
  if (count == 0) return SEC_E_OK;
  if (format != SCH_CRED_FORMAT_CERT_CONTEXT) return SEC_E_UNKNOWN_CREDENTIALS;
  if (contexts == nullptr || count > SCH_CRED_MAX_SUPPORTED_CERTS) return SEC_E_UNKNOWN_CREDENTIALS;
  for (DWORD i = 0; i < count; ++i) {
    tls::Certificate::Ptr certificate;
    const SECURITY_STATUS status = ReadOwnCertificate(contexts[i], flags, &certificate);
    if (status != SEC_E_OK) return status;
    options->certificates.push_back(std::move(certificate));
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

SECURITY_STATUS ReadSchannelCred(Direction direction, const SCHANNEL_CRED& cred,
                                 TlsCredentialRequest* request) {
  const ULONG wrong = direction == Direction::kInbound ? kAnyClient : kAnyServer;
  ULONG enabled = cred.grbitEnabledProtocols;
  if ((enabled & wrong) != 0 && (enabled & ~wrong) == 0) return SEC_E_ALGORITHM_MISMATCH;
  if ((enabled & kAllDtls) != 0 && (enabled & ~kAllDtls) != 0) return SEC_E_ALGORITHM_MISMATCH;
  // The old structure's default ends at TLS 1.2; TLS 1.3 is had by naming it.
  if (enabled == 0) enabled = SP_PROT_TLS1_2;
  const SECURITY_STATUS status = SetVersions(direction, enabled, request);
  if (status != SEC_E_OK) return status;
  ReadFlags(direction, cred.dwFlags, request);
  ReadLifespan(cred.dwSessionLifespan, &request->options);
  return ReadCertificates(cred.dwCredFormat, cred.cCreds, cred.paCred, cred.dwFlags,
                          &request->options);
}

// MsQuic counts the terminating NUL in Length, others do not.
std::string NameOf(const UNICODE_STRING& text) {
  if (text.Buffer == nullptr) return {};
  std::u16string_view view(text.Buffer, text.Length / sizeof(WCHAR));
  while (!view.empty() && view.back() == 0) view.remove_suffix(1);
  return ToUtf8(view);
}

struct AllowedCiphers {
  bool aes128 = true;
  bool aes256 = true;
  bool chacha = true;
};

// One disabled entry. A minimum and maximum in it name the lengths that stay permitted.
void Disable(const CRYPTO_SETTINGS& setting, AllowedCiphers* allowed) {
  if (setting.eAlgorithmUsage != TlsParametersCngAlgUsageCipher) return;
  const std::string name = NameOf(setting.strCngAlgId);
  if (name == "CHACHA20_POLY1305") {
    allowed->chacha = false;
    return;
  }
  if (name != "AES") return;
  bool concerns_gcm = setting.cChainingModes == 0 || setting.rgstrChainingModes == nullptr;
  for (DWORD i = 0; !concerns_gcm && i < setting.cChainingModes; ++i) {
    concerns_gcm = NameOf(setting.rgstrChainingModes[i]) == "ChainingModeGCM";
  }
  if (!concerns_gcm) return;
  const bool range = setting.dwMinBitLength != 0 || setting.dwMaxBitLength != 0;
  const auto permitted = [&](DWORD bits) {
    return range && bits >= setting.dwMinBitLength &&
           (setting.dwMaxBitLength == 0 || bits <= setting.dwMaxBitLength);
  };
  allowed->aes128 = allowed->aes128 && permitted(128);
  allowed->aes256 = allowed->aes256 && permitted(256);
}

SECURITY_STATUS SetCiphers(const AllowedCiphers& allowed, tls::EndpointOptions* options) {
  std::string suites;
  const auto add = [&suites](const char* names) {
    if (!suites.empty()) suites += ':';
    suites += names;
  };
  if (allowed.aes128) {
    add("TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256");
  }
  if (allowed.aes256) {
    add("TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384");
  }
  if (allowed.chacha) {
    add("TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
  }
  if (suites.empty()) return SEC_E_ALGORITHM_MISMATCH;
  options->cipher_suites = suites;
  return SEC_E_OK;
}

SECURITY_STATUS ReadTlsParameters(Direction direction, const TLS_PARAMETERS& parameters,
                                  TlsCredentialRequest* request) {
  if (parameters.cDisabledCrypto > SCH_CRED_MAX_SUPPORTED_CRYPTO_SETTINGS ||
      parameters.cAlpnIds > SCH_CRED_MAX_SUPPORTED_ALPN_IDS ||
      (parameters.cDisabledCrypto != 0 && parameters.pDisabledCrypto == nullptr)) {
    return SEC_E_INVALID_PARAMETER;
  }
  AllowedCiphers allowed;
  for (DWORD i = 0; i < parameters.cDisabledCrypto; ++i) {
    if (parameters.pDisabledCrypto[i].cChainingModes > SCH_CRED_MAX_SUPPORTED_CHAINING_MODES) {
      return SEC_E_INVALID_PARAMETER;
    }
    Disable(parameters.pDisabledCrypto[i], &allowed);
  }
  const SECURITY_STATUS status = SetCiphers(allowed, &request->options);
  if (status != SEC_E_OK) return status;
  return SetVersions(direction, OwnBits(direction) & ~parameters.grbitDisabledProtocols, request);
}

SECURITY_STATUS ReadSchCredentials(Direction direction, const SCH_CREDENTIALS& cred,
                                   TlsCredentialRequest* request) {
  if (cred.cTlsParameters > SCH_CRED_MAX_SUPPORTED_PARAMETERS) return SEC_E_INVALID_PARAMETER;
  if (cred.cTlsParameters != 0 && cred.pTlsParameters == nullptr) return SEC_E_INVALID_PARAMETER;
  // Sets per ALPN protocol are not told apart: exactly one, for every protocol.
  if (cred.cTlsParameters > 1) return SEC_E_UNSUPPORTED_FUNCTION;
  const SECURITY_STATUS status =
      cred.cTlsParameters == 0 ? SetVersions(direction, OwnBits(direction), request)
                               : ReadTlsParameters(direction, cred.pTlsParameters[0], request);
  if (status != SEC_E_OK) return status;
  ReadFlags(direction, cred.dwFlags, request);
  ReadLifespan(cred.dwSessionLifespan, &request->options);
  return ReadCertificates(cred.dwCredFormat, cred.cCreds, cred.paCred, cred.dwFlags,
                          &request->options);
}

}  // namespace

SECURITY_STATUS ReadOwnCertificate(PCCERT_CONTEXT context, ULONG flags,
                                   tls::Certificate::Ptr* certificate) {
  if (context == nullptr) return SEC_E_UNKNOWN_CREDENTIALS;
  *certificate = CertificateOf(context);
  if (*certificate == nullptr) {
    // Of the caller's own making: it can be read, but there is no key to it.
    if (context->pbCertEncoded == nullptr) return SEC_E_UNKNOWN_CREDENTIALS;
    Result<tls::Certificate::Ptr> parsed =
        tls::Certificate::FromDer({context->pbCertEncoded, context->cbCertEncoded});
    if (!parsed.ok()) return SEC_E_UNKNOWN_CREDENTIALS;
    *certificate = std::move(*parsed);
  }
  if (!(*certificate)->has_private_key()) return SEC_E_NO_CREDENTIALS;
  if ((flags & KTLSIM_CRED_ACCEPT_EXPIRED) != 0) return SEC_E_OK;
  const std::int64_t now = std::time(nullptr);
  const bool expired = (*certificate)->not_after() < now;
  if (expired || (*certificate)->not_before() > now) {
    SetLastErrorText("the certificate for " + (*certificate)->subject() +
                     (expired ? " has expired" : " is not valid yet"));
    return SEC_E_CERT_EXPIRED;
  }
  return SEC_E_OK;
}

SECURITY_STATUS ReadTlsCredentials(Direction direction, const void* auth_data,
                                   TlsCredentialRequest* request) {
  if (auth_data == nullptr) {
    ReadFlags(direction, 0, request);
    ReadLifespan(0, &request->options);
    return SetVersions(direction, OwnBits(direction), request);
  }
  switch (*static_cast<const DWORD*>(auth_data)) {
    case SCHANNEL_CRED_VERSION:
      return ReadSchannelCred(direction, *static_cast<const SCHANNEL_CRED*>(auth_data), request);
    case SCH_CREDENTIALS_VERSION:
      return ReadSchCredentials(direction, *static_cast<const SCH_CREDENTIALS*>(auth_data),
                                request);
    default:
      return SEC_E_UNKNOWN_CREDENTIALS;
  }
}

}  // namespace ktlsim::sspi
