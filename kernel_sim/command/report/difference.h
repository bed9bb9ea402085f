// Difference: how much one run's figure differs from another's, in per cent, and how sure that is.
//
// The interval is Welch's, at 95 %, on the logarithms of the figures: a ratio of two means whose
// repeats may scatter differently. It needs two repeats on each side. It knows nothing of what the
// repeats have in common: two builds on one day may differ from the same two tomorrow.
#pragma once

#include <optional>
#include <span>
#include <string>

namespace ktlsim::command::report {

struct Difference {
  struct Interval {
    double low = 0;
    double high = 0;
  };

  double percent = 0;                // of the base; negative: less
  std::optional<Interval> interval;  // in per cent, too; absent: there were too few repeats

  // The interval lies on one side of zero.
  bool shown() const { return interval && (interval->low > 0 || interval->high < 0); }
};

// Nothing where a side has no figure, or one that is not above zero.
std::optional<Difference> DifferenceOf(std::span<const double> base, std::span<const double> other);

// Of at least one figure.
double MeanOf(std::span<const double> figures);

// "12 % fewer us, 95 % interval 9 to 15"; `unit` such as "us". An interval around zero is "no
// difference shown: ...".
std::string DifferenceText(const Difference& difference, const std::string& unit);

}  // namespace ktlsim::command::report
