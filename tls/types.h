// The vocabulary of TLS 1.3 and 1.2: versions, content types, alerts, cipher suites, record limits.
//
// Only what ktlsim speaks is listed (RFC 8446; RFC 5246 with AEAD suites, RFC 5288, RFC 7905).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ktlsim::tls {

enum class Role : std::uint8_t { kClient, kServer };

enum class Version : std::uint16_t { kTls12 = 0x0303, kTls13 = 0x0304 };

struct VersionRange {
  Version min = Version::kTls12;
  Version max = Version::kTls13;
};

// RFC 8446 5.1.
enum class ContentType : std::uint8_t {
  kChangeCipherSpec = 20,
  kAlert = 21,
  kHandshake = 22,
  kApplicationData = 23,
};

enum class AlertLevel : std::uint8_t { kWarning = 1, kFatal = 2 };

// RFC 8446 6; no_renegotiation from RFC 5246 7.2.
enum class AlertDescription : std::uint8_t {
  kCloseNotify = 0,
  kUnexpectedMessage = 10,
  kBadRecordMac = 20,
  kRecordOverflow = 22,
  kHandshakeFailure = 40,
  kBadCertificate = 42,
  kUnsupportedCertificate = 43,
  kCertificateRevoked = 44,
  kCertificateExpired = 45,
  kCertificateUnknown = 46,
  kIllegalParameter = 47,
  kUnknownCa = 48,
  kAccessDenied = 49,
  kDecodeError = 50,
  kDecryptError = 51,
  kProtocolVersion = 70,
  kInsufficientSecurity = 71,
  kInternalError = 80,
  kInappropriateFallback = 86,
  kUserCanceled = 90,
  kNoRenegotiation = 100,
  kMissingExtension = 109,
  kUnsupportedExtension = 110,
  kUnrecognizedName = 112,
  kBadCertificateStatusResponse = 113,
  kUnknownPskIdentity = 115,
  kCertificateRequired = 116,
  kNoApplicationProtocol = 120,
};

// `description` may hold a number without a name above, since it can come from the peer.
struct Alert {
  AlertLevel level = AlertLevel::kFatal;
  AlertDescription description = AlertDescription::kInternalError;
  friend bool operator==(const Alert&, const Alert&) = default;
};

constexpr Alert FatalAlert(AlertDescription description) {
  return {AlertLevel::kFatal, description};
}
inline constexpr Alert kCloseNotifyAlert{AlertLevel::kWarning, AlertDescription::kCloseNotify};

// The name of RFC 8446 6 ("handshake_failure"), or "unknown_alert". A literal.
const char* AlertName(AlertDescription description);

enum class CipherSuite : std::uint16_t {
  kAes128GcmSha256 = 0x1301,
  kAes256GcmSha384 = 0x1302,
  kChaCha20Poly1305Sha256 = 0x1303,
  kEcdheEcdsaAes128GcmSha256 = 0xC02B,
  kEcdheEcdsaAes256GcmSha384 = 0xC02C,
  kEcdheRsaAes128GcmSha256 = 0xC02F,
  kEcdheRsaAes256GcmSha384 = 0xC030,
  kEcdheRsaChaCha20Poly1305 = 0xCCA8,
  kEcdheEcdsaChaCha20Poly1305 = 0xCCA9,
};

enum class AeadId : std::uint8_t { kAes128Gcm, kAes256Gcm, kChaCha20Poly1305 };
enum class HashId : std::uint8_t { kSha256, kSha384 };

struct SuiteInfo {
  CipherSuite id;
  Version version;
  AeadId aead;
  HashId hash;
  std::uint8_t key_bytes;
  const char* standard_name;  // "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
  const char* openssl_name;   // "ECDHE-RSA-AES128-GCM-SHA256"
};

// nullptr for a suite that ktlsim does not speak.
const SuiteInfo* FindSuite(std::uint16_t id);
// Either name, exact.
const SuiteInfo* FindSuite(std::string_view name);

constexpr std::size_t HashBytes(HashId hash) { return hash == HashId::kSha256 ? 32 : 48; }

inline constexpr std::size_t kRecordHeaderBytes = 5;
inline constexpr std::size_t kFragmentBytesMax = 1 << 14;  // RFC 8446 5.1
inline constexpr std::size_t kAeadTagBytes = 16;
inline constexpr std::size_t kAeadNonceBytes = 12;
inline constexpr std::size_t kExplicitNonceBytes = 8;                             // RFC 5288 3
inline constexpr std::size_t kTls13CiphertextBytesMax = kFragmentBytesMax + 256;  // RFC 8446 5.2
// RFC 5246 6.2.3 allows 2^14 + 2048; the AEAD suites never need more than nonce and tag.
inline constexpr std::size_t kTls12CiphertextBytesMax =
    kFragmentBytesMax + kExplicitNonceBytes + kAeadTagBytes;
// No record of either version is longer than this on the wire.
inline constexpr std::size_t kRecordBytesMax = kRecordHeaderBytes + kTls13CiphertextBytesMax;

}  // namespace ktlsim::tls
