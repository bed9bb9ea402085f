#include "kernel_sim/base/characters.h"

#include <array>
#include <cstddef>
#include <span>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim {
namespace {

TEST(CharactersTest, EveryByteIsAHexadecimalDigitOrNone) {
  const std::string lower = "0123456789abcdef";
  const std::string upper = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    const auto c = static_cast<char>(byte);
    std::size_t value = lower.find(c);
    if (value == std::string::npos) value = upper.find(c);
    EXPECT_EQ(HexValue(c), value == std::string::npos ? -1 : static_cast<int>(value)) << byte;
    EXPECT_EQ(IsHexDigit(c), value != std::string::npos) << byte;
  }
}

TEST(CharactersTest, HexadecimalOfNumbersAndBytes) {
  std::array<char, 8> digits{};
  WriteHex(0x12ab, digits);
  EXPECT_EQ(std::string(digits.data(), digits.size()), "000012ab");
  WriteHex(0x123456789abcdef0, digits);
  EXPECT_EQ(std::string(digits.data(), digits.size()), "9abcdef0") << "the last ones";
  const std::array<std::byte, 3> bytes = {std::byte{0}, std::byte{0x9f}, std::byte{0xff}};
  EXPECT_EQ(HexOf(std::span<const std::byte>(bytes)), "009fff");
  const std::array<unsigned char, 1> octet = {0xa0};
  EXPECT_EQ(HexOf(std::span<const unsigned char>(octet)), "a0");
}

}  // namespace
}  // namespace ktlsim
