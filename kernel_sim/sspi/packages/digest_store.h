// DigestStore: the context store as the server side of Digest uses it: operations that a suspended
// call waits for, and what is known of a store that does not work.
//
// What a newcomer gets wrong: a call may end before its operation does. So an operation is an
// object of its own, which keeps itself alive until the store has finished with it; what it wakes
// is a token, which is void when the call is over.
//
// Any thread, up to dispatch level; nothing waits, except Close.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/context_store/node_keys.h"
#include "kernel_sim/digest/nonce.h"
#include "kernel_sim/executive/request.h"

namespace ktlsim::sspi {

// The value where there has to be one; without it, one that names nothing.
// `opaque` must live as long as the result.
inline const digest::Opaque& Known(const std::optional<digest::Opaque>& opaque) {
  static const digest::Opaque kNothing;
  return opaque.has_value() ? *opaque : kNothing;
}

class DigestStore;

// One operation.
class DigestStoreWait final : public context_store::StoreCall,
                              public std::enable_shared_from_this<DigestStoreWait> {
 public:
  ~DigestStoreWait() override;

  // result() and value() are there.
  bool done() const { return done_.load(std::memory_order_acquire); }
  // It was handed to the store: when it fails, nobody knows whether it took effect.
  bool handed_over() const { return handed_over_; }

  // For a call that runs again and goes on waiting: its earlier token is void. True: it is done.
  bool Rearm(executive::ResumeToken token) KTLSIM_EXCLUDES(lock_);

  void OnStored() override;

 private:
  friend class DigestStore;

  std::shared_ptr<DigestStore> store_;
  std::shared_ptr<DigestStoreWait> self_;  // while the store has it
  std::optional<digest::Opaque> opaque_;
  std::vector<std::byte> bytes_;  // what is put; wiped
  SpinLock lock_;
  executive::ResumeToken token_ KTLSIM_GUARDED_BY(lock_);
  std::atomic<bool> done_{false};
  bool handed_over_ = false;
  bool removes_ = false;  // it is tried again when it fails
  std::uint64_t until_ns_ = 0;
};

class DigestStore final : public std::enable_shared_from_this<DigestStore> {
 public:
  using Wait = std::shared_ptr<DigestStoreWait>;

  // How many failures in a row mean that the store is gone, and how long nobody waits for it then.
  static constexpr unsigned kFailuresMax = 3;
  static constexpr std::uint64_t kGoneNs = kNsPerSecond;
  static constexpr std::size_t kRemovalsMax = 65'536;

  // `keys` are those of all nodes that share the store; null: keys of its own, since it is not
  // shared. Null: no randomness.
  static std::shared_ptr<DigestStore> Create(
      const Clock& clock, std::shared_ptr<context_store::ContextStore> store,
      const std::shared_ptr<const context_store::NodeKeys>& keys);

  std::uint64_t epoch() const { return store_->epoch(); }
  // False: it has not been there yet, or counts as gone: what would be counted there is counted by
  // this node.
  bool IsThere() KTLSIM_EXCLUDES(lock_);
  // Its last operation, if any, did not fail for its own state.
  bool Works() KTLSIM_EXCLUDES(lock_);
  // Makes the nonces of a server and realm; the same object for the same names as long as there are
  // not too many. May throw std::bad_alloc.
  std::shared_ptr<const digest::NonceMint> MintFor(std::string_view server, std::string_view realm)
      KTLSIM_EXCLUDES(lock_);

  // Begin an operation on the context of `opaque`. If it is not done when this returns, `token` is
  // used as soon as it is; `limit_ms` is the longest that may take. May throw std::bad_alloc, and
  // has begun nothing then.
  Wait Get(const digest::Opaque& opaque, executive::ResumeToken token, std::uint32_t limit_ms);
  // `bytes` is wiped when it is not needed any more; `put.value` is set from it.
  Wait Put(const digest::Opaque& opaque, std::vector<std::byte> bytes,
           context_store::PutRequest put, executive::ResumeToken token, std::uint32_t limit_ms);
  Wait Advance(const digest::Opaque& opaque, const context_store::NonceUse& use,
               executive::ResumeToken token, std::uint32_t limit_ms);
  // A removal that fails is tried again, when the store works, until the entry expires by itself at
  // `until_ns`. A null `token`: nobody waits. Null: no memory, and nothing was begun.
  Wait Remove(const digest::Opaque& opaque, std::uint64_t until_ns,
              const executive::ResumeToken* token, std::uint32_t limit_ms);

  // The call that waits for it ends without its result.
  void Abandon(const Wait& wait);

  // From when this returns the store is not touched any more. Passive level.
  void Close();

 private:
  friend class DigestStoreWait;
  struct Removal {
    digest::Opaque opaque;
    std::uint64_t until_ns = 0;
  };

  struct NamedMint {
    std::string server;
    std::string realm;
    std::shared_ptr<const digest::NonceMint> mint;
  };

  DigestStore(const Clock& clock, std::shared_ptr<context_store::ContextStore> store)
      : clock_(clock), store_(std::move(store)) {}

  template <typename Begin>
  void Run(const Wait& wait, std::uint32_t limit_ms, Begin begin);
  // False: the store counts as gone.
  bool Admit() KTLSIM_EXCLUDES(lock_);
  void Note(context_store::StoreResult result) KTLSIM_EXCLUDES(lock_);
  void KeepRemoval(const digest::Opaque& opaque, std::uint64_t until_ns) KTLSIM_EXCLUDES(lock_);
  void RetryRemoval() KTLSIM_EXCLUDES(lock_);

  const Clock& clock_;
  const std::shared_ptr<context_store::ContextStore> store_;
  digest::HashValue nonce_key_;
  digest::HashValue previous_nonce_key_;  // may be empty
  std::uint32_t node_ = 0;

  std::atomic<bool> closed_{false};
  std::atomic<unsigned> beginning_{0};
  std::atomic<bool> has_removals_{false};
  std::atomic<bool> retrying_{false};

  Mutex lock_;
  unsigned failures_ KTLSIM_GUARDED_BY(lock_) = 0;  // in a row
  std::uint64_t gone_until_ns_ KTLSIM_GUARDED_BY(lock_) = 0;
  std::deque<Removal> removals_ KTLSIM_GUARDED_BY(lock_);
  std::deque<NamedMint> mints_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::sspi
