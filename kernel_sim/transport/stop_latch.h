// StopLatch: waits, at passive level, for things that end on loops.
#pragma once

#include <cstdint>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/transport/stepping.h"

namespace ktlsim::transport {

class StopLatch {
 public:
  explicit StopLatch(std::uint32_t count) : count_(count) {}

  // Any thread. The latch may be gone when the last count has returned, so it is told under the
  // lock.
  void CountDown() {
    MutexLock lock(mutex_);
    if (--count_ == 0) zero_.notify_all();
  }
  // Any thread.
  bool IsZero() {
    MutexLock lock(mutex_);
    return count_ == 0;
  }
  // Passive level.
  void Wait() {
    if (Stepping* stepping = Stepping::Current()) {
      while (!IsZero()) KTLSIM_CHECK(stepping->TakeStep());  // a false here is a deadlock
      return;
    }
    MutexLock lock(mutex_);
    while (count_ != 0) zero_.wait(mutex_);
  }

 private:
  Mutex mutex_;
  ConditionVariable zero_;
  std::uint32_t count_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::transport
