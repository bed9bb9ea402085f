#include "kernel_sim/sspi/packages/tls_session_store.h"

#include <algorithm>
#include <array>
#include <new>
#include <vector>

#include <openssl/crypto.h>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/clock.h"

namespace ktlsim::sspi {
namespace {

using context_store::Begun;
using context_store::Kind;
using context_store::PutRequest;
using context_store::StoreCall;
using context_store::StoreResult;

// Spans must live as long as an operation does.
class SessionId {
 public:
  static constexpr std::size_t kBytesMax = 32;  // RFC 5246 7.4.1.2

  explicit SessionId(std::span<const std::byte> id) : size_(id.size()) {
    KTLSIM_ASSERT(id.size() <= kBytesMax);
    std::ranges::copy(id, bytes_.begin());
  }
  context_store::Key key() const {
    return {.kind = Kind::kTlsSession, .name = std::span(bytes_).first(size_)};
  }

 private:
  std::array<std::byte, kBytesMax> bytes_{};
  std::size_t size_;
};

}  // namespace

// Keeps itself alive while the store has it: the handshake may end earlier.
class TlsSessionStore::LookUp final : public StoreCall, public tls::SessionLookUp {
 public:
  LookUp(TlsStoreCounters& counters, std::span<const std::byte> session_id, std::uint32_t wait_ms)
      : SessionLookUp(wait_ms), id(session_id), counters_(counters) {
    limit_ns = std::uint64_t{wait_ms} * kNsPerMs;
  }

  // Until the end it is one of `pending`. False: there are too many.
  bool TakePlace(const std::shared_ptr<Pending>& pending) {
    if (pending->fetch_add(1, std::memory_order_relaxed) >= kPendingMax) {
      pending->fetch_sub(1, std::memory_order_relaxed);
      return false;
    }
    place_ = pending;
    return true;
  }
  void OnStored() override {
    const std::shared_ptr<LookUp> kept = std::move(self);
    End();
  }
  void End() {
    if (place_ != nullptr) place_->fetch_sub(1, std::memory_order_relaxed);
    const bool found = result() == StoreResult::kOk;
    if (Finish(found ? value() : std::span<const std::byte>())) Count(Outcome());
  }

  const SessionId id;
  std::shared_ptr<LookUp> self;

 private:
  void OnGivenUp() override { Count(counters_.timed_out); }
  TlsStoreCounters::Counter& Outcome() {
    if (result() == StoreResult::kOk) return counters_.hits;
    if (result() == StoreResult::kNotFound) return counters_.misses;
    return result() == StoreResult::kTimedOut ? counters_.timed_out : counters_.failed;
  }

  TlsStoreCounters& counters_;
  std::shared_ptr<Pending> place_;  // it may outlive the store
};

// What nobody waits for.
class TlsSessionStore::Errand final : public StoreCall {
 public:
  Errand(TlsStoreCounters& counters, std::span<const std::byte> session_id,
         std::span<const std::byte> session)
      : id(session_id), value(session.begin(), session.end()), counters_(counters) {}
  ~Errand() override { OPENSSL_cleanse(value.data(), value.size()); }
  Errand(const Errand&) = delete;
  Errand& operator=(const Errand&) = delete;

  void OnStored() override {
    const std::shared_ptr<Errand> kept = std::move(self);
    End();
  }
  void End() {
    if (value.empty()) return;  // a removal
    Count(result() == StoreResult::kOk ? counters_.stored : counters_.not_stored);
  }

  const SessionId id;
  std::vector<std::byte> value;
  std::shared_ptr<Errand> self;

 private:
  TlsStoreCounters& counters_;
};

// `begin()` begins the operation. After the store was closed, as if it had been stopped.
template <typename Call, typename Begin>
void TlsSessionStore::Run(const std::shared_ptr<Call>& call, Begin begin) {
  if (!open_.Enter()) {
    call->SetResult(StoreResult::kStopped);
    call->End();
    return;
  }
  call->self = call;
  const Begun begun = begin();
  open_.Leave();
  if (begun == Begun::kPending) return;  // it may be over already, on another thread
  call->self.reset();
  call->End();
}

void TlsSessionStore::Put(std::span<const std::byte> id, std::span<const std::byte> session,
                          std::int64_t lifetime_s) noexcept {
  try {
    const auto errand = std::make_shared<Errand>(counters_, id, session);
    PutRequest put;
    put.value = errand->value;
    put.lifetime_ns = static_cast<std::uint64_t>(lifetime_s) * kNsPerSecond;
    Run(errand, [&] { return store_->Put(*errand, errand->id.key(), put); });
  } catch (const std::bad_alloc&) {
    Count(counters_.not_stored);
  }
}

std::shared_ptr<tls::SessionLookUp> TlsSessionStore::Get(std::span<const std::byte> id) noexcept {
  Count(counters_.look_ups);
  try {
    auto look_up = std::make_shared<LookUp>(counters_, id, wait_ms_);
    if (look_up->TakePlace(pending_)) {
      Run(look_up, [&] { return store_->Get(*look_up, look_up->id.key()); });
    } else {
      look_up->SetResult(StoreResult::kUnavailable);
      look_up->End();
    }
    return look_up;
  } catch (const std::bad_alloc&) {
    Count(counters_.failed);
    return nullptr;
  }
}

void TlsSessionStore::Remove(std::span<const std::byte> id) noexcept {
  try {
    const auto errand = std::make_shared<Errand>(counters_, id, std::span<const std::byte>());
    Run(errand, [&] { return store_->Remove(*errand, errand->id.key()); });
  } catch (const std::bad_alloc&) {
    return;  // it expires by itself
  }
}

void TlsSessionStore::Close() {
  open_.Close();
  open_.WaitUntilDrained();
}

}  // namespace ktlsim::sspi
