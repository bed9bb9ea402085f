// ObjectTable: handles for security contexts and credentials. A handle is an index and a
// generation, never an address, so a stale or made-up one is an ordinary error.
//
// Reference counts live in the table's slots, whose memory is never given back: that is what makes
// "look up and add a reference" safe against a concurrent close, without a lock.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "kernel_sim/base/mutex.h"

namespace ktlsim::executive {

class Object;
class ObjectTable;

// What of an object one thread at a time may use. Who has claimed it is alone among those who claim
// the same, and the object stays until it is returned, as it does for a reference. For a few
// microseconds: whoever waits spins, and so does who drops the last reference meanwhile.
enum class Claim : std::uint8_t { kFirst, kSecond };

// A place in a table, whose memory is never given back. Private to the table and its objects. A
// line each: neighbours are used by different processors.
struct alignas(64) ObjectSlot {
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << 32;
  static constexpr unsigned kGenerationShift = 33;
  static constexpr std::uint64_t kGenerations = std::uint64_t{1} << 31;

  // generation (31 bits) | open (1) | references (32)
  std::atomic<std::uint64_t> word{0};
  Object* object = nullptr;
  std::array<std::atomic<bool>, 2> claims{};
  std::uint32_t next_free = 0;  // under the table's lock; index and one, 0: none

  std::atomic<bool>& claim(Claim which) { return claims[static_cast<std::size_t>(which)]; }
  // Sequentially consistent: Lookup looks at the word behind it, Retire at the claim behind the
  // close.
  void Take(Claim which) {
    std::atomic<bool>& claimed = claim(which);
    if (claimed.exchange(true, std::memory_order_seq_cst)) [[unlikely]]
      AwaitClaim(claimed);
  }
  static void AwaitClaim(std::atomic<bool>& claimed);
};

// What a handle stands for. Lives until its handle is closed and its last reference dropped.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  // Only while holding a reference. Any thread, any level.
  void AddReference();
  // Destroys the object when it was the last one.
  void Release();
  // Only while holding a reference. Any thread, any level.
  void Take(Claim claim);
  // Of who has claimed it, whose last touch of the object this may be.
  void Return(Claim claim) {
    // Release: the next one to claim it, and the destroyer, see what was done under it.
    slot_->claim(claim).store(false, std::memory_order_release);
  }

 private:
  friend class ObjectTable;
  ObjectTable* table_ = nullptr;
  std::uint32_t index_ = 0;
  ObjectSlot* slot_ = nullptr;
};

// A counted reference, as a value.
template <typename T>
class Reference {
 public:
  Reference() = default;
  // Takes over a reference that is already counted.
  explicit Reference(T* counted) : object_(counted) {}
  Reference(const Reference& other) : object_(other.object_) {
    if (object_ != nullptr) object_->AddReference();
  }
  Reference(Reference&& other) noexcept : object_(other.object_) { other.object_ = nullptr; }
  Reference& operator=(Reference other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Reference() { Reset(); }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  // The caller takes over the count.
  T* Detach() {
    T* object = object_;
    object_ = nullptr;
    return object;
  }
  void Reset() {
    if (T* object = Detach()) object->Release();
  }

 private:
  T* object_ = nullptr;
};

// An object that is claimed, as long as this lives.
template <typename T, Claim claim>
class Claimed {
 public:
  // Takes over a claim, or nothing.
  explicit Claimed(T* object) : object_(object) {}
  ~Claimed() {
    if (object_ != nullptr) object_->Return(claim);
  }
  Claimed(const Claimed&) = delete;
  Claimed& operator=(const Claimed&) = delete;

  T* operator->() const { return object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  T* object_;
};

class ObjectTable {
 public:
  // Index and one below, generation above. 0 is never a handle; neither half is ever all ones. No
  // value is given out twice: a place whose generations are used up is given up.
  using Handle = std::uint64_t;

  static constexpr std::uint32_t kCapacityMax = 1U << 22;
  // At most `capacity` live objects. `generations`: how often a place is used; fewer are for tests.
  explicit ObjectTable(std::uint32_t capacity = kCapacityMax,
                       std::uint64_t generations = ObjectSlot::kGenerations);
  ~ObjectTable();
  ObjectTable(const ObjectTable&) = delete;
  ObjectTable& operator=(const ObjectTable&) = delete;

  // Takes ownership; the handle holds one reference. On failure (table full, out of memory) answers
  // 0 and `object` is left as it was.
  Handle Insert(std::unique_ptr<Object>& object);
  // A counted reference, or nullptr for a handle that is closed, stale or made up.
  Object* Lookup(Handle handle);
  // Claimed instead of counted, when nobody else has it claimed any more: one atomic operation and
  // a store for each record, where a reference and a lock take three.
  Object* Lookup(Handle handle, Claim claim) {
    Slot* slot = SlotOf(handle);
    if (slot == nullptr) return nullptr;
    slot->Take(claim);
    // Either this sees that the handle was closed, or Retire sees the claim and waits.
    const std::uint64_t word = slot->word.load(std::memory_order_seq_cst);
    // Rotated, so that the bit above the generation is compared, too: with zero.
    const std::uint64_t open = std::rotl(handle >> 32 << 32, 1) | Slot::kOpen;
    if ((word & ~std::uint64_t{UINT32_MAX}) == open) return slot->object;
    slot->claim(claim).store(false, std::memory_order_release);
    return nullptr;
  }
  // The handle dies. True for exactly one caller, who then owns the handle's reference and must
  // Release it.
  bool Close(Handle handle, Object** object);
  // No handle is found any more, at no cost and until CloseAll. In a forked child.
  void Hide() { reach_ = 0; }
  // All handles die; what nobody else refers to is destroyed.
  void CloseAll() KTLSIM_EXCLUDES(mutex_);

  // Around a fork: nobody else may be changing the table while it is copied.
  void lock() KTLSIM_ACQUIRE(mutex_) { mutex_.lock(); }
  void unlock() KTLSIM_RELEASE(mutex_) { mutex_.unlock(); }

  std::uint32_t live() const { return live_.load(std::memory_order_relaxed); }

 private:
  friend class Object;

  using Slot = ObjectSlot;
  static constexpr std::uint32_t kChunkSlots = 1024;
  static_assert(Slot::kGenerationShift == 33);  // Lookup rotates by one

  Slot* SlotAt(std::uint32_t index) const {
    Slot* chunk = chunks_[index / kChunkSlots].load(std::memory_order_acquire);
    return chunk == nullptr ? nullptr : &chunk[index % kChunkSlots];
  }
  Slot* SlotOf(Handle handle) const {
    const auto index_plus_one = static_cast<std::uint32_t>(handle);
    return index_plus_one - 1 < reach_ ? SlotAt(index_plus_one - 1) : nullptr;
  }
  bool TakeFreeIndex(std::uint32_t* index) KTLSIM_EXCLUDES(mutex_);
  void Retire(Slot& slot, std::uint32_t index) KTLSIM_EXCLUDES(mutex_);

  const std::uint32_t capacity_;
  const std::uint64_t generations_;
  std::uint32_t reach_;  // the handles up to this index are looked at; all, unless hidden
  // Published once each, never replaced.
  std::array<std::atomic<Slot*>, kCapacityMax / kChunkSlots> chunks_{};
  std::atomic<std::uint32_t> live_{0};

  Mutex mutex_;
  // Places to be used again, first in, first out: index and one, 0: none.
  std::uint32_t oldest_free_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::uint32_t newest_free_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::uint32_t grown_ KTLSIM_GUARDED_BY(mutex_) = 0;
};

}  // namespace ktlsim::executive
