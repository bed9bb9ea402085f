// The two charsets of Digest, UTF-8 and ISO 8859-1, and the extended form of a parameter
// (RFC 8187, which RFC 7616 3.4 uses for `username*`).
//
// What a newcomer gets wrong: no text is normalised. Two spellings of one name are two names.
//
// Any level, no state.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace ktlsim::digest {

// Well formed by RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// Whether `text` needs no charset at all.
bool IsPrintableAscii(std::string_view text);

// The text of `utf8` in ISO 8859-1. Empty: it cannot be expressed, or is not UTF-8.
std::optional<std::string> Utf8ToLatin1(std::string_view utf8);

// Decodes `UTF-8'language'percent-encoded` into `room`, which has at least the length of `value`.
// The result is UTF-8 without control characters, in the first bytes of `room`. Empty: another
// charset, a bad escape, not UTF-8, a control character, or no text at all.
std::optional<std::string_view> DecodeExtended(std::string_view value, char* room);

}  // namespace ktlsim::digest
