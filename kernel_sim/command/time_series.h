// TimeSeries: what happened in each interval of the measured time.
//
// Intervals are short enough for a curve and few enough for a file: a tenth of a second up to a
// minute, a second up to two hours, and ten seconds beyond. One per loop, written by the loop's
// thread; merged at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernel_sim/command/latency_histogram.h"

namespace ktlsim::command {

class TimeSeries {
 public:
  struct Interval {
    std::uint64_t operations = 0;  // that were completed in it
    std::uint64_t bytes = 0;
    std::uint64_t errors = 0;
    std::uint64_t max_ns = 0;
    std::vector<LatencyHistogram::Bucket> buckets;  // of the operations completed in it

    LatencyHistogram Latency() const;
  };

  static std::uint64_t IntervalFor(std::uint64_t duration_ns);

  // `duration_ns`: how long is measured. What comes after it belongs to the last interval.
  // Allocates for all intervals.
  void Prepare(std::uint64_t duration_ns);
  std::uint64_t interval_ns() const { return interval_ns_; }

  // `at_ns`: since measuring began. It never goes back for operations; Finish ends the last one.
  void AddOperation(std::uint64_t at_ns, std::uint64_t latency_ns);
  void AddBytes(std::uint64_t at_ns, std::uint64_t bytes);
  void AddErrors(std::uint64_t at_ns, std::uint64_t errors);
  void Finish();
  // Intervals of the same length. Both are finished.
  void Merge(const TimeSeries& other);

  const std::vector<Interval>& intervals() const { return intervals_; }

 private:
  std::size_t IndexOf(std::uint64_t at_ns) const;

  std::uint64_t interval_ns_ = 0;
  std::vector<Interval> intervals_;
  LatencyHistogram current_;
  std::size_t current_index_ = 0;
};

}  // namespace ktlsim::command
