#include "kernel_sim/command/verdict.h"

#include <cstdio>
#include <set>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/load_handlers.h"
#include "kernel_sim/command/load_report.h"
#include "kernel_sim/command/result_json.h"

namespace ktlsim::command {
namespace {

ResultRow GoodRow() {
  ResultRow row;
  row.operation = "request";
  row.operations = 1000;
  row.seconds = 2;
  row.latency.Record(5);
  return row;
}

bool Has(const Verdict& verdict, Doubt doubt) {
  for (const Verdict::Reason& reason : verdict.reasons()) {
    if (reason.doubt == doubt) return true;
  }
  return false;
}

std::string Printed(const Verdict& verdict) {
  char* text = nullptr;
  std::size_t bytes = 0;
  std::FILE* out = open_memstream(&text, &bytes);
  PrintVerdict(verdict, out);
  std::fclose(out);
  std::string result(text, bytes);
  std::free(text);
  return result;
}

TEST(VerdictTest, EveryDoubtHasItsOwnWords) {
  std::set<std::string> names;
  std::set<std::string> texts;
  for (std::size_t i = 0; i < kDoubts; ++i) {
    names.insert(DoubtName(static_cast<Doubt>(i)));
    texts.insert(DoubtText(static_cast<Doubt>(i)));
  }
  EXPECT_EQ(names.size(), kDoubts);
  EXPECT_EQ(texts.size(), kDoubts);
  EXPECT_STREQ(DoubtName(Doubt::kLeftBehind), "left_behind");
  EXPECT_STREQ(DoubtName(Doubt::kRateNotHeld), "rate_not_held");
}

TEST(VerdictTest, AGoodRunIsValidEverywhere) {
  Verdict verdict;
  JudgeRow(GoodRow(), &verdict);
  JudgeGenerator(GoodRow(), {.seconds = 2, .connections = 4, .cpu_share = 0.9}, &verdict);
  JudgeRundown({}, &verdict);
  EXPECT_TRUE(verdict.valid());
  EXPECT_EQ(Printed(verdict), "verdict: valid\n");
  nlohmann::json json;
  AddVerdict(verdict, &json);
  EXPECT_EQ(json, nlohmann::json::parse(R"({"valid": true, "reasons": []})"));
}

TEST(VerdictTest, WhatFailedNeverEndedOrNeverWasIsAReason) {
  ResultRow row = GoodRow();
  row.errors = 3;
  row.unfinished = 4;
  row.oldest_unfinished_ns = 11 * kNsPerSecond;
  Verdict verdict;
  JudgeRow(row, &verdict);
  EXPECT_TRUE(Has(verdict, Doubt::kOperationsFailed));
  EXPECT_TRUE(Has(verdict, Doubt::kUnfinished));
  EXPECT_FALSE(Has(verdict, Doubt::kNothingDone));
  EXPECT_NE(Printed(verdict).find("NOT VALID: operations never came back"), std::string::npos);
  EXPECT_NE(Printed(verdict).find("request, 4, the oldest after 11"), std::string::npos)
      << Printed(verdict);
  Verdict nothing;
  JudgeRow(ResultRow(), &nothing);
  EXPECT_TRUE(Has(nothing, Doubt::kNothingDone));
  nlohmann::json json;
  AddVerdict(nothing, &json);
  EXPECT_FALSE(json["valid"].get<bool>());
  EXPECT_EQ(json["reasons"][0]["reason"], "nothing_done");
  Verdict left;
  JudgeRundown({.counters = {{"credentials", 1}}}, &left);
  EXPECT_TRUE(Has(left, Doubt::kLeftBehind));
}

TEST(VerdictTest, ARateIsHeldOrNot) {
  const auto judged = [](std::uint64_t not_begun, double cpu_share) {
    Verdict verdict;
    JudgeGenerator(GoodRow(),
                   {.rate_asked = 5000,
                    .seconds = 2,
                    .not_begun = not_begun,
                    .connections = 64,
                    .cpu_share = cpu_share},
                   &verdict);
    return verdict;
  };
  EXPECT_TRUE(judged(0, 0.5).valid());
  EXPECT_TRUE(judged(100, 0.5).valid());  // one in a hundred
  EXPECT_FALSE(judged(101, 0.5).valid());
  EXPECT_NE(Printed(judged(9000, 0.5)).find("the rate was not held: 500 /s of 5000 /s"),
            std::string::npos)
      << Printed(judged(9000, 0.5));
  EXPECT_NE(Printed(judged(9000, 0.5)).find("the server, 64 connections, or the generator (50 %"),
            std::string::npos);
  EXPECT_NE(Printed(judged(9000, 0.97)).find("it is the bottleneck"), std::string::npos);
}

// 1000 /s against a server of 500 /s, and connections enough for all of them to begin.
TEST(VerdictTest, AQueueThatGrowsIsARateThatWasNotHeld) {
  GeneratorUse use = {.rate_asked = 1000, .seconds = 5, .connections = 10'000};
  ResultRow row = GoodRow();
  row.operations = 2500;
  row.latency = {};
  // What was due at t ends at 2 t.
  for (std::uint64_t i = 0; i < 5000; ++i) row.latency.Record(i * kNsPerMs);
  const auto held = [&use](const ResultRow& judged) {
    Verdict verdict;
    JudgeGenerator(judged, use, &verdict);
    return !Has(verdict, Doubt::kRateNotHeld);
  };
  row.late = 2500;
  EXPECT_FALSE(held(row));
  row.late = 100;
  row.unfinished = 2400;
  EXPECT_FALSE(held(row));
  // Half a second each, all the time: as many end as begin, once the first have.
  row.latency = {};
  row.latency.Record(500 * kNsPerMs, 5000);
  row.late = 500;
  row.unfinished = 0;
  row.operations = 4500;
  EXPECT_TRUE(held(row));
  use.warm_up_seconds = 1;
  EXPECT_FALSE(held(row));
  row.operations = 5000;
  EXPECT_TRUE(held(row));
  // Few arrived by chance.
  row.late = 200;
  row.operations = 4850;
  EXPECT_FALSE(held(row));
  use.poisson = true;
  EXPECT_TRUE(held(row));
}

TEST(VerdictTest, ABusyGeneratorMeasuresItself) {
  for (const double rate : {0.0, 500.0}) {
    Verdict verdict;
    JudgeGenerator(GoodRow(), {.rate_asked = rate, .seconds = 2, .cpu_share = 0.96}, &verdict);
    EXPECT_TRUE(Has(verdict, Doubt::kGeneratorBusy)) << rate;
  }
}

TEST(VerdictTest, AnInterruptedRunIsNotValid) {
  const Envelope envelope("load", {});
  LoadReport report;
  report.repeats.push_back({.rows = {GoodRow()}});
  EXPECT_TRUE(JudgeLoad(report, {}, envelope).valid());
  report.interrupted = true;
  EXPECT_TRUE(Has(JudgeLoad(report, {}, envelope), Doubt::kInterrupted));
}

TEST(RedialTest, WaitsLongerAndLongerAndNotAllAtOnce) {
  for (unsigned number = 0; number < 40; ++number) {
    std::uint64_t last = 0;
    for (unsigned failures = 1; failures < 100; ++failures) {
      const std::uint64_t delay = LoadSlot::RedialDelayNs(failures, number);
      EXPECT_GE(delay, last);
      EXPECT_GE(delay, 5 * kNsPerMs);
      EXPECT_LE(delay, kNsPerSecond);
      last = delay;
    }
    EXPECT_GE(last, kNsPerSecond / 2);
    EXPECT_GE(LoadSlot::RedialDelayNs(~0U, number), kNsPerSecond / 2);
  }
  EXPECT_NE(LoadSlot::RedialDelayNs(3, 0), LoadSlot::RedialDelayNs(3, 1));
}

// More threads than cores have no more time than the cores.
TEST(VerdictTest, TheShareOfTheGeneratorIsThatOfTimeItCouldHave) {
  EXPECT_DOUBLE_EQ(CpuShare(1'000'000'000, 1, 2, 8), 0.5);
  EXPECT_DOUBLE_EQ(CpuShare(2'000'000'000, 1, 8, 2), 1);
  EXPECT_DOUBLE_EQ(CpuShare(5, 0, 8, 2), 0);
}

}  // namespace
}  // namespace ktlsim::command
