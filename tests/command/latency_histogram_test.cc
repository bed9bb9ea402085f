#include "kernel_sim/command/latency_histogram.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ktlsim::command {
namespace {

TEST(LatencyHistogramTest, IsEmptyAtFirst) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.Percentile(0.5), 0U);
}

TEST(LatencyHistogramTest, SmallValuesAreExact) {
  for (std::uint64_t value = 0; value < 256; ++value) {
    LatencyHistogram histogram;
    histogram.Record(value);
    histogram.Record(1000);
    EXPECT_EQ(histogram.Percentile(0.5), value);
  }
}

TEST(LatencyHistogramTest, OneValueIsOffByLessThanOnePercentAtAnySize) {
  for (std::uint64_t value = 1; value < LatencyHistogram::kValueMax / 3;
       value = value * 5 / 4 + 1) {
    for (const std::uint64_t near : {value - 1, value, value + 1}) {
      LatencyHistogram histogram;
      histogram.Record(near);
      histogram.Record(LatencyHistogram::kValueMax);
      const auto answer = static_cast<double>(histogram.Percentile(0.5));
      EXPECT_LE(std::abs(answer - static_cast<double>(near)), 0.01 * static_cast<double>(near));
    }
  }
}

// 99.9 / 100 is a little more than 0.999.
TEST(LatencyHistogramTest, ARankIsNotRoundedUp) {
  LatencyHistogram histogram;
  for (std::uint64_t i = 1; i <= 1000; ++i) histogram.Record(i);
  for (const double percentile : {99.9, 99.8, 99.7, 99.0, 90.0, 55.0, 7.0, 0.1}) {
    EXPECT_EQ(histogram.Percentile(percentile / 100), std::llround(percentile * 10)) << percentile;
  }
  EXPECT_EQ(histogram.SamplesAbove(99.9 / 100), 1U);
}

TEST(LatencyHistogramTest, LongValuesCountAsTheLongest) {
  LatencyHistogram histogram;
  histogram.Record(~std::uint64_t{0});
  EXPECT_EQ(histogram.max(), LatencyHistogram::kValueMax);
  EXPECT_LE(histogram.Percentile(1), LatencyHistogram::kValueMax);
}

// Against the sorted values, for distributions of several shapes; the seeds are fixed.
TEST(LatencyHistogramTest, PercentilesAgreeWithSorting) {
  for (const unsigned seed : {1U, 2U, 3U}) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    std::lognormal_distribution<double> shape(6.0 + 3 * seed, 1.5);
    LatencyHistogram even;
    LatencyHistogram odd;
    std::vector<std::uint64_t> values;
    for (int i = 0; i < 20000; ++i) {
      values.push_back(static_cast<std::uint64_t>(shape(random)));
      (i % 2 == 0 ? even : odd).Record(values.back());
    }
    even.Merge(odd);
    std::sort(values.begin(), values.end());
    EXPECT_EQ(even.count(), values.size());
    EXPECT_EQ(even.max(), values.back());
    for (const double fraction : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const double rank = std::ceil(fraction * static_cast<double>(values.size()));
      const auto exact =
          static_cast<double>(values[rank < 1 ? 0 : static_cast<std::size_t>(rank) - 1]);
      EXPECT_NEAR(static_cast<double>(even.Percentile(fraction)), exact, exact * 0.01 + 0.5);
    }
  }
}

}  // namespace
}  // namespace ktlsim::command
