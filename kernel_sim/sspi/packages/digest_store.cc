#include "kernel_sim/sspi/packages/digest_store.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/fork_gate.h"

namespace ktlsim::sspi {
namespace {

using context_store::Begun;
using context_store::Key;
using context_store::Kind;
using context_store::NonceUse;
using context_store::PutRequest;
using context_store::StoreResult;

constexpr std::size_t kMintsMax = 16;

digest::HashValue AsKey(std::span<const std::byte> bytes) {
  return digest::HashValue({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

Key KeyOf(const digest::Opaque& opaque) {
  return {.kind = Kind::kDigestContext, .name = std::as_bytes(opaque.bytes())};
}

}  // namespace

DigestStoreWait::~DigestStoreWait() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

void DigestStoreWait::OnStored() {
  const std::shared_ptr<DigestStoreWait> self = std::move(self_);
  store_->Note(result());
  if (removes_ && context_store::IsStoreFailure(result())) {
    store_->KeepRemoval(Known(opaque_), until_ns_);
  }
  executive::ResumeToken token;
  {
    const SpinLockHolder holder(lock_);
    token = token_;
    done_.store(true, std::memory_order_release);
  }
  token.Resume();
}

bool DigestStoreWait::Rearm(executive::ResumeToken token) {
  const SpinLockHolder holder(lock_);
  token_ = token;
  return done();
}

std::shared_ptr<DigestStore> DigestStore::Create(
    const Clock& clock, std::shared_ptr<context_store::ContextStore> store,
    const std::shared_ptr<const context_store::NodeKeys>& keys) {
  const ForkGate::Scope inside;
  std::shared_ptr<DigestStore> made(new DigestStore(clock, std::move(store)));
  std::array<std::uint8_t, digest::kNonceKeyBytes + sizeof(node_)> drawn{};
  if (!digest::FillRandom(drawn)) return nullptr;
  std::memcpy(&made->node_, drawn.data() + digest::kNonceKeyBytes, sizeof(node_));
  if (keys == nullptr) {
    made->nonce_key_ = digest::HashValue(digest::Bytes(drawn).first(digest::kNonceKeyBytes));
  } else {
    made->nonce_key_ = AsKey(keys->NonceKey(0));
    if (keys->size() > 1) made->previous_nonce_key_ = AsKey(keys->NonceKey(1));
  }
  OPENSSL_cleanse(drawn.data(), drawn.size());
  return made;
}

std::shared_ptr<const digest::NonceMint> DigestStore::MintFor(std::string_view server,
                                                              std::string_view realm) {
  {
    const MutexLock lock(lock_);
    for (const NamedMint& named : mints_) {
      if (named.server == server && named.realm == realm) return named.mint;
    }
  }
  NamedMint made = {.server = std::string(server), .realm = std::string(realm), .mint = nullptr};
  {
    const ForkGate::Scope inside;
    made.mint = std::make_shared<const digest::NonceMint>(
        digest::NonceMint::Identity{.server = server, .realm = realm, .node = node_},
        nonce_key_.bytes(), previous_nonce_key_.bytes());
  }
  // It would be of no use to those who come later either.
  if (!made.mint->works()) throw std::bad_alloc();
  std::shared_ptr<const digest::NonceMint> mint = made.mint;
  NamedMint dropped;  // destroyed without the lock
  const MutexLock lock(lock_);
  mints_.push_back(std::move(made));
  if (mints_.size() > kMintsMax) {
    dropped = std::move(mints_.front());
    mints_.pop_front();
  }
  return mint;
}

bool DigestStore::IsThere() {
  if (epoch() == 0) return false;
  const MutexLock lock(lock_);
  return failures_ < kFailuresMax || clock_.NowNs() >= gone_until_ns_;
}

bool DigestStore::Works() {
  if (epoch() == 0) return false;
  const MutexLock lock(lock_);
  return failures_ == 0;
}

bool DigestStore::Admit() {
  const MutexLock lock(lock_);
  if (failures_ < kFailuresMax) return true;
  const std::uint64_t now = clock_.NowNs();
  if (now < gone_until_ns_) return false;
  // This one tries; the others do not wait for what becomes of it.
  gone_until_ns_ = now + kGoneNs;
  return true;
}

void DigestStore::Note(StoreResult result) {
  const bool failed = context_store::IsStoreFailure(result);
  {
    const MutexLock lock(lock_);
    failures_ = failed ? std::min(failures_ + 1, kFailuresMax) : 0;
    if (failures_ == kFailuresMax) gone_until_ns_ = clock_.NowNs() + kGoneNs;
  }
  if (!failed && has_removals_.load(std::memory_order_relaxed)) RetryRemoval();
}

// `begin(store, wait)` begins the operation.
template <typename Begin>
void DigestStore::Run(const Wait& wait, std::uint32_t limit_ms, Begin begin) {
  wait->store_ = shared_from_this();
  wait->limit_ns = limit_ms * kNsPerMs;
  ++beginning_;
  if (closed_ || !Admit()) {
    --beginning_;
    wait->SetResult(StoreResult::kUnavailable);
    if (wait->removes_) KeepRemoval(Known(wait->opaque_), wait->until_ns_);
    wait->done_.store(true, std::memory_order_release);
    return;
  }
  wait->handed_over_ = true;
  wait->self_ = wait;
  const Begun begun = begin(*store_, *wait);
  --beginning_;
  if (begun == Begun::kPending) return;
  wait->self_.reset();
  Note(wait->result());
  if (wait->removes_ && context_store::IsStoreFailure(wait->result())) {
    KeepRemoval(Known(wait->opaque_), wait->until_ns_);
  }
  wait->done_.store(true, std::memory_order_release);
}

DigestStore::Wait DigestStore::Get(const digest::Opaque& opaque, executive::ResumeToken token,
                                   std::uint32_t limit_ms) {
  Wait wait = std::make_shared<DigestStoreWait>();
  wait->opaque_ = opaque;
  wait->Rearm(token);
  Run(wait, limit_ms, [](context_store::ContextStore& store, DigestStoreWait& call) {
    return store.Get(call, KeyOf(Known(call.opaque_)));
  });
  return wait;
}

DigestStore::Wait DigestStore::Put(const digest::Opaque& opaque, std::vector<std::byte> bytes,
                                   PutRequest put, executive::ResumeToken token,
                                   std::uint32_t limit_ms) {
  Wait wait = std::make_shared<DigestStoreWait>();
  wait->opaque_ = opaque;
  wait->Rearm(token);
  wait->bytes_ = std::move(bytes);
  put.value = wait->bytes_;
  Run(wait, limit_ms, [&put](context_store::ContextStore& store, DigestStoreWait& call) {
    return store.Put(call, KeyOf(Known(call.opaque_)), put);
  });
  return wait;
}

DigestStore::Wait DigestStore::Advance(const digest::Opaque& opaque, const NonceUse& use,
                                       executive::ResumeToken token, std::uint32_t limit_ms) {
  Wait wait = std::make_shared<DigestStoreWait>();
  wait->opaque_ = opaque;
  wait->Rearm(token);
  Run(wait, limit_ms, [&use](context_store::ContextStore& store, DigestStoreWait& call) {
    return store.Advance(call, KeyOf(Known(call.opaque_)), use);
  });
  return wait;
}

DigestStore::Wait DigestStore::Remove(const digest::Opaque& opaque, std::uint64_t until_ns,
                                      const executive::ResumeToken* token, std::uint32_t limit_ms) {
  try {
    Wait wait = std::make_shared<DigestStoreWait>();
    wait->opaque_ = opaque;
    wait->removes_ = true;
    wait->until_ns_ = until_ns;
    if (token != nullptr) wait->Rearm(*token);
    Run(wait, limit_ms, [](context_store::ContextStore& store, DigestStoreWait& call) {
      return store.Remove(call, KeyOf(Known(call.opaque_)));
    });
    return wait;
  } catch (const std::bad_alloc&) {
    return nullptr;  // it expires by itself
  }
}

void DigestStore::KeepRemoval(const digest::Opaque& opaque, std::uint64_t until_ns) {
  try {
    const MutexLock lock(lock_);
    if (removals_.size() == kRemovalsMax) removals_.pop_front();
    removals_.push_back({.opaque = opaque, .until_ns = until_ns});
    has_removals_.store(true, std::memory_order_relaxed);
  } catch (const std::bad_alloc&) {
    return;  // it expires by itself
  }
}

// One with each operation that succeeds.
void DigestStore::RetryRemoval() {
  if (retrying_.exchange(true)) return;
  const std::uint64_t now = clock_.NowNs();
  std::optional<Removal> next;
  {
    const MutexLock lock(lock_);
    while (!removals_.empty() && !next.has_value()) {
      if (removals_.front().until_ns > now) next = removals_.front();
      removals_.pop_front();
    }
    has_removals_.store(!removals_.empty(), std::memory_order_relaxed);
  }
  if (next.has_value()) Remove(next->opaque, next->until_ns, nullptr, 0);
  retrying_ = false;
}

void DigestStore::Abandon(const Wait& wait) {
  if (wait != nullptr && !wait->done()) Note(StoreResult::kTimedOut);
}

void DigestStore::Close() {
  closed_ = true;
  while (beginning_ != 0) std::this_thread::yield();
}

}  // namespace ktlsim::sspi
