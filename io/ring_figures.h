// RingFigures: a RingStatistics that the ring's thread counts up and any thread may read.
//
// A figure is named by its member: figures.Add<&RingStatistics::turns>(). So a new figure is one
// line in RingStatistics, and nothing else. For implementors of rings.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "io/ring.h"

namespace ktlsim::io {

class RingFigures {
 public:
  using Member = std::uint64_t RingStatistics::*;

  // On the ring's thread.
  template <Member kFigure>
  void Add(std::uint64_t n = 1) {
    Set<kFigure>(Get<kFigure>() + n);
  }
  template <Member kFigure>
  void Subtract(std::uint64_t n = 1) {
    Set<kFigure>(Get<kFigure>() - n);
  }
  template <Member kFigure>
  void Set(std::uint64_t n) {
    words_[IndexOf(kFigure)].store(n, std::memory_order_relaxed);
  }

  // Any thread. Each figure by itself; together they are no snapshot.
  template <Member kFigure>
  std::uint64_t Get() const {
    return words_[IndexOf(kFigure)].load(std::memory_order_relaxed);
  }
  RingStatistics Read() const {
    Words now{};
    std::transform(words_.begin(), words_.end(), now.begin(),
                   [](const auto& word) { return word.load(std::memory_order_relaxed); });
    return std::bit_cast<RingStatistics>(now);
  }

 private:
  static constexpr std::size_t kFigures = sizeof(RingStatistics) / sizeof(std::uint64_t);
  using Words = std::array<std::uint64_t, kFigures>;

  static consteval std::size_t IndexOf(Member figure) {
    RingStatistics one{};
    one.*figure = 1;
    const Words words = std::bit_cast<Words>(one);
    return static_cast<std::size_t>(std::find(words.begin(), words.end(), 1) - words.begin());
  }

  std::array<std::atomic<std::uint64_t>, kFigures> words_{};
};

}  // namespace ktlsim::io
