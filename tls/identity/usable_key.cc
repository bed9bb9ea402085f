#include "tls/identity/usable_key.h"

#include <algorithm>

#include <openssl/evp.h>
#include <openssl/x509v3.h>

namespace ktlsim::tls {
namespace {

// Which keys TLS 1.2 suites need: Edwards curves go with the ECDSA suites (RFC 8422 5.10).
enum class KeyClass : std::uint8_t { kNone, kRsa, kEcdsa };

KeyClass ClassOf(const EVP_PKEY& key) {
  switch (EVP_PKEY_get_base_id(&key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS:
      return KeyClass::kRsa;
    case EVP_PKEY_EC:
    case EVP_PKEY_ED25519:
    case EVP_PKEY_ED448:
      return KeyClass::kEcdsa;
    default:
      return KeyClass::kNone;
  }
}

std::string KindOf(const EVP_PKEY& key) {
  const char* const name = EVP_PKEY_get0_type_name(&key);
  return name != nullptr ? name : "unknown";
}

// Those that TLS 1.3 has signatures for (RFC 8446 4.2.3), and that clients of TLS 1.2 offer.
bool IsUsableCurve(std::string_view curve) {
  return curve == "prime256v1" || curve == "secp384r1" || curve == "secp521r1";
}

std::string CurveOf(const EVP_PKEY& key) {
  char name[64] = {};
  if (EVP_PKEY_get_group_name(&key, name, sizeof(name), nullptr) != 1) return "without a name";
  return name;
}

// Suites of TLS 1.3 take any key.
bool SuitesTake(KeyClass kind, const KeyUse& use) {
  if (use.version_max >= Version::kTls13 || use.role == Role::kClient) return true;
  const std::string_view needed = kind == KeyClass::kRsa ? "ECDHE-RSA-" : "ECDHE-ECDSA-";
  std::string_view rest = use.cipher_suites;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const SuiteInfo* const suite = FindSuite(rest.substr(0, end));
    if (suite != nullptr && std::string_view(suite->openssl_name).starts_with(needed)) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

}  // namespace

std::string WhyUnusable(X509& leaf, const EVP_PKEY& key, const KeyUse& use) {
  const KeyClass kind = ClassOf(key);
  if (kind == KeyClass::kNone) {
    return "its key is of the kind " + KindOf(key) +
           "; RSA, ECDSA on P-256, P-384 or P-521, Ed25519 and Ed448 can be used";
  }
  if (EVP_PKEY_get_base_id(&key) == EVP_PKEY_EC) {
    const std::string curve = CurveOf(key);
    if (!IsUsableCurve(curve)) {
      return "its key is on the curve " + curve + "; P-256, P-384 and P-521 can be used";
    }
  }
  // Every handshake here has the key sign (RFC 8446 4.4.2.2; RFC 5246 7.4.2 for ECDHE). Without the
  // extension any use is allowed.
  if ((X509_get_key_usage(&leaf) & KU_DIGITAL_SIGNATURE) == 0) {
    return "its key usage does not allow signatures (digitalSignature)";
  }
  if (!SuitesTake(kind, use)) {
    return std::string("none of the cipher suites takes its key: one with ") +
           (kind == KeyClass::kRsa ? "ECDHE-RSA" : "ECDHE-ECDSA") + " or of TLS 1.3 is needed";
  }
  return {};
}

}  // namespace ktlsim::tls
