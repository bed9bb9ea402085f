#include "tls/types.h"

#include <array>

namespace ktlsim::tls {
namespace {

constexpr std::array kSuites = {
    SuiteInfo{CipherSuite::kAes128GcmSha256, Version::kTls13, AeadId::kAes128Gcm, HashId::kSha256,
              16, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"},
    SuiteInfo{CipherSuite::kAes256GcmSha384, Version::kTls13, AeadId::kAes256Gcm, HashId::kSha384,
              32, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"},
    SuiteInfo{CipherSuite::kChaCha20Poly1305Sha256, Version::kTls13, AeadId::kChaCha20Poly1305,
              HashId::kSha256, 32, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"},
    SuiteInfo{CipherSuite::kEcdheEcdsaAes128GcmSha256, Version::kTls12, AeadId::kAes128Gcm,
              HashId::kSha256, 16, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
              "ECDHE-ECDSA-AES128-GCM-SHA256"},
    SuiteInfo{CipherSuite::kEcdheEcdsaAes256GcmSha384, Version::kTls12, AeadId::kAes256Gcm,
              HashId::kSha384, 32, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
              "ECDHE-ECDSA-AES256-GCM-SHA384"},
    SuiteInfo{CipherSuite::kEcdheRsaAes128GcmSha256, Version::kTls12, AeadId::kAes128Gcm,
              HashId::kSha256, 16, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
              "ECDHE-RSA-AES128-GCM-SHA256"},
    SuiteInfo{CipherSuite::kEcdheRsaAes256GcmSha384, Version::kTls12, AeadId::kAes256Gcm,
              HashId::kSha384, 32, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
              "ECDHE-RSA-AES256-GCM-SHA384"},
    SuiteInfo{CipherSuite::kEcdheRsaChaCha20Poly1305, Version::kTls12, AeadId::kChaCha20Poly1305,
              HashId::kSha256, 32, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
              "ECDHE-RSA-CHACHA20-POLY1305"},
    SuiteInfo{CipherSuite::kEcdheEcdsaChaCha20Poly1305, Version::kTls12, AeadId::kChaCha20Poly1305,
              HashId::kSha256, 32, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
              "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

}  // namespace

const SuiteInfo* FindSuite(std::uint16_t id) {
  for (const SuiteInfo& suite : kSuites) {
    if (static_cast<std::uint16_t>(suite.id) == id) return &suite;
  }
  return nullptr;
}

const SuiteInfo* FindSuite(std::string_view name) {
  for (const SuiteInfo& suite : kSuites) {
    if (name == suite.standard_name || name == suite.openssl_name) return &suite;
  }
  return nullptr;
}

const char* AlertName(AlertDescription description) {
  switch (description) {
    case AlertDescription::kCloseNotify:
      return "close_notify";
    case AlertDescription::kUnexpectedMessage:
      return "unexpected_message";
    case AlertDescription::kBadRecordMac:
      return "bad_record_mac";
    case AlertDescription::kRecordOverflow:
      return "record_overflow";
    case AlertDescription::kHandshakeFailure:
      return "handshake_failure";
    case AlertDescription::kBadCertificate:
      return "bad_certificate";
    case AlertDescription::kUnsupportedCertificate:
      return "unsupported_certificate";
    case AlertDescription::kCertificateRevoked:
      return "certificate_revoked";
    case AlertDescription::kCertificateExpired:
      return "certificate_expired";
    case AlertDescription::kCertificateUnknown:
      return "certificate_unknown";
    case AlertDescription::kIllegalParameter:
      return "illegal_parameter";
    case AlertDescription::kUnknownCa:
      return "unknown_ca";
    case AlertDescription::kAccessDenied:
      return "access_denied";
    case AlertDescription::kDecodeError:
      return "decode_error";
    case AlertDescription::kDecryptError:
      return "decrypt_error";
    case AlertDescription::kProtocolVersion:
      return "protocol_version";
    case AlertDescription::kInsufficientSecurity:
      return "insufficient_security";
    case AlertDescription::kInternalError:
      return "internal_error";
    case AlertDescription::kInappropriateFallback:
      return "inappropriate_fallback";
    case AlertDescription::kUserCanceled:
      return "user_canceled";
    case AlertDescription::kNoRenegotiation:
      return "no_renegotiation";
    case AlertDescription::kMissingExtension:
      return "missing_extension";
    case AlertDescription::kUnsupportedExtension:
      return "unsupported_extension";
    case AlertDescription::kUnrecognizedName:
      return "unrecognized_name";
    case AlertDescription::kBadCertificateStatusResponse:
      return "bad_certificate_status_response";
    case AlertDescription::kUnknownPskIdentity:
      return "unknown_psk_identity";
    case AlertDescription::kCertificateRequired:
      return "certificate_required";
    case AlertDescription::kNoApplicationProtocol:
      return "no_application_protocol";
  }
  return "unknown_alert";
}

}  // namespace ktlsim::tls
