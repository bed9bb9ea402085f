// CallClock measures a sample of the calls: reading the clock four times costs as much as the
// shortest call.
//
// Each measurement of a call starts where the one before it has ended.
#pragma once

#include <cstdint>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/executive/call_statistics.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::executive {

class CallClock {
 public:
  CallClock() = default;
  // `clock`: null for the monotonic one. Each thread numbers the calls that it submits, and those
  // whose number has none of the bits of `sample_mask` are measured; with 0 all are.
  CallClock(const Clock* clock, std::uint32_t sample_mask)
      : clock_(clock), sample_mask_(sample_mask) {}

  std::uint64_t NowNs() const {
    return clock_ != nullptr ? clock_->NowNs() : MonotonicClock::Now();
  }

  // On the thread that submits the call, when it is accepted.
  void Begin(Request& request) const {
    if ((++submitted_ & sample_mask_) == 0) request.timing().measured_ns_ = NowNs();
  }
  // Adds the time since the last measurement to `histogram`, if the call is in the sample.
  void Measure(Request& request, TimeHistogram& histogram) const {
    std::uint64_t& measured_ns = request.timing().measured_ns_;
    if (measured_ns == 0) return;
    const std::uint64_t now = NowNs();
    histogram.Add(now - measured_ns);
    measured_ns = now;
  }

 private:
  static inline constinit thread_local std::uint32_t submitted_ = 0;

  const Clock* clock_ = nullptr;
  std::uint32_t sample_mask_ = 0;
};

}  // namespace ktlsim::executive
