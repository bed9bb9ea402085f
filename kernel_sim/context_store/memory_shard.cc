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

std::uint64_t Later(std::uint64_t now_ns, std::uint64_t by_ns) {
  return by_ns < ~std::uint64_t{0} - now_ns ? now_ns + by_ns : ~std::uint64_t{0};
}

std::uint32_t IdleMs(std::uint64_t idle_ns) {
  const std::uint64_t ms = (idle_ns + kNsPerMs - 1) / kNsPerMs;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(ms, ~std::uint32_t{0}));
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

void MemoryShard::Slot::Touch(std::uint64_t now_ns) {
  looked_at = true;
  if (idle_ms != 0) expires_ns = std::min(absolute_ns, Later(now_ns, idle_ms * kNsPerMs));
}

// ---- Operations

void MemoryShard::Begin(std::uint32_t entries_max, std::size_t outside_bytes_max) {
  KTLSIM_ASSERT(entries_max >= 1);
  const MutexLock lock(mutex_);
  entries_max_ = entries_max;
  outside_bytes_max_ = outside_bytes_max;
  // At most three quarters full.
  const std::uint32_t cells = std::bit_ceil(entries_max + entries_max / 3 + 1);
  mask_ = cells - 1;
  cells_ = std::make_unique<Cell[]>(cells);
  chunks_.reserve((entries_max + kSlotsPerChunk - 1) / kSlotsPerChunk);
  free_.reserve(entries_max);
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
  slot.looked_at = true;
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
  if (put.mode == PutMode::kCreate && at != kNoSlot) return StoreResult::kExists;
  if (put.mode == PutMode::kReplace && at == kNoSlot) return StoreResult::kNotFound;
  NonceCounts counts = at == kNoSlot ? NonceCounts() : At(at).counts;
  if (put.use.nonce != 0) {
    const StoreResult judged = counts.Put(put.use, put.previous_nonce_ns, now_ns);
    if (judged != StoreResult::kOk) return judged;
  }
  if (!MakeRoomOutside(outside.size(), at)) return StoreResult::kFull;
  if (at == kNoSlot) at = Insert(key);
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

std::uint32_t MemoryShard::Find(const HashedKey& key, std::uint64_t now_ns) {
  const auto tag = static_cast<std::uint32_t>(key.hash);
  for (std::uint32_t at = tag & mask_; cells_[at].slot != kNoSlot; at = (at + 1) & mask_) {
    if (cells_[at].tag != tag) continue;
    const std::uint32_t found = cells_[at].slot;
    const auto* lines = reinterpret_cast<const std::byte*>(&At(found));
    __builtin_prefetch(lines + 64);
    __builtin_prefetch(lines + 128);
    if (!At(found).Holds(key.key)) continue;
    if (now_ns < At(found).expires_ns) return found;
    ++counts_.expired;
    Drop(found);
    break;
  }
  return kNoSlot;
}

std::uint32_t MemoryShard::Insert(const HashedKey& key) {
  const std::uint32_t taken = TakeSlot();
  if (taken == kNoSlot) return kNoSlot;
  Slot& slot = At(taken);
  slot.tag = static_cast<std::uint32_t>(key.hash);
  slot.kind = key.key.kind;
  slot.name_bytes = static_cast<std::uint8_t>(key.key.name.size());
  std::copy(key.key.name.begin(), key.key.name.end(), slot.inside.begin());
  std::uint32_t at = slot.tag & mask_;
  while (cells_[at].slot != kNoSlot) at = (at + 1) & mask_;
  cells_[at] = {.tag = slot.tag, .slot = taken};
  ++counts_.entries[static_cast<std::size_t>(slot.kind)];
  return taken;
}

std::uint32_t MemoryShard::TakeSlot() {
  if (free_.empty() && slots_ == entries_max_) EvictOne(kNoSlot);
  if (!free_.empty()) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (slots_ % kSlotsPerChunk == 0) {
    std::unique_ptr<Slot[]> chunk(new (std::nothrow) Slot[kSlotsPerChunk]);
    if (chunk == nullptr) return kNoSlot;
    chunks_.push_back(std::move(chunk));  // Begin has reserved the place
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
  free_.push_back(slot);  // Begin has reserved the place
}

// Later cells move up into the gap, so that no search ends too early.
void MemoryShard::RemoveCell(std::uint32_t slot) {
  std::uint32_t gap = At(slot).tag & mask_;
  while (cells_[gap].slot != slot) gap = (gap + 1) & mask_;
  for (std::uint32_t at = (gap + 1) & mask_; cells_[at].slot != kNoSlot; at = (at + 1) & mask_) {
    const std::uint32_t home = cells_[at].tag & mask_;
    if (((at - home) & mask_) < ((at - gap) & mask_)) continue;  // it would stand before its home
    cells_[gap] = cells_[at];
    gap = at;
  }
  cells_[gap] = Cell();
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
bool MemoryShard::MakeRoomOutside(std::size_t bytes, std::uint32_t keep) {
  const std::size_t replaced = keep == kNoSlot ? 0 : At(keep).outside.size();
  for (int i = 0; i < kHandSteps; ++i) {
    if (outside_bytes_ - replaced + bytes <= outside_bytes_max_ || bytes == 0) return true;
    if (!EvictOne(keep)) return false;
  }
  return false;
}

// `keep` stays. False: there is no other entry near.
bool MemoryShard::EvictOne(std::uint32_t keep) {
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
  return true;
}

void MemoryShard::Write(Slot& slot, const PutRequest& put, OutsideValue outside,
                        std::uint64_t now_ns) {
  outside_bytes_ += outside.size();
  outside_bytes_ -= slot.outside.size();
  slot.SetValue(put.value, std::move(outside));
  slot.absolute_ns = Later(now_ns, put.lifetime_ns);
  slot.expires_ns = slot.absolute_ns;
  slot.idle_ms = IdleMs(put.idle_ns);
  slot.Touch(now_ns);
}

}  // namespace ktlsim::context_store
