// The life of a server's context as data: its states, what moves it, and which moves are legal.
//
// What a newcomer gets wrong: a wrong response ends nothing. Whoever has seen an opaque value could
// otherwise end the context of another. The diagram in this folder's README is printed from the
// table, and a test compares the two.
#pragma once

#include <array>
#include <cstdint>

#include "kernel_sim/base/state_table.h"

namespace ktlsim::digest {

enum class ContextState : std::uint8_t {
  kChallenged,   // the client has a nonce and an opaque value, and has not answered
  kVerifying,    // its first response is with the verifier, which may take its time
  kEstablished,  // requests are verified with the key of the context
  kRenewing,     // its nonce is old: the client has a new one, and the same opaque value
  kReverifying,  // a key that comes of the new nonce ("-sess") is with the verifier
  kGone,         // the opaque value names nothing any more
};

enum class ContextEvent : std::uint8_t {
  kRespond,      // a response names it, and the verifier is needed
  kAccept,       // right
  kReject,       // wrong
  kRechallenge,  // right, but the nonce has expired or is exhausted: `stale` and a new nonce
  kExpire,       // its time is over: without an answer, or without a request
  kRemove,       // it is deleted, or makes room for another
};

inline constexpr StateTable kContextTable(std::array{
    Transition{ContextState::kChallenged, ContextEvent::kRespond, ContextState::kVerifying},
    Transition{ContextState::kChallenged, ContextEvent::kExpire, ContextState::kGone},
    Transition{ContextState::kChallenged, ContextEvent::kRemove, ContextState::kGone},
    Transition{ContextState::kVerifying, ContextEvent::kAccept, ContextState::kEstablished},
    Transition{ContextState::kVerifying, ContextEvent::kReject, ContextState::kChallenged},
    Transition{ContextState::kVerifying, ContextEvent::kRechallenge, ContextState::kChallenged},
    Transition{ContextState::kVerifying, ContextEvent::kRemove, ContextState::kGone},
    Transition{ContextState::kEstablished, ContextEvent::kAccept, ContextState::kEstablished},
    Transition{ContextState::kEstablished, ContextEvent::kReject, ContextState::kEstablished},
    Transition{ContextState::kEstablished, ContextEvent::kRechallenge, ContextState::kRenewing},
    Transition{ContextState::kEstablished, ContextEvent::kExpire, ContextState::kGone},
    Transition{ContextState::kEstablished, ContextEvent::kRemove, ContextState::kGone},
    Transition{ContextState::kRenewing, ContextEvent::kAccept, ContextState::kEstablished},
    Transition{ContextState::kRenewing, ContextEvent::kReject, ContextState::kRenewing},
    Transition{ContextState::kRenewing, ContextEvent::kRechallenge, ContextState::kRenewing},
    Transition{ContextState::kRenewing, ContextEvent::kRespond, ContextState::kReverifying},
    Transition{ContextState::kRenewing, ContextEvent::kExpire, ContextState::kGone},
    Transition{ContextState::kRenewing, ContextEvent::kRemove, ContextState::kGone},
    Transition{ContextState::kReverifying, ContextEvent::kAccept, ContextState::kEstablished},
    Transition{ContextState::kReverifying, ContextEvent::kReject, ContextState::kRenewing},
    Transition{ContextState::kReverifying, ContextEvent::kRechallenge, ContextState::kRenewing},
    Transition{ContextState::kReverifying, ContextEvent::kRemove, ContextState::kGone},
});

constexpr const char* NameOf(ContextState state) {
  switch (state) {
    case ContextState::kChallenged:
      return "challenged";
    case ContextState::kVerifying:
      return "verifying";
    case ContextState::kEstablished:
      return "established";
    case ContextState::kRenewing:
      return "renewing";
    case ContextState::kReverifying:
      return "reverifying";
    case ContextState::kGone:
      return "gone";
  }
  return "?";
}

constexpr const char* NameOf(ContextEvent event) {
  switch (event) {
    case ContextEvent::kRespond:
      return "respond";
    case ContextEvent::kAccept:
      return "accept";
    case ContextEvent::kReject:
      return "reject";
    case ContextEvent::kRechallenge:
      return "rechallenge";
    case ContextEvent::kExpire:
      return "expire";
    case ContextEvent::kRemove:
      return "remove";
  }
  return "?";
}

static_assert(!kContextTable.Legal(ContextState::kGone, ContextEvent::kRespond),
              "what is gone stays gone");

}  // namespace ktlsim::digest
