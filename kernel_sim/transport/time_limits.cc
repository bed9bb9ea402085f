#include "kernel_sim/transport/time_limits.h"

#include <algorithm>
#include <utility>

namespace ktlsim::transport {
namespace {

// The earlier of two deadlines, of which 0 is none.
std::uint64_t Earlier(std::uint64_t a_ns, std::uint64_t b_ns) {
  if (a_ns == 0 || b_ns == 0) return std::max(a_ns, b_ns);
  return std::min(a_ns, b_ns);
}

// 0, no deadline, for a limit of 0.
std::uint64_t After(std::uint64_t begin_ns, std::uint64_t limit_ns) {
  return limit_ns == 0 ? 0 : begin_ns + limit_ns;
}

bool Past(std::uint64_t deadline_ns, std::uint64_t now_ns) {
  return deadline_ns != 0 && now_ns >= deadline_ns;
}

}  // namespace

void TimeLimits::BeginHandshake(std::uint64_t now_ns) {
  if (last_activity_ns_ == 0) last_activity_ns_ = now_ns;
  if (handshake_deadline_ns_ == 0) handshake_deadline_ns_ = After(now_ns, limits_.handshake_ns);
}

bool TimeLimits::BeginLeg(std::uint64_t now_ns) {
  leg_deadline_ns_ = Earlier(handshake_deadline_ns_, After(now_ns, limits_.leg_ns));
  return WakeForLeg(now_ns);
}

bool TimeLimits::BeginCredential(std::uint64_t now_ns) {
  leg_deadline_ns_ = Earlier(handshake_deadline_ns_, After(now_ns, limits_.credential_ns));
  return WakeForLeg(now_ns);
}

bool TimeLimits::PeerHasAnswered(std::uint64_t now_ns) {
  peer_is_slow_ = false;
  return WakeForLeg(now_ns);
}

// For the deadline, or for the moment from which the peer does not count as a handshake.
bool TimeLimits::WakeForLeg(std::uint64_t now_ns) {
  const bool patient = notes_slow_peers_ && !peer_is_slow_;
  wake_ns_ = Earlier(leg_deadline_ns_, patient ? now_ns + kPeerPatienceNs : 0);
  return true;
}

bool TimeLimits::Establish(std::uint64_t now_ns) {
  phase_ = Phase::kEstablished;
  Touch(now_ns);
  return WakeForRecordOrIdle();
}

std::uint64_t TimeLimits::IdleDeadline() const { return After(last_activity_ns_, limits_.idle_ns); }

std::uint64_t TimeLimits::RecordDeadline() const {
  return record_begun_ns_ == 0 ? 0 : After(record_begun_ns_, limits_.record_ns);
}

bool TimeLimits::WakeForRecordOrIdle() {
  wake_ns_ = Earlier(RecordDeadline(), IdleDeadline());
  return true;
}

// The timer is not moved with every record: it is set for a moment that is not too late, and all
// limits are checked when it fires.
bool TimeLimits::BeginRecord(std::uint64_t now_ns) {
  record_begun_ns_ = now_ns;
  const std::uint64_t deadline_ns = RecordDeadline();
  if (deadline_ns == 0 || phase_ == Phase::kClosing) return false;
  return (wake_ns_ == 0 || deadline_ns < wake_ns_) && WakeForRecordOrIdle();
}

bool TimeLimits::BeginClose(std::uint64_t now_ns) {
  if (std::exchange(phase_, Phase::kClosing) == Phase::kClosing) return false;
  wake_ns_ = After(now_ns, limits_.close_ns);
  return true;
}

TimeLimits::Verdict TimeLimits::Look(std::uint64_t now_ns, bool call_in_flight) {
  switch (phase_) {
    case Phase::kHandshake:
      return LookInHandshake(now_ns, call_in_flight);
    case Phase::kEstablished:
      return LookEstablished(now_ns);
    case Phase::kClosing:
      return Verdict::kCloseTimeout;
  }
  return Verdict::kNothing;
}

TimeLimits::Verdict TimeLimits::LookInHandshake(std::uint64_t now_ns, bool call_in_flight) {
  if (Past(leg_deadline_ns_, now_ns)) {
    return Past(handshake_deadline_ns_, now_ns) ? Verdict::kHandshakeTimeout : Verdict::kLegTimeout;
  }
  const bool slow_before = std::exchange(peer_is_slow_, peer_is_slow_ || !call_in_flight);
  WakeForLeg(now_ns);
  return peer_is_slow_ == slow_before ? Verdict::kNothing : Verdict::kPeerIsSlow;
}

TimeLimits::Verdict TimeLimits::LookEstablished(std::uint64_t now_ns) {
  if (Past(RecordDeadline(), now_ns)) return Verdict::kRecordTimeout;
  if (Past(IdleDeadline(), now_ns)) return Verdict::kIdleTimeout;
  WakeForRecordOrIdle();
  return Verdict::kNothing;
}

}  // namespace ktlsim::transport
