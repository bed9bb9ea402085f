// A counter that many threads bump on hot paths: each thread adds to a cache line of its own
// choice, and readers add the lines up.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ktlsim {

class StripedCounter {
 public:
  void Add(std::uint64_t by = 1) { lines_[Line()].value.fetch_add(by, std::memory_order_relaxed); }
  std::uint64_t Sum() const {
    std::uint64_t sum = 0;
    for (const auto& line : lines_) sum += line.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  static constexpr std::size_t kLines = 16;
  struct alignas(64) CacheLine {
    std::atomic<std::uint64_t> value{0};
  };

  static std::size_t Line() {
    static std::atomic<std::size_t> next{0};
    thread_local const std::size_t line = next.fetch_add(1, std::memory_order_relaxed) % kLines;
    return line;
  }

  std::array<CacheLine, kLines> lines_;
};

}  // namespace ktlsim
