#include "kernel_sim/command/result_merge.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/hdr_format.h"
#include "kernel_sim/command/latency_histogram.h"

namespace ktlsim::command {
namespace {

nlohmann::json Whole(std::uint64_t ns, std::uint64_t count) {
  nlohmann::json phase;
  phase["buckets"] = nlohmann::json::array({nlohmann::json::array({ns, count})});
  phase["latency_ns"]["max"] = ns;
  return phase;
}

// What a merge reads of a result: ten operations of 1 ms, of which an interval knows.
nlohmann::json Good() {
  LatencyHistogram latency;
  latency.Record(1'000'000, 10);
  nlohmann::json result = nlohmann::json::parse(R"({
    "schema": "ktlsim-load/2", "command_line": [], "started": "", "duration_s": 1, "host": {},
    "settings": {}, "labels": {}, "valid": true, "reasons": [], "rundown_clean": true,
    "not_begun": 0, "errors": 0, "warm_up_errors": 0, "warm_up_error_texts": [],
    "addresses_passed_over": [], "merged": null, "measured_monotonic_ns": null,
    "generator": {"processors": 1, "cpu_ns": 500, "cpu_share": 0.5, "lag_ns": {"p99": 100}},
    "operations": [{
      "operation": "request", "kind": "request", "count": 10, "bytes": 1000, "rate_per_s": 10.0,
      "mb_per_s": 0.001, "client_cpu_ns": 500, "late": 0, "unfinished": 0, "errors": 0,
      "not_begun": 0, "seconds": 1.0, "oldest_unfinished_ns": null,
      "statuses": {"1xx": 0, "2xx": 10, "3xx": 0, "4xx": 0, "5xx": 0, "other": 0},
      "error_texts": ["one"], "repeats": [{"measured_from_unix_s": 5.0, "seconds": 1.0}],
      "percentiles": [{"percentile": 50}], "phases": {}, "confidence": {},
      "time_series": [{"repeat": 1, "at_s": 0.0, "length_s": 1.0, "operations": 10, "errors": 0,
                       "bytes": 1000, "rate_per_s": 10.0, "max_ns": 1000000, "histogram": null}]
    }]})");
  nlohmann::json& operation = result["operations"][0];
  const nlohmann::json empty = {{"buckets", nlohmann::json::array()},
                                {"latency_ns", {{"max", nullptr}}}};
  for (const char* name : {"name_resolution", "tcp_connect", "tls_handshake", "first_byte"}) {
    operation["phases"][name] = empty;
  }
  operation["phases"]["whole"] = Whole(1'000'000, 10);
  return result;
}

std::string Encoded(std::uint64_t ns, std::uint64_t count) {
  LatencyHistogram latency;
  latency.Record(ns, count);
  return EncodeHdr(latency);
}

std::string Merged(const std::vector<nlohmann::json>& results, nlohmann::json* merged) {
  std::vector<std::string> files;
  for (std::size_t i = 0; i < results.size(); ++i) files.push_back("file" + std::to_string(i));
  return MergeResults(results, files, merged);
}

// A result that is bad there comes first, or is the only one.
std::string WrongWith(const nlohmann::json::json_pointer& place, const nlohmann::json& value) {
  nlohmann::json bad = Good();
  bad[place] = value;
  nlohmann::json merged;
  const std::string first = Merged({bad, Good()}, &merged);
  EXPECT_EQ(first.empty(), Merged({bad}, &merged).empty()) << place << " " << value;
  return first;
}

TEST(ResultMergeTest, CountsAndHistogramsAddUp) {
  nlohmann::json one = Good();
  one["operations"][0]["time_series"][0]["histogram"] = Encoded(1'000'000, 10);
  nlohmann::json two = Good();
  two["operations"][0]["time_series"][0]["histogram"] = Encoded(3'000'000, 30);
  two["operations"][0]["time_series"][0]["max_ns"] = 3'000'000U;
  two["operations"][0]["phases"]["whole"] = Whole(3'000'000, 30);
  nlohmann::json merged;
  ASSERT_EQ(Merged({one, two}, &merged), "");
  const nlohmann::json& operation = merged["operations"][0];
  EXPECT_EQ(operation["count"], 20);
  EXPECT_EQ(operation["rate_per_s"], 20.0);
  EXPECT_EQ(operation["statuses"]["2xx"], 20);
  EXPECT_EQ(operation["latency_ns"]["count"], 40);
  EXPECT_EQ(operation["latency_ns"]["max"], 3'000'000);
  EXPECT_EQ(operation["percentiles"][0]["latency_ns"], operation["latency_ns"]["p50"]);
  EXPECT_EQ(operation["repeats"].size(), 2U);
  ASSERT_EQ(operation["time_series"].size(), 1U);
  EXPECT_EQ(operation["time_series"][0]["operations"], 20);
  LatencyHistogram latency;
  EXPECT_EQ(DecodeHdr(operation["time_series"][0]["histogram"].get<std::string>(), &latency), "");
  EXPECT_EQ(latency.count(), 40U);
  EXPECT_EQ(merged["merged"].size(), 2U);
  EXPECT_TRUE(merged["valid"]);
}

TEST(ResultMergeTest, IntervalsMeetByTheirPlace) {
  nlohmann::json one = Good();
  nlohmann::json two = Good();
  nlohmann::json later = two["operations"][0]["time_series"][0];
  later["at_s"] = 1.0;
  later["operations"] = 3;
  two["operations"][0]["time_series"] = {later, one["operations"][0]["time_series"][0]};
  nlohmann::json merged;
  ASSERT_EQ(Merged({one, two}, &merged), "");
  const nlohmann::json& series = merged["operations"][0]["time_series"];
  ASSERT_EQ(series.size(), 2U);
  EXPECT_EQ(series[0]["operations"], 20);
  EXPECT_EQ(series[1]["operations"], 3);
}

TEST(ResultMergeTest, OtherTimesAndInvalidResultsMakeItInvalid) {
  nlohmann::json later = Good();
  later["operations"][0]["repeats"][0]["measured_from_unix_s"] = 5.2;
  nlohmann::json merged;
  ASSERT_EQ(Merged({Good(), later}, &merged), "");
  EXPECT_FALSE(merged["valid"]);
  EXPECT_EQ(merged["reasons"][0]["reason"], "not_together");
  // Together in the first repeat, and not in the second; or ended apart.
  const auto two = [](double from, double seconds) {
    nlohmann::json result = Good();
    nlohmann::json& repeats = result["operations"][0]["repeats"];
    repeats.push_back({{"measured_from_unix_s", from}, {"seconds", seconds}});
    return result;
  };
  ASSERT_EQ(Merged({two(7, 1), two(7.05, 1)}, &merged), "");
  EXPECT_TRUE(merged["valid"]);
  for (const nlohmann::json& apart : {two(7.2, 1), two(7, 2), Good()}) {
    ASSERT_EQ(Merged({two(7, 1), apart}, &merged), "");
    EXPECT_FALSE(merged["valid"]);
    ASSERT_EQ(Merged({apart, two(7, 1)}, &merged), "");
    EXPECT_FALSE(merged["valid"]);
  }
  nlohmann::json doubtful = Good();
  doubtful["valid"] = false;
  doubtful["reasons"] = {{{"reason", "unfinished"}, {"text", "t"}}};
  ASSERT_EQ(Merged({Good(), doubtful}, &merged), "");
  EXPECT_FALSE(merged["valid"]);
  EXPECT_EQ(merged["reasons"][0]["text"], "file1: t");
}

TEST(ResultMergeTest, TheSameResultTwiceIsRefused) {
  nlohmann::json one = Good();
  one["measured_monotonic_ns"] = {{"from", 1}, {"until", 2}};
  nlohmann::json other = one;
  other["host"] = {{"name", "b"}};
  nlohmann::json merged;
  EXPECT_EQ(Merged({one, other}, &merged), "");
  EXPECT_NE(Merged({one, other, one}, &merged), "");
}

TEST(ResultMergeTest, WhatWasAskedForAddsUp) {
  nlohmann::json one = Good();
  one["settings"] = {{"rate_asked_per_s", 500.5}, {"connections", 4}, {"seed", 7}};
  nlohmann::json merged;
  ASSERT_EQ(Merged({one, one}, &merged), "");
  EXPECT_EQ(merged["settings"]["rate_asked_per_s"], 1001);
  EXPECT_EQ(merged["settings"]["connections"], 8);
  EXPECT_TRUE(merged["settings"]["seed"].is_null());
  EXPECT_EQ(merged["merged"][1]["settings"]["seed"], 7);
}

TEST(ResultMergeTest, WhatIsNoResultIsRefusedByName) {
  nlohmann::json merged;
  for (const nlohmann::json& bad :
       {nlohmann::json(), nlohmann::json(3), nlohmann::json::array(), nlohmann::json::object(),
        nlohmann::json(nlohmann::json::value_t::discarded), nlohmann::json{{"schema", 7}},
        nlohmann::json{{"schema", "ktlsim-run/1"}}, nlohmann::json{{"schema", "ktlsim-load/2"}}}) {
    EXPECT_NE(Merged({bad}, &merged), "");
    EXPECT_EQ(Merged({Good(), bad}, &merged).substr(0, 6), "file1:");
  }
}

TEST(ResultMergeTest, HostileFiguresAreRefused) {
  const auto operation = [](const std::string& name) {
    return nlohmann::json::json_pointer("/operations/0/" + name);
  };
  nlohmann::json merged;
  ASSERT_EQ(Merged({Good(), Good()}, &merged), "");
  const nlohmann::json huge = std::numeric_limits<std::uint64_t>::max();
  for (const char* name : {"count", "errors", "unfinished", "not_begun", "statuses/2xx",
                           "phases/whole/buckets/0/1", "time_series/0/operations"}) {
    EXPECT_NE(WrongWith(operation(name), -1), "") << name;
    EXPECT_NE(WrongWith(operation(name), huge), "") << name;
  }
  for (const char* name : {"seconds", "rate_per_s", "bytes", "client_cpu_ns"}) {
    EXPECT_NE(WrongWith(operation(name), -0.5), "") << name;
    EXPECT_NE(WrongWith(operation(name), "1"), "") << name;
  }
  EXPECT_NE(WrongWith(operation("rate_per_s"), std::numeric_limits<double>::max()), "");
  EXPECT_NE(WrongWith(operation("phases/whole/buckets/0/0"), -5), "");
  EXPECT_NE(WrongWith(operation("phases/whole/buckets/0"), nlohmann::json::array({1})), "");
  EXPECT_NE(WrongWith(operation("time_series/0/histogram"), "AAAA"), "");
  EXPECT_NE(WrongWith(operation("time_series"), nlohmann::json::array_t(100'001)), "");
  // A latency beyond the highest bucket is in that one, as it is when it is measured.
  EXPECT_EQ(WrongWith(operation("phases/whole/buckets/0/0"), huge), "");
}

void Places(const nlohmann::json& value, const nlohmann::json::json_pointer& at,
            std::vector<nlohmann::json::json_pointer>* all) {
  for (const auto& [key, member] : value.items()) {
    const nlohmann::json::json_pointer place = value.is_array() ? at / std::stoul(key) : at / key;
    all->push_back(place);
    if (member.is_structured()) Places(member, place, all);
  }
}

// Any other type at any place is refused or harmless: nothing throws, and what comes out is whole.
TEST(ResultMergeTest, AnyTypeAnywhereIsBorne) {
  std::vector<nlohmann::json::json_pointer> places;
  Places(Good(), nlohmann::json::json_pointer(), &places);
  ASSERT_GT(places.size(), 60U);
  for (const nlohmann::json::json_pointer& place : places) {
    for (const nlohmann::json& value : {nlohmann::json(), nlohmann::json(-1), nlohmann::json("x"),
                                        nlohmann::json::array(), nlohmann::json::object()}) {
      nlohmann::json bad = Good();
      bad[place] = value;
      nlohmann::json merged;
      std::string wrong;
      ASSERT_NO_THROW(wrong = Merged({bad, Good()}, &merged)) << place << " " << value;
      if (!wrong.empty()) continue;
      ASSERT_TRUE(merged["valid"].is_boolean()) << place << " " << value;
      ASSERT_NO_THROW(static_cast<void>(merged.dump())) << place << " " << value;
    }
  }
}

}  // namespace
}  // namespace ktlsim::command
