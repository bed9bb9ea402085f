// What `ktlsim load` derives before and after it measures: shares, timetables, requests, intervals.
#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/load_phases.h"
#include "kernel_sim/command/load_request.h"
#include "kernel_sim/command/load_run.h"
#include "kernel_sim/command/load_timetable.h"
#include "kernel_sim/command/statistics.h"
#include "kernel_sim/command/verdict.h"

namespace ktlsim::command {
namespace {

TEST(LoadTimetableTest, ConstantArrivalsAreEvenAndPoissonArrivalsHaveTheSameMean) {
  LoadTimetable constant(1000, Arrivals::kConstant, 1);
  constant.Start(5'000'000, 0.5);
  EXPECT_EQ(constant.next_ns(), 5'500'000U);
  constant.Advance();
  EXPECT_EQ(constant.next_ns(), 6'500'000U);
  EXPECT_EQ(constant.DueBefore(6'500'000), 0U);
  EXPECT_EQ(constant.DueBefore(8'500'001), 3U);
  LoadTimetable poisson(1000, Arrivals::kPoisson, 1);
  poisson.Start(0, 0);
  constexpr int kGaps = 20'000;
  int longer = 0;
  for (int i = 0; i < kGaps; ++i) {
    const std::uint64_t before = poisson.next_ns();
    poisson.Advance();
    longer += poisson.next_ns() - before > 1'000'000 ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(poisson.next_ns()) / kGaps, 1e6, 3e4);
  // Of an exponential distribution, 1/e is longer than the mean.
  EXPECT_NEAR(static_cast<double>(longer) / kGaps, std::exp(-1), 0.02);
}

TEST(LoadTimetableTest, WhatNeverBeganHasWaitedSinceItWasDue) {
  LoadTimetable timetable(1000, Arrivals::kConstant, 1);
  timetable.Start(5'000'000, 0);
  LatencyHistogram waits;
  timetable.RecordWaits(5'000'000, &waits);
  EXPECT_EQ(waits.count(), 0U);
  timetable.RecordWaits(8'500'000, &waits);
  EXPECT_EQ(waits.count(), 4U);
  EXPECT_EQ(waits.max(), 3'500'000U);
  EXPECT_EQ(waits.Min() / 1000,
            LatencyHistogram::LowerOf(LatencyHistogram::BucketOf(500'000)) / 1000);
  // Ever so many are counted, too, and none is left out.
  LoadTimetable many(1e7, Arrivals::kPoisson, 1);
  many.Start(0, 0);
  LatencyHistogram all;
  many.RecordWaits(kNsPerSecond, &all);
  EXPECT_EQ(all.count(), many.DueBefore(kNsPerSecond));
  EXPECT_EQ(all.max(), kNsPerSecond);
}

TEST(LoadPlanTest, EachKindHasItsShareOfTheConnections) {
  const std::vector<LoadShare> shares = {{.weight = 70}, {.weight = 29}, {.weight = 1}};
  EXPECT_EQ(SlotsFor(shares, 100), (std::vector<unsigned>{70, 29, 1}));
  EXPECT_EQ(SlotsFor(shares, 10), (std::vector<unsigned>{7, 2, 1}));
  EXPECT_EQ(SlotsFor(shares, 3), (std::vector<unsigned>{1, 1, 1}));
  EXPECT_EQ(SlotsFor({{.weight = 1}}, 64), std::vector<unsigned>{64});
}

TEST(LoadPlanTest, ARequestIsWhatWasAskedFor) {
  LoadOptions options;
  ASSERT_EQ(ParseServerUrl("https://a.example:8443/x", &options.url), "");
  EXPECT_EQ(LoadRequestHead(options, {}, 0),
            "GET /x HTTP/1.1\r\nHost: a.example:8443\r\nUser-Agent: ktlsim\r\n");
  options.request.headers = {"host: b", "Accept: c"};
  options.request.body = "12";
  std::string body;
  EXPECT_EQ(LoadBody(options, {}, &body), "");
  EXPECT_EQ(LoadRequestHead(options, {}, body.size()),
            "POST /x HTTP/1.1\r\nUser-Agent: ktlsim\r\nhost: b\r\nAccept: c\r\n"
            "Content-Length: 2\r\n");
  options.request = {};
  const LoadShare upload = {.mode = LoadMode::kUpload, .path = "/y"};
  EXPECT_EQ(LoadBody(options, upload, &body), "");
  EXPECT_EQ(body.size(), 1U << 20);
  EXPECT_EQ(LoadMethod(options, upload), "POST");
  EXPECT_EQ(LoadTarget(options, upload), "/y");
}

TEST(StatisticsTest, AConfidenceIntervalIsThatOfStudent) {
  const MeanInterval interval = MeanOf(std::vector<double>{1, 2, 3, 4, 5});
  EXPECT_DOUBLE_EQ(interval.mean, 3);
  // 2.776 * sqrt(2.5) / sqrt(5)
  EXPECT_NEAR(interval.high - interval.mean, 1.963, 0.001);
  EXPECT_NEAR(interval.mean - interval.low, 1.963, 0.001);
  EXPECT_FALSE(MeanOf(std::vector<double>{1}).known());
}

TEST(StatisticsTest, ARepeatWithoutAnOperationIsARepeat) {
  LoadReport report;
  for (const std::uint64_t operations : {100U, 0U, 110U}) {
    ResultRow row;
    row.seconds = 1;
    row.operations = operations;
    if (operations != 0) row.latency.Record(5, operations);
    report.repeats.push_back({.rows = {row}});
  }
  const LoadConfidence confidence = ConfidenceOf(report, 0, {});
  EXPECT_EQ(confidence.rate.count, 3U);
  EXPECT_DOUBLE_EQ(confidence.rate.mean, 70);
  ASSERT_FALSE(confidence.percentiles.empty());
  EXPECT_EQ(confidence.percentiles[0].second.count, 2U);
}

ResultRow Paused(std::uint64_t pause_ns) {
  ResultRow row;
  row.operation = "request";
  row.latency.Record(1'000'000, 1000);
  row.latency.Record(pause_ns, 4);
  return row;
}

TEST(HiddenPauseTest, AClosedLoopThatMissedAPauseIsNotValid) {
  Verdict verdict;
  JudgePause(Paused(1'000'000'000), {}, &verdict);
  ASSERT_EQ(verdict.reasons().size(), 1U);
  EXPECT_EQ(verdict.reasons()[0].doubt, Doubt::kPauseHidden);
  // Short ones are a machine's own, and what the percentile shows is not hidden.
  Verdict none;
  JudgePause(Paused(40'000'000), {}, &none);
  ResultRow shown = Paused(1'000'000'000);
  shown.latency.Record(1'000'000'000, 100);
  JudgePause(shown, {}, &none);
  EXPECT_TRUE(none.valid());
  // Neither a lower percentile nor one without samples is asked for in its stead.
  for (const double asked : {50.0, 99.999}) {
    Verdict other;
    JudgePause(Paused(1'000'000'000), {asked}, &other);
    EXPECT_EQ(other.reasons().size(), 1U) << asked;
  }
}

TEST(GeneratorLagTest, ALateGeneratorIsNamed) {
  const auto judged = [](std::uint64_t lag_ns, std::uint64_t latency_ns) {
    ResultRow row;
    row.lag.Record(lag_ns, 100);
    row.latency.Record(latency_ns, 100);
    Verdict verdict;
    JudgeGenerator(row, {.rate_asked = 50, .seconds = 2}, &verdict);
    return verdict;
  };
  // What timers are, even if it is all of a short latency.
  EXPECT_TRUE(judged(990'000, 990'000).valid());
  EXPECT_TRUE(judged(3'000'000, 31'000'000).valid());
  const Verdict late = judged(3'000'000, 29'000'000);
  ASSERT_EQ(late.reasons().size(), 1U);
  EXPECT_EQ(late.reasons()[0].doubt, Doubt::kGeneratorLate);
  EXPECT_NE(late.reasons()[0].text.find("above 1 ms and above 10 % of the latency's p99, 29"),
            std::string::npos)
      << late.reasons()[0].text;
  EXPECT_FALSE(judged(1'010'000, 1'010'000).valid());
}

}  // namespace
}  // namespace ktlsim::command
