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
  kFail,  // the handshake or a record failed: our alert, or FIN without one, ends it
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

// Our end of the connection: what we still send.
enum class OurEnd : std::uint8_t {
  kOpen,
  kWanted,  // the user has asked: close_notify is due after the data
  kSealed,  // close_notify is among the bytes to send, or sent; nothing follows it but FIN
  kCut,     // the user has asked: FIN is due after the data, without close_notify
  kFin,
};

enum class OurEndEvent : std::uint8_t {
  kAsk,
  kSeal,
  kCut,
  kFin,
};

inline constexpr StateTable kOurEndTable(std::array{
    Transition{OurEnd::kOpen, OurEndEvent::kAsk, OurEnd::kWanted},
    Transition{OurEnd::kOpen, OurEndEvent::kCut, OurEnd::kCut},
    Transition{OurEnd::kOpen, OurEndEvent::kFin, OurEnd::kFin},
    Transition{OurEnd::kWanted, OurEndEvent::kSeal, OurEnd::kSealed},
    Transition{OurEnd::kWanted, OurEndEvent::kFin, OurEnd::kFin},
    Transition{OurEnd::kSealed, OurEndEvent::kFin, OurEnd::kFin},
    Transition{OurEnd::kCut, OurEndEvent::kFin, OurEnd::kFin},
});

constexpr const char* NameOf(OurEnd value) {
  switch (value) {
    case OurEnd::kOpen:
      return "open";
    case OurEnd::kWanted:
      return "wanted";
    case OurEnd::kSealed:
      return "sealed";
    case OurEnd::kCut:
      return "cut";
    case OurEnd::kFin:
      return "fin";
  }
  return "?";
}

constexpr const char* NameOf(OurEndEvent value) {
  switch (value) {
    case OurEndEvent::kAsk:
      return "ask";
    case OurEndEvent::kSeal:
      return "seal";
    case OurEndEvent::kCut:
      return "cut";
    case OurEndEvent::kFin:
      return "send fin";
  }
  return "?";
}

// The peer's end of the connection, as far as we have read.
enum class PeerEnd : std::uint8_t {
  kOpen,
  kFin,        // FIN has come; what came before it may still be unread
  kClosed,     // in order: by close_notify, or by FIN after ours
  kTruncated,  // by FIN without close_notify, before we had sealed ours
};

enum class PeerEndEvent : std::uint8_t {
  kFin,       // FIN has come
  kClose,     // everything before the end in order has been read
  kTruncate,  // everything before the FIN has been read
};

inline constexpr StateTable kPeerEndTable(std::array{
    Transition{PeerEnd::kOpen, PeerEndEvent::kFin, PeerEnd::kFin},
    Transition{PeerEnd::kOpen, PeerEndEvent::kClose, PeerEnd::kClosed},
    Transition{PeerEnd::kFin, PeerEndEvent::kClose, PeerEnd::kClosed},
    Transition{PeerEnd::kFin, PeerEndEvent::kTruncate, PeerEnd::kTruncated},
    Transition{PeerEnd::kClosed, PeerEndEvent::kFin, PeerEnd::kClosed},
});

constexpr const char* NameOf(PeerEnd value) {
  switch (value) {
    case PeerEnd::kOpen:
      return "open";
    case PeerEnd::kFin:
      return "fin";
    case PeerEnd::kClosed:
      return "closed";
    case PeerEnd::kTruncated:
      return "truncated";
  }
  return "?";
}

constexpr const char* NameOf(PeerEndEvent value) {
  switch (value) {
    case PeerEndEvent::kFin:
      return "receive fin";
    case PeerEndEvent::kClose:
      return "close";
    case PeerEndEvent::kTruncate:
      return "truncate";
  }
  return "?";
}

// What the user wants with the plaintext that comes in.
enum class Reading : std::uint8_t {
  kOn,
  kPaused,
  kDropped,  // after Close
};

enum class ReadingEvent : std::uint8_t {
  kPause,
  kResume,
  kDrop,
};

inline constexpr StateTable kReadingTable(std::array{
    Transition{Reading::kOn, ReadingEvent::kPause, Reading::kPaused},
    Transition{Reading::kOn, ReadingEvent::kDrop, Reading::kDropped},
    Transition{Reading::kPaused, ReadingEvent::kResume, Reading::kOn},
    Transition{Reading::kPaused, ReadingEvent::kDrop, Reading::kDropped},
});

constexpr const char* NameOf(Reading value) {
  switch (value) {
    case Reading::kOn:
      return "on";
    case Reading::kPaused:
      return "paused";
    case Reading::kDropped:
      return "dropped";
  }
  return "?";
}

constexpr const char* NameOf(ReadingEvent value) {
  switch (value) {
    case ReadingEvent::kPause:
      return "pause";
    case ReadingEvent::kResume:
      return "resume";
    case ReadingEvent::kDrop:
      return "drop";
  }
  return "?";
}

// The record that EncryptMessage works on.
enum class Sealing : std::uint8_t {
  kIdle,
  kInFlight,
  kRetry,  // the same record must be submitted again
};

enum class SealingEvent : std::uint8_t {
  kSubmit,  // the library has taken the call
  kRefuse,  // at the submission, or by the outcome
  kFinish,  // sealed, or failed for good
};

inline constexpr StateTable kSealingTable(std::array{
    Transition{Sealing::kIdle, SealingEvent::kSubmit, Sealing::kInFlight},
    Transition{Sealing::kIdle, SealingEvent::kRefuse, Sealing::kRetry},
    Transition{Sealing::kInFlight, SealingEvent::kFinish, Sealing::kIdle},
    Transition{Sealing::kInFlight, SealingEvent::kRefuse, Sealing::kRetry},
    Transition{Sealing::kRetry, SealingEvent::kSubmit, Sealing::kInFlight},
    Transition{Sealing::kRetry, SealingEvent::kRefuse, Sealing::kRetry},
});

constexpr const char* NameOf(Sealing value) {
  switch (value) {
    case Sealing::kIdle:
      return "idle";
    case Sealing::kInFlight:
      return "in flight";
    case Sealing::kRetry:
      return "retry";
  }
  return "?";
}

constexpr const char* NameOf(SealingEvent value) {
  switch (value) {
    case SealingEvent::kSubmit:
      return "submit";
    case SealingEvent::kRefuse:
      return "refuse";
    case SealingEvent::kFinish:
      return "finish";
  }
  return "?";
}

// The output of a leg. There is one place for it, so no leg is made before it has left.
enum class Token : std::uint8_t {
  kNone,
  kReady,  // waits for the socket
  kSending,
};

enum class TokenEvent : std::uint8_t {
  kMake,
  kSend,
  kDrop,  // sent, put among the records, or given up
};

inline constexpr StateTable kTokenTable(std::array{
    Transition{Token::kNone, TokenEvent::kMake, Token::kReady},
    Transition{Token::kReady, TokenEvent::kSend, Token::kSending},
    Transition{Token::kReady, TokenEvent::kDrop, Token::kNone},
    Transition{Token::kSending, TokenEvent::kDrop, Token::kNone},
});

constexpr const char* NameOf(Token value) {
  switch (value) {
    case Token::kNone:
      return "none";
    case Token::kReady:
      return "ready";
    case Token::kSending:
      return "sending";
  }
  return "?";
}

constexpr const char* NameOf(TokenEvent value) {
  switch (value) {
    case TokenEvent::kMake:
      return "make";
    case TokenEvent::kSend:
      return "send";
    case TokenEvent::kDrop:
      return "drop";
  }
  return "?";
}

// A server connection's way to its credential, where its path has a source of them.
enum class CredentialState : std::uint8_t {
  kReading,  // the ClientHello has not come as far as its name
  kNamed,    // the source is to be asked
  kWaiting,  // for the source
  kReady,    // or the profile has the credential
  kRefused,
  kGivenUp,  // the connection waits no longer; the source is still about to tell it
};

enum class CredentialEvent : std::uint8_t {
  kName,
  kWait,
  kGet,
  kRefuse,  // there is none, the ClientHello is none, or the wait was given up
  kGiveUp,
};

inline constexpr StateTable kCredentialTable(std::array{
    Transition{CredentialState::kReading, CredentialEvent::kName, CredentialState::kNamed},
    Transition{CredentialState::kReading, CredentialEvent::kRefuse, CredentialState::kRefused},
    Transition{CredentialState::kNamed, CredentialEvent::kGet, CredentialState::kReady},
    Transition{CredentialState::kNamed, CredentialEvent::kRefuse, CredentialState::kRefused},
    Transition{CredentialState::kNamed, CredentialEvent::kWait, CredentialState::kWaiting},
    Transition{CredentialState::kWaiting, CredentialEvent::kGet, CredentialState::kReady},
    Transition{CredentialState::kWaiting, CredentialEvent::kRefuse, CredentialState::kRefused},
    Transition{CredentialState::kWaiting, CredentialEvent::kGiveUp, CredentialState::kGivenUp},
    Transition{CredentialState::kGivenUp, CredentialEvent::kRefuse, CredentialState::kRefused},
});

constexpr const char* NameOf(CredentialState value) {
  switch (value) {
    case CredentialState::kReading:
      return "reading";
    case CredentialState::kNamed:
      return "named";
    case CredentialState::kWaiting:
      return "waiting";
    case CredentialState::kReady:
      return "ready";
    case CredentialState::kRefused:
      return "refused";
    case CredentialState::kGivenUp:
      return "given up";
  }
  return "?";
}

constexpr const char* NameOf(CredentialEvent value) {
  switch (value) {
    case CredentialEvent::kName:
      return "name";
    case CredentialEvent::kWait:
      return "wait";
    case CredentialEvent::kGet:
      return "get";
    case CredentialEvent::kRefuse:
      return "refuse";
    case CredentialEvent::kGiveUp:
      return "give up";
  }
  return "?";
}

}  // namespace ktlsim::transport
