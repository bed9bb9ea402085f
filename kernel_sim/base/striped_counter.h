// StripedCounter: many threads add to it on hot paths. Each of the first threads that count
// anything has a cache line of its own, to which it adds without a locked instruction. Later
// threads share the last line. Readers add up all lines.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ktlsim {

class StripedCounter {
 public:
  void Add(std::uint64_t by = 1) {
    const std::size_t line = Line();
    std::atomic<std::uint64_t>& value = lines_[line].value;
    if (line == kShared) {
      value.fetch_add(by, std::memory_order_relaxed);
    } else {
      value.store(value.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
  }
  std::uint64_t Sum() const {
    std::uint64_t sum = 0;
    for (const auto& line : lines_) sum += line.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr std::size_t kLines = 16;
  static constexpr std::size_t kShared = kLines - 1;
  struct alignas(64) CacheLine {
    std::atomic<std::uint64_t> value{0};
  };

  static std::size_t Line() {
    if (line_and_one_ == 0) line_and_one_ = std::min(++threads_, kLines);
    return line_and_one_ - 1;
  }

  static inline constinit std::atomic<std::size_t> threads_{0};
  // This thread's line plus one; 0: it has not counted yet. constinit spares every use the check
  // for a constructor that has not run.
  static inline constinit thread_local std::size_t line_and_one_ = 0;

  std::array<CacheLine, kLines> lines_;
};

}  // namespace ktlsim
