#include "kernel_sim/command/durations.h"

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

TEST(DurationsTest, ReadsEveryUnit) {
  EXPECT_EQ(ParseDurationNs("7ns"), 7U);
  EXPECT_EQ(ParseDurationNs("7us"), 7'000U);
  EXPECT_EQ(ParseDurationNs("500ms"), 500'000'000U);
  EXPECT_EQ(ParseDurationNs("10s"), 10'000'000'000U);
  EXPECT_EQ(ParseDurationNs("1.5s"), 1'500'000'000U);
  EXPECT_EQ(ParseDurationNs("2m"), 120'000'000'000U);
  EXPECT_EQ(ParseDurationNs("1h"), 3'600'000'000'000U);
  EXPECT_EQ(ParseDurationNs("0"), 0U);
}

TEST(DurationsTest, RefusesOtherTexts) {
  for (const char* text : {"", "5", "s", "5x", "-1s", "-0s", "1e9s", "nan", "inf", "5 s", "5s ",
                           "101h", "999999999999999999999h"}) {
    EXPECT_FALSE(ParseDurationNs(text)) << text;
  }
}

TEST(DurationsTest, WritesThreeDigits) {
  EXPECT_EQ(FormatDuration(0), "0 ns");
  EXPECT_EQ(FormatDuration(999), "999 ns");
  EXPECT_EQ(FormatDuration(1'234), "1.23 us");
  EXPECT_EQ(FormatDuration(1'234'567), "1.23 ms");
  // Values that round up to the next unit.
  EXPECT_EQ(FormatDuration(999'499), "999 us");
  EXPECT_EQ(FormatDuration(999'500), "1 ms");
  EXPECT_EQ(FormatDuration(999'999'999), "1 s");
  EXPECT_EQ(FormatDuration(12'345'678'901), "12.3 s");
}

}  // namespace
}  // namespace ktlsim::command
