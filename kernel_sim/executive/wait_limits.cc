#include "kernel_sim/executive/wait_limits.h"

#include "kernel_sim/base/assert.h"

namespace ktlsim::executive {

void WaitLimits::Detach() {
  if (ring_ != nullptr && armed()) ring_->StopTimer(*this);
  ring_ = nullptr;
}

void WaitLimits::Add(Request& request) {
  bool first = false;
  {
    SpinLockHolder lock(lock_);
    Request* before = last_;
    while (before != nullptr && before->deadline_ns_ > request.deadline_ns_) {
      before = before->earlier_deadline_;
    }
    Request* after = before != nullptr ? before->later_deadline_ : first_;
    request.earlier_deadline_ = before;
    request.later_deadline_ = after;
    (before != nullptr ? before->later_deadline_ : first_) = &request;
    (after != nullptr ? after->earlier_deadline_ : last_) = &request;
    request.limited_ = true;
    first = before == nullptr;
  }
  if (!first) return;
  // Timers belong to the ring's thread. An item on its way will see this call, too.
  if (ring_->IsCurrentThread()) {
    StartTimerForFirst();
  } else if (!arming_.exchange(true, std::memory_order_acq_rel)) {
    ring_->Post(*this);
  }
}

void WaitLimits::Unlink(Request& request) {
  Request* const before = request.earlier_deadline_;
  Request* const after = request.later_deadline_;
  (before != nullptr ? before->later_deadline_ : first_) = after;
  (after != nullptr ? after->earlier_deadline_ : last_) = before;
  request.earlier_deadline_ = nullptr;
  request.later_deadline_ = nullptr;
  request.limited_ = false;
}

void WaitLimits::Remove(Request& request) {
  SpinLockHolder lock(lock_);
  if (request.limited_) Unlink(request);
}

void WaitLimits::Arm(WorkItem& item) {
  auto& self = static_cast<WaitLimits&>(item);
  // First, so that whoever adds from now on posts again.
  self.arming_.store(false, std::memory_order_release);
  self.StartTimerForFirst();
}

void WaitLimits::StartTimerForFirst() {
  std::uint64_t deadline = 0;
  {
    SpinLockHolder lock(lock_);
    if (first_ != nullptr) deadline = first_->deadline_ns_;
  }
  if (deadline != 0) ring_->StartTimer(*this, deadline);
}

Request* WaitLimits::TakeExpired(std::uint64_t now) {
  SpinLockHolder lock(lock_);
  while (first_ != nullptr && first_->deadline_ns_ <= now) {
    Request& request = *first_;
    Unlink(request);
    // Under the lock: whose turn comes waits for it in Remove, and so cannot be over yet.
    if (recall_(context_, request)) return &request;
  }
  return nullptr;
}

void WaitLimits::OnTimer() {
  const std::uint64_t now = ring_->NowNs();
  while (Request* request = TakeExpired(now)) expired_(context_, *request);
  StartTimerForFirst();
}

}  // namespace ktlsim::executive
