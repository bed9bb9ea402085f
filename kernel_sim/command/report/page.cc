#include "kernel_sim/command/report/page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/report/chart.h"
#include "kernel_sim/command/report/difference.h"
#include "kernel_sim/command/report/page_parts.h"

namespace ktlsim::command::report {
namespace {

using nlohmann::json;

std::string FigureText(double value) {
  if (value == 0) return "0";
  // From where three digits would round to 1e+03.
  if (std::abs(value) >= 999.5) return fmt::format("{:.0f}", value);
  return fmt::format("{:.3g}", value);
}

// The mean of the repeats, with the least and the largest where they differ.
std::string Cell(std::span<const double> figures, double scale) {
  if (figures.empty()) return "";
  const auto [least, most] = std::minmax_element(figures.begin(), figures.end());
  std::string text = FigureText(MeanOf(figures) * scale);
  if (figures.size() > 1) {
    text += fmt::format(" ({} to {})", FigureText(*least * scale), FigureText(*most * scale));
  }
  return text;
}

json TableJson(const char* id, std::string title, std::string note, std::vector<std::string> head,
               json rows) {
  return {{"id", id},
          {"title", std::move(title)},
          {"note", std::move(note)},
          {"head", std::move(head)},
          {"rows", std::move(rows)}};
}

json OperationsTable(std::span<const RunData> runs) {
  json rows = json::array();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const OperationData& operation : runs[i].operations) {
      const LatencyFigures& latency = operation.latency;
      rows.push_back(
          {{"run", i},
           {"cells",
            {runs[i].name, operation.name, Cell(operation.rates, 1), Cell(latency.p50, kUs),
             Cell(latency.p99, kUs), Cell(latency.p999, kUs), Cell(latency.max, kUs),
             Cell(operation.server_cpu_ns, kUs), Cell(operation.client_cpu_ns, kUs),
             FigureText(operation.errors + operation.unfinished)}}});
    }
  }
  return TableJson("operations", "Operations",
                   "Means of the repeats, with the least and the largest in brackets; us.",
                   {"run", "operation", "per s", "p50", "p99", "p99.9", "longest", "server CPU",
                    "client CPU", "failed"},
                   std::move(rows));
}

json DifferenceRow(std::size_t run, std::vector<std::string> cells, const Difference& difference) {
  const char* const state = !difference.interval ? "unknown"
                            : difference.shown() ? "shown"
                                                 : "not-shown";
  return {{"run", run}, {"state", state}, {"cells", std::move(cells)}};
}

void AddOperationDifferences(const RunData& base, const RunData& other, std::size_t run,
                             json* rows) {
  for (const OperationData& before : base.operations) {
    const auto after =
        std::find_if(other.operations.begin(), other.operations.end(),
                     [&before](const OperationData& one) { return one.name == before.name; });
    if (after == other.operations.end()) continue;
    struct Figure {
      const char* name;
      const char* unit;
      std::span<const double> before;
      std::span<const double> after;
    };
    const std::array figures = {
        Figure{"rate", "operations per s", before.rates, after->rates},
        Figure{"p50", "us", before.latency.p50, after->latency.p50},
        Figure{"p99", "us", before.latency.p99, after->latency.p99},
        Figure{"p99.9", "us", before.latency.p999, after->latency.p999},
        Figure{"server CPU per operation", "us", before.server_cpu_ns, after->server_cpu_ns},
        Figure{"client CPU per operation", "us", before.client_cpu_ns, after->client_cpu_ns}};
    for (const Figure& figure : figures) {
      const auto difference = DifferenceOf(figure.before, figure.after);
      if (!difference) continue;
      rows->push_back(DifferenceRow(run,
                                    {other.name + " against " + base.name, before.name, figure.name,
                                     DifferenceText(*difference, figure.unit)},
                                    *difference));
    }
  }
}

const char* UnitOf(const std::string& figure) { return figure.starts_with("KiB") ? "KiB" : "us"; }

// The same server in two comparisons.
void AddScenarioDifferences(const RunData& base, const RunData& other, std::size_t run,
                            json* rows) {
  for (const ScenarioData& before : base.scenarios) {
    for (const ScenarioData& after : other.scenarios) {
      if (after.name != before.name) continue;
      for (const PeerData& old_peer : before.peers) {
        for (const PeerData& new_peer : after.peers) {
          if (new_peer.name != old_peer.name) continue;
          const auto difference = DifferenceOf(old_peer.figures, new_peer.figures);
          if (!difference) continue;
          rows->push_back(DifferenceRow(
              run,
              {other.name + " against " + base.name, before.name + ", " + old_peer.name,
               before.figure, DifferenceText(*difference, UnitOf(before.figure))},
              *difference));
        }
      }
    }
  }
}

json DifferencesTable(std::span<const RunData> runs) {
  json rows = json::array();
  for (std::size_t i = 1; i < runs.size(); ++i) {
    AddOperationDifferences(runs[0], runs[i], i, &rows);
    AddScenarioDifferences(runs[0], runs[i], i, &rows);
  }
  return TableJson("differences", "Differences from the first run",
                   "Welch's 95 % intervals on the logarithms of the repeats' figures. They know "
                   "the scatter between "
                   "repeats, and nothing that all repeats of a run have in common. Of twenty "
                   "figures that do not "
                   "differ, one will seem to.",
                   {"runs", "operation", "figure", "difference"}, std::move(rows));
}

json ComparisonTable(std::span<const RunData> runs) {
  json rows = json::array();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const ScenarioData& scenario : runs[i].scenarios) {
      const auto nginx = std::find_if(scenario.peers.begin(), scenario.peers.end(),
                                      [](const PeerData& peer) { return peer.name == "nginx"; });
      for (const PeerData& peer : scenario.peers) {
        if (peer.figures.empty()) continue;
        std::string against;
        if (nginx != scenario.peers.end() && peer.name != "nginx") {
          if (const auto difference = DifferenceOf(nginx->figures, peer.figures)) {
            against = DifferenceText(*difference, UnitOf(scenario.figure));
          }
        }
        rows.push_back({{"run", i},
                        {"cells",
                         {runs[i].name, scenario.name, peer.name, Cell(peer.figures, 1),
                          scenario.figure, std::move(against)}}});
      }
    }
  }
  return TableJson("comparison-table", "Comparison with other servers",
                   "Means of the repeats, with the least and the largest in brackets.",
                   {"run", "scenario", "server", "figure", "unit", "against nginx"},
                   std::move(rows));
}

json LanesTable(std::span<const RunData> runs) {
  json rows = json::array();
  const auto us = [](const std::optional<double>& ns) {
    return ns ? FigureText(*ns * kUs) : std::string();
  };
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const LaneData& lane : runs[i].lanes) {
      rows.push_back({{"run", i},
                      {"cells",
                       {runs[i].name, lane.role, lane.lane, fmt::format("{:.0f}", lane.completed),
                        us(lane.queued_ns), us(lane.served_ns), us(lane.notified_ns)}}});
    }
  }
  return TableJson("lanes", "Calls by lane", "Means, us.",
                   {"run", "role", "lane", "calls", "queued", "served", "notified"},
                   std::move(rows));
}

json RunsJson(std::span<const RunData> runs) {
  json all = json::array();
  for (const RunData& run : runs) {
    all.push_back({{"name", run.name},
                   {"kind", run.kind},
                   {"files", run.files},
                   {"started", run.started},
                   {"host", run.host},
                   {"command_line", run.command_line},
                   {"valid", run.valid},
                   {"reasons", run.reasons}});
  }
  return all;
}

const char* KindName(ChartKind kind) {
  switch (kind) {
    case ChartKind::kLines:
      return "lines";
    case ChartKind::kBars:
      return "bars";
    case ChartKind::kStackedBars:
      return "stacked";
  }
  return "lines";
}

const char* ScaleName(Scale scale) {
  switch (scale) {
    case Scale::kLinear:
      return "linear";
    case Scale::kLogarithmic:
      return "logarithmic";
    case Scale::kPercentile:
      return "percentile";
  }
  return "linear";
}

json SeriesJson(const ChartSeries& series) {
  json points = json::array();
  for (const Point& point : series.points) points.push_back(json::array({point.x, point.y}));
  json bars = json::array();
  for (const std::optional<double>& bar : series.bars) bars.push_back(bar ? json(*bar) : json());
  return {{"name", series.name},
          {"run", series.run},
          {"colour", kPalette[series.colour % std::size(kPalette)]},
          {"dashed", series.dashed},
          {"points", std::move(points)},
          {"bars", std::move(bars)}};
}

json ChartsJson(std::span<const RunData> runs) {
  json charts = json::array();
  for (const Chart& chart : ChartsOf(runs)) {
    json series = json::array();
    for (const ChartSeries& one : chart.series) series.push_back(SeriesJson(one));
    charts.push_back({{"id", chart.id},
                      {"title", chart.title},
                      {"note", chart.note},
                      {"kind", KindName(chart.kind)},
                      {"x", {{"label", chart.x.label}, {"scale", ScaleName(chart.x.scale)}}},
                      {"y", {{"label", chart.y.label}, {"scale", ScaleName(chart.y.scale)}}},
                      {"categories", chart.categories},
                      {"series", std::move(series)}});
  }
  return charts;
}

// Inside a script element only "<" could end it.
std::string DataText(const json& data) {
  const std::string text =
      data.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string PageOf(std::span<const RunData> runs, std::string_view chart_js) {
  json tables = json::array();
  for (json table :
       {OperationsTable(runs), DifferencesTable(runs), LanesTable(runs), ComparisonTable(runs)}) {
    if (!table["rows"].empty()) tables.push_back(std::move(table));
  }
  const json data = {{"version", KTLSIM_VERSION},
                     {"runs", RunsJson(runs)},
                     {"tables", std::move(tables)},
                     {"charts", ChartsJson(runs)}};
  std::string page;
  for (const std::string_view part :
       {std::string_view(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<title>ktlsim report</title>\n<style>\n"),
        std::string_view(kPageStyle), std::string_view("</style>\n</head>\n<body>\n"),
        std::string_view(kPageBody),
        std::string_view("<script type=\"application/json\" id=\"data\">")}) {
    page += part;
  }
  page += DataText(data);
  page += "</script>\n<script>\n";
  page += chart_js;
  page += "\n</script>\n<script>\n";
  page += kPageScript;
  page += "</script>\n</body>\n</html>\n";
  return page;
}

}  // namespace ktlsim::command::report
