#include "kernel_sim/digest/charset.h"

#include <algorithm>
#include <cstdint>

#include "kernel_sim/base/characters.h"

namespace ktlsim::digest {
namespace {

// The next character of UTF-8 text; advances *at. Empty: not well formed.
std::optional<std::uint32_t> NextCharacter(std::string_view text, std::size_t* at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::uint32_t first = byte(*at);
  if (first < 0x80) {
    ++*at;
    return first;
  }
  const std::size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  if (first < 0xc2 || first > 0xf4 || text.size() - *at <= more) return std::nullopt;
  std::uint32_t character = first & (0x3fU >> more);
  for (std::size_t i = 1; i <= more; ++i) {
    const std::uint32_t next = byte(*at + i);
    if ((next & 0xc0U) != 0x80) return std::nullopt;
    character = (character << 6) | (next & 0x3fU);
  }
  static constexpr std::uint32_t kSmallest[] = {0, 0x80, 0x800, 0x10000};
  const bool surrogate = character >= 0xd800 && character <= 0xdfff;
  if (character < kSmallest[more] || character > 0x10ffff || surrogate) return std::nullopt;
  *at += more + 1;
  return character;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (!NextCharacter(text, &at).has_value()) return false;
  }
  return true;
}

bool IsPrintableAscii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return ktlsim::IsPrintableAscii(c); });
}

std::optional<std::string> Utf8ToLatin1(std::string_view utf8) {
  std::string latin1;
  latin1.reserve(utf8.size());
  for (std::size_t at = 0; at < utf8.size();) {
    const std::optional<std::uint32_t> character = NextCharacter(utf8, &at);
    if (!character.has_value() || *character > 0xff) return std::nullopt;
    latin1.push_back(static_cast<char>(*character));
  }
  return latin1;
}

std::optional<std::string_view> DecodeExtended(std::string_view value, char* room) {
  const std::size_t charset_end = value.find('\'');
  if (charset_end == std::string_view::npos) return std::nullopt;
  const std::size_t language_end = value.find('\'', charset_end + 1);
  if (language_end == std::string_view::npos) return std::nullopt;
  if (!EqualsIgnoringCase(value.substr(0, charset_end), "UTF-8")) return std::nullopt;
  const std::string_view encoded = value.substr(language_end + 1);
  std::size_t written = 0;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    char c = encoded[i];
    if (!IsTokenCharacter(c) || c == '\'' || c == '*') return std::nullopt;
    if (c == '%') {
      if (encoded.size() - i < 3) return std::nullopt;
      const int high = HexValue(encoded[i + 1]);
      const int low = HexValue(encoded[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>((high << 4) | low);
      i += 2;
    }
    if (IsControl(c) || c == '\t') return std::nullopt;
    room[written++] = c;
  }
  const std::string_view text(room, written);
  if (text.empty() || !IsUtf8(text)) return std::nullopt;
  return text;
}

}  // namespace ktlsim::digest
