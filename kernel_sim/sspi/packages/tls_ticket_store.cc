#include "kernel_sim/sspi/packages/tls_ticket_store.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/fork_gate.h"

namespace ktlsim::sspi {
namespace {

using context_store::Begun;
using context_store::Key;
using context_store::Kind;
using context_store::PutMode;
using context_store::PutRequest;
using context_store::StoreResult;
using tls::TicketKey;

constexpr std::byte kKeyFormat{1};
// An entry outlives the time in which its key opens by as much as clocks may differ.
constexpr std::int64_t kClockSkewS = 60;

std::span<std::byte> Part(TicketKeyValue::Bytes& bytes, std::size_t at, std::size_t size) {
  return std::span(bytes).subspan(at, size);
}

}  // namespace

void TicketKeyValue::Write(const TicketKey& key, Bytes* bytes) {
  constexpr std::size_t kName = 1;
  constexpr std::size_t kEncryption = kName + TicketKey::kNameBytes;
  constexpr std::size_t kMac = kEncryption + TicketKey::kSecretBytes;
  (*bytes)[0] = kKeyFormat;
  std::ranges::copy(std::as_bytes(std::span(key.name)),
                    Part(*bytes, kName, TicketKey::kNameBytes).begin());
  std::ranges::copy(std::as_bytes(key.encryption_key.span()),
                    Part(*bytes, kEncryption, TicketKey::kSecretBytes).begin());
  std::ranges::copy(std::as_bytes(key.mac_key.span()),
                    Part(*bytes, kMac, TicketKey::kSecretBytes).begin());
}

std::optional<TicketKey> TicketKeyValue::Read(std::span<const std::byte> bytes) {
  if (bytes.size() != kBytes || bytes[0] != kKeyFormat) return std::nullopt;
  const std::span<const std::uint8_t> all(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                          bytes.size());
  std::span<const std::uint8_t> rest = all.subspan(1);
  TicketKey key;
  std::ranges::copy(rest.first(TicketKey::kNameBytes), key.name.begin());
  rest = rest.subspan(TicketKey::kNameBytes);
  key.encryption_key = tls::Secret(rest.first(TicketKey::kSecretBytes));
  key.mac_key = tls::Secret(rest.last(TicketKey::kSecretBytes));
  return key;
}

std::shared_ptr<TlsTicketStore> TlsTicketStore::Create(
    PackageHost& host, TlsStoreCounters& counters,
    std::shared_ptr<context_store::ContextStore> store, std::int64_t period_s,
    std::function<void(bool)> refreshed) {
  try {
    std::shared_ptr<tls::SharedTicketKeys> keys = tls::SharedTicketKeys::Create(period_s);
    if (keys == nullptr) return nullptr;
    return std::shared_ptr<TlsTicketStore>(new TlsTicketStore(
        host, counters, std::move(store), std::move(keys), std::move(refreshed)));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

TlsTicketStore::~TlsTicketStore() { OPENSSL_cleanse(offered_bytes_.data(), offered_bytes_.size()); }

void TlsTicketStore::Close() {
  open_.Close();
  open_.WaitUntilDrained();
}

// ---- One refresh, which belongs to whoever has set `busy_`, then to whoever the store calls.

void TlsTicketStore::Refresh() {
  if (busy_.exchange(true, std::memory_order_acquire)) return;
  began_s_ = host_.wall_seconds();
  present_ = keys_->GenerationAt(std::max<std::int64_t>(began_s_, 0));
  place_ = 0;
  step_ = Step::kLook;
  failed_ = false;
  Count(counters_.key_refreshes);
  Go();
}

tls::SharedTicketKeys::Generation TlsTicketStore::generation() const {
  constexpr std::array kDistance = {0, 1, -1};
  return present_ + kDistance.at(static_cast<std::size_t>(place_));
}

// Begins operations until one is pending or there are no more.
void TlsTicketStore::Go() {
  while (place_ != kPlaces) {
    if (IsHere()) {
      NextPlace();
      continue;
    }
    self_ = shared_from_this();
    if (Begin() == Begun::kPending) return;  // it may be over already, on another thread
    self_.reset();
    Judge();
  }
  End();
}

void TlsTicketStore::OnStored() {
  const std::shared_ptr<TlsTicketStore> self = std::move(self_);
  Judge();
  Go();
}

void TlsTicketStore::NextPlace() {
  ++place_;
  step_ = Step::kLook;
}

// The key before the present one cannot change any more, and nobody makes it.
bool TlsTicketStore::IsHere() const {
  return generation() < present_ && keys_->KeyOf(generation()).has_value();
}

// After the store was closed, as if it had been stopped. The store may seal, and Close waits for
// who has entered: so the gate comes first.
Begun TlsTicketStore::Begin() {
  const ForkGate::Scope inside;
  if (!open_.Enter()) {
    SetResult(StoreResult::kStopped);
    return Begun::kDone;
  }
  Begun begun = Begun::kDone;
  try {
    // Nodes that cut time differently have no key in common.
    name_ = "tickets/" + std::to_string(keys_->period_s()) + "/" + std::to_string(generation());
    const Key key = {.kind = Kind::kTicketKeys,
                     .name = std::as_bytes(std::span(name_.data(), name_.size()))};
    begun = step_ == Step::kOffer ? BeginOffer(key) : store_->Get(*this, key);
  } catch (const std::bad_alloc&) {
    SetResult(StoreResult::kUnavailable);
  }
  open_.Leave();
  return begun;
}

Begun TlsTicketStore::BeginOffer(const Key& key) {
  const std::int64_t opens_until_s = (generation() + 2) * keys_->period_s() + kClockSkewS;
  TicketKeyValue::Write(offered_, &offered_bytes_);
  PutRequest put;
  put.value = offered_bytes_;
  put.mode = PutMode::kCreate;
  put.lifetime_ns = static_cast<std::uint64_t>(opens_until_s - began_s_) * kNsPerSecond;
  return store_->Put(*this, key, put);
}

void TlsTicketStore::Judge() {
  try {
    if (step_ == Step::kOffer) {
      JudgeOffer();
    } else {
      JudgeLook();
    }
  } catch (const std::bad_alloc&) {
    Fail();
  }
}

void TlsTicketStore::JudgeLook() {
  if (result() == StoreResult::kOk) {
    Found();
    return;
  }
  if (result() != StoreResult::kNotFound) {
    Fail();
    return;
  }
  if (generation() < present_) {
    NextPlace();  // nobody was here then
    return;
  }
  if (step_ == Step::kLookAgain) {
    Fail();
    return;
  }
  if (MakeOffer()) {
    step_ = Step::kOffer;
  } else {
    Fail();
  }
}

// False: there is no randomness.
bool TlsTicketStore::MakeOffer() {
  // What is here was there once: the store has lost it.
  if (const std::optional<TicketKey> held = keys_->KeyOf(generation()); held.has_value()) {
    offered_ = *held;
    return true;
  }
  TicketKeyValue::Bytes drawn{};
  drawn[0] = kKeyFormat;
  const ForkGate::Scope inside;
  const bool good = host_.FillRandom(std::span(drawn).subspan(1));
  if (good) offered_ = TicketKeyValue::Read(drawn).value_or(TicketKey());
  OPENSSL_cleanse(drawn.data(), drawn.size());
  return good;
}

void TlsTicketStore::Found() {
  const std::optional<TicketKey> key = TicketKeyValue::Read(value());
  if (!key.has_value()) {
    Fail();
    return;
  }
  if (keys_->Take(generation(), *key)) Count(counters_.keys_taken);
  NextPlace();
}

void TlsTicketStore::JudgeOffer() {
  OPENSSL_cleanse(offered_bytes_.data(), offered_bytes_.size());
  if (result() == StoreResult::kExists) {
    step_ = Step::kLookAgain;
    return;
  }
  if (result() != StoreResult::kOk) {
    Fail();
    return;
  }
  if (keys_->Take(generation(), offered_)) Count(counters_.keys_made);
  NextPlace();
}

// The next refresh begins again. In a store that does not work the rest would fail, too.
void TlsTicketStore::Fail() {
  failed_ = true;
  if (context_store::IsStoreFailure(result())) {
    place_ = kPlaces;
  } else {
    NextPlace();
  }
}

void TlsTicketStore::End() {
  Count(failed_ ? counters_.key_refreshes_failed : counters_.key_refreshes_ok);
  keys_->Forget(present_ - 1);
  offered_ = TicketKey();
  SetValue({});
  const bool seals = keys_->KeyOf(present_).has_value();
  busy_.store(false, std::memory_order_release);
  if (refreshed_) refreshed_(seals);
}

}  // namespace ktlsim::sspi
