// TimerWheel: the armed timers of one ring.
//
// Eight levels of 64 slots; a slot of level n spans 64^n ticks of about a millisecond. A timer sits
// at the level of the highest group of bits in which its tick differs from the wheel's, so every
// timer of a level is due before any timer of the next, and the earliest one is always in the
// first filled slot of the lowest filled level. Deadlines stay exact to the nanosecond: a slot only
// says where to look.
//
// Not thread-safe: it belongs to the ring's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "io/loop.h"

namespace ktlsim::io {

class TimerWheel {
 public:
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  explicit TimerWheel(std::uint64_t now_ns) : tick_(now_ns >> kTickBits) {}
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // O(1). An armed timer moves. A deadline in the past fires at the next Expire.
  void Start(Timer& timer, std::uint64_t deadline_ns);
  // O(1). No-op when not armed.
  void Stop(Timer& timer);

  // Calls OnTimer of each timer due at `now_ns`, earliest first, and returns how many. A timer
  // started meanwhile waits for the next Expire, even when due; one stopped meanwhile is not
  // called. `now_ns` never goes back.
  std::size_t Expire(std::uint64_t now_ns);

  // Exactly the earliest deadline; kNever when nothing is armed. Looks at one slot at most, and
  // only after its earliest timer was stopped or fired.
  std::uint64_t NextDeadlineNs();

  std::size_t armed() const { return armed_; }

 private:
  static constexpr unsigned kTickBits = 20;
  static constexpr unsigned kSlotBits = 6;
  static constexpr std::uint64_t kSlots = 1u << kSlotBits;
  static constexpr unsigned kLevels = 8;
  // One more list than slots: what is due and waits for its call.
  static constexpr std::uint32_t kDue = kLevels * kSlots;
  static_assert(kTickBits + kLevels * kSlotBits >= 64, "every deadline has a slot");

  struct List {
    Timer* head = nullptr;
    Timer* tail = nullptr;
  };

  std::uint32_t SlotFor(std::uint64_t deadline_ns) const;
  // kDue when the wheel is empty.
  std::uint32_t FirstFilledSlot() const;
  std::uint64_t FirstTickOf(std::uint32_t slot) const;
  void Link(Timer& timer, std::uint32_t slot);
  void Unlink(Timer& timer);
  void Advance(std::uint64_t now_ns);
  void MoveDue(std::uint32_t slot, std::uint64_t now_ns);
  static Timer* Sort(Timer* first);
  static Timer* Merge(Timer* a, Timer* b);

  std::array<List, kDue + 1> lists_{};
  std::array<std::uint64_t, kLevels> filled_{};  // one bit per slot
  std::uint64_t tick_;
  std::uint64_t next_deadline_ns_ = kNever;
  std::size_t armed_ = 0;
  bool next_known_ = true;
};

}  // namespace ktlsim::io
