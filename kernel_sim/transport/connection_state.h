// The life of a connection as data.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::transport {

enum class ConnectionState : std::uint8_t {
  kConnecting,  // there is no socket yet
  kHandshake,
  kEstablished,
  kFailed,   // an alert goes out, then FIN; the peer's close is awaited
  kDead,     // only what is in flight is awaited
  kRetired,  // its memory is the shard's again
};

enum class ConnectionEvent : std::uint8_t {
  kConnect,  // there is a socket
  kEstablish,
  kFail,  // by an alert, ours or for want of one FIN
  kEnd,   // time limit, reset, abort, both sides closed, or nothing was established
  kRetire,
};

inline constexpr StateTable kConnectionTable(std::array{
    Transition{ConnectionState::kConnecting, ConnectionEvent::kConnect,
               ConnectionState::kHandshake},
    Transition{ConnectionState::kConnecting, ConnectionEvent::kEnd, ConnectionState::kDead},
    Transition{ConnectionState::kHandshake, ConnectionEvent::kEstablish,
               ConnectionState::kEstablished},
    Transition{ConnectionState::kHandshake, ConnectionEvent::kFail, ConnectionState::kFailed},
    Transition{ConnectionState::kHandshake, ConnectionEvent::kEnd, ConnectionState::kDead},
    Transition{ConnectionState::kEstablished, ConnectionEvent::kFail, ConnectionState::kFailed},
    Transition{ConnectionState::kEstablished, ConnectionEvent::kEnd, ConnectionState::kDead},
    Transition{ConnectionState::kFailed, ConnectionEvent::kEnd, ConnectionState::kDead},
    Transition{ConnectionState::kDead, ConnectionEvent::kRetire, ConnectionState::kRetired},
});

static_assert(!kConnectionTable.Legal(ConnectionState::kFailed, ConnectionEvent::kFail),
              "fails once");
static_assert(!kConnectionTable.Legal(ConnectionState::kDead, ConnectionEvent::kEnd), "ends once");

constexpr const char* NameOf(ConnectionState state) {
  switch (state) {
    case ConnectionState::kConnecting:
      return "connecting";
    case ConnectionState::kHandshake:
      return "handshake";
    case ConnectionState::kEstablished:
      return "established";
    case ConnectionState::kFailed:
      return "failed";
    case ConnectionState::kDead:
      return "dead";
    case ConnectionState::kRetired:
      return "retired";
  }
  return "?";
}

constexpr const char* NameOf(ConnectionEvent event) {
  switch (event) {
    case ConnectionEvent::kConnect:
      return "connect";
    case ConnectionEvent::kEstablish:
      return "establish";
    case ConnectionEvent::kFail:
      return "fail";
    case ConnectionEvent::kEnd:
      return "end";
    case ConnectionEvent::kRetire:
      return "retire";
  }
  return "?";
}

}  // namespace ktlsim::transport
