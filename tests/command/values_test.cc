#include "kernel_sim/command/values.h"

#include <array>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

TEST(ValuesTest, CountsTakeSuffixesOfThousands) {
  std::uint64_t count = 0;
  EXPECT_EQ(ParseCount("64", 0, kMax, &count), "");
  EXPECT_EQ(count, 64U);
  EXPECT_EQ(ParseCount("10k", 0, kMax, &count), "");
  EXPECT_EQ(count, 10'000U);
  EXPECT_EQ(ParseCount("2M", 0, kMax, &count), "");
  EXPECT_EQ(count, 2'000'000U);
  EXPECT_EQ(ParseCount("18446744073709551615", 0, kMax, &count), "");
  EXPECT_EQ(count, kMax);
}

TEST(ValuesTest, WhatIsNoCountIsRefusedAndChangesNothing) {
  for (const char* text :
       {"", "x", "-", "--1", "+1", " 1", "1 ", "1.5", "0x10", "5s", "1kk", "k"}) {
    std::uint64_t count = 7;
    EXPECT_NE(ParseCount(text, 0, kMax, &count).find("is not a whole number"), std::string::npos)
        << text;
    EXPECT_EQ(count, 7U);
  }
  for (const char* text :
       {"0", "-1", "-0", "101", "1k", "18446744073709551616", "18446744073709551615G"}) {
    std::uint64_t count = 7;
    EXPECT_NE(ParseCount(text, 1, 100, &count).find("out of range: from 1 to 100"),
              std::string::npos)
        << text;
    EXPECT_EQ(count, 7U);
  }
}

TEST(ValuesTest, SizesTakeSuffixesOfPowersOfTwo) {
  std::uint64_t bytes = 0;
  EXPECT_EQ(ParseSize("16k", 0, kMax, &bytes), "");
  EXPECT_EQ(bytes, 16384U);
  EXPECT_EQ(ParseSize("1G", 0, 1U << 30U, &bytes), "");
  EXPECT_EQ(bytes, 1U << 30U);
  EXPECT_NE(ParseSize("16kb", 0, kMax, &bytes), "");
}

TEST(ValuesTest, RatesTakeFractionsAndPerSecond) {
  double rate = 0;
  EXPECT_EQ(ParseRate("0.5", 0.01, 1e7, &rate), "");
  EXPECT_EQ(rate, 0.5);
  EXPECT_EQ(ParseRate("10k/s", 0.01, 1e7, &rate), "");
  EXPECT_EQ(rate, 10'000);
  for (const char* text : {"", "x", "/s", "nan", "inf", "1e9", "-5", "0", "11M"}) {
    EXPECT_NE(ParseRate(text, 0.01, 1e7, &rate), "") << text;
  }
  EXPECT_EQ(rate, 10'000);
}

TEST(ValuesTest, ADurationWithoutUnitIsSecondsOnlyWhereTheOptionSaysSo) {
  std::uint64_t ns = 0;
  EXPECT_EQ(ParseDuration("5", 0, kMax, BareNumber::kSeconds, &ns), "");
  EXPECT_EQ(ns, 5 * kNsPerSecond);
  EXPECT_NE(ParseDuration("5", 0, kMax, BareNumber::kRefused, &ns), "");
  EXPECT_EQ(ParseDuration("500ms", 0, kMax, BareNumber::kRefused, &ns), "");
  EXPECT_EQ(ns, kNsPerSecond / 2);
  EXPECT_NE(ParseDuration("50ms", 100 * kNsPerMs, 3600 * kNsPerSecond, BareNumber::kSeconds, &ns)
                .find("from 100ms to 1h"),
            std::string::npos);
  EXPECT_EQ(ns, kNsPerSecond / 2);
}

TEST(ValuesTest, AWrongWordIsToldWithThoseThatExist) {
  constexpr std::array kWords = {Word<int>{"one", 1}, Word<int>{"two", 2}};
  int value = 0;
  EXPECT_EQ(ParseWord("two", kWords, &value), "");
  EXPECT_EQ(value, 2);
  EXPECT_EQ(ParseWord("tow", kWords, &value), "\"tow\" is not one of one, two");
}

TEST(ValuesTest, WhatIsShownHasNoControlCharactersAndAnEnd) {
  EXPECT_EQ(Printable("a\r\nb\x7f"), "a\\x0d\\x0ab\\x7f");
  EXPECT_EQ(Printable(std::string(500, 'x')).size(), 83U);
}

TEST(ValuesTest, HttpSpeaksTheProtocolsOfHttp1) {
  const auto check = [](const std::vector<std::string>& alpn) {
    return CheckHttpAlpn(alpn, "root");
  };
  EXPECT_EQ(check({}), "");
  EXPECT_EQ(check({"http/1.1", "http/1.0"}), "");
  for (const char* other : {"h2", "h3", "http/0.9", "HTTP/1.1", "http/1.1 ", "imap"}) {
    EXPECT_NE(check({"http/1.1", other}).find(other), std::string::npos) << other;
  }
}

TEST(ValuesTest, ALineHasNoControlCharacters) {
  EXPECT_EQ(CheckOneLine("plain text"), "");
  EXPECT_NE(CheckOneLine("a\r\nX-Injected: 1"), "");
  EXPECT_NE(CheckOneLine(std::string_view("a\0b", 3)), "");
}

}  // namespace
}  // namespace ktlsim::command
