// The kinds of bytes that HTTP's grammar knows (RFC 9110 5.6).
//
// None of these asks the locale.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace ktlsim::digest {

constexpr bool IsSpace(char c) { return c == ' ' || c == '\t'; }

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr bool IsLetter(char c) { return Lower(c) >= 'a' && Lower(c) <= 'z'; }

// A control character. A tab is none here, since it may stand where a space may.
constexpr bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\t') || byte == 0x7f;
}

constexpr bool IsPrintableAscii(char c) { return c >= ' ' && c <= '~'; }

// tchar: what a token consists of.
constexpr bool IsTokenCharacter(char c) {
  return IsDigit(c) || IsLetter(c) ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

constexpr bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

// A token of at least one character.
constexpr bool IsToken(std::string_view text) {
  for (const char c : text) {
    if (!IsTokenCharacter(c)) return false;
  }
  return !text.empty();
}

}  // namespace ktlsim::digest
