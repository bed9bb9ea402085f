// Time limits of a connection, and submissions that are tried again.

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

void TlsConnection::SetLimitTimer() {
  const std::uint64_t wake_ns = limits_.wake_ns();
  if (wake_ns == 0) {
    loop().StopTimer(limit_timer_);
  } else {
    loop().StartTimer(limit_timer_, wake_ns);
  }
}

void TlsConnection::ArmLegLimit() {
  if (limits_.BeginLeg(loop().NowNs())) SetLimitTimer();
}

void TlsConnection::ArmCloseLimit() {
  if (limits_.BeginClose(loop().NowNs())) SetLimitTimer();
}

void TlsConnection::PeerHasAnswered() {
  shard_.counters().handshakes_waiting.Subtract();
  if (limits_.PeerHasAnswered(loop().NowNs())) SetLimitTimer();
}

void TlsConnection::OnLimit() {
  using Verdict = TimeLimits::Verdict;
  const bool waits = credentials_.waits();
  switch (limits_.Look(loop().NowNs(), waits || !legs_.idle())) {
    case Verdict::kPeerIsSlow:
      shard_.counters().handshakes_waiting.Add();
      shard_.OnFewerHandshakes();
      break;
    case Verdict::kNothing:
      break;
    case Verdict::kLegTimeout:
      if (waits) {
        OnCredentialTimeout();
      } else {
        EndGracefully(EndKind::kLegTimeout);
      }
      return;
    case Verdict::kHandshakeTimeout:
      EndGracefully(EndKind::kHandshakeTimeout);
      return;
    case Verdict::kRecordTimeout:
      End({.kind = EndKind::kRecordTimeout}, io::Stream::CloseMode::kReset);
      return;
    case Verdict::kIdleTimeout:
      End({.kind = EndKind::kIdleTimeout}, io::Stream::CloseMode::kReset);
      return;
    case Verdict::kCloseTimeout:
      shard_.counters().close_waits_expired.Add();
      // The peer would never take the bytes that are still being sent.
      End({.kind = OrderlyEnd()},
          stream()->sending() ? io::Stream::CloseMode::kReset : io::Stream::CloseMode::kGraceful);
      return;
  }
  SetLimitTimer();
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
