// MemoryShard: one of the parts of a MemoryStore, with a lock of its own.
//
// A table of 8-byte cells (open addressing) leads to slots of 192 bytes, which hold the name, the
// counts and a value of ordinary size: a look-up touches one cell and one slot. When the shard is
// full, a clock hand with a second chance decides which entry is dropped, since a list in the order
// of use would touch the slots of two others with each look-up.
//
// Private to context_store/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/context_store/nonce_counts.h"

namespace ktlsim::context_store {

// A value that does not fit into a slot. Wipes it.
class OutsideValue {
 public:
  OutsideValue() = default;
  OutsideValue(OutsideValue&& other) noexcept;
  OutsideValue& operator=(OutsideValue&& other) noexcept;
  ~OutsideValue() { Clear(); }

  // False: no memory.
  bool Assign(std::span<const std::byte> value);
  void Clear();
  std::span<const std::byte> bytes() const { return {bytes_.get(), size_}; }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::uint32_t size_ = 0;
};

// A name in a form that compares quickly: `hash` is keyed, so that a client cannot choose names
// that collide.
struct HashedKey {
  const Key& key;
  std::uint64_t hash;
};

// Any thread. Times are those of the store's clock.
class MemoryShard {
 public:
  MemoryShard() = default;
  ~MemoryShard();
  MemoryShard(const MemoryShard&) = delete;
  MemoryShard& operator=(const MemoryShard&) = delete;

  // Before anything else: `entries_max` at least 1; values outside of slots take up to
  // `outside_bytes_max`. Throws std::bad_alloc.
  void Begin(std::uint32_t entries_max, std::size_t outside_bytes_max);

  // As ContextStore's; the epoch is the caller's to compare. Get may throw std::bad_alloc.
  StoreResult Get(const HashedKey& key, std::uint64_t now_ns, StoreCall& call);
  StoreResult Put(const HashedKey& key, const PutRequest& put, std::uint64_t now_ns);
  StoreResult Remove(const HashedKey& key, std::uint64_t now_ns);
  StoreResult Advance(const HashedKey& key, const NonceUse& use, std::uint64_t now_ns);
  void AddCounts(StoreCounts* counts);

 private:
  static constexpr std::size_t kInsideBytes = 88;
  static constexpr std::uint32_t kSlotsPerChunk = 64;
  static constexpr std::uint32_t kNoSlot = ~std::uint32_t{0};

  // Three cache lines, which arrive together when the first is asked for ahead.
  struct alignas(64) Slot {
    std::uint64_t expires_ns = 0;
    std::uint64_t absolute_ns = 0;  // the latest that expires_ns may become
    NonceCounts counts;
    OutsideValue outside;
    std::uint32_t idle_ms = 0;  // 0: none
    std::uint32_t tag = 0;
    std::uint8_t value_bytes = 0;  // of the value inside
    std::uint8_t name_bytes = 0;   // 0: a free slot
    Kind kind = Kind::kDigestContext;
    bool looked_at = false;                        // since the hand came by
    std::array<std::byte, kInsideBytes> inside{};  // the name, then the value

    bool Holds(const Key& key) const;
    std::span<const std::byte> value() const;
    void SetValue(std::span<const std::byte> value, OutsideValue other);
    void Touch(std::uint64_t now_ns);
  };
  static_assert(sizeof(Slot) == 192);
  static_assert(kNameBytesMax < kInsideBytes);
  struct Cell {
    std::uint32_t tag = 0;
    std::uint32_t slot = kNoSlot;
  };

  Slot& At(std::uint32_t slot) KTLSIM_REQUIRES(mutex_) {
    return chunks_[slot / kSlotsPerChunk][slot % kSlotsPerChunk];
  }
  // kNoSlot: there is none that is alive.
  std::uint32_t Find(const HashedKey& key, std::uint64_t now_ns) KTLSIM_REQUIRES(mutex_);
  std::uint32_t Insert(const HashedKey& key) KTLSIM_REQUIRES(mutex_);
  std::uint32_t TakeSlot() KTLSIM_REQUIRES(mutex_);
  void Drop(std::uint32_t slot) KTLSIM_REQUIRES(mutex_);
  void RemoveCell(std::uint32_t slot) KTLSIM_REQUIRES(mutex_);
  void Sweep(std::uint64_t now_ns) KTLSIM_REQUIRES(mutex_);
  bool MakeRoomOutside(std::size_t bytes, std::uint32_t keep) KTLSIM_REQUIRES(mutex_);
  bool EvictOne(std::uint32_t keep) KTLSIM_REQUIRES(mutex_);
  void Write(Slot& slot, const PutRequest& put, OutsideValue outside, std::uint64_t now_ns)
      KTLSIM_REQUIRES(mutex_);

  // Fixed by Begin.
  std::uint32_t entries_max_ = 0;
  std::uint32_t mask_ = 0;
  std::size_t outside_bytes_max_ = 0;

  Mutex mutex_;
  std::unique_ptr<Cell[]> cells_ KTLSIM_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Slot[]>> chunks_ KTLSIM_GUARDED_BY(mutex_);
  std::vector<std::uint32_t> free_ KTLSIM_GUARDED_BY(mutex_);
  std::uint32_t slots_ KTLSIM_GUARDED_BY(mutex_) = 0;  // that were used at some time
  std::uint32_t hand_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::uint32_t sweep_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::size_t outside_bytes_ KTLSIM_GUARDED_BY(mutex_) = 0;
  StoreCounts counts_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::context_store
