// TimeLimits: how long one connection waits for its peer. It knows only times: its owner has the
// clock and one timer, and sets the timer to wake_ns() whenever a function here returns true.
//
// Each `now_ns` is the loop's time. Belongs to the connection's loop.
#pragma once

#include <cstdint>

#include "kernel_sim/transport/limits.h"

namespace ktlsim::transport {

class TimeLimits {
 public:
  enum class Verdict : std::uint8_t {
    kNothing,
    kPeerIsSlow,  // in the handshake, for longer than kPeerPatienceNs; it may go on
    kLegTimeout,
    kHandshakeTimeout,
    kRecordTimeout,
    kIdleTimeout,
    kCloseTimeout,
  };

  // `limits` must live as long as this. `notes_slow_peers`: for kPeerIsSlow, which servers want.
  TimeLimits(const Limits& limits, bool notes_slow_peers)
      : limits_(limits), notes_slow_peers_(notes_slow_peers) {}

  // When the timer has to fire. 0: never.
  std::uint64_t wake_ns() const { return wake_ns_; }

  // ---- The handshake

  // Only the first call begins the time of the whole handshake: a client's begins as it dials.
  void BeginHandshake(std::uint64_t now_ns);
  // Until Establish.
  std::uint64_t handshake_begun_ns() const { return last_activity_ns_; }
  // A leg is owed from now on.
  bool BeginLeg(std::uint64_t now_ns);
  // The peer waits for us: until a credential is there.
  bool BeginCredential(std::uint64_t now_ns);
  bool peer_is_slow() const { return peer_is_slow_; }
  // The slow peer has sent its message.
  bool PeerHasAnswered(std::uint64_t now_ns);
  // The handshake is over, and its messages are awaited no longer.
  void ForgetSlowPeer() { peer_is_slow_ = false; }

  // ---- Established

  bool Establish(std::uint64_t now_ns);
  // Plaintext moved.
  void Touch(std::uint64_t now_ns) { last_activity_ns_ = now_ns; }
  // The first record in the queue is not whole, and we read.
  bool BeginRecord(std::uint64_t now_ns);
  bool record_begun() const { return record_begun_ns_ != 0; }
  void EndRecord() { record_begun_ns_ = 0; }

  // ---- The peer's close is awaited. Only the first call begins that time.

  bool BeginClose(std::uint64_t now_ns);

  // The timer has fired. The caller sets it again, to wake_ns(), unless it ends the connection.
  // `call_in_flight`: the peer waits for us, not we for the peer.
  Verdict Look(std::uint64_t now_ns, bool call_in_flight);

 private:
  enum class Phase : std::uint8_t { kHandshake, kEstablished, kClosing };

  std::uint64_t IdleDeadline() const;
  std::uint64_t RecordDeadline() const;
  bool WakeForLeg(std::uint64_t now_ns);
  bool WakeForRecordOrIdle();
  Verdict LookInHandshake(std::uint64_t now_ns, bool call_in_flight);
  Verdict LookEstablished(std::uint64_t now_ns);

  const Limits& limits_;
  std::uint64_t handshake_deadline_ns_ = 0;  // 0: none
  std::uint64_t leg_deadline_ns_ = 0;        // the earlier of this leg's and that; 0: none
  std::uint64_t last_activity_ns_ = 0;       // in the handshake, when that has begun
  std::uint64_t record_begun_ns_ = 0;  // the first record, if it is not whole; 0: there is none
  std::uint64_t wake_ns_ = 0;
  Phase phase_ = Phase::kHandshake;
  const bool notes_slow_peers_;
  bool peer_is_slow_ = false;
};

}  // namespace ktlsim::transport
