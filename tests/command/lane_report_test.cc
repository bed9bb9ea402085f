#include "kernel_sim/command/lane_report.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ktlsim::command {
namespace {

std::string Printed(const LaneReport& report, bool every_call) {
  char* text = nullptr;
  std::size_t bytes = 0;
  std::FILE* out = open_memstream(&text, &bytes);
  PrintLanes(report, every_call, out);
  std::fclose(out);
  std::string result(text, bytes);
  std::free(text);
  return result;
}

// A call of 100 ns, 98 of about 1 us, and one of more than a second.
LaneReport Report() {
  LaneReport report;
  LaneReport::Role& role = report.roles.emplace_back();
  role.name = "server";
  role.processors = 2;
  KtlsimLaneStatistics& lane = role.lanes[KTLSIM_LANE_HANDSHAKE];
  lane.cCompleted = 6400;
  lane.cRefused = 3;
  lane.cCancelled = 2;
  lane.cQueueTimeouts = 1;
  lane.Queued.cCalls[6] = 1;
  lane.Queued.cCalls[10] = 98;
  lane.Queued.cCalls[30] = 1;
  role.ring.cSubmitted = 12000;
  role.ring.cCompletionOverflow = 7;
  role.ring.cSockets = 5;
  report.accepted = 6400;
  report.callbacks = 5000;
  report.callbacks_on_processors = 4000;
  return report;
}

TEST(LaneReportTest, FiguresAreThoseOfTheBuckets) {
  EXPECT_FALSE(FiguresOf({}).has_value());
  KtlsimHistogram least{};
  least.cCalls[0] = 1;
  EXPECT_EQ(FiguresOf(least)->mean, 1U);
  EXPECT_EQ(FiguresOf(least)->max, 2U);
  const auto figures = FiguresOf(Report().roles[0].lanes[KTLSIM_LANE_HANDSHAKE].Queued);
  ASSERT_TRUE(figures.has_value());
  EXPECT_EQ(figures->calls, 100U);
  EXPECT_EQ(figures->p50, 2048U);
  EXPECT_EQ(figures->p90, 2048U);
  EXPECT_EQ(figures->p99, 2048U);
  EXPECT_EQ(figures->p999, std::uint64_t{2} << 30);
  EXPECT_EQ(figures->max, std::uint64_t{2} << 30);
  EXPECT_EQ(figures->mean, (96 + 98 * 1536 + (std::uint64_t{3} << 29)) / 100);
}

TEST(LaneReportTest, ReportsOfSeveralStartsAddUp) {
  LaneReport sum = Report();
  sum += Report();
  LaneReport other;
  other.roles.push_back(
      {.name = LaneReport::kCryptoRole, .processors = 3, .lanes = {}, .ring = {}});
  sum += other;
  ASSERT_EQ(sum.roles.size(), 2U);
  EXPECT_EQ(sum.accepted, 12800U);
  EXPECT_EQ(sum.io_processors(), 2U);
  EXPECT_EQ(sum.crypto_processors(), 3U);
  const KtlsimLaneStatistics& lane = sum.roles[0].lanes[KTLSIM_LANE_HANDSHAKE];
  EXPECT_EQ(lane.cCompleted, 12800U);
  EXPECT_EQ(lane.cRefused, 6U);
  EXPECT_EQ(lane.Queued.cCalls[10], 196U);
  EXPECT_EQ(sum.roles[0].ring.cSubmitted, 24000U);
}

TEST(LaneReportTest, TheTableFitsAndSaysWhatWasTimed) {
  const std::string text = Printed(Report(), false);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  EXPECT_NE(text.find("server handshake       6400  queued         100 16.1 ms 2.05 us 2.05 us"),
            std::string::npos)
      << text;
  // No call was timed there: no figure, and never 0 ns.
  EXPECT_NE(text.find("  notified         0       -       -       -       -\n"), std::string::npos)
      << text;
  EXPECT_EQ(text.find("0 ns "), std::string::npos) << text;
  EXPECT_NE(text.find("3 refused by a full queue; 2 cancelled, 1 over their limit\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("one call in 64"), std::string::npos) << text;
  EXPECT_NE(Printed(Report(), true).find("timed: every call"), std::string::npos);
  EXPECT_EQ(Printed({}, true), "");
}

TEST(LaneReportTest, JsonHasNullWhereNothingWasTimed) {
  const nlohmann::json json = LanesJson(Report(), false);
  EXPECT_EQ(json["accepted"], 6400);
  EXPECT_EQ(json["completed"], 6400);
  EXPECT_EQ(json["refused"], 3);
  EXPECT_EQ(json["callbacks_on_processors"], 4000);
  EXPECT_EQ(json["timed_one_in"], 64);
  EXPECT_EQ(LanesJson(Report(), true)["timed_one_in"], 1);
  ASSERT_EQ(json["lanes"].size(), 2U);
  const nlohmann::json& lane = json["lanes"][KTLSIM_LANE_HANDSHAKE];
  EXPECT_EQ(lane["role"], "server");
  EXPECT_EQ(lane["lane"], "handshake");
  EXPECT_EQ(lane["queued"]["calls"], 100);
  EXPECT_EQ(lane["queued"]["p99_below_ns"], 2048);
  EXPECT_EQ(lane["queued"]["buckets"][1], nlohmann::json({{"below_ns", 2048}, {"calls", 98}}));
  EXPECT_EQ(lane["notified"]["calls"], 0);
  EXPECT_TRUE(lane["notified"]["p50_below_ns"].is_null());
  EXPECT_TRUE(lane["notified"]["buckets"].empty());
  ASSERT_EQ(json["rings"].size(), 1U);
  const nlohmann::json& ring = json["rings"][0];
  EXPECT_EQ(ring["role"], "server");
  EXPECT_EQ(ring["processors"], 2);
  EXPECT_EQ(ring["submitted"], 12000);
  EXPECT_EQ(ring["completion_overflow"], 7);
  EXPECT_FALSE(ring.contains("sockets"));  // how many are open at the end is no figure of the run
}

}  // namespace
}  // namespace ktlsim::command
