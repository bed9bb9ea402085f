#include "kernel_sim/digest/nonce_counts.h"

namespace ktlsim::digest {

CountVerdict NonceCounts::Look(std::uint32_t count) const {
  const SpinLockHolder holder(lock_);
  CountState next;
  return JudgeCount(state_, count, window_, &next);
}

CountVerdict NonceCounts::Use(std::uint32_t count) {
  const SpinLockHolder holder(lock_);
  CountState next;
  const CountVerdict verdict = JudgeCount(state_, count, window_, &next);
  state_ = next;
  return verdict;
}

CountState NonceCounts::state() const {
  const SpinLockHolder holder(lock_);
  return state_;
}

}  // namespace ktlsim::digest
