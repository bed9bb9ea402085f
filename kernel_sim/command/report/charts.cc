#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/command/report/chart.h"
#include "kernel_sim/command/report/difference.h"

namespace ktlsim::command::report {
namespace {

// A curve on a screen needs no more.
constexpr std::size_t kPointsMax = 240;
// 99.9999 %: beyond it a point stands for less than one operation of most runs.
constexpr double kNinesMax = 1e6;

std::optional<double> MeanIfAny(const std::vector<double>& figures) {
  if (figures.empty()) return std::nullopt;
  return MeanOf(figures);
}

std::string SeriesName(const RunData& run, const OperationData& operation) {
  return run.name + ": " + operation.name;
}

// Calls `take(run's index, run, operation, how many operations came before)`.
void ForEachOperation(std::span<const RunData> runs,
                      const std::function<void(std::size_t, const RunData&, const OperationData&,
                                               std::size_t)>& take) {
  std::size_t index = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const OperationData& operation : runs[i].operations) take(i, runs[i], operation, index++);
  }
}

std::vector<Point> PercentileCurve(const OperationData& operation) {
  std::vector<Point> points;
  double all = 0;
  for (const Bucket& bucket : operation.buckets) all += bucket.count;
  double below = 0;
  double last_x = 0;
  for (const Bucket& bucket : operation.buckets) {
    // Each bucket begins where the one before ended: a staircase, as percentiles are.
    const double x = std::min(all / (all - below), kNinesMax);
    below += bucket.count;
    const bool last = below >= all;
    // Equal steps on the logarithmic axis.
    if (!points.empty() && !last && std::log10(x / last_x) < 6.0 / kPointsMax) continue;
    points.push_back({.x = x, .y = bucket.upper_ns * kUs});
    last_x = x;
    if (last) points.push_back({.x = std::min(all, kNinesMax), .y = bucket.upper_ns * kUs});
  }
  if (!points.empty()) return points;
  const LatencyFigures& latency = operation.latency;
  const std::array known = {std::pair{2.0, &latency.p50}, std::pair{10.0, &latency.p90},
                            std::pair{100.0, &latency.p99}, std::pair{1000.0, &latency.p999}};
  for (const auto& [x, figures] : known) {
    if (!figures->empty()) points.push_back({.x = x, .y = MeanOf(*figures) * kUs});
  }
  return points;
}

Chart PercentileChart(std::span<const RunData> runs) {
  Chart chart{
      .id = "latency-percentiles",
      .title = "Latency by percentile",
      .note = "Both axes are logarithmic. A run without buckets has its four percentiles only.",
      .kind = ChartKind::kLines,
      .x = {.label = "percentile", .scale = Scale::kPercentile},
      .y = {.label = "latency, us", .scale = Scale::kLogarithmic},
      .categories = {},
      .series = {}};
  ForEachOperation(runs, [&chart](std::size_t run, const RunData& data,
                                  const OperationData& operation, std::size_t index) {
    std::vector<Point> points = PercentileCurve(operation);
    if (points.empty()) return;
    chart.series.push_back({.name = SeriesName(data, operation),
                            .run = run,
                            .colour = index,
                            .dashed = false,
                            .points = std::move(points),
                            .bars = {}});
  });
  return chart;
}

// One line per operation and group of runs, one point per run.
Chart LoadChart(std::span<const RunData> runs) {
  Chart chart{.id = "latency-against-load",
              .title = "Latency against load",
              .note =
                  "A point is a run. Lines join runs of the same operation and, where --label "
                  "server=NAME was "
                  "given, of the same server. Solid: p99, dashed: p50.",
              .kind = ChartKind::kLines,
              .x = {.label = "operations per second", .scale = Scale::kLinear},
              .y = {.label = "latency, us", .scale = Scale::kLogarithmic},
              .categories = {},
              .series = {}};
  struct Line {
    std::vector<Point> p50;
    std::vector<Point> p99;
    std::size_t run = 0;
  };
  std::map<std::string, Line> lines;
  ForEachOperation(runs, [&lines](std::size_t run, const RunData& data,
                                  const OperationData& operation, std::size_t) {
    const auto rate = MeanIfAny(operation.rates);
    const auto p50 = MeanIfAny(operation.latency.p50);
    const auto p99 = MeanIfAny(operation.latency.p99);
    if (data.kind != "load" || !rate || !p50 || !p99) return;
    Line& line = lines[(data.group.empty() ? "" : data.group + ": ") + operation.name];
    if (line.p50.empty()) line.run = run;
    line.p50.push_back({.x = *rate, .y = *p50 * kUs});
    line.p99.push_back({.x = *rate, .y = *p99 * kUs});
  });
  std::size_t colour = 0;
  for (auto& [name, line] : lines) {
    if (line.p50.size() < 2) continue;
    for (auto [points, dashed] : {std::pair{&line.p99, false}, std::pair{&line.p50, true}}) {
      std::sort(points->begin(), points->end(),
                [](const Point& a, const Point& b) { return a.x < b.x; });
      chart.series.push_back({.name = name + (dashed ? ", p50" : ", p99"),
                              .run = line.run,
                              .colour = colour,
                              .dashed = dashed,
                              .points = std::move(*points),
                              .bars = {}});
    }
    ++colour;
  }
  return chart;
}

// Of each interval, or of several of them where there are more than a screen shows.
std::vector<Point> SeriesPoints(const OperationData& operation, bool rate) {
  std::vector<Point> points;
  const std::size_t stride = operation.series.size() / kPointsMax + 1;
  for (std::size_t i = 0; i < operation.series.size(); i += stride) {
    double operations = 0;
    double length = 0;
    std::optional<double> worst;
    for (std::size_t j = i; j < std::min(i + stride, operation.series.size()); ++j) {
      const Interval& interval = operation.series[j];
      operations += interval.operations;
      length += interval.length_s;
      if (interval.p99_ns) worst = std::max(worst.value_or(0), *interval.p99_ns);
    }
    const double at = operation.series[i].at_s;
    if (rate && length > 0) points.push_back({.x = at, .y = operations / length});
    if (!rate && worst) points.push_back({.x = at, .y = *worst * kUs});
  }
  return points;
}

Chart TimeChart(std::span<const RunData> runs, bool rate) {
  Chart chart{.id = rate ? "rate-over-time" : "p99-over-time",
              .title = rate ? "Rate over time" : "p99 over time",
              .note = rate ? "Repeats of a run follow each other."
                           : "Of the operations completed in each interval; a long curve shows the "
                             "worst of neighbours.",
              .kind = ChartKind::kLines,
              .x = {.label = "s since the measured time began", .scale = Scale::kLinear},
              .y = {.label = rate ? "operations per second" : "latency, us",
                    .scale = rate ? Scale::kLinear : Scale::kLogarithmic},
              .categories = {},
              .series = {}};
  ForEachOperation(runs, [&chart, rate](std::size_t run, const RunData& data,
                                        const OperationData& operation, std::size_t index) {
    std::vector<Point> points = SeriesPoints(operation, rate);
    if (points.empty()) return;
    chart.series.push_back({.name = SeriesName(data, operation),
                            .run = run,
                            .colour = index,
                            .dashed = false,
                            .points = std::move(points),
                            .bars = {}});
  });
  return chart;
}

std::size_t CategoryOf(const std::string& name, Chart* chart) {
  const auto found = std::find(chart->categories.begin(), chart->categories.end(), name);
  const auto index = static_cast<std::size_t>(found - chart->categories.begin());
  if (found == chart->categories.end()) chart->categories.push_back(name);
  return index;
}

void SetBar(std::size_t category, const std::optional<double>& value, ChartSeries* series) {
  if (series->bars.size() <= category) series->bars.resize(category + 1);
  series->bars[category] = value;
}

// Every series gets a place for every category; one without any bar goes.
void Complete(Chart* chart) {
  for (ChartSeries& series : chart->series) series.bars.resize(chart->categories.size());
  std::erase_if(chart->series, [](const ChartSeries& series) {
    return std::none_of(series.bars.begin(), series.bars.end(),
                        [](const std::optional<double>& bar) { return bar.has_value(); });
  });
}

Chart BarChart(const char* id, const char* title, const char* note, const char* unit,
               ChartKind kind) {
  return {.id = id,
          .title = title,
          .note = note,
          .kind = kind,
          .x = {},
          .y = {.label = unit, .scale = Scale::kLinear},
          .categories = {},
          .series = {}};
}

Chart CpuChart(std::span<const RunData> runs) {
  Chart chart =
      BarChart("cpu-per-operation", "Processor time per operation",
               "Of the side that ktlsim is: the generator of `load`, both sides of `run`.",
               "us per operation", ChartKind::kBars);
  for (std::size_t run = 0; run < runs.size(); ++run) {
    ChartSeries series{.name = runs[run].name,
                       .run = run,
                       .colour = run,
                       .dashed = false,
                       .points = {},
                       .bars = {}};
    for (const OperationData& operation : runs[run].operations) {
      for (const auto& [side, figures] : {std::pair{"server", &operation.server_cpu_ns},
                                          std::pair{"client", &operation.client_cpu_ns}}) {
        if (figures->empty()) continue;
        SetBar(CategoryOf(operation.name + ", " + side, &chart), MeanOf(*figures) * kUs, &series);
      }
    }
    chart.series.push_back(std::move(series));
  }
  Complete(&chart);
  return chart;
}

Chart LaneChart(std::span<const RunData> runs) {
  Chart chart = BarChart(
      "where-time-went", "Where the time of a call went, by lane",
      "Means of asynchronous calls, by role of the processors and lane; from classes by powers of "
      "two, so they are approximate. Synchronous calls have no notification.",
      "us per call", ChartKind::kStackedBars);
  const std::array parts = {std::pair{"queued", &LaneData::queued_ns},
                            std::pair{"served", &LaneData::served_ns},
                            std::pair{"notified", &LaneData::notified_ns}};
  for (std::size_t run = 0; run < runs.size(); ++run) {
    for (std::size_t part = 0; part < parts.size(); ++part) {
      ChartSeries series{
          .name = runs.size() > 1 ? runs[run].name + ": " + parts[part].first : parts[part].first,
          .run = run,
          .colour = part,
          .dashed = false,
          .points = {},
          .bars = {}};
      for (const LaneData& lane : runs[run].lanes) {
        const std::string where = (lane.role.empty() ? "" : lane.role + ", ") + lane.lane;
        const std::string name = runs.size() > 1 ? runs[run].name + ": " + where : where;
        const std::optional<double> ns = lane.*parts[part].second;
        if (ns) SetBar(CategoryOf(name, &chart), *ns * kUs, &series);
      }
      chart.series.push_back(std::move(series));
    }
  }
  Complete(&chart);
  return chart;
}

Chart PhaseChart(std::span<const RunData> runs) {
  Chart chart = BarChart(
      "phases", "Phases of an operation",
      "p50 and p99 of each phase; the phases' percentiles do not add up to the whole's. The result "
      "of `load` defines each phase.",
      "us", ChartKind::kBars);
  ForEachOperation(runs, [&chart](std::size_t run, const RunData& data,
                                  const OperationData& operation, std::size_t index) {
    for (const bool tail : {false, true}) {
      ChartSeries series{.name = SeriesName(data, operation) + (tail ? ", p99" : ", p50"),
                         .run = run,
                         .colour = index,
                         .dashed = !tail,
                         .points = {},
                         .bars = {}};
      for (const PhaseFigures& phase : operation.phases) {
        SetBar(CategoryOf(phase.name, &chart), (tail ? phase.p99_ns : phase.p50_ns) * kUs, &series);
      }
      chart.series.push_back(std::move(series));
    }
  });
  Complete(&chart);
  return chart;
}

Chart RingChart(std::span<const RunData> runs) {
  Chart chart = BarChart(
      "ring", "What the rings did",
      "Submission and completion queue entries per operation of the whole run, warm-up included; "
      "completions per io_uring_enter; times that the completion queue overflowed.",
      "per operation", ChartKind::kBars);
  for (std::size_t run = 0; run < runs.size(); ++run) {
    double operations = 0;
    for (const OperationData& operation : runs[run].operations) operations += operation.count;
    ChartSeries series{.name = runs[run].name,
                       .run = run,
                       .colour = run,
                       .dashed = false,
                       .points = {},
                       .bars = {}};
    for (const RingData& ring : runs[run].rings) {
      const std::string role = ring.role.empty() ? "" : ring.role + ": ";
      if (operations > 0) {
        SetBar(CategoryOf(role + "SQEs", &chart), ring.submitted / operations, &series);
        SetBar(CategoryOf(role + "CQEs", &chart), ring.completed / operations, &series);
      }
      if (ring.enters > 0) {
        SetBar(CategoryOf(role + "CQEs an enter", &chart), ring.completed / ring.enters, &series);
      }
      SetBar(CategoryOf(role + "overflows", &chart), ring.overflow, &series);
    }
    chart.series.push_back(std::move(series));
  }
  Complete(&chart);
  return chart;
}

const PeerData* PeerOf(const ScenarioData& scenario, const std::string& name) {
  for (const PeerData& peer : scenario.peers) {
    if (peer.name == name && !peer.figures.empty()) return &peer;
  }
  return nullptr;
}

// One bar per peer and scenario, as a multiple of nginx.
Chart ComparisonChart(std::span<const RunData> runs, std::size_t run) {
  Chart chart = BarChart(
      "comparison", "Compared with nginx",
      "The median of each server's figure over nginx's: below 1 is cheaper. The table has the "
      "figures.",
      "multiple of nginx", ChartKind::kBars);
  chart.id = runs.size() > 1 ? fmt::format("comparison-{}", run + 1) : chart.id;
  if (runs.size() > 1) chart.title = fmt::format("{}: compared with nginx", runs[run].name);
  const auto median = [](std::vector<double> figures) {
    std::sort(figures.begin(), figures.end());
    const std::size_t middle = figures.size() / 2;
    return figures.size() % 2 == 1 ? figures[middle] : (figures[middle - 1] + figures[middle]) / 2;
  };
  for (const ScenarioData& scenario : runs[run].scenarios) {
    const PeerData* const nginx = PeerOf(scenario, "nginx");
    if (nginx == nullptr || median(nginx->figures) <= 0) continue;
    for (const PeerData& peer : scenario.peers) {
      if (peer.figures.empty()) continue;
      auto same =
          std::find_if(chart.series.begin(), chart.series.end(),
                       [&peer](const ChartSeries& known) { return known.name == peer.name; });
      if (same == chart.series.end()) {
        chart.series.push_back({.name = peer.name,
                                .run = run,
                                .colour = chart.series.size(),
                                .dashed = false,
                                .points = {},
                                .bars = {}});
        same = std::prev(chart.series.end());
      }
      SetBar(CategoryOf(scenario.name, &chart), median(peer.figures) / median(nginx->figures),
             &*same);
    }
  }
  Complete(&chart);
  return chart;
}

}  // namespace

std::vector<Chart> ChartsOf(std::span<const RunData> runs) {
  std::vector<Chart> charts = {PercentileChart(runs),
                               LoadChart(runs),
                               TimeChart(runs, /*rate=*/true),
                               TimeChart(runs, /*rate=*/false),
                               CpuChart(runs),
                               LaneChart(runs),
                               PhaseChart(runs),
                               RingChart(runs)};
  for (std::size_t run = 0; run < runs.size(); ++run) {
    if (!runs[run].scenarios.empty()) charts.push_back(ComparisonChart(runs, run));
  }
  std::erase_if(charts, [](const Chart& chart) { return chart.empty(); });
  return charts;
}

}  // namespace ktlsim::command::report
