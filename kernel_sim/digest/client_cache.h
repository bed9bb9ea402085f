// ClientCache: what a client keeps of each server that it has authenticated with, so that its next
// request needs no challenge: server name, realm, nonce, nonce count and opaque value. The
// application keeps only the handle of its context, and the handle finds the entry here.
//
// What a newcomer gets wrong: all connections to a server share one count. A count is handed out
// once, whatever becomes of the request, since the server takes no number twice.
//
// Any thread, up to dispatch level: the lock is held for a few instructions, without allocation or
// copying, except in Put.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::digest {

// What a signature is made of. Never changed, so that a thread that signs may go on with it while
// another one gets a new nonce.
struct ClientFacts {
  std::string server;
  std::string realm;
  std::string nonce;
  std::string opaque;  // empty: the server gave none
  Algorithm algorithm = Algorithm::kMd5;
  HashValue session_hash;  // H(A1)
};

class ClientCache {
 public:
  using EntryId = std::uint64_t;  // 0: none; never used twice

  enum class Outcome : std::uint8_t {
    kOk,
    kNotFound,   // never put, removed, or it had to make room: authenticate again
    kExhausted,  // the nonce has been used as often as it may: authenticate again
  };

  // The next request of an entry.
  struct Use {
    std::shared_ptr<const ClientFacts> facts;
    std::uint32_t count = 0;
  };

  // Holds at most `entries_max` entries, at least one; the one that was used least recently makes
  // room.
  explicit ClientCache(std::size_t entries_max) : entries_max_(entries_max) {}

  // Adds an entry whose nonce has been used `count` times. Throws std::bad_alloc, and has changed
  // nothing then.
  EntryId Put(std::shared_ptr<const ClientFacts> facts, std::uint32_t count) KTLSIM_EXCLUDES(lock_);

  // Hands out the next count; with another outcome than kOk, *out is unchanged.
  Outcome Next(EntryId id, Use* out) KTLSIM_EXCLUDES(lock_);
  // The entry and the last count that was handed out, which is not moved. Does not count as a use
  // either: with it a caller sees whether its buffer is long enough.
  Outcome Look(EntryId id, Use* out) const KTLSIM_EXCLUDES(lock_);
  // Gives the entry a new nonce, which has been used `count` times: the server has said `stale`.
  Outcome Renew(EntryId id, std::shared_ptr<const ClientFacts> facts, std::uint32_t count)
      KTLSIM_EXCLUDES(lock_);
  Outcome Remove(EntryId id) KTLSIM_EXCLUDES(lock_);

  std::size_t size() const KTLSIM_EXCLUDES(lock_);

 private:
  struct Entry {
    EntryId id = 0;
    Use use;
  };
  using Entries = std::list<Entry>;  // the least recently used one first

  const std::size_t entries_max_;
  mutable Mutex lock_;
  Entries entries_ KTLSIM_GUARDED_BY(lock_);
  std::unordered_map<EntryId, Entries::iterator> by_id_ KTLSIM_GUARDED_BY(lock_);
  EntryId last_id_ KTLSIM_GUARDED_BY(lock_) = 0;
};

}  // namespace ktlsim::digest
