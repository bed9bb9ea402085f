#include "tls/handshake/shared_ticket_keys.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim::tls {

std::shared_ptr<SharedTicketKeys> SharedTicketKeys::Create(std::int64_t period_s) {
  KTLSIM_ASSERT(period_s > 0);
  try {
    auto empty = std::make_shared<TicketKeyRing>();
    return std::shared_ptr<SharedTicketKeys>(new SharedTicketKeys(period_s, std::move(empty)));
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

bool SharedTicketKeys::Take(Generation generation, const TicketKey& key) {
  KTLSIM_ASSERT(key.encryption_key.size() == TicketKey::kSecretBytes);
  KTLSIM_ASSERT(key.mac_key.size() == TicketKey::kSecretBytes);
  MutexLock lock(mutex_);
  const auto of_generation = [generation](const Held& held) {
    return held.generation == generation;
  };
  const auto sealing = std::ranges::find_if(held_, of_generation);
  if (sealing != held_.end() && sealing->key.name == key.name) return false;
  held_.reserve(held_.size() + 1);
  std::erase_if(held_,
                [&](const Held& held) { return of_generation(held) && held.key.name == key.name; });
  held_.insert(held_.begin(), {generation, key});
  if (held_.size() > kKeysMax) {
    // The last of its generation.
    const auto oldest =
        std::ranges::min_element(held_.rbegin(), held_.rend(), {}, &Held::generation);
    held_.erase(std::next(oldest).base());
  }
  ring_of_ = -1;
  return true;
}

std::optional<TicketKey> SharedTicketKeys::KeyOf(Generation generation) {
  MutexLock lock(mutex_);
  const auto found = std::ranges::find(held_, generation, &Held::generation);
  if (found == held_.end()) return std::nullopt;
  return found->key;
}

void SharedTicketKeys::Forget(Generation before) noexcept {
  MutexLock lock(mutex_);
  std::erase_if(held_, [before](const Held& held) { return held.generation < before; });
  // A ring has the key of the generation before its own, too.
  if (ring_of_ > before) return;
  ring_ = empty_;
  ring_of_ = -1;
}

// The present generation comes first, so that its key seals.
std::shared_ptr<const TicketKeyRing> SharedTicketKeys::RingOf(Generation present) const {
  auto ring = std::make_shared<TicketKeyRing>();
  for (const Generation generation : {present, present + 1, present - 1}) {
    for (const Held& held : held_) {
      if (held.generation == generation) ring->keys.push_back(held.key);
    }
    if (generation == present) ring->seals = !ring->keys.empty();
  }
  return ring;
}

std::shared_ptr<const TicketKeyRing> SharedTicketKeys::At(std::int64_t now_s) noexcept {
  const Generation present = GenerationAt(std::max<std::int64_t>(now_s, 0));
  MutexLock lock(mutex_);
  if (ring_of_ != present) {
    try {
      ring_ = RingOf(present);
      ring_of_ = present;
      std::erase_if(held_, [present](const Held& held) { return held.generation < present - 1; });
    } catch (const std::bad_alloc&) {
      ring_of_ = -1;  // the next call tries again
    }
  }
  if (ring_->sealing() == nullptr) without_key_.fetch_add(1, std::memory_order_relaxed);
  return ring_;
}

}  // namespace ktlsim::tls
