// What a client's certificate says about who it is for: the names of its subject alternative name
// (RFC 5280 4.2.1.6), its serial number and its key.
//
// What a newcomer gets wrong: a name means something only together with who vouched for it. Every
// trusted authority can write any name.
//
// Any level, any thread; allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/security/identity_mapper.h"

namespace ktlsim::accounts {

inline constexpr std::size_t kCertificateBytesMax = 64 * 1024;
inline constexpr std::size_t kCertificateNamesMax = 64;
inline constexpr std::size_t kCertificateNameBytesMax = 1024;

struct CertificateFacts {
  security::KeyId key{};
  // Hexadecimal digits in lower case, without zeros in front.
  std::string serial;
  // In the forms that are compared: see FoldEmail and FoldUpn.
  std::vector<std::string> emails;
  std::vector<std::string> upns;
};

enum class CertificateRead : std::uint8_t {
  kDone,
  // Not one certificate in DER, or larger, or with more or longer names than the limits; a name
  // with a NUL or another control character, of another string type than its kind has, or not of
  // its form. Such a certificate is nobody's, whatever else is in it.
  kUnreadable,
  kNoMemory,
};

// Reads the names of the kinds rfc822Name and otherName with the type of a user principal name.
// Others, the subject's e-mail attribute included, are passed over.
CertificateRead ReadCertificate(std::span<const std::uint8_t> der, CertificateFacts* facts);

// The first certificate of a PEM text.
CertificateRead ReadPemCertificate(std::string_view pem, CertificateFacts* facts);

// The forms that are compared. E-mail: the domain in ASCII lower case, the local part as it is (RFC
// 5280 7.5). UPN: all of it in ASCII lower case. Characters beyond ASCII are compared as they are.
std::string FoldEmail(std::string_view email);
std::string FoldUpn(std::string_view upn);
// ASCII, local@domain, no spaces. As an rfc822Name has it.
bool IsEmail(std::string_view text);
// UTF-8, user@domain, no control characters.
bool IsUpn(std::string_view text);

// Sixty-four hexadecimal digits. None: other text. Colons may stand between pairs.
std::optional<security::KeyId> ParseKeyId(std::string_view text);
std::string KeyIdText(const security::KeyId& key);
// In the form of CertificateFacts. None: no number of up to 20 bytes. Colons may stand between
// pairs.
std::optional<std::string> ParseSerial(std::string_view text);

}  // namespace ktlsim::accounts
