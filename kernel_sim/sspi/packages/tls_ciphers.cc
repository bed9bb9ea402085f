#include "kernel_sim/sspi/packages/tls_ciphers.h"

#include <strings.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

constexpr DWORD kNullCiphers = 0xFFFFFFFF;
constexpr DWORD kChaCha20Bits = 256;

// The class of an ALG_ID: its upper three bits.
constexpr ALG_ID ClassOf(ALG_ID algorithm) { return algorithm & 0xE000; }
constexpr ALG_ID kSignatures = 0x2000;
constexpr ALG_ID kCiphers = ClassOf(CALG_AES_128);
constexpr ALG_ID kHashes = ClassOf(CALG_SHA_256);
constexpr ALG_ID kKeyExchanges = ClassOf(CALG_ECDHE);
constexpr ALG_ID kAesOfAnyLength = 0x00006611;  // CALG_AES

// MsQuic counts the terminating NUL in Length, others do not.
std::string NameOf(const UNICODE_STRING& text) {
  if (text.Buffer == nullptr) return {};
  std::u16string_view view(text.Buffer, text.Length / sizeof(WCHAR));
  while (!view.empty() && view.back() == 0) view.remove_suffix(1);
  return ToUtf8(view);
}

bool Same(const std::string& a, const char* b) { return strcasecmp(a.c_str(), b) == 0; }

bool HasRange(const CRYPTO_SETTINGS& setting) {
  return setting.dwMinBitLength != 0 || setting.dwMaxBitLength != 0;
}

// In a disabled entry the pair of lengths names the range that stays permitted.
bool StaysPermitted(const CRYPTO_SETTINGS& setting, DWORD bits) {
  return HasRange(setting) && bits >= setting.dwMinBitLength &&
         (setting.dwMaxBitLength == 0 || bits <= setting.dwMaxBitLength);
}

}  // namespace

SECURITY_STATUS CipherChoice::Refuse(SECURITY_STATUS status, const char* reason) const {
  host_.NoteReason(reason);
  return status;
}

void CipherChoice::KeepStrengths(DWORD bits_min, DWORD bits_max) {
  none_ = none_ || bits_max == kNullCiphers;
  const auto within = [&](DWORD bits) {
    return (bits_min == kNullCiphers || bits >= bits_min) && (bits_max == 0 || bits <= bits_max);
  };
  aes128_ = aes128_ && within(128);
  aes256_ = aes256_ && within(256);
  chacha_ = chacha_ && within(kChaCha20Bits);
}

SECURITY_STATUS CipherChoice::KeepAlgorithms(std::span<const ALG_ID> algorithms) {
  const auto names = [&](ALG_ID algorithm) {
    return std::ranges::find(algorithms, algorithm) != algorithms.end();
  };
  const auto names_any_of = [&](ALG_ID algorithm_class) {
    return std::ranges::any_of(algorithms,
                               [&](ALG_ID each) { return ClassOf(each) == algorithm_class; });
  };
  if (names_any_of(kSignatures)) {
    return Refuse(SEC_E_UNSUPPORTED_FUNCTION,
                  "palgSupportedAlgs: signature algorithms cannot be chosen");
  }
  if (names_any_of(kCiphers)) {
    aes128_ = aes128_ && (names(CALG_AES_128) || names(kAesOfAnyLength));
    aes256_ = aes256_ && (names(CALG_AES_256) || names(kAesOfAnyLength));
    chacha_ = false;  // it has no number
  }
  if (names_any_of(kHashes)) {
    aes128_ = aes128_ && names(CALG_SHA_256);
    aes256_ = aes256_ && names(CALG_SHA_384);
    chacha_ = chacha_ && names(CALG_SHA_256);
  }
  if (names_any_of(kKeyExchanges)) none_ = none_ || !(names(CALG_ECDHE) || names(CALG_ECDH));
  return SEC_E_OK;
}

SECURITY_STATUS CipherChoice::Disable(const CRYPTO_SETTINGS& setting) {
  if (setting.cChainingModes > SCH_CRED_MAX_SUPPORTED_CHAINING_MODES ||
      (setting.cChainingModes != 0 && setting.rgstrChainingModes == nullptr)) {
    return Refuse(SEC_E_INVALID_PARAMETER,
                  "CRYPTO_SETTINGS: too many chaining modes, or none where some are counted");
  }
  const std::string name = NameOf(setting.strCngAlgId);
  if (name.empty())
    return Refuse(SEC_E_INVALID_PARAMETER, "CRYPTO_SETTINGS: no algorithm is named");
  switch (setting.eAlgorithmUsage) {
    case TlsParametersCngAlgUsageCipher:
      return DisableCipher(setting);
    case TlsParametersCngAlgUsageDigest:
      return DisableDigest(setting);
    case TlsParametersCngAlgUsageKeyExchange:
      if (Same(name, "RSA") || Same(name, "DH")) return SEC_E_OK;  // never offered
      return Refuse(SEC_E_UNSUPPORTED_FUNCTION,
                    "CRYPTO_SETTINGS: no key exchange but RSA and DH can be disabled");
    case TlsParametersCngAlgUsageSignature:
    case TlsParametersCngAlgUsageCertSig:
      if (Same(name, "DSA")) return SEC_E_OK;  // never offered
      return Refuse(SEC_E_UNSUPPORTED_FUNCTION,
                    "CRYPTO_SETTINGS: no signature algorithm but DSA can be disabled");
  }
  return Refuse(SEC_E_INVALID_PARAMETER,
                "CRYPTO_SETTINGS: the usage is not one of eTlsAlgorithmUsage");
}

SECURITY_STATUS CipherChoice::DisableCipher(const CRYPTO_SETTINGS& setting) {
  const std::string name = NameOf(setting.strCngAlgId);
  if (Same(name, "CHACHA20_POLY1305")) {
    chacha_ = chacha_ && StaysPermitted(setting, kChaCha20Bits);
    return SEC_E_OK;
  }
  // There are no others to disable, and no other modes.
  if (!Same(name, "AES")) return SEC_E_OK;
  bool concerns_gcm = setting.cChainingModes == 0;
  for (DWORD i = 0; !concerns_gcm && i < setting.cChainingModes; ++i) {
    concerns_gcm = Same(NameOf(setting.rgstrChainingModes[i]), "ChainingModeGCM");
  }
  if (!concerns_gcm) return SEC_E_OK;
  aes128_ = aes128_ && StaysPermitted(setting, 128);
  aes256_ = aes256_ && StaysPermitted(setting, 256);
  return SEC_E_OK;
}

SECURITY_STATUS CipherChoice::DisableDigest(const CRYPTO_SETTINGS& setting) {
  if (HasRange(setting) || setting.cChainingModes != 0) {
    return Refuse(SEC_E_UNSUPPORTED_FUNCTION, "CRYPTO_SETTINGS: a digest is disabled as a whole");
  }
  const std::string name = NameOf(setting.strCngAlgId);
  if (Same(name, "SHA384")) aes256_ = false;
  if (Same(name, "SHA256")) aes128_ = chacha_ = false;
  return SEC_E_OK;  // no suite has another
}

SECURITY_STATUS CipherChoice::WriteTo(tls::EndpointOptions* options) const {
  std::string suites;
  const auto add = [&suites](const char* names) {
    if (!suites.empty()) suites += ':';
    suites += names;
  };
  if (aes128_) {
    add("TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256");
  }
  if (aes256_) {
    add("TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384");
  }
  if (chacha_) {
    add("TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305");
  }
  if (none_ || suites.empty()) {
    return Refuse(SEC_E_ALGORITHM_MISMATCH,
                  "no cipher suite is left of those that are supported here");
  }
  options->cipher_suites = suites;
  return SEC_E_OK;
}

}  // namespace ktlsim::sspi
