// NonceCounts: which nonce counts have been used, so that a request counts once (RFC 7616 3.4.5
// asks for it and leaves the way open).
//
// What a newcomer gets wrong: a count is looked at before the response is verified, but used up
// only after that. Otherwise anybody could use up the counts of another's context.
#pragma once

#include <cstdint>

#include "kernel_sim/base/mutex.h"

namespace ktlsim::digest {

enum class CountVerdict : std::uint8_t {
  kNew,
  kReplayed,       // used before
  kOutOfSequence,  // not the next one where the order counts, or too far back to know; or 0
  kExhausted,      // the nonce has been used as often as it may: a new one is due
};

// From this count on a nonce is exhausted.
inline constexpr std::uint32_t kNonceCountEnd = 0xffffff00;

// How far below the highest count a late count may be. A client with several connections sends its
// counts in any order.
inline constexpr unsigned kCountWindowMax = 64;
inline constexpr unsigned kCountWindowDefault = 64;
inline constexpr unsigned kCountWindowStrict = 0;  // exactly the last one and 1

// All that must be kept for one nonce. Trivially copyable, so that a store can hold it.
struct CountState {
  std::uint32_t highest = 0;
  std::uint64_t seen = 0;  // bit i: `highest - 1 - i` was used

  friend constexpr bool operator==(const CountState&, const CountState&) = default;
};

// Judges `count` against `state`, with a window of at most kCountWindowMax. With kNew, `*next` is
// the state after it; otherwise it is `state`. This is the whole rule, for any keeper of the state.
constexpr CountVerdict JudgeCount(const CountState& state, std::uint32_t count, unsigned window,
                                  CountState* next) {
  *next = state;
  if (count >= kNonceCountEnd) return CountVerdict::kExhausted;
  if (count == 0) return CountVerdict::kOutOfSequence;
  if (count > state.highest) {
    const std::uint32_t step = count - state.highest;
    if (window == kCountWindowStrict && step != 1) return CountVerdict::kOutOfSequence;
    // The highest so far becomes the bit `step - 1`; those that no longer fit are too far back.
    const std::uint64_t shifted = step < 64 ? state.seen << step : 0;
    const bool any = state.highest != 0 && step <= 64;
    *next = {.highest = count, .seen = shifted | (any ? std::uint64_t{1} << (step - 1) : 0)};
    return CountVerdict::kNew;
  }
  // In order, each one up to the highest has been used.
  if (count == state.highest || window == kCountWindowStrict) return CountVerdict::kReplayed;
  const std::uint32_t back = state.highest - count;
  if (back > window) return CountVerdict::kOutOfSequence;
  const std::uint64_t bit = std::uint64_t{1} << (back - 1);
  if ((state.seen & bit) != 0) return CountVerdict::kReplayed;
  next->seen |= bit;
  return CountVerdict::kNew;
}

// The counts of one nonce, for any number of threads. Any level.
class NonceCounts {
 public:
  // `window` is at most kCountWindowMax.
  explicit NonceCounts(unsigned window, const CountState& state = {})
      : window_(window), state_(state) {}

  // What Use would return now. Another thread may use `count` before this one does.
  CountVerdict Look(std::uint32_t count) const KTLSIM_EXCLUDES(lock_);

  // Judges `count` and uses it up if it is new, in one step: of two threads with one count, one is
  // told kNew. Call it once the response has been verified.
  CountVerdict Use(std::uint32_t count) KTLSIM_EXCLUDES(lock_);

  CountState state() const KTLSIM_EXCLUDES(lock_);

 private:
  const unsigned window_;
  mutable SpinLock lock_;
  CountState state_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::digest
