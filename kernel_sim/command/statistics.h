// The mean of a few repeats and how sure it is.
#pragma once

#include <cstddef>
#include <span>

namespace ktlsim::command {

// The mean of `count` figures. With two or more, `low` to `high` is its 95 % confidence interval by
// Student's t, which assumes that the repeats are independent and nearly normal.
struct MeanInterval {
  std::size_t count = 0;
  double mean = 0;
  double low = 0;
  double high = 0;

  bool known() const { return count >= 2; }
};

MeanInterval MeanOf(std::span<const double> figures);

// The two-sided 95 % quantile of Student's t, as in the usual tables, never too small.
double StudentT95(std::size_t degrees_of_freedom);

}  // namespace ktlsim::command
