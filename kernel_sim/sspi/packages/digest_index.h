// DigestIndex: the contexts of this node, by the opaque value that their clients send.
//
// What a newcomer gets wrong: an opaque value is no secret. It names a context and proves nothing.
// All that is asked of it is that nobody guesses another's, and that a look-up tells nothing by its
// time: the hash is keyed, and values are compared in constant time.
//
// Partial contexts, which anybody can make, are bounded apart from established ones, so that a
// flood of challenges pushes out nothing but challenges. Whoever has to go is told to the caller,
// which ends it when it holds no lock.
//
// Any thread, up to dispatch level: the lock is held for a few instructions and an allocation.
#pragma once

#include <sspi.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/digest/nonce.h"

namespace ktlsim::sspi {

inline bool SameHandle(const SecHandle& a, const SecHandle& b) {
  return a.dwLower == b.dwLower && a.dwUpper == b.dwUpper;
}

class DigestIndex {
 public:
  static constexpr std::size_t kPartialMax = 65'536;
  static constexpr std::size_t kEstablishedMax = 1'000'000;

  // Where an opaque value leads.
  struct Place {
    SecHandle handle{};
    bool established = false;
    bool local = false;  // its counts are in this node's memory, although there is a shared store
  };
  // Contexts that are over: they have expired, or made room.
  struct Ended {
    std::array<SecHandle, 4> handles{};
    std::size_t count = 0;
  };

  explicit DigestIndex(std::size_t partial_max = kPartialMax,
                       std::size_t established_max = kEstablishedMax);

  // Adds a context, which is over at `until_ns`. `identity` names the server and its realm. False:
  // the value is taken. May throw std::bad_alloc, and has changed nothing then.
  bool Add(const digest::Opaque& opaque, std::string_view identity, const Place& place,
           std::uint64_t now_ns, std::uint64_t until_ns, Ended* ended) KTLSIM_EXCLUDES(lock_);
  // Empty: it names nothing, or nothing of this server and realm.
  std::optional<Place> Find(const digest::Opaque& opaque, std::string_view identity,
                            std::uint64_t now_ns, Ended* ended) KTLSIM_EXCLUDES(lock_);
  // The context is `place` from now on, and is over at `until_ns`. False: it is not in the index
  // any more.
  bool Update(const digest::Opaque& opaque, const Place& place, std::uint64_t until_ns)
      KTLSIM_EXCLUDES(lock_);
  // False: it was not there, or is another context's.
  bool Remove(const digest::Opaque& opaque, const SecHandle& handle) KTLSIM_EXCLUDES(lock_);

  std::size_t partial() const KTLSIM_EXCLUDES(lock_);
  std::size_t established() const KTLSIM_EXCLUDES(lock_);

 private:
  // The first one is the first to go.
  using Order = std::list<digest::Opaque>;
  struct Entry {
    std::string identity;
    Place place;
    std::uint64_t until_ns = 0;
    Order::iterator order;
  };
  struct Hash {
    std::array<std::uint64_t, 2> keys{};
    std::size_t operator()(const digest::Opaque& opaque) const;
  };
  using Entries = std::unordered_map<digest::Opaque, Entry, Hash>;

  Order& OrderOf(const Place& place) KTLSIM_REQUIRES(lock_) {
    return place.established ? established_ : partial_;
  }
  void Drop(Entries::iterator entry) KTLSIM_REQUIRES(lock_);
  void DropOver(Order& order, std::size_t max, std::uint64_t now_ns, Ended* ended)
      KTLSIM_REQUIRES(lock_);

  const std::size_t partial_max_;
  const std::size_t established_max_;
  mutable Mutex lock_;
  Order partial_ KTLSIM_GUARDED_BY(lock_);
  Order established_ KTLSIM_GUARDED_BY(lock_);
  // The hash has its keys. They are drawn for the first entry: the index is made with the list of
  // all packages, when OpenSSL may have no memory to begin with.
  std::atomic<bool> keyed_{false};
  Entries entries_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::sspi
