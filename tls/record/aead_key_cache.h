// AeadKeyCache: the expanded keys of a thread, so that a connection at rest holds none.
//
// A connection keeps its key, at most 32 bytes; expanded it is a kilobyte, which only records need.
// Each thread keeps the expansions it used last: 1024 per algorithm, 8 ways to a set, the least
// recently used of a set gives way, is wiped, and its object serves the next key. A steady state
// allocates nothing. An id is never used for a second key, so nothing has to be invalidated: the
// expansion of a key that is gone is wiped when its place is needed, or at the thread's end; the
// thread that drops a key wipes its own expansion at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "tls/record/aead.h"

namespace ktlsim::tls {

// Names one key of one direction, never reused; 0 for none. When it goes, so does the expansion in
// the cache of the thread that lets it go.
class AeadKeyId {
 public:
  AeadKeyId() = default;
  AeadKeyId(AeadKeyId&& other) noexcept : value_(std::exchange(other.value_, 0)) {}
  AeadKeyId& operator=(AeadKeyId&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~AeadKeyId() { Reset(); }

  static AeadKeyId Next();
  void Reset();
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

class AeadKeyCache {
 public:
  static constexpr std::size_t kWays = 8;
  static constexpr std::size_t kSets = 128;
  static constexpr std::size_t kKeysMax = kWays * kSets;  // of each algorithm

  AeadKeyCache() = default;
  AeadKeyCache(const AeadKeyCache&) = delete;
  AeadKeyCache& operator=(const AeadKeyCache&) = delete;

  // The calling thread's. nullptr: out of memory, or the thread is ending.
  static AeadKeyCache* OfThisThread();

  // The expansion of `key`, made now if need be; valid until the next call. nullptr: out of memory.
  Aead* Find(std::uint64_t id, AeadId aead, AeadFactory factory, std::span<const std::uint8_t> key);
  void Forget(std::uint64_t id);

  struct Counts {
    std::uint64_t expansions = 0;
    std::uint64_t evictions = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Slot {
    std::uint64_t id = 0;  // 0: no key
    std::uint64_t last_use = 0;
    AeadFactory factory = nullptr;
    std::unique_ptr<Aead> aead;  // kept when the key goes
  };
  using Bank = std::array<Slot, kKeysMax>;
  static constexpr std::size_t kBanks = 3;

  static std::span<Slot, kWays> SetOf(Bank& bank, std::uint64_t id) {
    return std::span(bank).subspan(id % kSets * kWays).template first<kWays>();
  }
  Aead* Expand(Slot& slot, std::uint64_t id, AeadId aead, AeadFactory factory,
               std::span<const std::uint8_t> key);

  std::array<std::unique_ptr<Bank>, kBanks> banks_;  // by AeadId, made on first use
  std::uint64_t uses_ = 0;
  Counts counts_;
};

}  // namespace ktlsim::tls
