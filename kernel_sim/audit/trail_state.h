// The states of an audit trail that is being written, as data.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::audit {

enum class TrailState : std::uint8_t {
  kWriting,  // what is queued gets written
  kFailing,  // the last attempt to write failed; it is tried again
  kClosing,  // nothing more is taken; what is queued gets written
  kClosed,
};

enum class TrailEvent : std::uint8_t { kFailed, kWritten, kClose, kEnded };

inline constexpr StateTable kTrailTable(std::array{
    Transition{TrailState::kWriting, TrailEvent::kWritten, TrailState::kWriting},
    Transition{TrailState::kWriting, TrailEvent::kFailed, TrailState::kFailing},
    Transition{TrailState::kWriting, TrailEvent::kClose, TrailState::kClosing},
    Transition{TrailState::kFailing, TrailEvent::kFailed, TrailState::kFailing},
    Transition{TrailState::kFailing, TrailEvent::kWritten, TrailState::kWriting},
    Transition{TrailState::kFailing, TrailEvent::kClose, TrailState::kClosing},
    Transition{TrailState::kClosing, TrailEvent::kWritten, TrailState::kClosing},
    Transition{TrailState::kClosing, TrailEvent::kFailed, TrailState::kClosing},
    Transition{TrailState::kClosing, TrailEvent::kEnded, TrailState::kClosed},
});

constexpr const char* NameOf(TrailState state) {
  switch (state) {
    case TrailState::kWriting:
      return "writing";
    case TrailState::kFailing:
      return "failing";
    case TrailState::kClosing:
      return "closing";
    case TrailState::kClosed:
      return "closed";
  }
  return "?";
}

constexpr const char* NameOf(TrailEvent event) {
  switch (event) {
    case TrailEvent::kFailed:
      return "failed";
    case TrailEvent::kWritten:
      return "written";
    case TrailEvent::kClose:
      return "close";
    case TrailEvent::kEnded:
      return "ended";
  }
  return "?";
}

}  // namespace ktlsim::audit
