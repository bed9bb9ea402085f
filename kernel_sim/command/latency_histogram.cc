#include "kernel_sim/command/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace ktlsim::command {

// A value with its highest bit at position kSubBits + s lies in group s + 1 and keeps kSubBits bits
// after that highest bit; smaller values are their own bucket (group 0).
std::size_t LatencyHistogram::BucketOf(std::uint64_t ns) {
  constexpr std::uint64_t kGroup = std::uint64_t{1} << kSubBits;
  if (ns < kGroup) return ns;
  const auto shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - kSubBits;
  return (std::size_t{shift} << kSubBits) + (ns >> shift);
}

std::uint64_t LatencyHistogram::MiddleOf(std::size_t bucket) {
  constexpr std::size_t kGroup = std::size_t{1} << kSubBits;
  if (bucket < 2 * kGroup) return bucket;
  const std::size_t shift = (bucket >> kSubBits) - 1;
  const std::uint64_t low = ((bucket & (kGroup - 1)) | kGroup) << shift;
  return low + (std::uint64_t{1} << shift) / 2;
}

LatencyHistogram::LatencyHistogram() : buckets_(BucketOf(kValueMax) + 1) {}

void LatencyHistogram::Record(std::uint64_t ns) {
  ns = std::min(ns, kValueMax);
  ++buckets_[BucketOf(ns)];
  ++count_;
  max_ = std::max(max_, ns);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

std::uint64_t LatencyHistogram::Percentile(double fraction) const {
  if (count_ == 0) return 0;
  const double exact = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_));
  const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(exact));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(MiddleOf(i), max_);
  }
  return max_;
}

}  // namespace ktlsim::command
