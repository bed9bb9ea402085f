// WaitLimits: the calls of one processor that may wait in a queue for a limited time only.
//
// Calls without a limit do not come here. What a newcomer gets wrong: a call is removed before it
// runs, under the lock that the timer takes, so the timer never sees a request that has ended and
// is reused.
#pragma once

#include <atomic>
#include <cstdint>

#include "io/ring.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::executive {

class WaitLimits final : private io::Timer, private WorkItem {
 public:
  // Both on the ring's thread.
  class Owner {
   public:
    // Recalls a call that has waited for too long (AsyncContextTable::Recall). False: too late. A
    // spin lock is held.
    virtual bool RecallExpired(Request& request) = 0;
    // Completes a call that was recalled.
    virtual void EndExpired(Request& request) = 0;

   protected:
    ~Owner() = default;
  };
  explicit WaitLimits(Owner& owner) : WorkItem(&WaitLimits::Arm), owner_(owner) {}
  ~WaitLimits() override = default;

  // On the ring's thread, before the first Add and after the last Remove.
  void Attach(io::Ring& ring) { ring_ = &ring; }
  void Detach();

  // Any thread, any level. The request must have begun to run by `deadline_ns`, which is not 0.
  void Add(Request& request, std::uint64_t deadline_ns) KTLSIM_EXCLUDES(lock_);
  // Does nothing for a request that has expired or was not added.
  void Remove(Request& request) KTLSIM_EXCLUDES(lock_);

 private:
  static void Arm(WorkItem& item);
  void OnTimer() override;
  void StartTimerForFirst() KTLSIM_EXCLUDES(lock_);
  Request* TakeExpired(std::uint64_t now) KTLSIM_EXCLUDES(lock_);
  void Link(Request& request) KTLSIM_REQUIRES(lock_);
  void Unlink(Request& request) KTLSIM_REQUIRES(lock_);

  Owner& owner_;
  io::Ring* ring_ = nullptr;
  // True while the work item is on its way to the ring's thread.
  std::atomic<bool> arming_{false};

  SpinLock lock_;
  // By deadline, earliest first.
  Request* first_ KTLSIM_GUARDED_BY(lock_) = nullptr;
  Request* last_ KTLSIM_GUARDED_BY(lock_) = nullptr;
};

}  // namespace ktlsim::executive
