#include "kernel_sim/security/identity_mapper.h"

#include <utility>

namespace ktlsim::security {

bool IdentityMapping::WakeBy(std::function<void()> wake) {
  const SpinLockHolder holder(lock_);
  if (done()) return false;
  wake_.swap(wake);
  return true;
}

void IdentityMapping::GiveUp() {
  std::function<void()> wake;  // destroyed without the lock
  {
    const SpinLockHolder holder(lock_);
    if (done() || given_up_) return;
    given_up_ = true;
    wake.swap(wake_);
  }
  OnGivenUp();
}

void IdentityMapping::Finish(MappingOutcome outcome, Token::Ref token) {
  std::function<void()> wake;
  {
    const SpinLockHolder holder(lock_);
    if (done()) return;
    wake.swap(wake_);
    outcome_ = outcome;
    token_ = std::move(token);
    done_.store(true, std::memory_order_release);
  }
  if (wake) wake();
}

}  // namespace ktlsim::security
