#include "kernel_sim/context_store/nonce_counts.h"

namespace ktlsim::context_store {

StoreResult NonceCounts::Seen::Advance(const NonceUse& use) {
  return counts.Use(use.count, use.window) ? StoreResult::kOk : StoreResult::kOutOfSequence;
}

StoreResult NonceCounts::Advance(const NonceUse& use, std::uint64_t now_ns) {
  if (use.nonce == 0) return StoreResult::kStale;
  if (use.nonce == newest_.nonce) return newest_.Advance(use);
  if (use.nonce == previous_.nonce && now_ns < previous_until_ns_) return previous_.Advance(use);
  return StoreResult::kStale;
}

StoreResult NonceCounts::Put(const NonceUse& use, std::uint64_t previous_ns, std::uint64_t now_ns) {
  if (use.nonce <= newest_.nonce) return Advance(use, now_ns);
  Seen seen;
  seen.nonce = use.nonce;
  const StoreResult result = seen.Advance(use);
  if (result != StoreResult::kOk) return result;
  previous_ = newest_;
  previous_until_ns_ = now_ns + previous_ns;
  newest_ = seen;
  return result;
}

}  // namespace ktlsim::context_store
