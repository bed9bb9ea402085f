// What the connection of a RedisStore is doing, as data.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::context_store {

enum class RedisState : std::uint8_t {
  kIdle,  // not begun
  kFinding,
  kConnecting,
  kLoggingIn,
  kUp,
  kClosing,
  kWaiting,  // until the next attempt
  kStopping,
  kStopped,
};

enum class RedisEvent : std::uint8_t {
  kFind,     // asks the Sentinels
  kConnect,  // to the server itself
  kOpen,
  kReady,  // logged in
  kClose,  // by us
  kEnd,    // the connection or the attempt is over
  kStop,
};

inline constexpr StateTable kRedisTable(std::array{
    Transition{RedisState::kIdle, RedisEvent::kFind, RedisState::kFinding},
    Transition{RedisState::kIdle, RedisEvent::kConnect, RedisState::kConnecting},
    Transition{RedisState::kIdle, RedisEvent::kStop, RedisState::kStopped},
    Transition{RedisState::kFinding, RedisEvent::kConnect, RedisState::kConnecting},
    Transition{RedisState::kFinding, RedisEvent::kEnd, RedisState::kWaiting},
    Transition{RedisState::kFinding, RedisEvent::kStop, RedisState::kStopping},
    Transition{RedisState::kConnecting, RedisEvent::kOpen, RedisState::kLoggingIn},
    Transition{RedisState::kConnecting, RedisEvent::kClose, RedisState::kClosing},
    Transition{RedisState::kConnecting, RedisEvent::kEnd, RedisState::kWaiting},
    Transition{RedisState::kConnecting, RedisEvent::kStop, RedisState::kStopping},
    Transition{RedisState::kLoggingIn, RedisEvent::kReady, RedisState::kUp},
    Transition{RedisState::kLoggingIn, RedisEvent::kClose, RedisState::kClosing},
    Transition{RedisState::kLoggingIn, RedisEvent::kEnd, RedisState::kWaiting},
    Transition{RedisState::kLoggingIn, RedisEvent::kStop, RedisState::kStopping},
    Transition{RedisState::kUp, RedisEvent::kClose, RedisState::kClosing},
    Transition{RedisState::kUp, RedisEvent::kEnd, RedisState::kWaiting},
    Transition{RedisState::kUp, RedisEvent::kStop, RedisState::kStopping},
    Transition{RedisState::kClosing, RedisEvent::kEnd, RedisState::kWaiting},
    Transition{RedisState::kClosing, RedisEvent::kStop, RedisState::kStopping},
    Transition{RedisState::kWaiting, RedisEvent::kFind, RedisState::kFinding},
    Transition{RedisState::kWaiting, RedisEvent::kConnect, RedisState::kConnecting},
    Transition{RedisState::kWaiting, RedisEvent::kStop, RedisState::kStopped},
    Transition{RedisState::kStopping, RedisEvent::kEnd, RedisState::kStopped},
});

constexpr const char* NameOf(RedisState state) {
  switch (state) {
    case RedisState::kIdle:
      return "idle";
    case RedisState::kFinding:
      return "finding";
    case RedisState::kConnecting:
      return "connecting";
    case RedisState::kLoggingIn:
      return "logging in";
    case RedisState::kUp:
      return "up";
    case RedisState::kClosing:
      return "closing";
    case RedisState::kWaiting:
      return "waiting";
    case RedisState::kStopping:
      return "stopping";
    case RedisState::kStopped:
      return "stopped";
  }
  return "?";
}

constexpr const char* NameOf(RedisEvent event) {
  switch (event) {
    case RedisEvent::kFind:
      return "find";
    case RedisEvent::kConnect:
      return "connect";
    case RedisEvent::kOpen:
      return "open";
    case RedisEvent::kReady:
      return "ready";
    case RedisEvent::kClose:
      return "close";
    case RedisEvent::kEnd:
      return "end";
    case RedisEvent::kStop:
      return "stop";
  }
  return "?";
}

}  // namespace ktlsim::context_store
