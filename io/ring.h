// Ring: a Loop as its owning thread drives it. A processor (kernel_sim/executive) owns one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "io/loop.h"

namespace ktlsim::io {

inline constexpr std::uint64_t kWaitForever = ~std::uint64_t{0};

// Written by the ring's thread, readable from any (relaxed: figures, not synchronisation).
struct RingStatistics {
  std::uint64_t turns = 0;
  std::uint64_t enters = 0;             // io_uring_enter calls
  std::uint64_t submitted = 0;          // submission queue entries
  std::uint64_t completed = 0;          // completion queue entries
  std::uint64_t wakes_sent = 0;         // eventfd writes by other threads
  std::uint64_t posted = 0;             // work items run
  std::uint64_t submission_full = 0;    // times the submission queue was full
  std::uint64_t parked = 0;             // operations that had to wait for a place
  std::uint64_t buffers_exhausted = 0;  // ENOBUFS: the provided buffers ran dry
  std::uint64_t completion_overflow = 0;
  std::uint64_t completions_lost = 0;  // times the kernel had no memory to keep one
  std::uint64_t buffers_lent = 0;      // right now
  std::uint64_t operations = 0;        // in flight right now, the ring's own left out
  std::uint64_t sockets = 0;           // open right now
  std::uint64_t timers = 0;            // armed right now
};

class Ring : public Loop {
 public:
  // One turn, on the owning thread: submits what was started; waits up to `wait_ns` (0: not at all,
  // kWaitForever) if there is nothing to do; collects completions and then runs their handlers;
  // runs expired timers and posted work items. Handlers run at dispatch level.
  // Returns how many handlers, timers and items ran.
  virtual std::size_t Turn(std::uint64_t wait_ns) = 0;
  virtual RingStatistics Statistics() const = 0;
};

}  // namespace ktlsim::io
