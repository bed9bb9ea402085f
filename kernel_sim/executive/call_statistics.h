// What happened to the calls of one lane of one processor: counts, and separate times for waiting
// in a queue, being served, and waiting for the callback.
//
// Unless its comment says otherwise, a counter is written by the processor's thread only. Times are
// those of a sample of the calls (call_clock.h).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace ktlsim::executive {

// Bucket i counts times from 2^i to 2^(i+1) - 1 ns. Bucket 0 also counts zero, and the last bucket
// all longer times.
class TimeHistogram {
 public:
  static constexpr std::size_t kBuckets = 40;
  struct Counts {
    std::array<std::uint64_t, kBuckets> calls{};
    std::uint64_t total_ns = 0;  // of all of them
  };

  static constexpr std::size_t BucketOf(std::uint64_t ns) {
    const std::size_t bucket = ns == 0 ? 0 : static_cast<std::size_t>(std::bit_width(ns)) - 1;
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }

  // Any thread.
  void Add(std::uint64_t ns) {
    counts_[BucketOf(ns)].fetch_add(1, std::memory_order_relaxed);
    total_ns_.fetch_add(ns, std::memory_order_relaxed);
  }
  Counts Read() const {
    Counts counts;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      counts.calls[i] = counts_[i].load(std::memory_order_relaxed);
    }
    counts.total_ns = total_ns_.load(std::memory_order_relaxed);
    return counts;
  }

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
  std::atomic<std::uint64_t> total_ns_{0};
};

struct LaneStatistics {
  std::uint64_t depth = 0;  // accepted and not completed, right now
  std::uint64_t refused = 0;
  std::uint64_t completed = 0;  // the next two included
  std::uint64_t cancelled = 0;
  std::uint64_t timed_out = 0;
  TimeHistogram::Counts queued_ns{};    // acceptance to the first run
  TimeHistogram::Counts served_ns{};    // first run to the final status, suspensions included
  TimeHistogram::Counts notified_ns{};  // final status to the callback's entry
};

struct LaneCounters {
  std::atomic<std::uint64_t> refused{0};  // any thread
  std::atomic<std::uint64_t> completed{0};
  std::atomic<std::uint64_t> cancelled{0};
  std::atomic<std::uint64_t> timed_out{0};
  TimeHistogram queued_ns;
  TimeHistogram served_ns;
  TimeHistogram notified_ns;

  LaneStatistics Read() const {
    return {.refused = refused.load(std::memory_order_relaxed),
            .completed = completed.load(std::memory_order_relaxed),
            .cancelled = cancelled.load(std::memory_order_relaxed),
            .timed_out = timed_out.load(std::memory_order_relaxed),
            .queued_ns = queued_ns.Read(),
            .served_ns = served_ns.Read(),
            .notified_ns = notified_ns.Read()};
  }
};

// Written by one thread only: a plain add, visible to readers.
inline void CountOne(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace ktlsim::executive
