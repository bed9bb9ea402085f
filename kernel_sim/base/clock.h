// Clock: the source of time. It is an interface, so that a seeded schedule can run on virtual time.
#pragma once

#include <cstdint>
#include <ctime>

namespace ktlsim {

inline constexpr std::uint64_t kNsPerUs = 1000;
inline constexpr std::uint64_t kNsPerMs = 1000 * kNsPerUs;
inline constexpr std::uint64_t kNsPerSecond = 1000 * kNsPerMs;

class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic nanoseconds from an arbitrary start. Any thread, any level.
  virtual std::uint64_t NowNs() const = 0;
};

class MonotonicClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return Now(); }

  static std::uint64_t Now() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond +
           static_cast<std::uint64_t>(now.tv_nsec);
  }
};

}  // namespace ktlsim
