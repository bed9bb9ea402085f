// DigestContexts: the security contexts of Digest that this server was given, over all its
// connections and configurations.
//
// What a newcomer gets wrong: such a context belongs to no connection. Its client comes back on
// another one, so nobody can delete it when a connection ends. The package ends it by itself, when
// its nonce has expired or when it makes room for others. What is left at the end of the server is
// deleted from here.
//
// A handle that the package has ended is dropped here some time later; until then it is dead, and
// to delete it does no harm.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"

namespace ktlsim::serve {

class DigestContexts {
 public:
  // A few more than the package keeps, and a little longer than it does: calls on several
  // processors are noted in another order than the package made their contexts in.
  struct Bounds {
    std::size_t challenges_max = 65'536 + 4'096;
    std::uint64_t challenge_ns = 330 * kNsPerSecond;
    std::size_t established_max = 1'000'000 + 4'096;
    std::uint64_t idle_ns = 4'000 * kNsPerSecond;
  };

  DigestContexts() = default;
  explicit DigestContexts(const Bounds& bounds) : bounds_(bounds) {}
  // All are deleted.
  ~DigestContexts();
  DigestContexts(const DigestContexts&) = delete;
  DigestContexts& operator=(const DigestContexts&) = delete;

  // `context` came with a challenge, or has served a request. Any thread, up to dispatch level.
  // Without memory a new one is not remembered: the package still ends it.
  void NoteChallenge(const CtxtHandle& context, std::uint64_t now_ns) KTLSIM_EXCLUDES(lock_);
  void NoteUse(const CtxtHandle& context, std::uint64_t now_ns) KTLSIM_EXCLUDES(lock_);

  // Deletes them all. Passive level.
  void DeleteAll() KTLSIM_EXCLUDES(lock_);

  std::size_t size() const KTLSIM_EXCLUDES(lock_);

 private:
  struct Entry {
    CtxtHandle context{};
    std::uint64_t used_ns = 0;
    bool established = false;
  };
  using Entries = std::list<Entry>;  // the longest unused one first
  struct Hash {
    std::size_t operator()(const CtxtHandle& context) const;
  };
  struct Same {
    bool operator()(const CtxtHandle& a, const CtxtHandle& b) const {
      return a.dwLower == b.dwLower && a.dwUpper == b.dwUpper;
    }
  };

  void Note(const CtxtHandle& context, bool established, std::uint64_t now_ns)
      KTLSIM_EXCLUDES(lock_);
  void Insert(const CtxtHandle& context, bool established, std::uint64_t now_ns)
      KTLSIM_REQUIRES(lock_);
  void DropOver(Entries& entries, std::size_t max, std::uint64_t life_ns, std::uint64_t now_ns)
      KTLSIM_REQUIRES(lock_);

  const Bounds bounds_;
  mutable Mutex lock_;
  Entries challenges_ KTLSIM_GUARDED_BY(lock_);
  Entries established_ KTLSIM_GUARDED_BY(lock_);
  std::unordered_map<CtxtHandle, Entries::iterator, Hash, Same> known_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::serve
