#include "kernel_sim/command/hdr_format.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/command/time_series.h"

namespace ktlsim::command {
namespace {

LatencyHistogram Some() {
  LatencyHistogram latency;
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) latency.Record(random() >> (24 + random() % 40));
  return latency;
}

TEST(HdrFormatTest, WhatWasEncodedIsDecoded) {
  const LatencyHistogram latency = Some();
  LatencyHistogram back;
  EXPECT_EQ(DecodeHdr(EncodeHdr(latency), &back), "");
  ASSERT_EQ(back.Buckets().size(), latency.Buckets().size());
  EXPECT_EQ(back.count(), latency.count());
  for (const double fraction : {0.0, 0.5, 0.99, 1.0}) {
    EXPECT_EQ(LatencyHistogram::BucketOf(back.Percentile(fraction)),
              LatencyHistogram::BucketOf(latency.Percentile(fraction)));
  }
  LatencyHistogram none;
  EXPECT_EQ(DecodeHdr(EncodeHdr(LatencyHistogram()), &none), "");
  EXPECT_EQ(none.count(), 0U);
}

TEST(HdrFormatTest, HostileTextIsRefused) {
  const std::string good = EncodeHdr(Some());
  for (std::size_t length = 0; length < good.size(); ++length) {
    LatencyHistogram latency;
    EXPECT_NE(DecodeHdr(good.substr(0, length), &latency), "") << length;
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string changed = good;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    LatencyHistogram latency;
    // A checksum protects all but the head and the padding.
    static_cast<void>(DecodeHdr(changed, &latency));
    EXPECT_LE(latency.max(), LatencyHistogram::kValueMax);
  }
  LatencyHistogram latency;
  EXPECT_NE(DecodeHdr("", &latency), "");
  EXPECT_NE(DecodeHdr("====", &latency), "");
  EXPECT_NE(DecodeHdr(std::string(4'000'000, 'A'), &latency), "");
}

TEST(HdrFormatTest, ThePercentileTextEndsWithAll) {
  LatencyHistogram latency;
  for (int i = 0; i < 99; ++i) latency.Record(1000);
  latency.Record(2'000'000);
  const std::string text = HdrPercentileText(latency);
  EXPECT_NE(text.find("       1.000 0.000000000000         99           1.00\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find(" 1.000000000000        100\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Total count    =          100]"), std::string::npos) << text;
}

TEST(TimeSeriesTest, WhatHappenedLandsInItsInterval) {
  TimeSeries series;
  series.Prepare(1'000'000'000);
  ASSERT_EQ(series.intervals().size(), 10U);
  series.AddOperation(0, 5);
  series.AddOperation(99'999'999, 7);
  series.AddOperation(100'000'000, 9);
  series.AddErrors(950'000'000, 2);
  series.AddOperation(5'000'000'000, 11);  // after the end
  series.Finish();
  EXPECT_EQ(series.intervals()[0].operations, 2U);
  EXPECT_EQ(series.intervals()[0].max_ns, 7U);
  EXPECT_EQ(series.intervals()[1].operations, 1U);
  EXPECT_EQ(series.intervals()[9].operations, 1U);
  EXPECT_EQ(series.intervals()[9].errors, 2U);
  TimeSeries other;
  other.Prepare(1'000'000'000);
  other.AddOperation(150'000'000, 20);
  other.Finish();
  series.Merge(other);
  EXPECT_EQ(series.intervals()[1].operations, 2U);
  EXPECT_EQ(series.intervals()[1].Latency().count(), 2U);
  EXPECT_EQ(series.intervals()[1].max_ns, 20U);
}

TEST(TimeSeriesTest, AFileStaysSmall) {
  EXPECT_EQ(TimeSeries::IntervalFor(60'000'000'000), 100'000'000U);
  EXPECT_EQ(TimeSeries::IntervalFor(60'000'000'001), 1'000'000'000U);
  EXPECT_EQ(TimeSeries::IntervalFor(86'400'000'000'000), 10'000'000'000U);
}

}  // namespace
}  // namespace ktlsim::command
