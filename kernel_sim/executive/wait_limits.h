// WaitLimits: the calls of one processor that may wait in a queue for a limited time only.
//
// Nothing here is touched for calls without a limit. What a newcomer gets wrong: a call is taken
// out in front of its run, under the same lock, so that the timer never sees a request that is over
// and reused.
#pragma once

#include <atomic>
#include <cstdint>

#include "io/ring.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::executive {

class WaitLimits final : private io::Timer, private WorkItem {
 public:
  // `expire(request)` is called on the ring's thread for a call that has waited too long and was
  // recalled for it (AsyncContextTable::Recall).
  using Recall = bool (*)(void* context, Request& request);
  using Expired = void (*)(void* context, Request& request);
  WaitLimits(Recall recall, Expired expired, void* context)
      : WorkItem(&WaitLimits::Arm), recall_(recall), expired_(expired), context_(context) {}
  ~WaitLimits() override = default;

  // On the ring's thread, before the first Add and after the last Remove.
  void Attach(io::Ring& ring) { ring_ = &ring; }
  void Detach();

  // Any thread, any level. The request is to have been started by `deadline_ns`, which is not 0.
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

  const Recall recall_;
  const Expired expired_;
  void* const context_;
  io::Ring* ring_ = nullptr;
  // Set: the work item is on its way to the ring's thread.
  std::atomic<bool> arming_{false};

  SpinLock lock_;
  // By deadline, earliest first. Mostly the newest has the latest one.
  Request* first_ KTLSIM_GUARDED_BY(lock_) = nullptr;
  Request* last_ KTLSIM_GUARDED_BY(lock_) = nullptr;
};

}  // namespace ktlsim::executive
