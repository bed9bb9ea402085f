// EndWatch: a second request that a ring may keep in the kernel beside a receive, for the end of
// the connection. README.md says why. Its life is a table, which README.md shows.
//
// Private to io. On the ring's thread.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::io {

enum class WatchState : std::uint8_t {
  kNone,
  kWatching,
  kCancelled,  // still in the kernel, which has been asked to let it go
  kFired,      // the kernel ended it: the connection has ended, or watching it failed
};

enum class WatchEvent : std::uint8_t {
  kArm,   // submitted
  kFire,  // its completion came, not caused by a cancellation
  kCancel,
  kLetGo,  // the kernel no longer has it, and nothing is known of the connection
};

inline constexpr StateTable kWatchTable(std::array{
    Transition{WatchState::kNone, WatchEvent::kArm, WatchState::kWatching},
    Transition{WatchState::kWatching, WatchEvent::kFire, WatchState::kFired},
    Transition{WatchState::kWatching, WatchEvent::kCancel, WatchState::kCancelled},
    Transition{WatchState::kWatching, WatchEvent::kLetGo, WatchState::kNone},
    Transition{WatchState::kCancelled, WatchEvent::kFire, WatchState::kFired},
    Transition{WatchState::kCancelled, WatchEvent::kLetGo, WatchState::kNone},
});

static_assert(!kWatchTable.Legal(WatchState::kFired, WatchEvent::kArm),
              "a receive whose connection has ended looks by itself");

constexpr const char* NameOf(WatchState state) {
  switch (state) {
    case WatchState::kNone:
      return "none";
    case WatchState::kWatching:
      return "watching";
    case WatchState::kCancelled:
      return "cancelled";
    case WatchState::kFired:
      return "fired";
  }
  return "?";
}

constexpr const char* NameOf(WatchEvent event) {
  switch (event) {
    case WatchEvent::kArm:
      return "arm";
    case WatchEvent::kFire:
      return "fire";
    case WatchEvent::kCancel:
      return "cancel";
    case WatchEvent::kLetGo:
      return "let go";
  }
  return "?";
}

class EndWatch {
 public:
  WatchState state() const { return state_; }
  // While true, the kernel may still post a completion that names the receive.
  bool in_kernel() const {
    return state_ == WatchState::kWatching || state_ == WatchState::kCancelled;
  }

  void Arm() { Move(WatchEvent::kArm); }
  void Cancel() { Move(WatchEvent::kCancel); }
  // The kernel completed it with `result`. True: it fired.
  bool Complete(std::int32_t result) {
    const bool fired = result > 0 || state_ == WatchState::kWatching;
    Move(fired ? WatchEvent::kFire : WatchEvent::kLetGo);
    return fired;
  }
  // The kernel was emptied. A watch that it did not have stays as it is.
  void LetGo() {
    if (in_kernel()) Move(WatchEvent::kLetGo);
  }

 private:
  void Move(WatchEvent event) { state_ = kWatchTable.After(state_, event); }

  WatchState state_ = WatchState::kNone;
};

}  // namespace ktlsim::io
