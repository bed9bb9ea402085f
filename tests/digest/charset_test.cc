#include "kernel_sim/digest/charset.h"

#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ktlsim::digest {
namespace {

TEST(CharsetTest, WellFormedUtf8) {
  for (const std::string_view good :
       {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const std::string_view bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x41",
                                     "\xe0\x9f\xbf", "\xe1\x80", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                                     "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe4"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

TEST(CharsetTest, Latin1IsWhatItCanExpress) {
  EXPECT_EQ(Utf8ToLatin1("J\xc3\xa4s\xc3\xb8n"), "J\xe4s\xf8n");
  EXPECT_EQ(Utf8ToLatin1(""), "");
  EXPECT_EQ(Utf8ToLatin1("\xc3\xbf"), "\xff");
  EXPECT_EQ(Utf8ToLatin1("\xc4\x80"), std::nullopt) << "the first beyond it";
  EXPECT_EQ(Utf8ToLatin1("\xe4"), std::nullopt);
}

std::optional<std::string> Decoded(std::string_view value) {
  std::string room(value.size(), '\0');
  const std::optional<std::string_view> text = DecodeExtended(value, room.data());
  if (!text.has_value()) return std::nullopt;
  return std::string(*text);
}

TEST(CharsetTest, TheExtendedFormOfAParameter) {
  EXPECT_EQ(Decoded("UTF-8''J%C3%A4s%c3%b8n%20Doe"), "J\xc3\xa4s\xc3\xb8n Doe");
  EXPECT_EQ(Decoded("utf-8'de'a"), "a");
  for (const std::string_view bad :
       {"", "UTF-8", "UTF-8'", "UTF-8''", "UTF-8''%", "UTF-8''%2", "UTF-8''%2g", "UTF-8''%e4",
        "UTF-8''%0a", "UTF-8''a'b", "UTF-8''a b", "UTF-8''a*", "ISO-8859-1''a", "''a", "UTF-8''%00",
        "UTF-8''%09", "UTF-8''%7f"}) {
    EXPECT_EQ(Decoded(bad), std::nullopt) << bad;
  }
}

TEST(CharsetTest, PrintableAscii) {
  EXPECT_TRUE(IsPrintableAscii("a ~"));
  EXPECT_FALSE(IsPrintableAscii("a\t"));
  EXPECT_FALSE(IsPrintableAscii("\xc3\xa4"));
}

}  // namespace
}  // namespace ktlsim::digest
