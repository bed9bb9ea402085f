// The word of an async context holds its state, its flags and its generation. Update is the one way
// to change it. Private to AsyncContextTable.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/executive/async_context.h"
#include "kernel_sim/executive/async_state.h"

namespace ktlsim::executive {

inline constexpr std::uint64_t kStateMask = 0x0f;  // a StateTable has no more
// A caller is changing callback, mode or limit, which takes a few instructions.
inline constexpr std::uint64_t kConfiguring = 0x10;
// Freed while in flight: the runtime frees it when the call is over.
inline constexpr std::uint64_t kOrphaned = 0x20;
// There is a final status to read, also after Free.
inline constexpr std::uint64_t kHasStatus = 0x40;
inline constexpr unsigned kGenerationShift = 32;
inline constexpr std::uint64_t kLow = 0xffffffff;

inline AsyncState StateOf(std::uint64_t word) { return static_cast<AsyncState>(word & kStateMask); }
// The word after a legal `event`.
inline std::uint64_t After(std::uint64_t word, AsyncEvent event) {
  AsyncState to{};
  KTLSIM_CHECK(Next(StateOf(word), event, &to));
  return (word & ~kStateMask) | static_cast<std::uint64_t>(to);
}

// `decide` returns it while another thread holds the configure bit.
inline constexpr std::uint64_t kLookAgain = ~std::uint64_t{0};

// A word before and after an update. Both are the same when `decide` left it alone.
struct Change {
  std::uint64_t before;
  std::uint64_t after;
};
// Replaces `word` in one step by what `decide(word)` returns. When another thread changes the word
// in between, `decide` runs again on the new value. Nothing is written when it returns the value it
// was given; kLookAgain waits for another value.
template <typename Decide>
inline Change Update(std::atomic<std::uint64_t>& word, Decide decide) {
  std::uint64_t before = word.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t after = decide(before);
    if (after == kLookAgain) {
      before = word.load(std::memory_order_acquire);
      continue;
    }
    // Release: a thread that sees the new state sees what this thread wrote before. Acquire: this
    // thread sees what the last mover wrote.
    if (after == before || word.compare_exchange_weak(before, after, std::memory_order_acq_rel,
                                                      std::memory_order_acquire)) {
      return {before, after};
    }
  }
}

// Moves `word` by `event`, which must remain legal; other threads may change flags meanwhile.
inline Change Move(std::atomic<std::uint64_t>& word, AsyncEvent event) {
  return Update(word, [event](std::uint64_t before) { return After(before, event); });
}
// The word after `event` has ended a call. This also frees a context that was freed in flight.
inline std::uint64_t AfterEnd(std::uint64_t word, AsyncEvent event) {
  const std::uint64_t after = After(word, event);
  return (word & kOrphaned) != 0 ? After(after & ~kOrphaned, AsyncEvent::kFree) : after;
}

inline bool SameGeneration(std::uint64_t word, AsyncHandle handle) {
  return word >> kGenerationShift == handle >> kGenerationShift;
}
// The handle names a context that its owner has not freed.
inline bool Alive(std::uint64_t word, AsyncHandle handle) {
  return SameGeneration(word, handle) && StateOf(word) != AsyncState::kFreed &&
         (word & kOrphaned) == 0;
}
inline AsyncHandle HandleOf(const AsyncContextSlot& slot, std::uint64_t word) {
  return (word & ~kLow) | (std::uint64_t{slot.index} + 1);
}

// Why a context in this state cannot be freed, configured, claimed or recalled; null or kOk: it
// can.
inline const char* MisuseOfFree(std::uint64_t word, AsyncHandle handle) {
  if (!SameGeneration(word, handle)) return "free of a stale async context";
  return Alive(word, handle) ? nullptr : "async context freed twice";
}
inline AsyncResult RefusalToConfigure(std::uint64_t word, AsyncHandle handle) {
  if (!Alive(word, handle)) return AsyncResult::kInvalidHandle;
  return InFlight(StateOf(word)) ? AsyncResult::kInUse : AsyncResult::kOk;
}
inline AsyncResult RefusalToClaim(std::uint64_t word, AsyncHandle handle) {
  if (!Alive(word, handle)) return AsyncResult::kInvalidHandle;
  if (StateOf(word) == AsyncState::kDone) return AsyncResult::kNotReinitialised;
  return StateOf(word) == AsyncState::kIdle ? AsyncResult::kOk : AsyncResult::kInUse;
}
inline AsyncResult RefusalToRecall(std::uint64_t word, AsyncHandle handle) {
  if (!Alive(word, handle)) return AsyncResult::kInvalidHandle;
  const AsyncState state = StateOf(word);
  if (state == AsyncState::kDone) return AsyncResult::kTooLate;
  if (!InFlight(state) || state == AsyncState::kClaimed) return AsyncResult::kNeverSubmitted;
  return Legal(state, AsyncEvent::kRecall) ? AsyncResult::kOk : AsyncResult::kTooLate;
}

}  // namespace ktlsim::executive
