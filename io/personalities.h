// Personalities: the rights of Unix users, registered with a ring, for the operations that it runs
// for them.
//
// A personality is a copy of the credentials that the registering thread has at that moment: the
// ring's thread takes on the Unix user, registers, and returns. It is kept while operations use it,
// and for a while after that: a client that comes again costs nothing.
//
// Private to io. On the ring's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/unix_identity.h"

namespace ktlsim::io {

// The ring's part.
class PersonalityCalls {
 public:
  // The number of a personality with the calling thread's credentials, or a negative errno value.
  virtual int Register() noexcept = 0;
  virtual void Unregister(int number) noexcept = 0;

 protected:
  ~PersonalityCalls() = default;
};

struct PersonalityLimits {
  std::size_t count = 1024;                      // at once; the kernel has room for 65,535
  std::uint64_t unused_ns = 300 * kNsPerSecond;  // one that nobody uses is dropped after that
};

struct Personality {
  std::uint16_t number = 0;
  std::size_t users = 0;
  std::uint64_t unused_since_ns = 0;
  const UnixIdentity* identity = nullptr;
  std::list<Personality*>::iterator place{};  // among the unused ones; only while users is 0
};

class Personalities {
 public:
  explicit Personalities(PersonalityCalls& calls, PersonalityLimits limits = {})
      : calls_(calls), limits_(limits) {}
  // A ring that is closed drops what is registered.
  ~Personalities() = default;
  Personalities(const Personalities&) = delete;
  Personalities& operator=(const Personalities&) = delete;

  // 0: *personality is that of `identity`, until Release. An errno value: the identity could not be
  // taken on or registered; EAGAIN: all places are in use; ENOMEM.
  int Acquire(const UnixIdentity& identity, std::uint64_t now_ns, Personality** personality);
  void Release(Personality& personality, std::uint64_t now_ns);

  std::size_t registered() const { return known_.size(); }

 private:
  struct Hash {
    std::size_t operator()(const UnixIdentity& identity) const;
  };

  int Add(const UnixIdentity& identity, Personality** personality);
  void DropOld(std::uint64_t now_ns);
  void Drop(Personality& personality);

  PersonalityCalls& calls_;
  const PersonalityLimits limits_;
  std::unordered_map<UnixIdentity, Personality, Hash> known_;
  std::list<Personality*> unused_;  // the one that is unused for longest first
  std::list<Personality*> spare_;   // nodes of those that are in use
};

}  // namespace ktlsim::io
