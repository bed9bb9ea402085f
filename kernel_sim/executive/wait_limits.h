// WaitLimits: calls of one processor that may wait for a limited time only, by deadline. A
// processor has one for the calls in its queue, and one for those that are suspended there.
//
// A queued call without a limit does not come here; a suspended one does, because a stop ends its
// wait. What a newcomer gets wrong: a call is removed before it runs, under the lock that the timer
// takes, so the timer never sees a request that has ended and is reused.
#pragma once

#include <atomic>
#include <cstdint>

#include "io/ring.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::executive {

class WaitLimits final : private io::Timer, private WorkItem {
 public:
  class Owner {
   public:
    // The call's time is over: takes it from whatever else may end its wait. `cause`: kTimedOut, or
    // kStopping in ExpireAll. False: too late. A spin lock is held.
    virtual bool Expire(Request& request, CallRun cause) = 0;
    // Goes on with a call that Expire has taken.
    virtual void EndExpired(Request& request) = 0;

   protected:
    ~Owner() = default;
  };
  explicit WaitLimits(Owner& owner) : WorkItem(&WaitLimits::Arm), owner_(owner) {}
  ~WaitLimits() override = default;

  // On the ring's thread, before the first Add and after the last Remove.
  void Attach(io::Ring& ring) { ring_ = &ring; }
  void Detach();

  // The deadline of a call that has no limit.
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  // Any thread, any level. The wait must be over by `deadline_ns`, which is not 0. False: after
  // ExpireAll no call waits here.
  bool Add(Request& request, std::uint64_t deadline_ns) KTLSIM_EXCLUDES(lock_);
  // Does nothing for a request that has expired or was not added.
  void Remove(Request& request) KTLSIM_EXCLUDES(lock_);
  // The time of all is over, for good. Any thread.
  void ExpireAll() KTLSIM_EXCLUDES(lock_);

 private:
  static void Arm(WorkItem& item);
  void OnTimer() override;
  void StartTimerForFirst() KTLSIM_EXCLUDES(lock_);
  Request* TakeExpired(std::uint64_t now, CallRun cause) KTLSIM_EXCLUDES(lock_);
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
  bool closed_ KTLSIM_GUARDED_BY(lock_) = false;
};

}  // namespace ktlsim::executive
