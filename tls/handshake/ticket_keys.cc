#include "tls/handshake/ticket_keys.h"

#include <algorithm>
#include <new>
#include <utility>

#include <openssl/rand.h>

#include "tls/crypto_failure.h"

namespace ktlsim::tls {
namespace {

constexpr std::size_t kTicketKeyBytes = 32;

bool RandomTicketKey(TicketKey& key) {
  key.encryption_key.Resize(kTicketKeyBytes);
  key.mac_key.Resize(kTicketKeyBytes);
  const bool good = RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1 &&
                    RAND_priv_bytes(key.encryption_key.span().data(), kTicketKeyBytes) == 1 &&
                    RAND_priv_bytes(key.mac_key.span().data(), kTicketKeyBytes) == 1;
  return good;
}

}  // namespace

Result<std::shared_ptr<TicketKeys>> TicketKeys::Create() {
  try {
    std::shared_ptr<TicketKeys> keys(new TicketKeys);
    const Status status = keys->Rotate();
    if (!status.ok()) return status;
    return keys;
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for ticket keys");
  }
}

Status TicketKeys::Rotate() {
  MutexLock lock(mutex_);
  return RotateLocked();
}

Status TicketKeys::RotateLocked() {
  TicketKey key;
  if (!RandomTicketKey(key)) return CryptoFailure("make a ticket key");
  return Add(std::move(key));
}

Status TicketKeys::Install(TicketKey key) {
  if (key.encryption_key.size() != kTicketKeyBytes || key.mac_key.size() != kTicketKeyBytes) {
    return {Category::kContract, 0, "a ticket key needs two secrets of 32 bytes"};
  }
  MutexLock lock(mutex_);
  const Status status = Add(std::move(key));
  if (status.ok()) by_time_ = false;
  return status;
}

Status TicketKeys::Add(TicketKey key) {
  try {
    auto ring = std::make_shared<TicketKeyRing>();
    ring->current = std::move(key);
    if (ring_ != nullptr) {
      ring->previous = ring_->current;
      ring->has_previous = true;
    }
    ring_ = std::move(ring);
    current_since_s_ = previous_since_s_ = kUnknown;
    return {};
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for ticket keys");
  }
}

void TicketKeys::DropPrevious() {
  try {
    auto ring = std::make_shared<TicketKeyRing>();
    ring->current = ring_->current;
    ring_ = std::move(ring);
  } catch (const std::bad_alloc&) {
    return;  // the next call tries again
  }
}

void TicketKeys::Cover(std::int64_t lifespan_s) {
  MutexLock lock(mutex_);
  lifespan_s_ = std::max(lifespan_s_, lifespan_s);
}

std::shared_ptr<const TicketKeyRing> TicketKeys::At(std::int64_t now_s) noexcept {
  MutexLock lock(mutex_);
  const std::int64_t period_s = std::max(lifespan_s_, kSealsForAtLeastS);
  // A clock that was set back must not make a key live longer than its period from now.
  if (current_since_s_ == kUnknown || current_since_s_ > now_s) current_since_s_ = now_s;
  if (previous_since_s_ == kUnknown || previous_since_s_ > now_s) previous_since_s_ = now_s;
  const std::int64_t over_s = current_since_s_ + period_s;
  if (by_time_ && now_s >= over_s && RotateLocked().ok()) {
    current_since_s_ = now_s;
    previous_since_s_ = over_s;  // nothing was sealed since, or this would have run
  }
  if (ring_->has_previous && now_s - previous_since_s_ >= lifespan_s_) DropPrevious();
  return ring_;
}

}  // namespace ktlsim::tls
