// StopLatch: waits, at passive level, for things that end on loops. Allocates nothing, so that no
// stop is lost to a shortage of memory: base's ConditionVariable would, in its constructor.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/stepping.h"

namespace ktlsim::transport {

class StopLatch {
 public:
  explicit StopLatch(std::uint32_t count) : count_(count) {}

  // Any thread. The latch may be gone when the last count has returned, so it is notified under the
  // lock.
  void CountDown() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) zero_.notify_all();
  }
  // Any thread.
  bool IsZero() {
    const std::lock_guard lock(mutex_);
    return count_ == 0;
  }
  // Passive level.
  void Wait() {
    if (Stepping* stepping = Stepping::Current()) {
      while (!IsZero()) KTLSIM_CHECK(stepping->TakeStep());  // a false here is a deadlock
      return;
    }
    std::unique_lock lock(mutex_);
    while (count_ != 0) zero_.wait(lock);
  }

 private:
  std::mutex mutex_;
  std::condition_variable zero_;
  std::uint32_t count_;  // under mutex_
};

}  // namespace ktlsim::transport
