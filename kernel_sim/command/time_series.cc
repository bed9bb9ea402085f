#include "kernel_sim/command/time_series.h"

#include <algorithm>

#include "kernel_sim/base/clock.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kFineNs = kNsPerSecond / 10;
constexpr std::uint64_t kFineUpToNs = 60 * kNsPerSecond;
constexpr std::uint64_t kSecondsUpToNs = 7200 * kNsPerSecond;

}  // namespace

LatencyHistogram TimeSeries::Interval::Latency() const {
  LatencyHistogram latency;
  for (const LatencyHistogram::Bucket& bucket : buckets) {
    latency.Record(bucket.upper_ns, bucket.count);
  }
  latency.SetMax(max_ns);
  return latency;
}

std::uint64_t TimeSeries::IntervalFor(std::uint64_t duration_ns) {
  if (duration_ns <= kFineUpToNs) return kFineNs;
  return duration_ns <= kSecondsUpToNs ? kNsPerSecond : 10 * kNsPerSecond;
}

void TimeSeries::Prepare(std::uint64_t duration_ns) {
  interval_ns_ = IntervalFor(duration_ns);
  intervals_.resize(std::max<std::uint64_t>(1, (duration_ns + interval_ns_ - 1) / interval_ns_));
  current_.Prepare();
}

std::size_t TimeSeries::IndexOf(std::uint64_t at_ns) const {
  return std::min<std::size_t>(at_ns / interval_ns_, intervals_.size() - 1);
}

void TimeSeries::AddOperation(std::uint64_t at_ns, std::uint64_t latency_ns) {
  if (intervals_.empty()) return;
  const std::size_t index = IndexOf(at_ns);
  if (index != current_index_) {
    Finish();
    current_index_ = index;
  }
  ++intervals_[index].operations;
  current_.Record(latency_ns);
}

void TimeSeries::AddBytes(std::uint64_t at_ns, std::uint64_t bytes) {
  if (!intervals_.empty()) intervals_[IndexOf(at_ns)].bytes += bytes;
}

void TimeSeries::AddErrors(std::uint64_t at_ns, std::uint64_t errors) {
  if (!intervals_.empty()) intervals_[IndexOf(at_ns)].errors += errors;
}

void TimeSeries::Finish() {
  if (current_.count() == 0) return;
  Interval& interval = intervals_[current_index_];
  LatencyHistogram all = interval.Latency();
  all.Merge(current_);
  interval.max_ns = all.max();
  interval.buckets = all.Buckets();
  current_.Clear();
}

void TimeSeries::Merge(const TimeSeries& other) {
  if (interval_ns_ == 0) interval_ns_ = other.interval_ns_;
  if (intervals_.size() < other.intervals_.size()) intervals_.resize(other.intervals_.size());
  for (std::size_t i = 0; i < other.intervals_.size(); ++i) {
    const Interval& theirs = other.intervals_[i];
    Interval& mine = intervals_[i];
    mine.operations += theirs.operations;
    mine.bytes += theirs.bytes;
    mine.errors += theirs.errors;
    LatencyHistogram latency = mine.Latency();
    latency.Merge(theirs.Latency());
    mine.max_ns = latency.max();
    mine.buckets = latency.Buckets();
  }
}

}  // namespace ktlsim::command
