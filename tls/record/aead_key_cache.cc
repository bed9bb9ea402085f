#include "tls/record/aead_key_cache.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <new>

namespace ktlsim::tls {
namespace {

// A plain pointer: a record must not pay for the check that a thread-local object with a destructor
// brings, and a key may go after the cache of its thread.
constinit thread_local AeadKeyCache* t_cache = nullptr;
constinit thread_local bool t_ended = false;

// Ends with its thread. Not a thread-local object's destructor: the C library ends the process when
// it has no memory to register that.
void EndCache(void* cache) {
  t_ended = true;
  t_cache = nullptr;
  delete static_cast<AeadKeyCache*>(cache);
}

// False: there is no key of this kind left in the process.
bool EndWithThread(AeadKeyCache* cache) {
  static const struct Key {
    Key() : made(pthread_key_create(&value, &EndCache) == 0) {}
    pthread_key_t value{};
    const bool made;
  } key;
  return key.made && pthread_setspecific(key.value, cache) == 0;
}

AeadKeyCache* MakeCache() {
  if (t_ended) return nullptr;
  std::unique_ptr<AeadKeyCache> made(new (std::nothrow) AeadKeyCache);
  if (made == nullptr || !EndWithThread(made.get())) return nullptr;
  t_cache = made.release();
  return t_cache;
}

}  // namespace

AeadKeyId AeadKeyId::Next() {
  // Only uniqueness is needed: relaxed.
  static constinit std::atomic<std::uint64_t> last{0};
  AeadKeyId id;
  id.value_ = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return id;
}

void AeadKeyId::Reset() {
  if (value_ != 0 && t_cache != nullptr) t_cache->Forget(value_);
  value_ = 0;
}

AeadKeyCache* AeadKeyCache::OfThisThread() { return t_cache != nullptr ? t_cache : MakeCache(); }

Aead* AeadKeyCache::Find(std::uint64_t id, AeadId aead, AeadFactory factory,
                         std::span<const std::uint8_t> key) {
  std::unique_ptr<Bank>& bank = banks_[static_cast<std::size_t>(aead)];
  if (bank == nullptr) bank.reset(new (std::nothrow) Bank);
  if (bank == nullptr) return nullptr;
  ++uses_;
  const std::span<Slot, kWays> set = SetOf(*bank, id);
  for (Slot& slot : set) {
    if (slot.id != id) continue;
    slot.last_use = uses_;
    return slot.aead.get();
  }
  return Expand(*std::ranges::min_element(set, {}, &Slot::last_use), id, aead, factory, key);
}

Aead* AeadKeyCache::Expand(Slot& slot, std::uint64_t id, AeadId aead, AeadFactory factory,
                           std::span<const std::uint8_t> key) {
  ++counts_.expansions;
  if (slot.id != 0) {
    ++counts_.evictions;
    slot.aead->ClearKey();
  }
  slot.id = 0;
  if (slot.aead == nullptr || slot.factory != factory) {
    slot.factory = factory;
    slot.aead = factory(aead, key);
  } else if (!slot.aead->SetKey(key)) {
    slot.aead.reset();
  }
  if (slot.aead == nullptr) return nullptr;
  slot.id = id;
  slot.last_use = uses_;
  return slot.aead.get();
}

void AeadKeyCache::Forget(std::uint64_t id) {
  for (const std::unique_ptr<Bank>& bank : banks_) {
    if (bank == nullptr) continue;
    for (Slot& slot : SetOf(*bank, id)) {
      if (slot.id != id) continue;
      slot.aead->ClearKey();
      slot.id = 0;
      slot.last_use = 0;  // the next to be taken
    }
  }
}

}  // namespace ktlsim::tls
