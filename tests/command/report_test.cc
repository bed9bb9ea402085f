// Reports: what is read of results, differences and how sure they are, charts as data, drawings and
// the page.

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/report/chart.h"
#include "kernel_sim/command/report/difference.h"
#include "kernel_sim/command/report/page.h"
#include "kernel_sim/command/report/run_data.h"

namespace ktlsim::command::report {
namespace {

using nlohmann::json;

json Latency(double p50) {
  return {{"count", 10},    {"p50", p50},      {"p90", p50 * 2},
          {"p99", p50 * 3}, {"p999", p50 * 4}, {"max", p50 * 5}};
}

json Repeat(double rate, double p50) {
  return {{"rate_per_s", rate},
          {"client_cpu_ns_per_operation", p50 / 10},
          {"latency_ns", Latency(p50)}};
}

json LoadResult() {
  const json phase = {{"definition", ""}, {"latency_ns", Latency(100)}, {"buckets", json::array()}};
  json whole = phase;
  whole["buckets"] = {{1000, 90}, {5000, 9}, {9000, 1}};
  const json interval = {
      {"repeat", 1}, {"at_s", 0}, {"length_s", 0.1}, {"operations", 50}, {"p99_ns", 7000}};
  json second = interval;
  second["repeat"] = 2;
  const json lane = {{"role", ""},
                     {"lane", "handshake"},
                     {"completed", 4},
                     {"queued", {{"mean_about_ns", 2000}}},
                     {"served", {{"mean_about_ns", 300000}}},
                     {"notified", {{"mean_about_ns", nullptr}}}};
  return {{"schema", "ktlsim-load/2"},
          {"started", "2026-01-02T03:04:05Z"},
          {"command_line", {"ktlsim", "load"}},
          {"host", {{"cpu_model", "a CPU"}, {"kernel", "Linux"}}},
          {"labels", {{"server", "ours"}}},
          {"valid", false},
          {"reasons", {{{"reason", "rate"}, {"text", "the rate was not held"}}}},
          {"calls",
           {{"lanes", {lane}},
            {"rings",
             {{{"role", ""},
               {"submitted", 300},
               {"completed", 400},
               {"enters", 50},
               {"completion_overflow", 2}}}}}},
          {"operations",
           {{{"operation", "request"},
             {"count", 100},
             {"errors", 1},
             {"rate_per_s", 1},
             {"latency_ns", Latency(1)},
             {"phases", {{"tls_handshake", phase}, {"whole", whole}}},
             {"time_series", {interval, second}},
             {"repeats", {Repeat(500, 1000), Repeat(520, 1100)}}}}}};
}

json CompareResult(double ours) {
  const auto runs = [](double figure) {
    return json::array(
        {{{"figure", figure}}, {{"figure", figure * 1.01}}, {{"figure", figure * 1.02}}});
  };
  return {{"schema", "ktlsim-compare/1"},
          {"scenarios",
           {{{"name", "request"},
             {"text", "requests"},
             {"figure", "server CPU us/op"},
             {"results",
              {{{"peer", "ktlsim"}, {"runs", runs(ours)}},
               {{"peer", "nginx"}, {"runs", runs(10)}},
               {{"peer", "hitch"}, {"runs", json::array()}}}}}}}};
}

RunData RunOf(const json& result, const std::string& name = "a") {
  RunData run;
  run.name = name;
  EXPECT_EQ(AddResult(result.dump(), &run), "");
  return run;
}

const Chart* ChartOf(const std::vector<Chart>& charts, std::string_view id) {
  const auto found = std::find_if(charts.begin(), charts.end(),
                                  [id](const Chart& chart) { return chart.id == id; });
  return found == charts.end() ? nullptr : &*found;
}

TEST(ReportRunDataTest, ReadsALoad) {
  const RunData run = RunOf(LoadResult());
  EXPECT_EQ(run.kind, "load");
  EXPECT_EQ(run.group, "ours");
  EXPECT_FALSE(run.valid);
  EXPECT_EQ(run.reasons, std::vector<std::string>{"the rate was not held"});
  EXPECT_EQ(run.command_line, "ktlsim load");
  ASSERT_EQ(run.operations.size(), 1U);
  const OperationData& operation = run.operations.front();
  // The repeats' own figures, not those of all together.
  EXPECT_EQ(operation.rates, (std::vector<double>{500, 520}));
  EXPECT_EQ(operation.latency.p99, (std::vector<double>{3000, 3300}));
  ASSERT_EQ(operation.buckets.size(), 3U);
  EXPECT_EQ(operation.buckets[2].upper_ns, 9000);
  // A repeat goes on where the one before ended.
  ASSERT_EQ(operation.series.size(), 2U);
  EXPECT_DOUBLE_EQ(operation.series[1].at_s, 0.1);
  EXPECT_EQ(operation.phases.size(), 2U);
  ASSERT_EQ(run.lanes.size(), 1U);
  EXPECT_EQ(run.lanes[0].served_ns, 300000);
  EXPECT_EQ(run.lanes[0].notified_ns, std::nullopt);
}

TEST(ReportRunDataTest, SeveralFilesAreRepeats) {
  RunData run = RunOf(LoadResult());
  EXPECT_EQ(AddResult(LoadResult().dump(), &run), "");
  EXPECT_EQ(run.files, 2U);
  ASSERT_EQ(run.operations.size(), 1U);
  EXPECT_EQ(run.operations[0].rates, (std::vector<double>{500, 520, 500, 520}));
  EXPECT_EQ(run.operations[0].buckets[0].count, 180);
  EXPECT_EQ(run.operations[0].count, 200);
  ASSERT_EQ(run.rings.size(), 1U);
  EXPECT_EQ(run.rings[0].submitted, 600);
  EXPECT_EQ(run.rings[0].completed, 800);
  EXPECT_NE(AddResult(CompareResult(8).dump(), &run), "");
  EXPECT_EQ(run.files, 2U);
}

// Its parts were measured at once, so each has a part of the rate; and it has the rings of one.
TEST(ReportRunDataTest, AMergedResultIsOneRepeat) {
  json merged = LoadResult();
  merged["merged"] = {{{"file", "a"}}, {{"file", "b"}}};
  merged["operations"][0]["rate_per_s"] = 1020;
  const RunData run = RunOf(merged);
  EXPECT_EQ(run.operations[0].rates, std::vector<double>{1020});
  EXPECT_EQ(run.operations[0].latency.p50, std::vector<double>{1});
  EXPECT_TRUE(run.rings.empty());
}

TEST(ReportRunDataTest, ReadsWhatRunMeasuredWithoutRepeats) {
  const RunData run = RunOf({{"schema", "ktlsim-run/1"},
                             {"operations",
                              {{{"operation", "full handshake"},
                                {"rate_per_s", 700},
                                {"server_cpu_ns_per_operation", 250000},
                                {"latency_ns", Latency(5)}}}}});
  ASSERT_EQ(run.operations.size(), 1U);
  EXPECT_EQ(run.operations[0].server_cpu_ns, std::vector<double>{250000});
  EXPECT_EQ(run.operations[0].latency.p50, std::vector<double>{5});
}

TEST(ReportRunDataTest, RefusesOtherFiles) {
  for (const char* text : {"", "[]", "{}", "{\"schema\": 3}", "{\"schema\": \"ktlsim-load/3\"}",
                           "{\"schema\": \"ktlsim-stress/1\"}", "{\"schema\": \"ktlsim-load/2\""}) {
    RunData run;
    EXPECT_NE(AddResult(text, &run), "") << text;
    EXPECT_EQ(run.files, 0U) << text;
  }
}

// Whatever has the wrong type is as if it were not there.
TEST(ReportRunDataTest, SurvivesEveryMemberOfTheWrongType) {
  const std::vector<json> values = {nullptr, -1, 1e300, "text", json::array({1, "x", nullptr})};
  const json result = LoadResult();
  const json flat = result.flatten();
  for (const auto& [place, value] : flat.items()) {
    if (place == "/schema") continue;
    for (const json& wrong : values) {
      json changed = result;
      changed[json::json_pointer(place)] = wrong;
      RunData run;
      EXPECT_EQ(AddResult(changed.dump(), &run), "") << place;
      const std::vector<Chart> charts = ChartsOf(std::vector{run});
      // Only numbers get into drawings.
      if (!wrong.is_number()) continue;
      for (const Chart& chart : charts) EXPECT_NE(SvgOf(chart).find("</svg>"), std::string::npos);
    }
  }
}

TEST(ReportDifferenceTest, IsInPerCentOfTheBase) {
  const auto difference = DifferenceOf(std::vector<double>{100}, std::vector<double>{88});
  ASSERT_TRUE(difference.has_value());
  EXPECT_NEAR(difference->percent, -12, 1e-9);
  EXPECT_FALSE(difference->interval.has_value());
  EXPECT_EQ(DifferenceText(*difference, "us"),
            "12 % fewer us, no interval: two repeats of each are needed");
  EXPECT_FALSE(DifferenceOf(std::vector<double>{}, std::vector<double>{1}).has_value());
  EXPECT_FALSE(DifferenceOf(std::vector<double>{0, 1}, std::vector<double>{1}).has_value());
}

// Welch by hand: logarithms of mean 0 and 0.1, each of variance 0.0001 and three repeats; four
// degrees of freedom.
TEST(ReportDifferenceTest, HasWelchsInterval) {
  const auto around = [](double mean) {
    return std::vector{std::exp(mean - 0.01), std::exp(mean), std::exp(mean + 0.01)};
  };
  const auto difference = DifferenceOf(around(0), around(0.1));
  ASSERT_TRUE(difference.has_value());
  ASSERT_TRUE(difference->interval.has_value());
  const Difference::Interval interval = difference->interval.value_or(Difference::Interval{});
  const double width = 2.776 * std::sqrt(2 * 0.0001 / 3);
  EXPECT_NEAR(difference->percent, std::expm1(0.1) * 100, 1e-6);
  EXPECT_NEAR(interval.low, std::expm1(0.1 - width) * 100, 1e-6);
  EXPECT_NEAR(interval.high, std::expm1(0.1 + width) * 100, 1e-6);
  EXPECT_TRUE(difference->shown());
  EXPECT_FALSE(DifferenceOf(around(0), around(0.001)).value_or(*difference).shown());
}

// Equal repeats are equal because of their buckets, whose width is no difference.
TEST(ReportDifferenceTest, ABucketIsNoDifference) {
  const std::vector<double> base(10, 1024);
  const std::vector<double> next(10, 1025);
  const std::vector<double> other(10, 1034);
  const auto shown = [&base](const std::vector<double>& figures) {
    const auto difference = DifferenceOf(base, figures);
    return difference.has_value() && difference->shown();
  };
  EXPECT_FALSE(shown(next));
  EXPECT_TRUE(shown(other));
}

TEST(ReportDifferenceTest, IsSaidInWords) {
  EXPECT_EQ(DifferenceText({.percent = -12.2, .interval = {{.low = -15.4, .high = -9.1}}}, "us"),
            "12 % fewer us, 95 % interval 9.1 to 15");
  EXPECT_EQ(DifferenceText({.percent = 3.04, .interval = {{.low = 1, .high = 20.6}}}, "us"),
            "3 % more us, 95 % interval 1 to 21");
  EXPECT_EQ(DifferenceText({.percent = -2, .interval = {{.low = -6, .high = 3}}}, "us"),
            "no difference shown: 2 % fewer us, 95 % interval -3 to 6");
}

TEST(ReportChartsTest, ThePercentileCurveHasTheBuckets) {
  const std::vector<RunData> runs = {RunOf(LoadResult())};
  const std::vector<Chart> charts = ChartsOf(runs);
  const Chart* const chart = ChartOf(charts, "latency-percentiles");
  ASSERT_NE(chart, nullptr);
  const std::vector<Point>& points = chart->series.at(0).points;
  // Up to 90 % 1 us, up to 99 % 5 us, then 9 us.
  ASSERT_EQ(points.size(), 4U);
  EXPECT_DOUBLE_EQ(points[0].x, 1);
  EXPECT_DOUBLE_EQ(points[0].y, 1);
  EXPECT_NEAR(points[1].x, 10, 1e-9);
  EXPECT_DOUBLE_EQ(points[1].y, 5);
  EXPECT_NEAR(points[2].x, 100, 1e-9);
  EXPECT_DOUBLE_EQ(points[3].y, 9);
}

TEST(ReportChartsTest, EveryFigureHasItsChart) {
  const std::vector<RunData> runs = {RunOf(LoadResult()), RunOf(LoadResult(), "b"),
                                     RunOf(CompareResult(8), "c")};
  const std::vector<Chart> charts = ChartsOf(runs);
  for (const char* id :
       {"latency-percentiles", "latency-against-load", "rate-over-time", "p99-over-time",
        "cpu-per-operation", "where-time-went", "phases", "ring", "comparison-3"}) {
    const Chart* const chart = ChartOf(charts, id);
    ASSERT_NE(chart, nullptr) << id;
    for (const ChartSeries& series : chart->series) EXPECT_LT(series.run, runs.size());
  }
  const Chart* const ring = ChartOf(charts, "ring");
  EXPECT_EQ(ring->categories,
            (std::vector<std::string>{"SQEs", "CQEs", "CQEs an enter", "overflows"}));
  EXPECT_EQ(ring->series.at(0).bars, (std::vector<std::optional<double>>{3, 4, 8, 2}));
  // A server without a figure has no bar.
  const Chart* const comparison = ChartOf(charts, "comparison-3");
  ASSERT_EQ(comparison->series.size(), 2U);
  EXPECT_NEAR(comparison->series[0].bars.at(0).value_or(0), 0.8, 1e-9);
}

TEST(ReportChartsTest, WhatWasNotMeasuredHasNone) {
  EXPECT_TRUE(ChartsOf(std::vector{RunOf({{"schema", "ktlsim-run/1"}})}).empty());
}

TEST(ReportSvgTest, TextsAreEscapedAndSeriesDrawn) {
  Chart chart;
  chart.title = "a < b & \"c\"\x01";
  chart.kind = ChartKind::kBars;
  chart.categories = {"<script>", std::string(40, 'x')};
  chart.series = {{.name = "s",
                   .run = 0,
                   .colour = 9,
                   .dashed = false,
                   .points = {},
                   .bars = {1.0, std::nullopt}}};
  const std::string svg = SvgOf(chart);
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  EXPECT_NE(svg.find("a &lt; b &amp; &quot;c&quot; "), std::string::npos);
  EXPECT_EQ(svg.find('\x01'), std::string::npos);
  EXPECT_EQ(svg.find("<rect"), svg.rfind("<rect"));
  EXPECT_NE(svg.find(kPalette[1]), std::string::npos);
}

// U+FFFE and U+FFFF are no characters of XML, U+FFFD is one.
TEST(ReportSvgTest, HasNoCharactersThatXmlHasNot) {
  Chart chart;
  chart.title =
      "a\xEF\xBF\xBE"
      "b\xEF\xBF\xBF"
      "c\xEF\xBF\xBD\xEF\xBF";
  EXPECT_NE(SvgOf(chart).find("<title>a b c\xEF\xBF\xBD\xEF\xBF</title>"), std::string::npos);
}

TEST(ReportSvgTest, TicksReadWell) {
  EXPECT_EQ(TickText(1, Scale::kPercentile), "0 %");
  EXPECT_EQ(TickText(10, Scale::kPercentile), "90 %");
  EXPECT_EQ(TickText(100, Scale::kPercentile), "99 %");
  EXPECT_EQ(TickText(10000, Scale::kPercentile), "99.99 %");
  EXPECT_EQ(TickText(12500, Scale::kLinear), "12.5 k");
  EXPECT_EQ(TickText(3e6, Scale::kLogarithmic), "3 M");
}

TEST(ReportPageTest, NothingOfAResultIsMarkup) {
  json result = LoadResult();
  const std::string hostile = "</script><img src=x onerror=alert(1)><!--";
  result["operations"][0]["operation"] = hostile;
  result["command_line"] = {hostile};
  result["reasons"][0]["text"] = hostile;
  const std::string page = PageOf(std::vector{RunOf(result, hostile)}, "/* Chart.js */");
  EXPECT_EQ(page.find(hostile), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  // The data, the library and the page's own script.
  std::size_t ends = 0;
  for (std::size_t at = page.find("</script>"); at != std::string::npos;
       at = page.find("</script>", at + 1))
    ++ends;
  EXPECT_EQ(ends, 3U);
  for (const char* outside : {"http://", "https://", "<link", "@import", "url("}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
}

TEST(ReportPageTest, SaysHowSureADifferenceIs) {
  json faster = LoadResult();
  faster["operations"][0]["repeats"] = {Repeat(1000, 500), Repeat(1020, 510)};
  const std::vector<RunData> runs = {RunOf(LoadResult(), "before"), RunOf(faster, "after")};
  const std::string page = PageOf(runs, "");
  EXPECT_NE(page.find("after against before"), std::string::npos);
  EXPECT_NE(page.find("% fewer us, 95 % interval"), std::string::npos);
  EXPECT_NE(page.find("\"1010 (1000 to 1020)\""), std::string::npos);
  const std::string comparison = PageOf(std::vector{RunOf(CompareResult(8))}, "");
  EXPECT_NE(comparison.find("20 % fewer us, 95 % interval 18 to 22"), std::string::npos);
}

}  // namespace
}  // namespace ktlsim::command::report
