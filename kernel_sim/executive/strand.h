// Strand: the order of calls on one security context. First in, first out, one at a time, also over
// a suspension and over a move to another processor.
#pragma once

#include <atomic>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::executive {

class Strand {
 public:
  ~Strand() { KTLSIM_ASSERT(!taken_); }

  // True: `request` is first, the caller schedules it. False: it waits for the one in front.
  [[nodiscard]] bool Enter(Request& request) KTLSIM_EXCLUDES(lock_) {
    SpinLockHolder lock(lock_);
    if (taken_) {
      waiting_.PushBack(request);
      return false;
    }
    taken_ = true;
    return true;
  }

  // Ends the turn of the running request. The one to schedule next, or null.
  [[nodiscard]] Request* Leave() KTLSIM_EXCLUDES(lock_) {
    SpinLockHolder lock(lock_);
    KTLSIM_ASSERT(taken_);
    Request* next = waiting_.PopFront();
    taken_ = next != nullptr;
    return next;
  }

  // Takes a request that waits out of the order. False: it does not wait here, or not yet.
  [[nodiscard]] bool Remove(Request& request) KTLSIM_EXCLUDES(lock_) {
    SpinLockHolder lock(lock_);
    return waiting_.Remove(request);
  }

  // Where its requests run: set at the first submission, moved at most once after that (when a
  // handshake that ran on a crypto processor has ended), by the running request. A home holds for
  // one start of the executive: a context that outlives a stop is given a new one.
  struct Home {
    std::uint32_t epoch = 0;  // 0: none
    std::uint32_t processor = 0;
  };
  Home home() const { return home_.load(std::memory_order_acquire); }
  void set_home(Home home) { home_.store(home, std::memory_order_release); }

 private:
  SpinLock lock_;
  Request::Queue waiting_ KTLSIM_GUARDED_BY(lock_);
  bool taken_ KTLSIM_GUARDED_BY(lock_) = false;
  std::atomic<Home> home_{Home{}};
};

}  // namespace ktlsim::executive
