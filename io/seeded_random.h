// SeededRandom: numbers for simulations. The same seed gives the same numbers on every machine,
// which the distributions of the standard library do not promise. Not for secrets.
#pragma once

#include <cstdint>

#include "kernel_sim/base/assert.h"

namespace ktlsim::io {

class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}

  // SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
  std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // 0 to bound - 1. The bias of the remainder does not matter here.
  std::uint64_t Below(std::uint64_t bound) {
    KTLSIM_ASSERT(bound != 0);
    return Next() % bound;
  }
  // Both ends included.
  std::uint64_t Between(std::uint64_t low, std::uint64_t high) {
    KTLSIM_ASSERT(low <= high);
    return low + Below(high - low + 1);
  }
  // True `per_mille` times in a thousand. Draws nothing for 0 and for 1000 and more.
  bool Chance(unsigned per_mille) {
    if (per_mille == 0 || per_mille >= 1000) return per_mille != 0;
    return Below(1000) < per_mille;
  }

 private:
  std::uint64_t state_;
};

}  // namespace ktlsim::io
