// LatencyHistogram: counts of durations in log-linear buckets, from which percentiles are read.
//
// The buckets are those of HdrHistogram for nanoseconds with three significant digits: every power
// of two is cut into 1024 equal buckets, so a value is off by less than 0.1 %, from 1 ns to 18
// minutes. 0 to 2047 ns are exact. Recording is a shift and an increment, and allocates at most
// once. Histograms of several threads, processes and machines add up.
//
// Not thread-safe: one per thread, merged at the end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ktlsim::command {

class LatencyHistogram {
 public:
  // About 18 minutes; what is longer counts as this long.
  static constexpr std::uint64_t kValueMax = (std::uint64_t{1} << 40) - 1;
  static constexpr unsigned kSubBits = 10;
  static constexpr unsigned kSignificantDigits = 3;
  static constexpr std::size_t kBuckets = ((40 - kSubBits) + 1) << kSubBits;

  // The highest value of its bucket, and how many were recorded there.
  struct Bucket {
    std::uint64_t upper_ns = 0;
    std::uint64_t count = 0;
  };

  static std::size_t BucketOf(std::uint64_t ns);
  static std::uint64_t LowerOf(std::size_t bucket);
  static std::uint64_t UpperOf(std::size_t bucket);
  static std::uint64_t MiddleOf(std::size_t bucket);

  // Allocates what the first Record would allocate.
  void Prepare();
  void Record(std::uint64_t ns, std::uint64_t times = 1);
  void Merge(const LatencyHistogram& other);
  void Clear();
  // The exact maximum, where only the buckets were known: it lies in the highest filled one.
  void SetMax(std::uint64_t ns);

  std::uint64_t count() const { return count_; }
  std::uint64_t max() const { return max_; }
  // The lower end of the lowest filled bucket. 0 when nothing was recorded.
  std::uint64_t Min() const;
  // From the middles of the buckets.
  double Mean() const;
  double Deviation() const;
  // The smallest value that `fraction` (0 to 1) of the recorded ones do not exceed, as the upper
  // end of its bucket, never more than max(). 0 when nothing was recorded.
  std::uint64_t Percentile(double fraction) const;
  // How many lie in buckets above the one of that percentile and in it, so far as they exceed it:
  // the samples on which its value rests.
  std::uint64_t SamplesAbove(double fraction) const;
  // How it would be, had the operation been due every `interval_ns`: a longer one makes those late
  // that were due meanwhile (HdrHistogram's correction for coordinated omission).
  LatencyHistogram Corrected(std::uint64_t interval_ns) const;

  // Calls `take(bucket, count)` for each filled bucket, the shortest first.
  template <typename Take>
  void ForEachIndex(Take take) const {
    if (count_ == 0) return;
    for (std::size_t i = first_; i <= last_; ++i) {
      if (buckets_[i] != 0) take(i, buckets_[i]);
    }
  }
  std::vector<Bucket> Buckets() const;

 private:
  std::vector<std::uint64_t> buckets_;  // empty until something is recorded
  std::size_t first_ = kBuckets;        // of the filled ones
  std::size_t last_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace ktlsim::command
