// The kinds of bytes that the grammars of text protocols know (RFC 9110 5.6, RFC 5234 B.1), and
// numbers in text.
//
// None of these asks the locale.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace ktlsim {

constexpr bool IsSpace(char c) { return c == ' ' || c == '\t'; }

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The value of a hexadecimal digit; -1: it is none.
constexpr int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

constexpr bool IsHexDigit(char c) { return HexValue(c) >= 0; }

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

// Reads all of `text` as an unsigned number of `base`. result_out_of_range: it is a number, and too
// large; invalid_argument: it is none. *number is unchanged then.
template <typename Number>
std::errc ReadNumber(std::string_view text, Number* number, int base = 10) {
  static_assert(std::is_unsigned_v<Number>);
  const char* const end = text.data() + text.size();
  Number read{};
  const auto [stop, error] = std::from_chars(text.data(), end, read, base);
  if (stop != end) return std::errc::invalid_argument;
  if (error == std::errc()) *number = read;
  return error;
}

// Fills `digits` with the last digits of `number`, in lower-case hexadecimal. A byte has two.
constexpr void WriteHex(std::uint64_t number, std::span<char> digits) {
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, number >>= 4) {
    *digit = "0123456789abcdef"[number & 15];
  }
}

// All of `bytes`, two digits each.
template <typename Byte>
std::string HexOf(std::span<const Byte> bytes) {
  std::string text(2 * bytes.size(), '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    WriteHex(std::to_integer<std::uint8_t>(std::byte{bytes[i]}), std::span(text).subspan(2 * i, 2));
  }
  return text;
}

}  // namespace ktlsim
