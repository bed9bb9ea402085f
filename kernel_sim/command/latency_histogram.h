// LatencyHistogram: counts of durations in log-linear buckets, from which percentiles are read.
//
// Every power of two is cut into 128 equal buckets, so a percentile is off by less than 0.8 %, at
// any size; 0 to 255 ns are exact. Recording is a shift and an increment and allocates nothing.
// Not thread-safe: one per thread, merged at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktlsim::command {

class LatencyHistogram {
 public:
  // About 18 minutes; what is longer counts as this long.
  static constexpr std::uint64_t kValueMax = (std::uint64_t{1} << 40) - 1;

  LatencyHistogram();

  void Record(std::uint64_t ns);
  void Merge(const LatencyHistogram& other);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  // The smallest value that `fraction` (0 to 1) of the recorded ones do not exceed, as the middle
  // of its bucket, never more than max(). 0 when nothing was recorded.
  std::uint64_t Percentile(double fraction) const;

 private:
  static constexpr unsigned kSubBits = 7;

  static std::size_t BucketOf(std::uint64_t ns);
  static std::uint64_t MiddleOf(std::size_t bucket);

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace ktlsim::command
