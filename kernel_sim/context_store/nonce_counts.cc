#include "kernel_sim/context_store/nonce_counts.h"

#include <algorithm>

namespace ktlsim::context_store {

StoreResult NonceCounts::Seen::Advance(const NonceUse& use) {
  if (use.count == 0) return StoreResult::kOutOfSequence;
  if (use.window == 0 && use.count != std::uint64_t{highest} + 1) {
    return StoreResult::kOutOfSequence;
  }
  if (use.count > highest) {
    const std::uint32_t step = use.count - highest;
    below = (step < kNonceWindowMax ? below << step : 0) | 1;
    highest = use.count;
    return StoreResult::kOk;
  }
  const std::uint32_t back = highest - use.count;
  if (back >= std::min(use.window, kNonceWindowMax)) return StoreResult::kOutOfSequence;
  const std::uint64_t bit = std::uint64_t{1} << back;
  if ((below & bit) != 0) return StoreResult::kOutOfSequence;
  below |= bit;
  return StoreResult::kOk;
}

StoreResult NonceCounts::Advance(const NonceUse& use, std::uint64_t now_ns) {
  if (use.nonce == 0) return StoreResult::kStale;
  if (use.nonce == newest_.nonce) return newest_.Advance(use);
  if (use.nonce == previous_.nonce && now_ns < previous_until_ns_) return previous_.Advance(use);
  return StoreResult::kStale;
}

StoreResult NonceCounts::Put(const NonceUse& use, std::uint64_t previous_ns, std::uint64_t now_ns) {
  if (use.nonce <= newest_.nonce) return Advance(use, now_ns);
  Seen seen{.nonce = use.nonce};
  const StoreResult result = seen.Advance(use);
  if (result != StoreResult::kOk) return result;
  previous_ = newest_;
  previous_until_ns_ = now_ns + previous_ns;
  newest_ = seen;
  return result;
}

}  // namespace ktlsim::context_store
