#include "kernel_sim/command/report/difference.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <iterator>

#include <fmt/format.h>

#include "kernel_sim/command/latency_histogram.h"

namespace ktlsim::command::report {
namespace {

// Latencies are known to a bucket, and where all repeats are in the same one, their mean is too.
constexpr double kBucketWidth = 1.0 / (1U << LatencyHistogram::kSubBits);

struct Moments {
  double mean = 0;
  double variance_of_mean = 0;
  double degrees = 0;
};

Moments LogMoments(std::span<const double> figures) {
  Moments moments;
  const auto count = static_cast<double>(figures.size());
  for (const double figure : figures) moments.mean += std::log(figure) / count;
  if (figures.size() < 2) return moments;
  double squares = 0;
  for (const double figure : figures) {
    const double off = std::log(figure) - moments.mean;
    squares += off * off;
  }
  moments.degrees = count - 1;
  moments.variance_of_mean =
      std::max(squares / (moments.degrees * count), kBucketWidth * kBucketWidth);
  return moments;
}

// The two-sided 95 % quantile of Student's t; degrees are rounded down, so it is never too small.
double StudentT(double degrees) {
  static constexpr std::array kTable = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                        2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                        2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                        2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
  const auto whole = static_cast<std::size_t>(std::max(1.0, std::floor(degrees)));
  return whole <= kTable.size() ? kTable[whole - 1]
         : whole < 60           ? 2.042
         : whole < 120          ? 2.000
                                : 1.980;
}

// Welch and Satterthwaite.
double DegreesOf(const Moments& a, const Moments& b) {
  const double sum = a.variance_of_mean + b.variance_of_mean;
  const double parts = a.variance_of_mean * a.variance_of_mean / a.degrees +
                       b.variance_of_mean * b.variance_of_mean / b.degrees;
  return parts > 0 ? sum * sum / parts : a.degrees + b.degrees;
}

bool Usable(std::span<const double> figures) {
  return !figures.empty() && std::all_of(figures.begin(), figures.end(), [](double figure) {
    return figure > 0 && std::isfinite(figure);
  });
}

double Percent(double logarithm) { return std::expm1(logarithm) * 100; }

// Two digits, and no "-0".
std::string Figure(double percent) {
  const int digits = std::abs(percent) < 10 ? 1 : 0;
  const double scale = digits == 1 ? 10 : 1;
  const double rounded = std::round(percent * scale) / scale;
  std::string text = fmt::format("{:.{}f}", rounded == 0 ? 0 : rounded, digits);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

}  // namespace

double MeanOf(std::span<const double> figures) {
  double sum = 0;
  for (const double figure : figures) sum += figure;
  return sum / static_cast<double>(figures.size());
}

std::optional<Difference> DifferenceOf(std::span<const double> base,
                                       std::span<const double> other) {
  if (!Usable(base) || !Usable(other)) return std::nullopt;
  const Moments before = LogMoments(base);
  const Moments after = LogMoments(other);
  const double mean = after.mean - before.mean;
  Difference difference;
  difference.percent = Percent(mean);
  if (base.size() < 2 || other.size() < 2) return difference;
  const double width = StudentT(DegreesOf(before, after)) *
                       std::sqrt(before.variance_of_mean + after.variance_of_mean);
  difference.interval = {.low = Percent(mean - width), .high = Percent(mean + width)};
  return difference;
}

std::string DifferenceText(const Difference& difference, const std::string& unit) {
  const bool fewer = difference.percent < 0;
  std::string text = fmt::format("{} % {} {}", Figure(std::abs(difference.percent)),
                                 fewer ? "fewer" : "more", unit);
  if (!difference.interval) return text + ", no interval: two repeats of each are needed";
  const Difference::Interval& interval = *difference.interval;
  // In the direction of the words, the smaller figure first.
  const double low = fewer ? -interval.high : interval.low;
  const double high = fewer ? -interval.low : interval.high;
  text += fmt::format(", 95 % interval {} to {}", Figure(low), Figure(high));
  return difference.shown() ? text : "no difference shown: " + text;
}

}  // namespace ktlsim::command::report
