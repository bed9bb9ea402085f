// EndReason: why a connection ended, as a kind to count and words to read.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace ktlsim::transport {

enum class EndKind : std::uint8_t {
  kCompleted,              // closed in order: close_notify was sent or received
  kTruncatedByPeer,        // established, then FIN without close_notify
  kResetByPeer,            // RST, or the network gave up
  kClosedBeforeHandshake,  // FIN before the first byte
  kClosedInHandshake,      // FIN in the middle of the handshake
  kConnectFailed,          // client: no TCP connection
  kNotTls,                 // the first bytes are no TLS record
  kHandshakeFailed,        // a leg failed; `status` says how
  kNoCredential,           // the path's source has none for the client; `status` says why
  kCredentialTimeout,      // Limits::credential_ns
  kRecordFailed,           // established, then a record or post-handshake message failed
  kTooManyBytes,           // one handshake record outgrew Limits::incomplete_bytes_max
  kTooManyLegs,            // Limits::legs_max
  kLegTimeout,             // Limits::leg_ns
  kHandshakeTimeout,       // Limits::handshake_ns
  kIdleTimeout,            // Limits::idle_ns
  kRecordTimeout,          // Limits::record_ns
  kHeadTimeout,            // from the user (Connection::CloseFor): a request's head came too late,
  kRequestTimeout,         // or a whole request,
  kBodyTooSlow,            // or its body at less than the least rate
  kNoBackend,              // from the user (Connection::AbortFor): no backend was available,
  kBackendFailed,          // or its backend broke off
  kRefusedForOverload,     // the library's queue was full at the first leg
  kNoMemory,               // buffers or async contexts
  kAborted,                // Connection::Abort
  kStopped,                // the path stopped: in the handshake, or after its drain limit
};
inline constexpr std::size_t kEndKinds = 26;

// "peer closed during the handshake". Never null.
const char* EndKindText(EndKind kind);
// "closed_in_handshake", for reports. Never null.
const char* EndKindName(EndKind kind);

// The class of a failed SECURITY_STATUS, or that the failure is the peer's verdict.
enum class FailureClass : std::uint8_t {
  kNone,                 // not a failure
  kProtocolViolation,    // the peer's bytes break the protocol
  kAlgorithmMismatch,    // no common version, cipher suite or group
  kApplicationProtocol,  // no common ALPN name
  kCertificate,          // we refused the peer's certificate, or it sent none
  kLogon,                // we refused the identity
  kRecordProtection,     // a record did not authenticate
  kResources,            // memory or queue
  kInternal,             // our own fault
  kOther,
  kPeerAlert,  // the peer ended it by an alert; which one is counted apart
};
inline constexpr std::size_t kFailureClasses = 11;

// Never kPeerAlert: a status does not tell whose alert it comes from.
FailureClass ClassifyStatus(SECURITY_STATUS status);
const char* FailureClassText(FailureClass failure);
const char* FailureClassName(FailureClass failure);
// "SEC_E_UNTRUSTED_ROOT"; "SECURITY_STATUS" for codes without a name here. Never null.
const char* StatusName(SECURITY_STATUS status);

// "handshake_failure" (RFC 8446 6); "alert" for numbers without a name. Never null.
const char* AlertName(int description);
// The same, but the number for those without a name. Allocates.
std::string AlertText(int description);

// Alerts are counted by name: those of RFC 8446 6, and one place for all others.
inline constexpr std::size_t kAlertKinds = 29;
std::size_t AlertKindOf(int description);
// "handshake_failure"; "other" for the last. Never null.
const char* AlertKindName(std::size_t kind);

struct EndReason {
  EndKind kind = EndKind::kCompleted;
  SECURITY_STATUS status =
      SEC_E_OK;              // the call's outcome, for the ...Failed kinds and kNoCredential
  int error_number = 0;      // errno, for kResetByPeer and kConnectFailed
  bool established = false;  // whether the handshake had been completed
  std::uint32_t leg = 0;     // in the handshake: which leg it was, from 1
  int sent_alert = -1;       // the description of the alert that we sent; -1: none
  int received_alert = -1;   // of the peer's alert that ended it; -1: none
  const char* why = "";      // for the two ...Failed kinds: what happened; a literal

  bool orderly() const { return kind == EndKind::kCompleted; }
  FailureClass failure_class() const {
    return received_alert >= 0 ? FailureClass::kPeerAlert : ClassifyStatus(status);
  }
  // One line in plain words. Allocates.
  std::string ToString() const;
};

}  // namespace ktlsim::transport
