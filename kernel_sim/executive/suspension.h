// A request's suspension as data: the end of its run and its resume may come in either order.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::executive {

// Why a request runs.
enum class CallRun : std::uint8_t {
  kFirst,     // its turn has come
  kResumed,   // the token of its suspension was used
  kTimedOut,  // the limit of its suspension is over; the token was not used and is void
  kStopping,  // the executive stops: likewise
};

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
  kResume,   // a token is used, or its time is over
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

// The suspension of one request. State, cause of the next run and generation are one word, so that
// a token cannot confuse the request with the next user of its memory, and one of several threads
// brings it back: each way back to kNone begins a generation.
class SuspensionCell {
 public:
  // On the thread of the processor that runs the request.

  // Before the first run of a call.
  void BeginCall() {
    begun_ = false;
    word_.store(word_.load(std::memory_order_relaxed) & ~kCauseMask, std::memory_order_relaxed);
  }
  void BeginRun() {
    begun_ = true;
    Store(std::memory_order_relaxed, SuspensionEvent::kRun);
  }
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
  // True from the first run of the call on.
  bool begun() const { return begun_; }
  // Why the call runs. Only in a run.
  CallRun cause() const { return CauseOf(word_.load(std::memory_order_relaxed)); }

  // For a new token. Only in a run, or for a request that cannot end meanwhile.
  std::uint64_t generation() const { return GenerationOf(word_.load(std::memory_order_relaxed)); }
  // A token of `generation` is used, or its time is over; `cause`: any but kFirst. True: the caller
  // brings the request back. False: the run has not ended yet, another call was first, or the call
  // is over. Any thread.
  [[nodiscard]] bool Resume(std::uint64_t generation, CallRun cause) {
    std::uint64_t word = word_.load(std::memory_order_acquire);
    std::uint64_t after = 0;
    do {
      if (GenerationOf(word) != generation) return false;
      if (!kSuspensionTable.Legal(StateOf(word), SuspensionEvent::kResume)) return false;
      after = (After(word, SuspensionEvent::kResume) & ~kCauseMask) |
              static_cast<std::uint64_t>(cause) << kCauseShift;
    } while (!word_.compare_exchange_weak(word, after, std::memory_order_acq_rel,
                                          std::memory_order_acquire));
    return EndsIn(after);
  }

 private:
  static constexpr std::uint64_t kStateMask = 0x0f;
  static constexpr unsigned kCauseShift = 4;
  static constexpr std::uint64_t kCauseMask = 0xf0;
  static constexpr unsigned kGenerationShift = 8;

  static Suspension StateOf(std::uint64_t word) {
    return static_cast<Suspension>(word & kStateMask);
  }
  static CallRun CauseOf(std::uint64_t word) {
    return static_cast<CallRun>((word & kCauseMask) >> kCauseShift);
  }
  static std::uint64_t GenerationOf(std::uint64_t word) { return word >> kGenerationShift; }
  static std::uint64_t After(std::uint64_t word, SuspensionEvent event) {
    const Suspension to = kSuspensionTable.After(StateOf(word), event);
    const std::uint64_t generation = GenerationOf(word) + (to == Suspension::kNone ? 1 : 0);
    return generation << kGenerationShift | (word & kCauseMask) | static_cast<std::uint64_t>(to);
  }
  // A suspend or a resume has moved the word to `after`. True: it was the later of the two.
  static bool EndsIn(std::uint64_t after) { return StateOf(after) == Suspension::kNone; }
  void Store(std::memory_order load_order, SuspensionEvent event) {
    word_.store(After(word_.load(load_order), event), std::memory_order_relaxed);
  }

  // Generation (upper 56 bits), CallRun (4) and Suspension (lower 4).
  std::atomic<std::uint64_t> word_{0};
  bool begun_ = false;
};

}  // namespace ktlsim::executive
