// SidTable: finds a SID among those of a token, however many there are.
//
// Built once, then any thread may look up; a look-up neither allocates nor waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernel_sim/security/sid.h"

namespace ktlsim::security {

class SidTable {
 public:
  // Adds a SID. False: it is there already. Throws bad_alloc.
  bool Add(const Sid& sid);

  std::span<const Sid> all() const { return sids_; }

  // Its index in all(). `hash` is that of `sid`.
  std::optional<std::size_t> Find(SidView sid, std::uint64_t hash) const {
    if (slots_.empty()) return std::nullopt;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = hash & mask; slots_[at].index != kFree; at = (at + 1) & mask) {
      if (slots_[at].hash == hash && sids_[slots_[at].index].view() == sid) {
        return slots_[at].index;
      }
    }
    return std::nullopt;
  }
  std::optional<std::size_t> Find(SidView sid) const { return Find(sid, sid.hash()); }

 private:
  static constexpr std::uint32_t kFree = UINT32_MAX;

  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t index = kFree;
  };

  void Place(std::uint64_t hash, std::uint32_t index);

  std::vector<Sid> sids_;
  std::vector<Slot> slots_;  // a power of two, at most half of them taken
};

}  // namespace ktlsim::security
