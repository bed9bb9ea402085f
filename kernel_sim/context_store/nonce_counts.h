// NonceCounts: which requests of an entry's nonces have been seen (RFC 7616 3.4, "nc").
//
// What a newcomer gets wrong: two nonces are alive at the same time for a while, for requests that
// were under way on other connections when the client got the new one. Each has its own count.
//
// The script that runs inside Redis (redis_script.h) does the same; a test compares the two.
// Not thread-safe: its owner's lock guards it.
#pragma once

#include <cstdint>

#include "kernel_sim/base/count_window.h"
#include "kernel_sim/context_store/context_store.h"

namespace ktlsim::context_store {

class NonceCounts {
 public:
  // Judges and counts `use`, whose epoch is right. kOk, kStale (a nonce that is not known here) or
  // kOutOfSequence; then nothing has changed.
  StoreResult Advance(const NonceUse& use, std::uint64_t now_ns);
  // The same, but a nonce with a greater number than the newest one becomes the newest, and the
  // newest until now remains good for `previous_ns`.
  StoreResult Put(const NonceUse& use, std::uint64_t previous_ns, std::uint64_t now_ns);

 private:
  struct Seen {
    std::uint64_t nonce = 0;
    CountWindow counts;

    StoreResult Advance(const NonceUse& use);
  };

  Seen newest_;
  Seen previous_;
  std::uint64_t previous_until_ns_ = 0;
};

}  // namespace ktlsim::context_store
