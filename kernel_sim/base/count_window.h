// CountWindow: which numbers of a sequence have been used, so that each one counts once.
//
// Numbers begin at 1. With a window they may come in any order, up to so far below the highest one;
// without one only the next number counts. All that must be kept is trivially copyable, so that a
// store can hold it.
#pragma once

#include <cstdint>

namespace ktlsim {

struct CountWindow {
  static constexpr std::uint32_t kBelowMax = 64;

  std::uint32_t highest = 0;
  std::uint64_t seen = 0;  // bit i: `highest - 1 - i` was used

  // Uses `count` up if it is good: the next one, or with a `window` (kBelowMax at most; more is as
  // much) any above the highest, or one not yet used among the `window` numbers below it. False:
  // nothing has changed.
  constexpr bool Use(std::uint32_t count, std::uint32_t window) {
    if (count == 0) return false;
    if (count > highest) return Advance(count, window);
    const std::uint32_t back = highest - count;
    if (back == 0 || back > window || back > kBelowMax) return false;
    const std::uint64_t bit = std::uint64_t{1} << (back - 1);
    if ((seen & bit) != 0) return false;
    seen |= bit;
    return true;
  }

  friend constexpr bool operator==(const CountWindow&, const CountWindow&) = default;

 private:
  constexpr bool Advance(std::uint32_t count, std::uint32_t window) {
    const std::uint32_t step = count - highest;
    if (window == 0 && step != 1) return false;
    // The highest so far becomes the bit `step - 1`; those that no longer fit are too far back.
    const std::uint64_t shifted = step < 64 ? seen << step : 0;
    const bool fits = highest != 0 && step <= 64;
    seen = shifted | (fits ? std::uint64_t{1} << (step - 1) : 0);
    highest = count;
    return true;
  }
};

}  // namespace ktlsim
