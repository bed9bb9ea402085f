#include "tls/handshake/ticket_keys.h"

#include <algorithm>
#include <new>
#include <utility>

#include <openssl/rand.h>

#include "tls/crypto_failure.h"

namespace ktlsim::tls {

bool TicketKey::Draw() {
  encryption_key.Resize(kSecretBytes);
  mac_key.Resize(kSecretBytes);
  return RAND_bytes(name.data(), static_cast<int>(name.size())) == 1 &&
         RAND_priv_bytes(encryption_key.span().data(), kSecretBytes) == 1 &&
         RAND_priv_bytes(mac_key.span().data(), kSecretBytes) == 1;
}

const TicketKey* TicketKeyRing::Find(std::span<const std::uint8_t> name) const {
  const auto found = std::ranges::find_if(
      keys, [name](const TicketKey& key) { return std::ranges::equal(key.name, name); });
  return found != keys.end() ? &*found : nullptr;
}

Result<std::shared_ptr<OwnTicketKeys>> OwnTicketKeys::Create() {
  try {
    std::shared_ptr<OwnTicketKeys> keys(new OwnTicketKeys);
    const Status status = keys->Rotate();
    if (!status.ok()) return status;
    return keys;
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for ticket keys");
  }
}

Status OwnTicketKeys::Rotate() {
  MutexLock lock(mutex_);
  return RotateLocked();
}

Status OwnTicketKeys::RotateLocked() {
  TicketKey key;
  if (!key.Draw()) return CryptoFailure("make a ticket key");
  try {
    auto ring = std::make_shared<TicketKeyRing>();
    ring->keys.reserve(2);
    ring->keys.push_back(std::move(key));
    if (ring_ != nullptr) ring->keys.push_back(ring_->keys.front());
    ring_ = std::move(ring);
    current_since_s_ = previous_since_s_ = kUnknown;
    return {};
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for ticket keys");
  }
}

void OwnTicketKeys::DropPrevious() {
  try {
    auto ring = std::make_shared<TicketKeyRing>();
    ring->keys.push_back(ring_->keys.front());
    ring_ = std::move(ring);
  } catch (const std::bad_alloc&) {
    return;  // the next call tries again
  }
}

void OwnTicketKeys::Cover(std::int64_t lifespan_s) {
  MutexLock lock(mutex_);
  lifespan_s_ = std::max(lifespan_s_, lifespan_s);
}

std::shared_ptr<const TicketKeyRing> OwnTicketKeys::At(std::int64_t now_s) noexcept {
  MutexLock lock(mutex_);
  const std::int64_t period_s = std::max(lifespan_s_, kSealsForAtLeastS);
  // A clock that was set back must not make a key live longer than its period from now.
  if (current_since_s_ == kUnknown || current_since_s_ > now_s) current_since_s_ = now_s;
  if (previous_since_s_ == kUnknown || previous_since_s_ > now_s) previous_since_s_ = now_s;
  const std::int64_t over_s = current_since_s_ + period_s;
  if (now_s >= over_s && RotateLocked().ok()) {
    current_since_s_ = now_s;
    previous_since_s_ = over_s;  // nothing was sealed since, or this would have run
  }
  if (ring_->keys.size() > 1 && now_s - previous_since_s_ >= lifespan_s_) DropPrevious();
  return ring_;
}

}  // namespace ktlsim::tls
