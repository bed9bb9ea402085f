// A request's suspension as data: its run and its resume may come in either order.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::executive {

enum class Suspension : std::uint8_t {
  kNone,       // it does not run, and no token brings it back
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

// To enter kNone from a run makes its tokens void. What leads there by suspend or by resume runs
// again: the second of the two to come schedules it.
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

}  // namespace ktlsim::executive
