#include "kernel_sim/security/guid.h"

#include "kernel_sim/base/characters.h"

namespace ktlsim::security {
namespace {

constexpr std::size_t kTextBytes = 36;

constexpr bool IsDash(std::size_t index) {
  return index == 8 || index == 13 || index == 18 || index == 23;
}

// The bytes in the order of the text.
std::array<std::uint8_t, 16> InTextOrder(const Guid& guid) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < 4; ++i) {
    bytes[i] = static_cast<std::uint8_t>(guid.data1 >> (24 - 8 * i));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    bytes[4 + i] = static_cast<std::uint8_t>(guid.data2 >> (8 - 8 * i));
    bytes[6 + i] = static_cast<std::uint8_t>(guid.data3 >> (8 - 8 * i));
  }
  for (std::size_t i = 0; i < 8; ++i) bytes[8 + i] = guid.data4[i];
  return bytes;
}

template <typename Number>
void ReadHex(std::string_view text, Number* number) {
  // All are digits, and not too many.
  static_cast<void>(ReadNumber(text, number, 16));
}

}  // namespace

GuidText::GuidText(const Guid& guid) {
  std::size_t at = 0;
  for (const std::uint8_t byte : InTextOrder(guid)) {
    if (IsDash(at)) text_[at++] = '-';
    text_[at++] = "0123456789abcdef"[byte >> 4];
    text_[at++] = "0123456789abcdef"[byte & 0xF];
  }
}

bool ParseGuid(std::string_view text, Guid* guid) {
  if (text.size() != kTextBytes) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (IsDash(i) ? text[i] != '-' : !IsHexDigit(text[i])) return false;
  }
  ReadHex(text.substr(0, 8), &guid->data1);
  ReadHex(text.substr(9, 4), &guid->data2);
  ReadHex(text.substr(14, 4), &guid->data3);
  for (std::size_t i = 0; i < 2; ++i) ReadHex(text.substr(19 + 2 * i, 2), &guid->data4[i]);
  for (std::size_t i = 0; i < 6; ++i) ReadHex(text.substr(24 + 2 * i, 2), &guid->data4[2 + i]);
  return true;
}

}  // namespace ktlsim::security
