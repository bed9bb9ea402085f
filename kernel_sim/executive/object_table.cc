#include "kernel_sim/executive/object_table.h"

#include <algorithm>
#include <new>
#include <thread>

#include "kernel_sim/base/assert.h"

namespace ktlsim::executive {
namespace {

constexpr std::uint64_t kOpen = ObjectSlot::kOpen;
constexpr std::uint64_t kReferences = kOpen - 1;

std::uint64_t GenerationOf(std::uint64_t word) { return word >> ObjectSlot::kGenerationShift; }

// Between two reads of a claim that another thread holds. A waiter yields after a while: the holder
// may have lost its core and need this one.
class Wait {
 public:
  void Once() {
    if (++looks_ >= 64) std::this_thread::yield();
  }

 private:
  int looks_ = 0;
};

}  // namespace

void ObjectSlot::AwaitClaim(std::atomic<bool>& claimed) {
  do {
    for (Wait wait; claimed.load(std::memory_order_relaxed);) wait.Once();
  } while (claimed.exchange(true, std::memory_order_seq_cst));
}

void Object::AddReference() {
  const std::uint64_t before = slot_->word.fetch_add(1, std::memory_order_relaxed);
  KTLSIM_ASSERT((before & kReferences) != 0);
}

void Object::Release() {
  ObjectTable* table = table_;
  const std::uint32_t index = index_;
  ObjectSlot* slot = slot_;
  // Acquire-release: the destroyer sees what every other holder did.
  const std::uint64_t before = slot->word.fetch_sub(1, std::memory_order_acq_rel);
  KTLSIM_ASSERT((before & kReferences) != 0);
  if ((before & kReferences) != 1) return;
  KTLSIM_ASSERT((before & kOpen) == 0);
  table->Retire(*slot, index);
}

void Object::Take(Claim claim) { slot_->Take(claim); }

ObjectTable::ObjectTable(std::uint32_t capacity, std::uint64_t generations)
    : capacity_(capacity), generations_(generations), reach_(capacity) {
  KTLSIM_ASSERT(capacity <= kCapacityMax);
  KTLSIM_ASSERT(generations <= ObjectSlot::kGenerations);
}

ObjectTable::~ObjectTable() {
  KTLSIM_ASSERT(live() == 0);
  for (std::atomic<Slot*>& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
}

bool ObjectTable::TakeFreeIndex(std::uint32_t* index) {
  MutexLock lock(mutex_);
  if (oldest_free_ != 0) {
    *index = oldest_free_ - 1;
    oldest_free_ = SlotAt(*index)->next_free;
    if (oldest_free_ == 0) newest_free_ = 0;
    return true;
  }
  if (grown_ == capacity_) return false;
  if (grown_ % kChunkSlots == 0) {
    Slot* chunk = new (std::nothrow) Slot[kChunkSlots];
    if (chunk == nullptr) return false;
    chunks_[grown_ / kChunkSlots].store(chunk, std::memory_order_release);
  }
  *index = grown_++;
  return true;
}

ObjectTable::Handle ObjectTable::Insert(std::unique_ptr<Object>& object) {
  std::uint32_t index = 0;
  if (!TakeFreeIndex(&index)) return 0;
  Slot* slot = SlotAt(index);
  object->table_ = this;
  object->index_ = index;
  object->slot_ = slot;
  slot->object = object.release();
  live_.fetch_add(1, std::memory_order_relaxed);
  const std::uint64_t generation = GenerationOf(slot->word.load(std::memory_order_relaxed));
  // Release publishes the object to every thread that looks the handle up.
  slot->word.store((generation << ObjectSlot::kGenerationShift) | kOpen | 1,
                   std::memory_order_release);
  return (generation << 32) | (std::uint64_t{index} + 1);
}

Object* ObjectTable::Lookup(Handle handle) {
  Slot* slot = SlotOf(handle);
  if (slot == nullptr) return nullptr;
  std::uint64_t word = slot->word.load(std::memory_order_relaxed);
  do {
    if (GenerationOf(word) != handle >> 32 || (word & kOpen) == 0) return nullptr;
  } while (!slot->word.compare_exchange_weak(word, word + 1, std::memory_order_acquire,
                                             std::memory_order_relaxed));
  return slot->object;
}

bool ObjectTable::Close(Handle handle, Object** object) {
  Slot* slot = SlotOf(handle);
  if (slot == nullptr) return false;
  std::uint64_t word = slot->word.load(std::memory_order_relaxed);
  do {
    if (GenerationOf(word) != handle >> 32 || (word & kOpen) == 0) return false;
  } while (!slot->word.compare_exchange_weak(word, word & ~kOpen, std::memory_order_seq_cst,
                                             std::memory_order_relaxed));
  *object = slot->object;
  return true;
}

void ObjectTable::CloseAll() {
  reach_ = capacity_;
  std::uint32_t grown = 0;
  {
    MutexLock lock(mutex_);
    grown = grown_;
  }
  for (std::uint32_t index = 0; index < grown; ++index) {
    const std::uint64_t word = SlotAt(index)->word.load(std::memory_order_relaxed);
    Object* object = nullptr;
    if (!Close(GenerationOf(word) << 32 | (std::uint64_t{index} + 1), &object)) continue;
    // Claimed by a thread of the process that forked this one: the object stays as it is.
    const bool claimed =
        std::ranges::any_of(SlotAt(index)->claims, [](const auto& claim) { return claim.load(); });
    if (!claimed) object->Release();
  }
}

void ObjectTable::Retire(Slot& slot, std::uint32_t index) {
  for (const std::atomic<bool>& claim : slot.claims) {
    for (Wait wait; claim.load(std::memory_order_seq_cst);) wait.Once();
  }
  delete slot.object;
  slot.object = nullptr;
  const std::uint64_t generation = GenerationOf(slot.word.load(std::memory_order_relaxed)) + 1;
  live_.fetch_sub(1, std::memory_order_relaxed);
  // A generation that was used again would make closed handles valid.
  if (generation == generations_) return;
  slot.word.store(generation << ObjectSlot::kGenerationShift, std::memory_order_release);
  MutexLock lock(mutex_);
  slot.next_free = 0;
  (newest_free_ != 0 ? SlotAt(newest_free_ - 1)->next_free : oldest_free_) = index + 1;
  newest_free_ = index + 1;
}

}  // namespace ktlsim::executive
