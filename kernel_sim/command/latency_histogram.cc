#include "kernel_sim/command/latency_histogram.h"

#include <bit>
#include <cmath>

namespace ktlsim::command {
namespace {

std::uint64_t RankOf(double fraction, std::uint64_t count) {
  // 99.9 / 100 is a little more than 0.999, of which no rank may be made.
  constexpr double kRounding = 1e-14;
  const double share = std::clamp(fraction, 0.0, 1.0) * (1 - kRounding);
  const double exact = std::ceil(share * static_cast<double>(count));
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact), 1, count);
}

}  // namespace

// A value with its highest bit at position kSubBits + s lies in group s + 1 and keeps kSubBits bits
// after that highest bit; smaller values are their own bucket (group 0).
std::size_t LatencyHistogram::BucketOf(std::uint64_t ns) {
  constexpr std::uint64_t kGroup = std::uint64_t{1} << kSubBits;
  ns = std::min(ns, kValueMax);
  if (ns < kGroup) return ns;
  const auto shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - kSubBits;
  return (std::size_t{shift} << kSubBits) + (ns >> shift);
}

std::uint64_t LatencyHistogram::LowerOf(std::size_t bucket) {
  constexpr std::size_t kGroup = std::size_t{1} << kSubBits;
  if (bucket < 2 * kGroup) return bucket;
  return ((bucket & (kGroup - 1)) | kGroup) << ((bucket >> kSubBits) - 1);
}

std::uint64_t LatencyHistogram::UpperOf(std::size_t bucket) { return LowerOf(bucket + 1) - 1; }

std::uint64_t LatencyHistogram::MiddleOf(std::size_t bucket) {
  const std::uint64_t low = LowerOf(bucket);
  return low + (LowerOf(bucket + 1) - low) / 2;
}

void LatencyHistogram::Prepare() {
  if (buckets_.empty()) buckets_.resize(kBuckets);
}

void LatencyHistogram::Record(std::uint64_t ns, std::uint64_t times) {
  if (times == 0) return;
  Prepare();
  ns = std::min(ns, kValueMax);
  const std::size_t bucket = BucketOf(ns);
  buckets_[bucket] += times;
  first_ = std::min(first_, bucket);
  last_ = std::max(last_, bucket);
  count_ += times;
  max_ = std::max(max_, ns);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  if (other.count_ == 0) return;
  Prepare();
  for (std::size_t i = other.first_; i <= other.last_; ++i) buckets_[i] += other.buckets_[i];
  first_ = std::min(first_, other.first_);
  last_ = std::max(last_, other.last_);
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

void LatencyHistogram::Clear() {
  if (count_ == 0) return;
  std::fill(buckets_.begin() + static_cast<std::ptrdiff_t>(first_),
            buckets_.begin() + static_cast<std::ptrdiff_t>(last_) + 1, 0);
  first_ = kBuckets;
  last_ = 0;
  count_ = 0;
  max_ = 0;
}

void LatencyHistogram::SetMax(std::uint64_t ns) {
  if (count_ != 0) max_ = std::clamp(ns, LowerOf(last_), UpperOf(last_));
}

std::uint64_t LatencyHistogram::Min() const { return count_ == 0 ? 0 : LowerOf(first_); }

double LatencyHistogram::Mean() const {
  if (count_ == 0) return 0;
  double sum = 0;
  ForEachIndex([&sum](std::size_t bucket, std::uint64_t count) {
    sum += static_cast<double>(MiddleOf(bucket)) * static_cast<double>(count);
  });
  return sum / static_cast<double>(count_);
}

double LatencyHistogram::Deviation() const {
  if (count_ == 0) return 0;
  const double mean = Mean();
  double sum = 0;
  ForEachIndex([&sum, mean](std::size_t bucket, std::uint64_t count) {
    const double off = static_cast<double>(MiddleOf(bucket)) - mean;
    sum += off * off * static_cast<double>(count);
  });
  return std::sqrt(sum / static_cast<double>(count_));
}

std::uint64_t LatencyHistogram::Percentile(double fraction) const {
  if (count_ == 0) return 0;
  const std::uint64_t rank = RankOf(fraction, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = first_; i <= last_; ++i) {
    seen += buckets_[i];
    if (seen >= rank) return std::min(UpperOf(i), max_);
  }
  return max_;
}

std::uint64_t LatencyHistogram::SamplesAbove(double fraction) const {
  return count_ == 0 ? 0 : count_ - RankOf(fraction, count_);
}

LatencyHistogram LatencyHistogram::Corrected(std::uint64_t interval_ns) const {
  LatencyHistogram corrected;
  corrected.Merge(*this);
  if (interval_ns == 0) return corrected;
  // What is added for one value is bounded, however short the interval is.
  constexpr std::uint64_t kStepsMax = 10000;
  ForEachIndex([&](std::size_t bucket, std::uint64_t count) {
    const std::uint64_t value = std::min(UpperOf(bucket), max_);
    const std::uint64_t steps = value / interval_ns;
    if (steps < 2) return;
    const std::uint64_t each = (steps + kStepsMax - 1) / kStepsMax;
    for (std::uint64_t step = each; step < steps; step += each) {
      corrected.Record(value - step * interval_ns, count * each);
    }
  });
  return corrected;
}

std::vector<LatencyHistogram::Bucket> LatencyHistogram::Buckets() const {
  std::vector<Bucket> filled;
  ForEachIndex([&filled](std::size_t bucket, std::uint64_t count) {
    filled.push_back({UpperOf(bucket), count});
  });
  return filled;
}

}  // namespace ktlsim::command
