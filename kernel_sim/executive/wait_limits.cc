#include "kernel_sim/executive/wait_limits.h"

#include <utility>

namespace ktlsim::executive {

void WaitLimits::Detach() {
  if (ring_ != nullptr && armed()) ring_->StopTimer(*this);
  ring_ = nullptr;
}

// Searches from the end, where most requests belong because most have the same limit.
void WaitLimits::Link(Request& request) {
  Request::Deadline& own = request.deadline();
  Request* before = last_;
  while (before != nullptr && before->deadline().ns_ > own.ns_) {
    before = before->deadline().earlier_;
  }
  Request* const after = before != nullptr ? before->deadline().later_ : first_;
  own.earlier_ = before;
  own.later_ = after;
  (before != nullptr ? before->deadline().later_ : first_) = &request;
  (after != nullptr ? after->deadline().earlier_ : last_) = &request;
}

void WaitLimits::Unlink(Request& request) {
  Request::Deadline& own = request.deadline();
  Request* const before = std::exchange(own.earlier_, nullptr);
  Request* const after = std::exchange(own.later_, nullptr);
  (before != nullptr ? before->deadline().later_ : first_) = after;
  (after != nullptr ? after->deadline().earlier_ : last_) = before;
}

bool WaitLimits::Add(Request& request, std::uint64_t deadline_ns) {
  bool first = false;
  {
    SpinLockHolder lock(lock_);
    request.deadline().ns_ = deadline_ns;
    if (closed_) return false;
    Link(request);
    first = first_ == &request;
  }
  if (!first || deadline_ns == kNever) return true;
  // Only the ring's thread may start its timer. An item that is on its way sees this call, too.
  if (ring_->IsCurrentThread()) {
    StartTimerForFirst();
  } else if (!arming_.exchange(true, std::memory_order_acq_rel)) {
    ring_->Post(*this);
  }
  return true;
}

void WaitLimits::Remove(Request& request) {
  SpinLockHolder lock(lock_);
  const bool linked = first_ == &request || request.deadline().earlier_ != nullptr;
  if (linked) Unlink(request);
}

void WaitLimits::Arm(WorkItem& item) {
  auto& self = static_cast<WaitLimits&>(item);
  // First of all: an Add from now on has to post again.
  self.arming_.store(false, std::memory_order_release);
  self.StartTimerForFirst();
}

void WaitLimits::StartTimerForFirst() {
  std::uint64_t deadline = kNever;
  {
    SpinLockHolder lock(lock_);
    if (first_ != nullptr) deadline = first_->deadline().ns_;
  }
  if (deadline != kNever) ring_->StartTimer(*this, deadline);
}

Request* WaitLimits::TakeExpired(std::uint64_t now, CallRun cause) {
  SpinLockHolder lock(lock_);
  while (first_ != nullptr && first_->deadline().ns_ <= now) {
    Request& request = *first_;
    Unlink(request);
    // Under the lock: a request whose turn comes waits for it in Remove, so it cannot end before.
    if (owner_.Expire(request, cause)) return &request;
  }
  return nullptr;
}

void WaitLimits::OnTimer() {
  const std::uint64_t now = ring_->NowNs();
  while (Request* request = TakeExpired(now, CallRun::kTimedOut)) owner_.EndExpired(*request);
  StartTimerForFirst();
}

void WaitLimits::ExpireAll() {
  {
    SpinLockHolder lock(lock_);
    closed_ = true;
  }
  while (Request* request = TakeExpired(kNever, CallRun::kStopping)) owner_.EndExpired(*request);
}

}  // namespace ktlsim::executive
