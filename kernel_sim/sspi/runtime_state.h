// The life of the runtime as data: when calls are taken, refused, or start it.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::sspi {

enum class RuntimeState : std::uint8_t {
  kNeverStarted,  // the first call starts it
  kRunning,
  kStopping,  // calls are refused, what was accepted is completed
  kStopped,   // until KtlsimStart
  kForked,    // in a child, whose parent's threads do not exist: until KtlsimStart
};

enum class RuntimeEvent : std::uint8_t {
  kStart,
  kStop,
  kDrained,
  kFork,  // in the child
};

inline constexpr StateTable kRuntimeTable(std::array{
    Transition{RuntimeState::kNeverStarted, RuntimeEvent::kStart, RuntimeState::kRunning},
    Transition{RuntimeState::kStopped, RuntimeEvent::kStart, RuntimeState::kRunning},
    Transition{RuntimeState::kForked, RuntimeEvent::kStart, RuntimeState::kRunning},
    Transition{RuntimeState::kRunning, RuntimeEvent::kStop, RuntimeState::kStopping},
    Transition{RuntimeState::kStopping, RuntimeEvent::kDrained, RuntimeState::kStopped},
    Transition{RuntimeState::kNeverStarted, RuntimeEvent::kFork, RuntimeState::kNeverStarted},
    Transition{RuntimeState::kRunning, RuntimeEvent::kFork, RuntimeState::kForked},
    Transition{RuntimeState::kStopping, RuntimeEvent::kFork, RuntimeState::kForked},
    Transition{RuntimeState::kStopped, RuntimeEvent::kFork, RuntimeState::kForked},
    Transition{RuntimeState::kForked, RuntimeEvent::kFork, RuntimeState::kForked},
});

constexpr const char* NameOf(RuntimeState state) {
  switch (state) {
    case RuntimeState::kNeverStarted:
      return "never started";
    case RuntimeState::kRunning:
      return "running";
    case RuntimeState::kStopping:
      return "stopping";
    case RuntimeState::kStopped:
      return "stopped";
    case RuntimeState::kForked:
      return "forked";
  }
  return "?";
}

constexpr const char* NameOf(RuntimeEvent event) {
  switch (event) {
    case RuntimeEvent::kStart:
      return "start";
    case RuntimeEvent::kStop:
      return "stop";
    case RuntimeEvent::kDrained:
      return "drained";
    case RuntimeEvent::kFork:
      return "fork";
  }
  return "?";
}

}  // namespace ktlsim::sspi
