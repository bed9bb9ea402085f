// Chart: one picture of a report as data. The page draws it with Chart.js, and `SvgOf` as a file of
// its own, so both show the same.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/command/report/run_data.h"

namespace ktlsim::command::report {

enum class ChartKind : unsigned char { kLines, kBars, kStackedBars };

// What an axis counts; it decides the words at its ticks.
enum class Scale : unsigned char {
  kLinear,
  kLogarithmic,
  kPercentile,  // 1 / (1 - share): 1 is 0 %, 10 is 90 %, 100 is 99 %; logarithmic
};

struct Axis {
  std::string label;
  Scale scale = Scale::kLinear;
};

struct Point {
  double x = 0;
  double y = 0;
};

struct ChartSeries {
  std::string name;
  std::size_t run = 0;     // whose it is: the page switches runs on and off
  std::size_t colour = 0;  // of the palette, modulo its size
  bool dashed = false;
  std::vector<Point> points;                // kLines
  std::vector<std::optional<double>> bars;  // one per category; absent: nothing was measured
};

struct Chart {
  std::string id;  // of the file, too
  std::string title;
  std::string note;  // what a reader could get wrong
  ChartKind kind = ChartKind::kLines;
  Axis x;
  Axis y;
  std::vector<std::string> categories;  // bars
  std::vector<ChartSeries> series;

  bool empty() const { return series.empty(); }
};

// A chart counts us, a result ns.
inline constexpr double kUs = 1e-3;

// Readable on white and on near-black.
inline constexpr const char* kPalette[] = {"#2f7de0", "#e0662a", "#2a9d5c", "#b04fd0",
                                           "#d03a55", "#1a9bb0", "#9a8a1a", "#7a7f8c"};

// All charts for which the runs have figures, in the page's order.
std::vector<Chart> ChartsOf(std::span<const RunData> runs);

// A drawing without scripts and without outside resources; dark where the viewer prefers it.
std::string SvgOf(const Chart& chart);

// "12.5 k", "340": for ticks.
std::string TickText(double value, Scale scale);

}  // namespace ktlsim::command::report
