// MemoryShard: one of the parts of a MemoryStore, with a lock of its own.
//
// An index leads from a hash to a slot, which holds the name, the counts and a value of ordinary
// size. A look-up reads one cache line of the index, then two lines of the slot that lie side by
// side; each of the two is a wait for memory, and all else is arranged so that it happens
// meanwhile. When the shard is full, a clock hand with a second chance decides which entry is
// dropped, since a list in the order of use would touch the slots of two others with each look-up.
//
// Private to context_store/.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/context_store/memory_region.h"
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
  static constexpr std::uint32_t kEntriesMax = std::uint32_t{1} << 25;

  MemoryShard() = default;
  ~MemoryShard();
  MemoryShard(const MemoryShard&) = delete;
  MemoryShard& operator=(const MemoryShard&) = delete;

  // What a shard takes of a region at most.
  static std::size_t RegionBytes(std::uint32_t entries_max);

  // Before anything else: `entries_max` 1 to kEntriesMax; values outside of slots take up to
  // `outside_bytes_max`. `region` must outlive the shard. Throws std::bad_alloc.
  void Begin(std::uint32_t entries_max, std::size_t outside_bytes_max, MemoryRegion* region);

  // Brings what a look-up reads first nearer, and waits for nothing. Without the lock.
  void Expect(std::uint64_t hash) const { __builtin_prefetch(&lines_[Home(hash)]); }

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

  // Get reads the first two of its three cache lines.
  struct alignas(64) Slot {
    std::uint64_t expires_ns = 0;
    std::uint64_t idle_ns = 0;  // 0: none
    OutsideValue outside;
    std::uint32_t tag = 0;         // of a free slot: the next free one
    std::uint8_t value_bytes = 0;  // of the value inside
    std::uint8_t name_bytes = 0;   // 0: a free slot
    Kind kind = Kind::kDigestContext;
    bool looked_at = false;                        // since the hand came by
    std::array<std::byte, kInsideBytes> inside{};  // the name, then the value
    std::uint64_t absolute_ns = 0;                 // the latest that expires_ns may become
    NonceCounts counts;

    bool Holds(const Key& key) const;
    std::span<const std::byte> value() const;
    void SetValue(std::span<const std::byte> value, OutsideValue other);
    void LookAt();
    void Touch(std::uint64_t now_ns);
  };
  static_assert(sizeof(Slot) == 192);
  static_assert(kNameBytesMax < kInsideBytes);

  // One cache line of the index: a bucket. A cell is some bits of the hash and, in the low
  // `slot_bits_`, the slot's number plus one; 0: empty.
  struct alignas(64) Line {
    std::uint32_t passed = 0;  // entries that found no place here, in later lines
    std::array<std::uint32_t, 15> cells{};
  };
  static_assert(sizeof(Line) == 64);

  static std::uint32_t LinesOf(std::uint32_t entries_max);
  static std::uint32_t ChunksOf(std::uint32_t entries_max);
  static void Bring(const Slot& slot);

  std::uint32_t Home(std::uint64_t hash) const {
    return static_cast<std::uint32_t>((hash & 0xFFFFFFFFU) * lines_count_ >> 32);
  }
  std::uint32_t Next(std::uint32_t line) const { return line + 1 < lines_count_ ? line + 1 : 0; }
  // The cells of `line` that may be those of `tag`, one bit each.
  std::uint32_t Matches(const Line& line, std::uint32_t tag) const;
  Slot& At(std::uint32_t slot) KTLSIM_REQUIRES(mutex_) {
    return chunks_[slot / kSlotsPerChunk][slot % kSlotsPerChunk];
  }
  // kNoSlot: there is none that is alive.
  std::uint32_t Find(const HashedKey& key, std::uint64_t now_ns) KTLSIM_REQUIRES(mutex_);
  std::uint32_t Insert(const HashedKey& key, std::uint64_t now_ns) KTLSIM_REQUIRES(mutex_);
  std::uint32_t TakeSlot(std::uint64_t now_ns) KTLSIM_REQUIRES(mutex_);
  void Drop(std::uint32_t slot) KTLSIM_REQUIRES(mutex_);
  void AddCell(std::uint32_t slot) KTLSIM_REQUIRES(mutex_);
  void RemoveCell(std::uint32_t slot) KTLSIM_REQUIRES(mutex_);
  void Sweep(std::uint64_t now_ns) KTLSIM_REQUIRES(mutex_);
  bool MakeRoomOutside(std::size_t bytes, std::uint32_t keep, std::uint64_t now_ns)
      KTLSIM_REQUIRES(mutex_);
  bool EvictOne(std::uint32_t keep, std::uint64_t now_ns) KTLSIM_REQUIRES(mutex_);
  void Write(Slot& slot, const PutRequest& put, OutsideValue outside, std::uint64_t now_ns)
      KTLSIM_REQUIRES(mutex_);

  // Fixed by Begin. What they point at is changed under the lock.
  std::uint32_t entries_max_ = 0;
  std::uint32_t lines_count_ = 0;
  unsigned slot_bits_ = 0;
  std::uint32_t slot_mask_ = 0;
  std::size_t outside_bytes_max_ = 0;
  MemoryRegion* region_ = nullptr;
  Line* lines_ = nullptr;
  std::unique_ptr<Slot*[]> chunks_;  // kSlotsPerChunk each; null: not taken yet

  Mutex mutex_;
  std::uint32_t first_free_ KTLSIM_GUARDED_BY(mutex_) = kNoSlot;
  std::uint32_t slots_ KTLSIM_GUARDED_BY(mutex_) = 0;  // that were used at some time
  std::uint32_t hand_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::uint32_t sweep_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::size_t outside_bytes_ KTLSIM_GUARDED_BY(mutex_) = 0;
  // When an entry was last removed or dropped to make room.
  std::optional<std::uint64_t> lost_ns_ KTLSIM_GUARDED_BY(mutex_);
  StoreCounts counts_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::context_store
