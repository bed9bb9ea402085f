#include "kernel_sim/serve/request_clock.h"

#include <algorithm>

namespace ktlsim::serve {
namespace {

using transport::EndKind;

std::uint64_t Earlier(std::uint64_t a_ns, std::uint64_t b_ns) {
  if (a_ns == 0 || b_ns == 0) return std::max(a_ns, b_ns);
  return std::min(a_ns, b_ns);
}

}  // namespace

void RequestClock::Advance(Phase phase, std::uint64_t bytes, std::uint64_t now_ns) {
  if (phase != Phase::kIdle && phase_ == Phase::kIdle) begun_ns_ = now_ns;
  if (phase == Phase::kBody && phase_ != Phase::kBody) {
    window_end_ns_ = now_ns + kBodyWindowNs;
    window_bytes_ = 0;
  } else {
    window_bytes_ += bytes;
  }
  phase_ = phase;
}

std::uint64_t RequestClock::deadline_ns() const {
  if (phase_ == Phase::kIdle) return 0;
  std::uint64_t deadline_ns = times_.request_ns == 0 ? 0 : begun_ns_ + times_.request_ns;
  if (phase_ == Phase::kHead && times_.head_ns != 0) {
    deadline_ns = Earlier(deadline_ns, begun_ns_ + times_.head_ns);
  }
  if (phase_ == Phase::kBody && times_.body_rate_min != 0) {
    deadline_ns = Earlier(deadline_ns, window_end_ns_);
  }
  return deadline_ns;
}

EndKind RequestClock::Judge(std::uint64_t now_ns) {
  if (phase_ == Phase::kIdle) return EndKind::kCompleted;
  if (phase_ == Phase::kHead && times_.head_ns != 0 && now_ns >= begun_ns_ + times_.head_ns) {
    return EndKind::kHeadTimeout;
  }
  if (times_.request_ns != 0 && now_ns >= begun_ns_ + times_.request_ns) {
    return EndKind::kRequestTimeout;
  }
  if (phase_ != Phase::kBody || times_.body_rate_min == 0 || now_ns < window_end_ns_) {
    return EndKind::kCompleted;
  }
  constexpr std::uint64_t kWindowSeconds = kBodyWindowNs / kNsPerSecond;
  if (window_bytes_ / kWindowSeconds < times_.body_rate_min) return EndKind::kBodyTooSlow;
  window_end_ns_ = now_ns + kBodyWindowNs;
  window_bytes_ = 0;
  return EndKind::kCompleted;
}

}  // namespace ktlsim::serve
