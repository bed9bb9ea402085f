// Limits: what one peer may cost us, in time and in bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel_sim/base/clock.h"

namespace ktlsim::transport {

// How long a server waits for its peer's next handshake message before it lets others take the
// peer's place among the handshakes at once. Longer than a round trip; much shorter than leg_ns.
inline constexpr std::uint64_t kPeerPatienceNs = kNsPerSecond / 4;

// A time limit of 0 means none. All of them also win while a call is in flight.
struct Limits {
  // From the moment a leg is owed (connection accepted, token sent) until the peer's whole reply
  // has been processed, however many records it has. Bounds a silent peer.
  std::uint64_t leg_ns = 10 * kNsPerSecond;
  // From the moment a server's credential is asked for until it is there. Bounds a slow source.
  std::uint64_t credential_ns = 5 * kNsPerSecond;
  // From the start of the connection until it is established. Bounds a slow peer.
  std::uint64_t handshake_ns = 30 * kNsPerSecond;
  // Established, and no plaintext was received and none could be sent. Records without plaintext,
  // key updates and parts of a record are no activity.
  std::uint64_t idle_ns = 120 * kNsPerSecond;
  // Established: from the first byte of a record to its last, while we read.
  std::uint64_t record_ns = 30 * kNsPerSecond;
  // How long the peer's own close is awaited after our close_notify or alert.
  std::uint64_t close_ns = 2 * kNsPerSecond;
  // Bytes kept for one handshake record that is not complete yet. What a message and a handshake
  // may have in all is the package's to bound (TLS: 16 KiB, 66 KiB with certificates, 512 KiB in
  // all).
  std::size_t incomplete_bytes_max = 40 * 1024;
  // Legs that make a token, until the connection is established. The peer's records do not count:
  // it may cut its flight as it likes (RFC 8446 5.1).
  std::uint32_t legs_max = 32;
};

}  // namespace ktlsim::transport
