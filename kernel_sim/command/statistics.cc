#include "kernel_sim/command/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

namespace ktlsim::command {

double StudentT95(std::size_t degrees_of_freedom) {
  constexpr std::array kTable = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306,
                                 2.262,  2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
                                 2.110,  2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064,
                                 2.060,  2.056, 2.052, 2.048, 2.045, 2.042};
  if (degrees_of_freedom == 0) return std::numeric_limits<double>::infinity();
  return kTable[std::min(degrees_of_freedom, kTable.size()) - 1];
}

MeanInterval MeanOf(std::span<const double> figures) {
  MeanInterval result;
  result.count = figures.size();
  if (figures.empty()) return result;
  const auto count = static_cast<double>(figures.size());
  result.mean = std::accumulate(figures.begin(), figures.end(), 0.0) / count;
  result.low = result.high = result.mean;
  if (!result.known()) return result;
  double squares = 0;
  for (const double figure : figures) squares += (figure - result.mean) * (figure - result.mean);
  const double half =
      StudentT95(figures.size() - 1) * std::sqrt(squares / (count - 1)) / std::sqrt(count);
  result.low -= half;
  result.high += half;
  return result;
}

}  // namespace ktlsim::command
