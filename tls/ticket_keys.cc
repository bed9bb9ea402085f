#include "tls/ticket_keys.h"

#include <new>
#include <utility>

#include <openssl/err.h>
#include <openssl/rand.h>

namespace ktlsim::tls {
namespace {

constexpr std::size_t kTicketKeyBytes = 32;

bool RandomTicketKey(TicketKey& key) {
  key.encryption_key.Resize(kTicketKeyBytes);
  key.mac_key.Resize(kTicketKeyBytes);
  const bool good = RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1 &&
                    RAND_priv_bytes(key.encryption_key.span().data(), kTicketKeyBytes) == 1 &&
                    RAND_priv_bytes(key.mac_key.span().data(), kTicketKeyBytes) == 1;
  if (!good) ERR_clear_error();
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
  TicketKey key;
  if (!RandomTicketKey(key)) return {Category::kCrypto, 0, "the random generator failed"};
  return Install(std::move(key));
}

Status TicketKeys::Install(TicketKey key) {
  if (key.encryption_key.size() != kTicketKeyBytes || key.mac_key.size() != kTicketKeyBytes) {
    return {Category::kContract, 0, "a ticket key needs two secrets of 32 bytes"};
  }
  try {
    auto ring = std::make_shared<TicketKeyRing>();
    ring->current = std::move(key);
    MutexLock lock(mutex_);
    if (ring_ != nullptr) {
      ring->previous = ring_->current;
      ring->has_previous = true;
    }
    ring_ = std::move(ring);
    generation_.fetch_add(1, std::memory_order_release);
    return {};
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for ticket keys");
  }
}

std::shared_ptr<const TicketKeyRing> TicketKeys::Snapshot() const {
  MutexLock lock(mutex_);
  return ring_;
}

}  // namespace ktlsim::tls
