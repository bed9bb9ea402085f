#include "kernel_sim/authority/local_trail.h"

#include <pthread.h>

#include <cstdlib>
#include <new>
#include <utility>

#include "kernel_sim/base/thread_identity.h"

namespace ktlsim::authority {

LocalTrail& LocalTrail::Instance() {
  static NeverDestroyed<LocalTrail> trail;
  return trail.get();
}

LocalTrail::LocalTrail() { pthread_atfork(&BeforeFork, &AfterForkInParent, &AfterForkInChild); }

LocalTrail::Use::Use(LocalTrail& trail) {
  {
    const SpinLockHolder holder(trail.lock_);
    opened_ = trail.opened_;
  }
  if (opened_ != nullptr && !opened_->users.Enter()) opened_.reset();
}

LocalTrail::Use::~Use() {
  if (opened_ != nullptr) opened_->users.Leave();
}

audit::AuditTrail* LocalTrail::Use::get() const {
  return opened_ != nullptr ? opened_->trail.get() : nullptr;
}

bool LocalTrail::HasOwn() {
  const SpinLockHolder holder(lock_);
  return opened_ != nullptr && opened_->forks == forks_;
}

std::shared_ptr<LocalTrail::Opened> LocalTrail::TakeOwn() {
  const SpinLockHolder holder(lock_);
  if (opened_ != nullptr && opened_->forks != forks_) {
    // A thread that does not exist here may be among its users.
    opened_->inherited = std::move(inherited_);
    inherited_ = std::move(opened_);
  }
  return std::move(opened_);
}

Status LocalTrail::Open(const audit::AuditOptions& options) try {
  // The trail and its writer's thread are the process's, whomever the caller acts as.
  const ThreadIdentity::Scope as_process;
  const MutexLock lock(change_);
  if (HasOwn()) return {Category::kContract, 0, "an audit trail is open: close it first"};
  auto made = std::make_shared<Opened>();
  Result<std::unique_ptr<audit::AuditTrail>> trail = audit::AuditTrail::Open(options);
  if (!trail) return trail.status();
  made->trail = std::move(trail).value();
  if (!closes_at_exit_) {
    closes_at_exit_ = std::atexit([] { static_cast<void>(Instance().Close()); }) == 0;
  }
  static_cast<void>(TakeOwn());
  const SpinLockHolder holder(lock_);
  made->forks = forks_;
  opened_ = std::move(made);
  return {};
} catch (const std::bad_alloc&) {
  return ResourceError("no memory for the audit trail");
}

Status LocalTrail::Close() {
  const MutexLock lock(change_);
  const std::shared_ptr<Opened> ended = TakeOwn();
  if (ended == nullptr) return {};
  ended->users.Close();
  ended->users.WaitUntilDrained();
  return ended->trail->Close();
}

KTLSIM_NO_THREAD_SAFETY void LocalTrail::BeforeFork() { Instance().lock_.lock(); }
KTLSIM_NO_THREAD_SAFETY void LocalTrail::AfterForkInParent() { Instance().lock_.unlock(); }

KTLSIM_NO_THREAD_SAFETY void LocalTrail::AfterForkInChild() {
  LocalTrail& trail = Instance();
  ++trail.forks_;
  trail.lock_.unlock();
  // A change may have been under way, on a thread that does not exist here.
  new (&trail.change_) Mutex();
}

}  // namespace ktlsim::authority
