#include "kernel_sim/context_store/memory_shard.h"

#include <algorithm>
#include <bit>
#include <new>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/clock.h"

namespace ktlsim::context_store {
namespace {

// How far the hand moves at most: an operation at dispatch level has little time.
constexpr int kHandSteps = 64;
// Slots that each Put examines, so that expired entries are dropped although nothing asks for them.
constexpr int kSweepSteps = 2;
// In a full shard, on average, of the 15 that a line of the index has.
constexpr std::uint32_t kEntriesPerLine = 11;

std::uint64_t Later(std::uint64_t now_ns, std::uint64_t by_ns) {
  return by_ns < ~std::uint64_t{0} - now_ns ? now_ns + by_ns : ~std::uint64_t{0};
}

}  // namespace

// ---- Values

OutsideValue::OutsideValue(OutsideValue&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

OutsideValue& OutsideValue::operator=(OutsideValue&& other) noexcept {
  if (this != &other) {
    Clear();
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

bool OutsideValue::Assign(std::span<const std::byte> value) {
  Clear();
  bytes_.reset(new (std::nothrow) std::byte[value.size()]);
  if (bytes_ == nullptr) return false;
  std::copy(value.begin(), value.end(), bytes_.get());
  size_ = static_cast<std::uint32_t>(value.size());
  return true;
}

void OutsideValue::Clear() {
  if (bytes_ == nullptr) return;
  OPENSSL_cleanse(bytes_.get(), size_);
  bytes_.reset();
  size_ = 0;
}

bool MemoryShard::Slot::Holds(const Key& key) const {
  return kind == key.kind && name_bytes == key.name.size() &&
         CRYPTO_memcmp(inside.data(), key.name.data(), name_bytes) == 0;
}

std::span<const std::byte> MemoryShard::Slot::value() const {
  if (outside.size() != 0) return outside.bytes();
  return std::span(inside).subspan(name_bytes, value_bytes);
}

void MemoryShard::Slot::SetValue(std::span<const std::byte> value, OutsideValue other) {
  outside = std::move(other);
  const std::span<std::byte> room = std::span(inside).subspan(name_bytes);
  OPENSSL_cleanse(room.data(), value_bytes);
  value_bytes = 0;
  if (outside.size() != 0) return;
  std::copy(value.begin(), value.end(), room.begin());
  value_bytes = static_cast<std::uint8_t>(value.size());
}

// Most entries have been looked at: then the line remains clean, and is not written back.
void MemoryShard::Slot::LookAt() {
  if (!looked_at) looked_at = true;
}

void MemoryShard::Slot::Touch(std::uint64_t now_ns) {
  LookAt();
  if (idle_ns != 0) expires_ns = std::min(absolute_ns, Later(now_ns, idle_ns));
}

// ---- Operations

std::uint32_t MemoryShard::LinesOf(std::uint32_t entries_max) {
  return entries_max / kEntriesPerLine + 1;
}

std::uint32_t MemoryShard::ChunksOf(std::uint32_t entries_max) {
  return (entries_max + kSlotsPerChunk - 1) / kSlotsPerChunk;
}

// As much of it as Get reads.
void MemoryShard::Bring(const Slot& slot) {
  const auto* const bytes = reinterpret_cast<const std::byte*>(&slot);
  __builtin_prefetch(bytes);
  __builtin_prefetch(bytes + 64);
}

std::size_t MemoryShard::RegionBytes(std::uint32_t entries_max) {
  return std::size_t{LinesOf(entries_max)} * sizeof(Line) +
         std::size_t{ChunksOf(entries_max)} * kSlotsPerChunk * sizeof(Slot);
}

void MemoryShard::Begin(std::uint32_t entries_max, std::size_t outside_bytes_max,
                        MemoryRegion* region) {
  KTLSIM_ASSERT(entries_max >= 1 && entries_max <= kEntriesMax);
  entries_max_ = entries_max;
  outside_bytes_max_ = outside_bytes_max;
  region_ = region;
  lines_count_ = LinesOf(entries_max);
  slot_bits_ = static_cast<unsigned>(std::bit_width(entries_max));
  slot_mask_ = (std::uint32_t{1} << slot_bits_) - 1;
  chunks_ = std::make_unique<Slot*[]>(ChunksOf(entries_max));
  std::byte* const lines = region->Take(std::size_t{lines_count_} * sizeof(Line));
  if (lines == nullptr) throw std::bad_alloc();
  lines_ = new (lines) Line[lines_count_];
}

MemoryShard::~MemoryShard() {
  const MutexLock lock(mutex_);
  for (std::uint32_t slot = 0; slot < slots_; ++slot) {
    if (At(slot).name_bytes != 0) Drop(slot);
  }
}

StoreResult MemoryShard::Get(const HashedKey& key, std::uint64_t now_ns, StoreCall& call) {
  const MutexLock lock(mutex_);
  const std::uint32_t found = Find(key, now_ns);
  if (found == kNoSlot) return StoreResult::kNotFound;
  Slot& slot = At(found);
  slot.LookAt();
  call.SetValue(slot.value());
  return StoreResult::kOk;
}

StoreResult MemoryShard::Put(const HashedKey& key, const PutRequest& put, std::uint64_t now_ns) {
  OutsideValue outside;
  if (put.value.size() > kInsideBytes - key.key.name.size() && !outside.Assign(put.value)) {
    return StoreResult::kFull;
  }
  const MutexLock lock(mutex_);
  Sweep(now_ns);
  std::uint32_t at = Find(key, now_ns);
  const bool creates = put.mode == PutMode::kCreate || put.mode == PutMode::kFirst;
  if (creates && at != kNoSlot) return StoreResult::kExists;
  // Which names they had is not known any more.
  const bool forgets = lost_ns_.has_value() && now_ns < Later(*lost_ns_, put.idle_ns);
  if (put.mode == PutMode::kFirst && forgets) return StoreResult::kStale;
  if (put.mode == PutMode::kReplace && at == kNoSlot) return StoreResult::kNotFound;
  NonceCounts counts = at == kNoSlot ? NonceCounts() : At(at).counts;
  if (put.use.nonce != 0) {
    const StoreResult judged = counts.Put(put.use, put.previous_nonce_ns, now_ns);
    if (judged != StoreResult::kOk) return judged;
  }
  if (!MakeRoomOutside(outside.size(), at, now_ns)) return StoreResult::kFull;
  if (at == kNoSlot) at = Insert(key, now_ns);
  if (at == kNoSlot) return StoreResult::kFull;
  At(at).counts = counts;
  Write(At(at), put, std::move(outside), now_ns);
  return StoreResult::kOk;
}

StoreResult MemoryShard::Remove(const HashedKey& key, std::uint64_t now_ns) {
  const MutexLock lock(mutex_);
  const std::uint32_t found = Find(key, now_ns);
  if (found == kNoSlot) return StoreResult::kNotFound;
  Drop(found);
  lost_ns_ = now_ns;
  return StoreResult::kOk;
}

StoreResult MemoryShard::Advance(const HashedKey& key, const NonceUse& use, std::uint64_t now_ns) {
  const MutexLock lock(mutex_);
  const std::uint32_t found = Find(key, now_ns);
  if (found == kNoSlot) return StoreResult::kNotFound;
  Slot& slot = At(found);
  const StoreResult judged = slot.counts.Advance(use, now_ns);
  if (judged == StoreResult::kOk) slot.Touch(now_ns);
  return judged;
}

void MemoryShard::AddCounts(StoreCounts* counts) {
  const MutexLock lock(mutex_);
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    counts->entries[kind] += counts_.entries[kind];
  }
  counts->evicted += counts_.evicted;
  counts->expired += counts_.expired;
}

// ---- Cells and slots

// Without branches: where the cell is cannot be predicted.
std::uint32_t MemoryShard::Matches(const Line& line, std::uint32_t tag) const {
  const std::uint32_t wanted = tag << slot_bits_;
  std::uint32_t matches = 0;
  for (std::size_t i = 0; i < line.cells.size(); ++i) {
    const bool same = ((line.cells[i] ^ wanted) & ~slot_mask_) == 0;
    matches |= std::uint32_t{same} << i;
  }
  return matches;
}

std::uint32_t MemoryShard::Find(const HashedKey& key, std::uint64_t now_ns) {
  const auto tag = static_cast<std::uint32_t>(key.hash);
  std::uint32_t at = Home(tag);
  for (std::uint32_t i = 0; i < lines_count_; ++i, at = Next(at)) {
    const Line& line = lines_[at];
    for (std::uint32_t left = Matches(line, tag); left != 0; left &= left - 1) {
      const std::uint32_t cell = line.cells[static_cast<std::size_t>(std::countr_zero(left))];
      if ((cell & slot_mask_) == 0) continue;  // empty
      const std::uint32_t found = (cell & slot_mask_) - 1;
      Bring(At(found));
      if (!At(found).Holds(key.key)) continue;
      if (now_ns < At(found).expires_ns) return found;
      ++counts_.expired;
      Drop(found);
      return kNoSlot;
    }
    if (line.passed == 0) break;
  }
  return kNoSlot;
}

std::uint32_t MemoryShard::Insert(const HashedKey& key, std::uint64_t now_ns) {
  const std::uint32_t taken = TakeSlot(now_ns);
  if (taken == kNoSlot) return kNoSlot;
  Slot& slot = At(taken);
  slot.tag = static_cast<std::uint32_t>(key.hash);
  slot.kind = key.key.kind;
  slot.name_bytes = static_cast<std::uint8_t>(key.key.name.size());
  std::copy(key.key.name.begin(), key.key.name.end(), slot.inside.begin());
  AddCell(taken);
  ++counts_.entries[static_cast<std::size_t>(slot.kind)];
  return taken;
}

std::uint32_t MemoryShard::TakeSlot(std::uint64_t now_ns) {
  if (first_free_ == kNoSlot && slots_ == entries_max_) EvictOne(kNoSlot, now_ns);
  if (first_free_ != kNoSlot) {
    const std::uint32_t slot = first_free_;
    first_free_ = std::exchange(At(slot).tag, 0);
    return slot;
  }
  if (slots_ == entries_max_) return kNoSlot;
  if (slots_ % kSlotsPerChunk == 0) {
    std::byte* const memory = region_->Take(kSlotsPerChunk * sizeof(Slot));
    if (memory == nullptr) return kNoSlot;
    chunks_[slots_ / kSlotsPerChunk] = new (memory) Slot[kSlotsPerChunk];
  }
  return slots_++;
}

void MemoryShard::Drop(std::uint32_t slot) {
  RemoveCell(slot);
  Slot& gone = At(slot);
  --counts_.entries[static_cast<std::size_t>(gone.kind)];
  outside_bytes_ -= gone.outside.size();
  OPENSSL_cleanse(gone.inside.data(), gone.inside.size());
  gone = Slot();
  gone.tag = std::exchange(first_free_, slot);
}

// There is always an empty cell: all lines together have more than entries_max_.
void MemoryShard::AddCell(std::uint32_t slot) {
  const std::uint32_t tag = At(slot).tag;
  const std::uint32_t value = tag << slot_bits_ | (slot + 1);
  for (std::uint32_t at = Home(tag);; at = Next(at)) {
    for (std::uint32_t& cell : lines_[at].cells) {
      if (cell != 0) continue;
      cell = value;
      return;
    }
    ++lines_[at].passed;
  }
}

// The way of AddCell once more.
void MemoryShard::RemoveCell(std::uint32_t slot) {
  const std::uint32_t tag = At(slot).tag;
  const std::uint32_t value = tag << slot_bits_ | (slot + 1);
  for (std::uint32_t at = Home(tag);; at = Next(at)) {
    for (std::uint32_t& cell : lines_[at].cells) {
      if (cell != value) continue;
      cell = 0;
      return;
    }
    --lines_[at].passed;
  }
}

void MemoryShard::Sweep(std::uint64_t now_ns) {
  for (int i = 0; i < kSweepSteps && slots_ != 0; ++i) {
    sweep_ = sweep_ + 1 < slots_ ? sweep_ + 1 : 0;
    const Slot& slot = At(sweep_);
    if (slot.name_bytes == 0 || now_ns < slot.expires_ns) continue;
    ++counts_.expired;
    Drop(sweep_);
  }
}

// False: `bytes` do not fit, whatever is dropped.
bool MemoryShard::MakeRoomOutside(std::size_t bytes, std::uint32_t keep, std::uint64_t now_ns) {
  const std::size_t replaced = keep == kNoSlot ? 0 : At(keep).outside.size();
  for (int i = 0; i < kHandSteps; ++i) {
    if (outside_bytes_ - replaced + bytes <= outside_bytes_max_ || bytes == 0) return true;
    if (!EvictOne(keep, now_ns)) return false;
  }
  return false;
}

// `keep` stays. False: there is no other entry near.
bool MemoryShard::EvictOne(std::uint32_t keep, std::uint64_t now_ns) {
  std::uint32_t victim = kNoSlot;
  for (int i = 0; i < kHandSteps && slots_ != 0; ++i) {
    hand_ = hand_ + 1 < slots_ ? hand_ + 1 : 0;
    Slot& slot = At(hand_);
    if (slot.name_bytes == 0 || hand_ == keep) continue;
    victim = hand_;
    if (!std::exchange(slot.looked_at, false)) break;
  }
  if (victim == kNoSlot) return false;
  ++counts_.evicted;
  Drop(victim);
  lost_ns_ = now_ns;
  return true;
}

void MemoryShard::Write(Slot& slot, const PutRequest& put, OutsideValue outside,
                        std::uint64_t now_ns) {
  outside_bytes_ += outside.size();
  outside_bytes_ -= slot.outside.size();
  slot.SetValue(put.value, std::move(outside));
  slot.absolute_ns = Later(now_ns, put.lifetime_ns);
  slot.expires_ns = slot.absolute_ns;
  slot.idle_ns = put.idle_ns;
  slot.Touch(now_ns);
}

}  // namespace ktlsim::context_store
