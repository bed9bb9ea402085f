// The phases of a TLS context as data: what its legs do, and what moves it on.
//
// What a newcomer gets wrong: an established connection that ends, by an alert, by close_notify or
// by a bad record, does not leave its phase, since records are opened and sealed outside the
// strand. Only a leg moves a context on.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::sspi {

enum class TlsPhase : std::uint8_t {
  kNotBegun,          // OpenSSL has seen nothing; a server's needs a whole record first
  kHandshaking,       // legs feed OpenSSL
  kStopped,           // SEC_I_INCOMPLETE_CREDENTIALS: the caller may choose another credential
  kEstablished,       // OpenSSL is gone; legs take what comes after the handshake
  kHandshakeFailed,   // every leg returns the failure again
  kConnectionFailed,  // so does this one, but what was negotiated can still be queried
};

enum class TlsPhaseEvent : std::uint8_t {
  kBegin,
  kStop,
  kGoOn,
  kEstablish,
  kFail,
};

inline constexpr StateTable kTlsPhaseTable(std::array{
    Transition{TlsPhase::kNotBegun, TlsPhaseEvent::kBegin, TlsPhase::kHandshaking},
    Transition{TlsPhase::kHandshaking, TlsPhaseEvent::kStop, TlsPhase::kStopped},
    Transition{TlsPhase::kStopped, TlsPhaseEvent::kGoOn, TlsPhase::kHandshaking},
    Transition{TlsPhase::kHandshaking, TlsPhaseEvent::kEstablish, TlsPhase::kEstablished},
    Transition{TlsPhase::kHandshaking, TlsPhaseEvent::kFail, TlsPhase::kHandshakeFailed},
    Transition{TlsPhase::kEstablished, TlsPhaseEvent::kFail, TlsPhase::kConnectionFailed},
});

constexpr const char* NameOf(TlsPhase phase) {
  switch (phase) {
    case TlsPhase::kNotBegun:
      return "not begun";
    case TlsPhase::kHandshaking:
      return "handshaking";
    case TlsPhase::kStopped:
      return "stopped";
    case TlsPhase::kEstablished:
      return "established";
    case TlsPhase::kHandshakeFailed:
      return "handshake failed";
    case TlsPhase::kConnectionFailed:
      return "connection failed";
  }
  return "?";
}

constexpr const char* NameOf(TlsPhaseEvent event) {
  switch (event) {
    case TlsPhaseEvent::kBegin:
      return "begin";
    case TlsPhaseEvent::kStop:
      return "stop";
    case TlsPhaseEvent::kGoOn:
      return "go on";
    case TlsPhaseEvent::kEstablish:
      return "establish";
    case TlsPhaseEvent::kFail:
      return "fail";
  }
  return "?";
}

}  // namespace ktlsim::sspi
