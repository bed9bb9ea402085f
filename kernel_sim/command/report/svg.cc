#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/command/report/chart.h"

namespace ktlsim::command::report {
namespace {

constexpr double kWidth = 800;
constexpr double kLeft = 70;
constexpr double kRight = 20;
constexpr double kTop = 40;
constexpr double kPlotHeight = 340;
constexpr double kUnder = 46;
constexpr double kLegendLine = 18;
constexpr std::size_t kCategoryLetters = 22;

std::string Escape(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    // Nor has it U+FFFE and U+FFFF.
    const std::string_view three = text.substr(i, 3);
    if (three == "\xEF\xBF\xBE" || three == "\xEF\xBF\xBF") {
      escaped += ' ';
      i += 2;
      continue;
    }
    const char c = text[i];
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        // XML has no control characters (XML 1.0, 2.2).
        escaped += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return escaped;
}

// A range of values on a line of pixels.
class Mapping {
 public:
  Mapping(double low, double high, Scale scale, double from, double to)
      : logarithmic_(scale != Scale::kLinear), from_(from), to_(to) {
    if (logarithmic_) {
      low_ = std::floor(std::log10(std::max(low, 1e-9)) + 1e-9);
      high_ = std::max(std::ceil(std::log10(std::max(high, 1e-9)) - 1e-9), low_ + 1);
    } else {
      low_ = std::min(low, 0.0);
      const double span = high > low_ ? high - low_ : 1;
      step_ = std::pow(10, std::floor(std::log10(span / 5)));
      for (const double wider : {2.0, 2.5, 2.0}) {
        if (span / step_ > 6) step_ *= wider;
      }
      high_ = std::ceil(high / step_) * step_;
      if (high_ <= low_) high_ = low_ + step_;
    }
  }

  double operator()(double value) const {
    const double at = logarithmic_ ? std::log10(std::max(value, 1e-9)) : value;
    return from_ + (to_ - from_) * (std::clamp(at, low_, high_) - low_) / (high_ - low_);
  }

  std::vector<double> Ticks() const {
    std::vector<double> ticks;
    const double step = logarithmic_ ? 1 : step_;
    for (double at = low_; at <= high_ + step / 1e6 && ticks.size() < 40; at += step) {
      ticks.push_back(logarithmic_ ? std::pow(10, at) : at);
    }
    return ticks;
  }

 private:
  bool logarithmic_;
  double low_ = 0;
  double high_ = 1;
  double step_ = 1;
  double from_;
  double to_;
};

struct Range {
  double low = std::numeric_limits<double>::max();
  double high = std::numeric_limits<double>::lowest();

  void Take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

const char* ColourOf(const ChartSeries& series) {
  return kPalette[series.colour % std::size(kPalette)];
}

std::string Line(double x1, double y1, double x2, double y2, const char* of_class) {
  return fmt::format(
      "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n", of_class,
      x1, y1, x2, y2);
}

std::string Label(double x, double y, const char* anchor, std::string_view text,
                  const std::string& more = "") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                     anchor, more, Escape(text));
}

class Drawing {
 public:
  explicit Drawing(const Chart& chart) : chart_(chart) {}

  std::string Draw() {
    const bool lines = chart_.kind == ChartKind::kLines;
    Range x;
    Range y;
    Measure(&x, &y);
    const Mapping to_y(y.empty() ? 0 : y.low, y.empty() ? 1 : y.high, chart_.y.scale,
                       kTop + kPlotHeight, kTop);
    DrawYAxis(to_y);
    if (lines) {
      const Mapping to_x(x.empty() ? 0 : x.low, x.empty() ? 1 : x.high, chart_.x.scale, kLeft,
                         kWidth - kRight);
      DrawXAxis(to_x);
      DrawLines(to_x, to_y);
    } else {
      DrawBars(to_y);
    }
    DrawLegend(lines ? kUnder : kUnder + 90);
    return Frame();
  }

 private:
  void Measure(Range* x, Range* y) const {
    std::vector<double> stacks(chart_.categories.size(), 0);
    for (const ChartSeries& series : chart_.series) {
      for (const Point& point : series.points) {
        x->Take(point.x);
        y->Take(point.y);
      }
      for (std::size_t i = 0; i < series.bars.size(); ++i) {
        const double bar = series.bars[i].value_or(0);
        stacks[i] += bar;
        y->Take(chart_.kind == ChartKind::kStackedBars ? stacks[i] : bar);
      }
    }
  }

  void DrawYAxis(const Mapping& to_y) {
    for (const double tick : to_y.Ticks()) {
      const double y = to_y(tick);
      body_ += Line(kLeft, y, kWidth - kRight, y, "grid");
      body_ += Label(kLeft - 6, y + 4, "end", TickText(tick, chart_.y.scale));
    }
    body_ += Label(14, kTop + kPlotHeight / 2, "middle", chart_.y.label,
                   fmt::format(" transform=\"rotate(-90 14 {:.0f})\"", kTop + kPlotHeight / 2));
  }

  void DrawXAxis(const Mapping& to_x) {
    for (const double tick : to_x.Ticks()) {
      const double x = to_x(tick);
      body_ += Line(x, kTop, x, kTop + kPlotHeight, "grid");
      body_ += Label(x, kTop + kPlotHeight + 16, "middle", TickText(tick, chart_.x.scale));
    }
    body_ +=
        Label((kLeft + kWidth - kRight) / 2, kTop + kPlotHeight + 34, "middle", chart_.x.label);
  }

  void DrawLines(const Mapping& to_x, const Mapping& to_y) {
    for (const ChartSeries& series : chart_.series) {
      std::string points;
      for (const Point& point : series.points) {
        fmt::format_to(std::back_inserter(points), "{:.1f},{:.1f} ", to_x(point.x), to_y(point.y));
      }
      body_ += fmt::format(
          "<polyline fill=\"none\" stroke=\"{}\" stroke-width=\"2\"{} points=\"{}\"/>\n",
          ColourOf(series), series.dashed ? " stroke-dasharray=\"6 4\"" : "", points);
    }
  }

  void DrawBars(const Mapping& to_y) {
    const auto count = static_cast<double>(std::max<std::size_t>(1, chart_.categories.size()));
    const double slot = (kWidth - kLeft - kRight) / count;
    const bool stacked = chart_.kind == ChartKind::kStackedBars;
    const double width = slot * 0.8 / static_cast<double>(stacked ? 1 : chart_.series.size());
    std::vector<double> below(chart_.categories.size(), 0);
    for (std::size_t s = 0; s < chart_.series.size(); ++s) {
      const ChartSeries& series = chart_.series[s];
      for (std::size_t i = 0; i < series.bars.size(); ++i) {
        const std::optional<double>& bar = series.bars[i];
        if (!bar) continue;
        const double base = stacked ? below[i] : 0;
        const double top = base + *bar;
        below[i] = top;
        const double x = kLeft + slot * (static_cast<double>(i) + 0.1) +
                         (stacked ? 0 : width * static_cast<double>(s));
        body_ += fmt::format(
            "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
            "fill=\"{}\"{}><title>{}: {}, "
            "{:.4g}</title></rect>\n",
            x, to_y(top), std::max(width - 1, 0.5), to_y(base) - to_y(top), ColourOf(series),
            series.dashed ? " fill-opacity=\"0.5\"" : "", Escape(series.name),
            Escape(chart_.categories[i]), *bar);
      }
    }
    for (std::size_t i = 0; i < chart_.categories.size(); ++i) {
      const double x = kLeft + slot * (static_cast<double>(i) + 0.5);
      const double y = kTop + kPlotHeight + 14;
      std::string name = chart_.categories[i];
      if (name.size() > kCategoryLetters) name = ShortText(name, kCategoryLetters) + "...";
      body_ +=
          Label(x, y, "end", name, fmt::format(" transform=\"rotate(-35 {:.0f} {:.0f})\"", x, y));
    }
  }

  void DrawLegend(double under) {
    double y = kTop + kPlotHeight + under + 10;
    for (const ChartSeries& series : chart_.series) {
      body_ += fmt::format(
          "<line x1=\"{0:.0f}\" y1=\"{1:.0f}\" x2=\"{2:.0f}\" y2=\"{1:.0f}\" stroke=\"{3}\" "
          "stroke-width=\"4\"{4}/>\n",
          kLeft, y - 4, kLeft + 24, ColourOf(series),
          series.dashed ? " stroke-dasharray=\"6 4\"" : "");
      body_ += Label(kLeft + 32, y, "start", series.name);
      y += kLegendLine;
    }
    height_ = y;
  }

  std::string Frame() const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
        "width=\"{0:.0f}\" "
        "height=\"{1:.0f}\" role=\"img\">\n<title>{2}</title>\n"
        "<style>\nsvg {{ background: #fff; font: 12px sans-serif; }}\ntext {{ fill: #222; }}\n"
        ".grid {{ stroke: #ddd; }}\n.title {{ font-size: 16px; font-weight: bold; }}\n"
        "@media (prefers-color-scheme: dark) {{\nsvg {{ background: #14171c; }}\ntext {{ fill: "
        "#dfe3ea; }}\n"
        ".grid {{ stroke: #333943; }}\n}}\n</style>\n"
        "<text class=\"title\" x=\"{3:.0f}\" y=\"24\">{2}</text>\n{4}</svg>\n",
        kWidth, height_, Escape(chart_.title), kLeft, body_);
  }

  const Chart& chart_;
  std::string body_;
  double height_ = 0;
};

}  // namespace

std::string TickText(double value, Scale scale) {
  if (scale == Scale::kPercentile) {
    if (value <= 1) return "0 %";
    const int nines = static_cast<int>(std::lround(std::log10(value)));
    return nines <= 2
               ? fmt::format("{} %", nines == 1 ? "90" : "99")
               : fmt::format("99.{} %", std::string(static_cast<std::size_t>(nines) - 2, '9'));
  }
  if (std::abs(value) >= 1e6) return fmt::format("{:.4g} M", value / 1e6);
  if (std::abs(value) >= 1e4) return fmt::format("{:.4g} k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

std::string SvgOf(const Chart& chart) { return Drawing(chart).Draw(); }

}  // namespace ktlsim::command::report
