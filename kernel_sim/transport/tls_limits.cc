// Time limits of a connection, and submissions that are tried again.

#include <algorithm>
#include <utility>

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

void TlsConnection::SetKeepsWaiting(bool keeps_waiting) {
  if (std::exchange(keeps_waiting_, keeps_waiting) == keeps_waiting) return;
  if (keeps_waiting) {
    shard_.counters().handshakes_waiting.Add();
    shard_.OnFewerHandshakes();
  } else {
    shard_.counters().handshakes_waiting.Subtract();
  }
}

void TlsConnection::ArmLegLimit() {
  const Limits& limits = profile_.limits();
  leg_deadline_ns_ = handshake_deadline_ns_;
  if (limits.leg_ns != 0) {
    const std::uint64_t leg_ns = loop().NowNs() + limits.leg_ns;
    leg_deadline_ns_ = leg_deadline_ns_ == 0 ? leg_ns : std::min(leg_deadline_ns_, leg_ns);
  }
  ArmLegTimer();
}

// For the deadline, or for the moment from which the peer does not count as a handshake.
void TlsConnection::ArmLegTimer() {
  std::uint64_t when_ns = leg_deadline_ns_;
  if (profile_.is_server() && !keeps_waiting_) {
    const std::uint64_t patience_ns = loop().NowNs() + kPeerPatienceNs;
    when_ns = when_ns == 0 ? patience_ns : std::min(when_ns, patience_ns);
  }
  if (when_ns != 0) loop().StartTimer(limit_timer_, when_ns);
}

void TlsConnection::OnLegLimit(std::uint64_t now_ns) {
  if (leg_deadline_ns_ != 0 && now_ns >= leg_deadline_ns_) {
    const bool whole = handshake_deadline_ns_ != 0 && now_ns >= handshake_deadline_ns_;
    EndGracefully(whole ? EndKind::kHandshakeTimeout : EndKind::kLegTimeout);
    return;
  }
  // With a leg under way it is we who keep the peer waiting.
  if (call_ == Call::kNone) SetKeepsWaiting(true);
  ArmLegTimer();
}

// 0: none.
std::uint64_t TlsConnection::IdleDeadline() const {
  const std::uint64_t idle_ns = profile_.limits().idle_ns;
  return idle_ns == 0 ? 0 : last_activity_ns_ + idle_ns;
}

// 0: none.
std::uint64_t TlsConnection::RecordDeadline() const {
  const std::uint64_t record_ns = profile_.limits().record_ns;
  return record_ns == 0 || record_begun_ns_ == 0 ? 0 : record_begun_ns_ + record_ns;
}

void TlsConnection::ArmEstablishedLimit() {
  const std::uint64_t record_ns = RecordDeadline();
  limit_armed_ns_ = IdleDeadline();
  if (limit_armed_ns_ == 0 || (record_ns != 0 && record_ns < limit_armed_ns_)) {
    limit_armed_ns_ = record_ns;
  }
  if (limit_armed_ns_ == 0) {
    loop().StopTimer(limit_timer_);
  } else {
    loop().StartTimer(limit_timer_, limit_armed_ns_);
  }
}

// The timer is not moved with every record: it is set for a moment that is not too late, and looks
// when it fires.
void TlsConnection::BeginRecordLimit() {
  record_begun_ns_ = loop().NowNs();
  const std::uint64_t deadline_ns = RecordDeadline();
  if (deadline_ns == 0 || closing_time_) return;
  if (limit_armed_ns_ == 0 || deadline_ns < limit_armed_ns_) ArmEstablishedLimit();
}

void TlsConnection::ArmCloseLimit() {
  if (std::exchange(closing_time_, true)) return;
  const std::uint64_t close_ns = profile_.limits().close_ns;
  if (close_ns == 0) {
    loop().StopTimer(limit_timer_);
  } else {
    loop().StartTimer(limit_timer_, loop().NowNs() + close_ns);
  }
}

void TlsConnection::OnLimit() {
  const std::uint64_t now_ns = loop().NowNs();
  if (closing_time_) {
    shard_.counters().close_waits_expired.Add();
    const bool stuck = stream()->sending();
    End({.kind = truncated_ ? EndKind::kTruncatedByPeer : EndKind::kCompleted},
        stuck ? io::Stream::CloseMode::kReset : io::Stream::CloseMode::kGraceful);
  } else if (state_ == State::kEstablished) {
    const std::uint64_t record_ns = RecordDeadline();
    const std::uint64_t idle_ns = IdleDeadline();
    if (record_ns != 0 && now_ns >= record_ns) {
      End({.kind = EndKind::kRecordTimeout}, io::Stream::CloseMode::kReset);
    } else if (idle_ns != 0 && now_ns >= idle_ns) {
      End({.kind = EndKind::kIdleTimeout}, io::Stream::CloseMode::kReset);
    } else {
      ArmEstablishedLimit();
    }
  } else {
    OnLegLimit(now_ns);
  }
}

void TlsConnection::RetryIn(std::uint64_t delay_ns) {
  loop().StartTimer(retry_timer_, loop().NowNs() + delay_ns);
}

void TlsConnection::OnRetry() {
  if (state_ == State::kDead) {
    FinishIfIdle();
  } else {
    Pump();
  }
}

bool TlsConnection::RetriesRefused(SECURITY_STATUS submitted) {
  if (submitted != SEC_E_INSUFFICIENT_MEMORY) return false;
  shard_.counters().submissions_refused.Add();
  RetryIn(kRetryNs);
  return true;
}

}  // namespace ktlsim::transport
