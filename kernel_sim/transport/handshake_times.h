// HandshakeTimes: how long the handshakes of one loop have taken, by what they have negotiated.
//
// Written by the loop's thread only, with plain adds; read by any thread, without a lock. The
// histogram of a combination is made with its first handshake, and later ones allocate nothing.
// There is a bounded number of combinations: what is not known by name counts as "other".
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/transport/memory.h"

namespace ktlsim::io {
class Loop;
}  // namespace ktlsim::io

namespace ktlsim::transport {

// Class 0 has times below 2^kFirstBit ns. Each power of two from there on has two classes, so a
// class is at most half as wide as it is high. The last one has everything above.
class HandshakeClasses {
 public:
  static constexpr unsigned kFirstBit = 15;  // 33 us
  static constexpr unsigned kLastBit = 35;   // 34 s
  static constexpr std::size_t kClasses = 2 * std::size_t{kLastBit - kFirstBit} + 2;

  static constexpr std::size_t Of(std::uint64_t ns) {
    if (ns >> kFirstBit == 0) return 0;
    const auto top = static_cast<unsigned>(std::bit_width(ns)) - 1;
    if (top >= kLastBit) return kClasses - 1;
    return 1 + 2 * std::size_t{top - kFirstBit} + ((ns >> (top - 1)) & 1);
  }
  // The first time that is above the class; the last class has none.
  static constexpr std::uint64_t End(std::size_t index) {
    if (index == 0) return std::uint64_t{1} << kFirstBit;
    const std::uint64_t low = std::uint64_t{1} << (kFirstBit + (index - 1) / 2);
    return (index - 1) % 2 == 0 ? low + low / 2 : 2 * low;
  }
};

struct HandshakeFacts {
  std::uint16_t cipher_suite = 0;  // IANA number
  std::uint16_t group = 0;         // as in ConnectionInfo
  bool resumed = false;
};

// The handshakes of one combination, of all loops.
struct HandshakeFigures {
  const char* version = "";  // "1.2", "1.3", "other"
  const char* suite = "";    // IANA's name
  const char* group = "";    // "X25519"; "none": the session has none
  bool resumed = false;
  std::array<std::uint64_t, HandshakeClasses::kClasses> calls{};
  std::uint64_t total_ns = 0;
};

class HandshakeTimes {
 public:
  HandshakeTimes() = default;
  ~HandshakeTimes();
  HandshakeTimes(const HandshakeTimes&) = delete;
  HandshakeTimes& operator=(const HandshakeTimes&) = delete;

  // On the loop's thread.
  void Add(const HandshakeFacts& facts, std::uint64_t ns);
  // How many were left out, because there was no memory for a new combination. Any thread.
  std::uint64_t left_out() const { return left_out_.value(); }

 private:
  friend class HandshakeTimesOfLoops;

  static constexpr std::size_t kSuites = 10;  // "other" is the last
  static constexpr std::size_t kGroups = 7;   // likewise
  static constexpr std::size_t kCombinations = kSuites * kGroups * 2;
  struct Cell {
    std::array<Counter, HandshakeClasses::kClasses> calls;
    Counter total_ns;
  };

  static std::size_t IndexOf(const HandshakeFacts& facts);
  static HandshakeFigures Describe(std::size_t index);

  std::array<std::atomic<Cell*>, kCombinations> cells_{};
  Counter left_out_;
};

// One for each loop, made when it is first asked for. Must outlive every path that uses it.
class HandshakeTimesOfLoops {
 public:
  // Throws bad_alloc. Passive level.
  HandshakeTimes& On(const io::Loop& loop);
  // Those that there were, in a fixed order. Throws bad_alloc. Passive level.
  std::vector<HandshakeFigures> Read() const;
  std::uint64_t left_out() const;

 private:
  mutable Mutex mutex_;
  std::vector<std::pair<const io::Loop*, std::unique_ptr<HandshakeTimes>>> loops_
      KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::transport
