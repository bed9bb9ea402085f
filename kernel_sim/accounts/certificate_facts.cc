#include "kernel_sim/accounts/certificate_facts.h"

#include <algorithm>
#include <array>
#include <memory>
#include <new>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/memory_watch.h"
#include "kernel_sim/digest/charset.h"

namespace ktlsim::accounts {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kSerialBytesMax = 20;  // RFC 5280 4.1.2.2

struct FreeCertificateParts {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(unsigned char* bytes) const { OPENSSL_free(bytes); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeCertificateParts>;

std::string_view TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

bool HasOneAt(std::string_view text) {
  const std::size_t at = text.find('@');
  return at != std::string_view::npos && at == text.rfind('@') && at != 0 && at + 1 != text.size();
}

std::string HexOf(std::span<const std::uint8_t> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text.push_back(kHexDigits[byte >> 4U]);
    text.push_back(kHexDigits[byte & 15U]);
  }
  return text;
}

// Digits in lower case, without the colons between pairs. None: anything else.
std::optional<std::string> ReadHexDigits(std::string_view text) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool between = digits.size() % 2 == 0 && i > 0 && text[i - 1] != ':';
    if (text[i] == ':' && between && i + 1 < text.size()) continue;
    if (!IsHexDigit(text[i])) return std::nullopt;
    digits.push_back(Lower(text[i]));
  }
  return digits;
}

std::string WithoutZeros(const std::string& digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0" : digits.substr(first);
}

bool ReadKeyId(X509* certificate, security::KeyId* key) {
  unsigned char* der = nullptr;
  const int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  const Owned<unsigned char> owned(der);
  return bytes > 0 && EVP_Digest(der, static_cast<std::size_t>(bytes), key->data(), nullptr,
                                 EVP_sha256(), nullptr) == 1;
}

bool ReadSerial(X509* certificate, std::string* serial) {
  const Owned<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (number == nullptr || BN_is_negative(number.get()) == 1) return false;
  const auto bytes = static_cast<std::size_t>(BN_num_bytes(number.get()));
  if (bytes > kSerialBytesMax) return false;
  std::array<std::uint8_t, kSerialBytesMax> image{};
  BN_bn2bin(number.get(), image.data());
  *serial = WithoutZeros(HexOf(std::span(image).first(bytes)));
  return true;
}

bool ReadUpn(const OTHERNAME& name, CertificateFacts* facts) {
  if (OBJ_obj2nid(name.type_id) != NID_ms_upn) return true;
  // Windows writes a UTF8String. Another type may spell the same name in other bytes.
  if (ASN1_TYPE_get(name.value) != V_ASN1_UTF8STRING) return false;
  const std::string_view upn = TextOf(name.value->value.utf8string);
  if (!IsUpn(upn)) return false;
  facts->upns.push_back(FoldUpn(upn));
  return true;
}

bool ReadName(const GENERAL_NAME& name, CertificateFacts* facts) {
  if (name.type == GEN_OTHERNAME) return ReadUpn(*name.d.otherName, facts);
  if (name.type != GEN_EMAIL) return true;
  const std::string_view email = TextOf(name.d.rfc822Name);
  if (!IsEmail(email)) return false;
  facts->emails.push_back(FoldEmail(email));
  return true;
}

bool ReadNames(X509* certificate, CertificateFacts* facts) {
  int found = 0;
  const Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &found, nullptr)));
  // -1: there is none. -2: there are two of them.
  if (names == nullptr) return found == -1;
  const int count = sk_GENERAL_NAME_num(names.get());
  if (count > static_cast<int>(kCertificateNamesMax)) return false;
  for (int i = 0; i < count; ++i) {
    if (!ReadName(*sk_GENERAL_NAME_value(names.get(), i), facts)) return false;
  }
  return true;
}

bool ReadAll(std::span<const std::uint8_t> der, CertificateFacts* facts) {
  if (der.size() > kCertificateBytesMax) return false;
  const unsigned char* at = der.data();
  const Owned<X509> certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  return certificate != nullptr && at == der.data() + der.size() &&
         ReadKeyId(certificate.get(), &facts->key) &&
         ReadSerial(certificate.get(), &facts->serial) && ReadNames(certificate.get(), facts);
}

}  // namespace

CertificateRead ReadCertificate(std::span<const std::uint8_t> der, CertificateFacts* facts) try {
  const MemoryWatch watch;
  const bool good = ReadAll(der, facts);
  ERR_clear_error();
  // OpenSSL reports a failed allocation as a broken certificate, or not at all.
  if (watch.ran_out()) return CertificateRead::kNoMemory;
  return good ? CertificateRead::kDone : CertificateRead::kUnreadable;
} catch (const std::bad_alloc&) {
  return CertificateRead::kNoMemory;
}

CertificateRead ReadPemCertificate(std::string_view pem, CertificateFacts* facts) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return CertificateRead::kNoMemory;
  const Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (certificate == nullptr) return CertificateRead::kUnreadable;
  unsigned char* der = nullptr;
  const int bytes = i2d_X509(certificate.get(), &der);
  const Owned<unsigned char> owned(der);
  if (bytes <= 0) return CertificateRead::kNoMemory;
  return ReadCertificate({der, static_cast<std::size_t>(bytes)}, facts);
}

bool IsEmail(std::string_view text) {
  const auto good = [](char c) { return c > ' ' && IsPrintableAscii(c); };
  return text.size() <= kCertificateNameBytesMax && HasOneAt(text) &&
         std::ranges::all_of(text, good);
}

bool IsUpn(std::string_view text) {
  const auto bad = [](char c) { return c == '\t' || IsControl(c); };
  return text.size() <= kCertificateNameBytesMax && HasOneAt(text) &&
         std::ranges::none_of(text, bad) && digest::IsUtf8(text);
}

std::string FoldUpn(std::string_view upn) {
  std::string folded(upn);
  std::ranges::transform(folded, folded.begin(), &Lower);
  return folded;
}

std::string FoldEmail(std::string_view email) {
  const std::size_t at = email.rfind('@');
  if (at == std::string_view::npos) return std::string(email);
  std::string folded(email.substr(0, at));
  folded += FoldUpn(email.substr(at));
  return folded;
}

std::optional<security::KeyId> ParseKeyId(std::string_view text) {
  security::KeyId key{};
  const std::optional<std::string> digits = ReadHexDigits(text);
  if (!digits || digits->size() != 2 * key.size()) return std::nullopt;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const std::size_t high = kHexDigits.find((*digits)[2 * i]);
    const std::size_t low = kHexDigits.find((*digits)[2 * i + 1]);
    key[i] = static_cast<std::uint8_t>(16 * high + low);
  }
  return key;
}

std::string KeyIdText(const security::KeyId& key) { return HexOf(key); }

std::optional<std::string> ParseSerial(std::string_view text) {
  const std::optional<std::string> digits = ReadHexDigits(text);
  if (!digits || digits->empty()) return std::nullopt;
  std::string serial = WithoutZeros(*digits);
  if (serial.size() > 2 * kSerialBytesMax) return std::nullopt;
  return serial;
}

}  // namespace ktlsim::accounts
