// The text exposition format of Prometheus, 0.0.4: what is written, and what is escaped.
#include "kernel_sim/command/metrics_text.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

TEST(MetricsTextTest, AFamilyHasItsHelpItsTypeAndItsSamples) {
  MetricsText text;
  text.Counter("a_calls", "Calls.");
  text.Add(7);
  text.Add(18446744073709551615ULL, {{"lane", "record"}, {"role", "io"}});
  text.Gauge("a_depth", "Now.");
  text.AddSeconds(1'500'000'000);
  EXPECT_EQ(text.text(),
            "# HELP a_calls_total Calls.\n# TYPE a_calls_total counter\n"
            "a_calls_total 7\n"
            "a_calls_total{lane=\"record\",role=\"io\"} 18446744073709551615\n"
            "# HELP a_depth Now.\n# TYPE a_depth gauge\na_depth 1.5\n");
}

TEST(MetricsTextTest, WhatTheFormatReservesIsEscaped) {
  MetricsText text;
  text.Gauge("g", "a \"quoted\" \\ help\nin two lines");
  text.Add(1, {{"name", "back\\slash \"quote\"\nline"}});
  EXPECT_EQ(text.text(),
            "# HELP g a \"quoted\" \\\\ help\\nin two lines\n# TYPE g gauge\n"
            "g{name=\"back\\\\slash \\\"quote\\\"\\nline\"} 1\n");
}

std::string Escaped(std::string_view value) {
  MetricsText text;
  text.Gauge("g", "h");
  text.Add(1, {{"n", value}});
  const std::string& whole = text.text();
  const std::size_t begin = whole.find("g{n=\"") + 5;
  return whole.substr(begin, whole.rfind("\"}") - begin);
}

TEST(MetricsTextTest, OnlyUtf8ComesOut) {
  EXPECT_EQ(Escaped("gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80"),
            "gr\xC3\xBC\xC3\x9F \xE2\x82\xAC \xF0\x9F\x98\x80");
  const std::string bad = "\xEF\xBF\xBD";
  for (const char* byte : {"\xFF", "\x80", "\xC3", "\xC0", "\xF5"}) EXPECT_EQ(Escaped(byte), bad);
  EXPECT_EQ(Escaped("\xC0\xAF"), bad + bad) << "an overlong slash";
  EXPECT_EQ(Escaped("\xE0\x80\xAF"), bad + bad + bad);
  EXPECT_EQ(Escaped("\xED\xA0\x80"), bad + bad + bad) << "a surrogate";
  EXPECT_EQ(Escaped("\xF4\x90\x80\x80"), bad + bad + bad + bad) << "above U+10FFFF";
  EXPECT_EQ(Escaped("\xE2\x82"), bad + bad) << "cut off";
  EXPECT_EQ(Escaped("\xE2\x82\"x"), bad + bad + "\\\"x") << "a quote does not vanish in it";
}

TEST(MetricsTextTest, AHistogramIsCumulativeAndHasItsSumAndCount) {
  MetricsText text;
  text.Histogram("wait", "Waits.");
  const std::array<MetricsText::TimeClass, 2> classes = {{{1'023, 2}, {1'000'000, 3}}};
  text.AddTimes(classes, 4, 5'000'000'001, {{"lane", "record"}});
  EXPECT_EQ(text.text(),
            "# HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n"
            "wait_seconds_bucket{lane=\"record\",le=\"0.000001023\"} 2\n"
            "wait_seconds_bucket{lane=\"record\",le=\"0.001\"} 5\n"
            "wait_seconds_bucket{lane=\"record\",le=\"+Inf\"} 9\n"
            "wait_seconds_sum{lane=\"record\"} 5.000000001\n"
            "wait_seconds_count{lane=\"record\"} 9\n");
}

}  // namespace
}  // namespace ktlsim::command
