// A request's suspension as data: the end of its run and its resume may come in either order.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::executive {

enum class Suspension : std::uint8_t {
  kNone,       // it does not run, and no token can bring it back
  kRunning,    // tokens are being handed out
  kSuspended,  // a token will bring it back
  kResumed,    // a token was used before the run was over
};

enum class SuspensionEvent : std::uint8_t {
  kRun,
  kEnd,      // the run has completed the call; tokens are void
  kSuspend,  // the run is over and the call is not
  kResume,   // a token is used
};

// Entering kNone makes all tokens void. A request that enters it by suspend or by resume runs
// again: the later of the two events schedules it.
inline constexpr StateTable kSuspensionTable(std::array{
    Transition{Suspension::kNone, SuspensionEvent::kRun, Suspension::kRunning},
    Transition{Suspension::kRunning, SuspensionEvent::kEnd, Suspension::kNone},
    Transition{Suspension::kRunning, SuspensionEvent::kSuspend, Suspension::kSuspended},
    Transition{Suspension::kRunning, SuspensionEvent::kResume, Suspension::kResumed},
    Transition{Suspension::kSuspended, SuspensionEvent::kResume, Suspension::kNone},
    Transition{Suspension::kResumed, SuspensionEvent::kSuspend, Suspension::kNone},
    Transition{Suspension::kResumed, SuspensionEvent::kEnd, Suspension::kNone},
});

static_assert(!kSuspensionTable.Legal(Suspension::kNone, SuspensionEvent::kResume));
static_assert(!kSuspensionTable.Legal(Suspension::kResumed, SuspensionEvent::kResume),
              "a token is used once");

constexpr const char* NameOf(Suspension state) {
  switch (state) {
    case Suspension::kNone:
      return "none";
    case Suspension::kRunning:
      return "running";
    case Suspension::kSuspended:
      return "suspended";
    case Suspension::kResumed:
      return "resumed";
  }
  return "?";
}

constexpr const char* NameOf(SuspensionEvent event) {
  switch (event) {
    case SuspensionEvent::kRun:
      return "run";
    case SuspensionEvent::kEnd:
      return "end";
    case SuspensionEvent::kSuspend:
      return "suspend";
    case SuspensionEvent::kResume:
      return "resume";
  }
  return "?";
}

// The suspension of one request. State and generation are one word, so that a token cannot confuse
// the request with the next user of its memory: each way back to kNone begins a generation.
class SuspensionCell {
 public:
  // On the thread of the processor that runs the request.

  // Before the first run of a call.
  void BeginCall() { resumed_ = false; }
  void BeginRun() { Store(std::memory_order_relaxed, SuspensionEvent::kRun); }
  // The run has completed the call. Tokens that were not used become void, and using one at this
  // moment changes nothing.
  void EndRun() { Store(std::memory_order_acquire, SuspensionEvent::kEnd); }
  // The run has not completed the call. True: a token was used already, and the caller brings the
  // request back. False: from here on the request belongs to the user of its token.
  [[nodiscard]] bool Suspend() {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    std::uint64_t after = 0;
    do {
      after = After(word, SuspensionEvent::kSuspend);
    } while (!word_.compare_exchange_weak(word, after, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return EndsIn(after);
  }
  // True from the second run of the call on.
  bool resumed() const { return resumed_; }

  // For a new token. Only in a run.
  std::uint64_t generation() const { return GenerationOf(word_.load(std::memory_order_relaxed)); }
  // A token of `generation` is used. True: the caller brings the request back. False: the run has
  // not ended yet, the token was used before, or the call is over. Any thread.
  [[nodiscard]] bool Resume(std::uint64_t generation) {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    std::uint64_t after = 0;
    do {
      if (GenerationOf(word) != generation) return false;
      if (!kSuspensionTable.Legal(StateOf(word), SuspensionEvent::kResume)) return false;
      after = After(word, SuspensionEvent::kResume);
    } while (!word_.compare_exchange_weak(word, after, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return EndsIn(after);
  }

 private:
  static Suspension StateOf(std::uint64_t word) { return static_cast<Suspension>(word & 0xff); }
  static std::uint64_t GenerationOf(std::uint64_t word) { return word >> 8; }
  static std::uint64_t After(std::uint64_t word, SuspensionEvent event) {
    const Suspension to = kSuspensionTable.After(StateOf(word), event);
    const std::uint64_t generation = GenerationOf(word) + (to == Suspension::kNone ? 1 : 0);
    return generation << 8 | static_cast<std::uint64_t>(to);
  }
  // A suspend or a resume has moved the word to `after`. True: it was the later of the two.
  bool EndsIn(std::uint64_t after) {
    if (StateOf(after) != Suspension::kNone) return false;
    resumed_ = true;
    return true;
  }
  void Store(std::memory_order load_order, SuspensionEvent event) {
    word_.store(After(word_.load(load_order), event), std::memory_order_relaxed);
  }

  // Generation (upper 56 bits) and Suspension (lower 8).
  std::atomic<std::uint64_t> word_{0};
  bool resumed_ = false;
};

}  // namespace ktlsim::executive
