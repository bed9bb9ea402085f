#include "kernel_sim/digest/client_cache.h"

#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/digest/nonce.h"

namespace ktlsim::digest {

ClientCache::EntryId ClientCache::Put(std::shared_ptr<const ClientFacts> facts,
                                      std::uint32_t count) {
  KTLSIM_ASSERT(facts != nullptr && entries_max_ > 0);
  Entries added;
  added.push_back({.id = 0, .use = {.facts = std::move(facts), .count = count}});
  Entries evicted;  // destroyed without the lock
  const MutexLock lock(lock_);
  added.front().id = last_id_ + 1;
  by_id_.emplace(added.front().id, added.begin());
  ++last_id_;
  entries_.splice(entries_.end(), added);
  if (entries_.size() > entries_max_) {
    by_id_.erase(entries_.front().id);
    evicted.splice(evicted.end(), entries_, entries_.begin());
  }
  return last_id_;
}

ClientCache::Outcome ClientCache::Next(EntryId id, Use* out) {
  Use next;  // whose old facts are destroyed without the lock
  const MutexLock lock(lock_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return Outcome::kNotFound;
  Use& use = found->second->use;
  if (use.count + 1 >= kNonceCountEnd) return Outcome::kExhausted;
  ++use.count;
  entries_.splice(entries_.end(), entries_, found->second);
  next = use;
  std::swap(*out, next);
  return Outcome::kOk;
}

ClientCache::Outcome ClientCache::Look(EntryId id, Use* out) const {
  Use now;
  const MutexLock lock(lock_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return Outcome::kNotFound;
  now = found->second->use;
  std::swap(*out, now);
  return Outcome::kOk;
}

ClientCache::Outcome ClientCache::Renew(EntryId id, std::shared_ptr<const ClientFacts> facts,
                                        std::uint32_t count) {
  KTLSIM_ASSERT(facts != nullptr);
  // What was there before is destroyed without the lock, since `facts` outlives it.
  const MutexLock lock(lock_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return Outcome::kNotFound;
  std::swap(found->second->use.facts, facts);
  found->second->use.count = count;
  entries_.splice(entries_.end(), entries_, found->second);
  return Outcome::kOk;
}

ClientCache::Outcome ClientCache::Remove(EntryId id) {
  Entries removed;
  const MutexLock lock(lock_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return Outcome::kNotFound;
  removed.splice(removed.end(), entries_, found->second);
  by_id_.erase(found);
  return Outcome::kOk;
}

std::size_t ClientCache::size() const {
  const MutexLock lock(lock_);
  return entries_.size();
}

}  // namespace ktlsim::digest
