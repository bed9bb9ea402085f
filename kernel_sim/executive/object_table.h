// ObjectTable: handles for security contexts and credentials. A handle is an index and a
// generation, never an address, so a stale or made-up one is an ordinary error.
//
// Reference counts live in the table's slots, whose memory is never freed. That makes "look up and
// add a reference" safe against a concurrent close, without a lock.
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

// A part of an object that one thread at a time may use. A claim excludes all others of the same
// kind and, like a reference, keeps the object alive until it is returned. It is for a few
// microseconds: a thread that waits for a claim spins, and so does one that drops the object's last
// reference meanwhile.
enum class Claim : std::uint8_t { kFirst, kSecond };

// A place in a table, whose memory is never freed. Private to the table and its objects. Each has a
// cache line of its own, because neighbours are used by different processors.
struct alignas(64) ObjectSlot {
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << 32;
  static constexpr unsigned kGenerationShift = 33;
  static constexpr std::uint64_t kGenerations = std::uint64_t{1} << 31;

  // generation (31 bits) | open (1) | references (32)
  std::atomic<std::uint64_t> word{0};
  Object* object = nullptr;
  std::array<std::atomic<bool>, 2> claims{};
  std::uint32_t next_free = 0;  // under the table's lock; index plus one, 0: none

  std::atomic<bool>& claim(Claim which) { return claims[static_cast<std::size_t>(which)]; }
  // Sequentially consistent: Lookup reads the word after taking the claim, and Retire reads the
  // claim after closing.
  void Take(Claim which) {
    std::atomic<bool>& claimed = claim(which);
    if (claimed.exchange(true, std::memory_order_seq_cst)) [[unlikely]]
      AwaitClaim(claimed);
  }
  static void AwaitClaim(std::atomic<bool>& claimed);
};

// What a handle names. It lives until its handle is closed and its last reference dropped.
class Object {
 public:
  Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  // Only while holding a reference. Any thread, any level.
  void AddReference();
  // Drops a reference; the last one destroys the object.
  void Release();
  // Only while holding a reference. Any thread, any level.
  void Take(Claim claim);
  // Only by the claim's holder. The object may be destroyed as soon as this returns.
  void Return(Claim claim) {
    // Release: the next claimer and the destroyer see what was done under this claim.
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

// A claim on an object, returned by the destructor.
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
  // The lower half is the index plus one, the upper half the generation. 0 is never a handle, and
  // neither half is ever all ones. No value is given out twice: a place that has used up its
  // generations is not used any more.
  using Handle = std::uint64_t;

  static constexpr std::uint32_t kCapacityMax = 1U << 22;
  // At most `capacity` live objects. `generations`: how often a place is used; tests pass fewer.
  explicit ObjectTable(std::uint32_t capacity = kCapacityMax,
                       std::uint64_t generations = ObjectSlot::kGenerations);
  ~ObjectTable();
  ObjectTable(const ObjectTable&) = delete;
  ObjectTable& operator=(const ObjectTable&) = delete;

  // Takes ownership; the handle holds one reference. Returns 0 when the table is full or memory has
  // run out; `object` is then unchanged.
  Handle Insert(std::unique_ptr<Object>& object);
  // Returns a counted reference, or nullptr for a handle that is closed, stale or made up.
  Object* Lookup(Handle handle);
  // Returns the object claimed instead of counted, waiting for its present holder. This costs each
  // record one atomic operation and a store, where a reference and a lock would cost three.
  Object* Lookup(Handle handle, Claim claim) {
    Slot* slot = SlotOf(handle);
    if (slot == nullptr) return nullptr;
    slot->Take(claim);
    // Either this thread sees that the handle was closed, or Retire sees the claim and waits.
    const std::uint64_t word = slot->word.load(std::memory_order_seq_cst);
    // Rotated, so that the handle's bit above the generation is compared with zero, too.
    const std::uint64_t open = std::rotl(handle >> 32 << 32, 1) | Slot::kOpen;
    if ((word & ~std::uint64_t{UINT32_MAX}) == open) return slot->object;
    slot->claim(claim).store(false, std::memory_order_release);
    return nullptr;
  }
  // Closes the handle. True for exactly one caller, which then owns the handle's reference and must
  // Release it.
  bool Close(Handle handle, Object** object);
  // In a forked child: Lookup finds no handle any more, until CloseAll. Takes constant time.
  void Hide() { reach_ = 0; }
  // Closes all handles. Objects without another reference are destroyed.
  void CloseAll() KTLSIM_EXCLUDES(mutex_);

  // Around a fork: no other thread may be changing the table while the process is copied.
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
  std::uint32_t reach_;  // handles below this index are looked up: all of them, or none when hidden
  // Published once each, never replaced.
  std::array<std::atomic<Slot*>, kCapacityMax / kChunkSlots> chunks_{};
  std::atomic<std::uint32_t> live_{0};

  Mutex mutex_;
  // Places to be used again, first in, first out. Index plus one; 0: none.
  std::uint32_t oldest_free_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::uint32_t newest_free_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::uint32_t grown_ KTLSIM_GUARDED_BY(mutex_) = 0;
};

}  // namespace ktlsim::executive
