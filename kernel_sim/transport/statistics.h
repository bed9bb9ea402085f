// TransportStatistics: what a path has done and what lives in it now.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::transport {

// A snapshot; counters of several processors are added up and are not of one instant. The first
// group counts since the start; the second is what exists now and is all zero after Stop.
struct TransportStatistics {
  std::uint64_t opened = 0;  // accepted or dialled
  std::uint64_t established = 0;
  std::uint64_t resumed = 0;  // of these, with a resumed session
  std::uint64_t ended = 0;
  std::array<std::uint64_t, kEndKinds> ended_by{};           // by EndKind
  std::array<std::uint64_t, kFailureClasses> failed_by{};    // handshake and record failures
  std::array<std::uint64_t, kAlertKinds> alerts_sent{};      // by AlertKindOf; with failures
  std::array<std::uint64_t, kAlertKinds> alerts_received{};  // the same
  std::uint64_t legs = 0;
  std::uint64_t plaintext_received = 0;  // bytes
  std::uint64_t plaintext_sent = 0;      // bytes
  std::uint64_t records_opened = 0;
  std::uint64_t records_sealed = 0;
  std::uint64_t socket_sends = 0;
  std::uint64_t submissions_refused = 0;  // SEC_E_INSUFFICIENT_MEMORY at submit; tried again
  std::uint64_t accepts_held = 0;         // how often a listener was paused
  std::uint64_t accepts_failed = 0;       // out of descriptors or memory; tried again
  std::uint64_t close_waits_expired = 0;  // the peer did not close within Limits::close_ns

  std::uint64_t connections = 0;
  std::uint64_t handshakes = 0;      // of the connections, not established yet
  std::uint64_t async_contexts = 0;  // of connections alive and of pooled ones
  std::uint64_t security_contexts = 0;
  std::uint64_t buffers = 0;  // send, token and input buffers in use

  std::uint64_t ended_by_kind(EndKind kind) const {
    return ended_by[static_cast<std::size_t>(kind)];
  }
  std::uint64_t failed_by_class(FailureClass failure) const {
    return failed_by[static_cast<std::size_t>(failure)];
  }
  TransportStatistics& operator+=(const TransportStatistics& other);
};

}  // namespace ktlsim::transport
