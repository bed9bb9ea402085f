#include "kernel_sim/transport/send_queue.h"

#include <algorithm>
#include <cstring>

#include "kernel_sim/base/assert.h"

namespace ktlsim::transport {
namespace {

// Four records of the largest size, and an alert.
constexpr std::size_t kBufferBytes = BufferPool::kClassBytes[3];

}  // namespace

void SendQueue::Configure(const Sizes& sizes) {
  KTLSIM_CHECK(sizes.header >= kHeaderBytesMin);
  sizes_ = sizes;
  sizes_.message_max = std::min(sizes.message_max, sizing_.bytes_max);
}

std::uint32_t SendQueue::NextRecordMax() const {
  if (first_bytes_ >= sizing_.first_bytes) return sizes_.message_max;
  return std::min(sizes_.message_max, sizing_.first_bytes_max);
}

std::uint32_t SendQueue::RoomIn(const Half& half) const {
  const std::uint32_t taken = half.open + overhead() + half.open_bytes + alert_room();
  const std::uint32_t capacity = half.memory->capacity;
  if (taken >= capacity) return 0;
  if (half.open_bytes != 0) return std::min(capacity - taken, half.open_max - half.open_bytes);
  // A record is begun only where its full length fits.
  const std::uint32_t record_max = NextRecordMax();
  return record_max <= capacity - taken ? record_max : 0;
}

std::span<std::byte> SendQueue::Space(std::uint64_t now_ns) {
  if (used_ == 0) {
    if (now_ns - sent_ns_ >= sizing_.idle_ns) first_bytes_ = 0;
    if (!Grow(kBufferBytes)) return {};
  }
  for (;;) {
    Half& half = halves_[used_ - 1];
    if (const std::uint32_t room = RoomIn(half)) {
      return {half.memory->bytes() + half.open + sizes_.header + half.open_bytes, room};
    }
    if (half.open_bytes != 0 && half.open_bytes == half.open_max) {
      CloseRecord(half);
    } else if (used_ == halves_.size() || !Grow(kBufferBytes)) {
      return {};
    }
  }
}

void SendQueue::Commit(std::size_t bytes) {
  if (bytes == 0) return;
  KTLSIM_ASSERT(used_ != 0);
  Half& half = halves_[used_ - 1];
  KTLSIM_CHECK(bytes <= RoomIn(half));
  if (half.open_bytes == 0) half.open_max = NextRecordMax();
  half.open_bytes += static_cast<std::uint32_t>(bytes);
  if (first_bytes_ < sizing_.first_bytes) first_bytes_ += static_cast<std::uint32_t>(bytes);
}

// The record being filled gets no more.
void SendQueue::CloseRecord(Half& half) {
  std::memcpy(half.memory->bytes() + half.open, &half.open_bytes, sizeof(half.open_bytes));
  half.open += overhead() + half.open_bytes;
  half.open_bytes = 0;
}

bool SendQueue::FrontHasUnsealed() const { return used_ != 0 && halves_[0].unsealed(); }

bool SendQueue::HasUnsealed() const {
  return FrontHasUnsealed() || (used_ == 2 && halves_[1].unsealed());
}

SendQueue::Record SendQueue::TakeRecord(Half& half) {
  if (half.next == half.open) CloseRecord(half);
  Record record;
  record.start = half.memory->bytes() + half.next;
  std::memcpy(&record.data_bytes, record.start, sizeof(record.data_bytes));
  half.next += overhead() + record.data_bytes;
  ++sealing_;
  return record;
}

std::size_t SendQueue::BeginSeal(std::span<Record> records) {
  KTLSIM_ASSERT(sealing_ == 0 && HasUnsealed());
  seal_half_ = halves_[0].unsealed() ? 0 : 1;
  Half& half = halves_[seal_half_];
  half.taken = half.next;
  std::size_t count = 0;
  while (count < records.size() && half.unsealed()) records[count++] = TakeRecord(half);
  return count;
}

SendQueue::Record SendQueue::BeginAlert() {
  KTLSIM_ASSERT(sealing_ == 0 && !HasUnsealed());
  if (used_ == 0 && !Grow(alert_room())) return {};
  seal_half_ = static_cast<std::uint8_t>(used_ - 1);
  Half& half = halves_[seal_half_];
  half.open_bytes = 2;
  half.taken = half.next;
  KTLSIM_CHECK(half.open + alert_room() <= half.memory->capacity);
  return TakeRecord(half);
}

void SendQueue::EndSeal(std::uint32_t header, std::uint32_t data, std::uint32_t trailer) {
  KTLSIM_ASSERT(sealing_ != 0);
  --sealing_;
  Half& half = halves_[seal_half_];
  KTLSIM_CHECK(header <= sizes_.header && trailer <= sizes_.trailer &&
               half.taken + sizes_.header + data + sizes_.trailer <= half.next);
  const auto move = [&half](std::uint32_t bytes, std::uint32_t place) {
    std::byte* const base = half.memory->bytes();
    if (half.taken != half.sealed) std::memmove(base + half.sealed, base + half.taken, bytes);
    half.sealed += bytes;
    half.taken += place;
  };
  // Header and trailer sizes are upper bounds; with AEAD suites they are exact and nothing moves.
  move(header, sizes_.header);
  move(data, data);
  move(trailer, sizes_.trailer);
}

bool SendQueue::AppendSealed(std::span<const std::byte> bytes) {
  if (sealing_ != 0 || HasUnsealed()) return false;
  if (used_ == 0 && !Grow(kBufferBytes)) return false;
  Half& half = halves_[used_ - 1];
  const std::size_t end = half.sealed + bytes.size();
  if (end + overhead() + alert_room() > half.memory->capacity) return false;
  std::memcpy(half.memory->bytes() + half.sealed, bytes.data(), bytes.size());
  half.sealed = static_cast<std::uint32_t>(end);
  half.next = half.open = std::max(half.open, half.sealed);
  return true;
}

std::span<const std::byte> SendQueue::Sealed() const {
  if (used_ == 0) return {};
  const Half& half = halves_[0];
  return {half.memory->bytes() + half.sent, half.sealed - half.sent};
}

void SendQueue::Sent(std::size_t bytes, std::uint64_t now_ns) {
  KTLSIM_ASSERT(bytes <= Sealed().size());
  sent_ns_ = now_ns;
  halves_[0].sent += static_cast<std::uint32_t>(bytes);
  DropDrainedFront();
}

void SendQueue::ReleaseIfEmpty() { DropDrainedFront(); }

void SendQueue::DropDrainedFront() {
  while (used_ != 0) {
    const Half& half = halves_[0];
    if (half.unsealed() || half.sent != half.sealed || sealing_front()) return;
    buffers_.Give(half.memory);
    halves_[0] = halves_[1];
    halves_[1] = {};
    seal_half_ = 0;
    --used_;
  }
}

bool SendQueue::Grow(std::size_t bytes) {
  Buffer* memory = buffers_.Take(bytes);
  if (memory == nullptr) return false;
  halves_[used_] = {};
  halves_[used_].memory = memory;
  ++used_;
  return true;
}

void SendQueue::GiveBack(Half& half) {
  if (half.memory == nullptr) return;
  if (half.unsealed() || half.sealed != half.next) {
    // From the first record that was not sealed to the last byte committed.
    const std::size_t end = std::size_t{half.open} + sizes_.header + half.open_bytes;
    Wipe({half.memory->bytes() + half.sealed,
          std::min<std::size_t>(end, half.memory->capacity) - half.sealed});
  }
  buffers_.Give(half.memory);
  half = {};
}

void SendQueue::Clear() {
  for (Half& half : halves_) GiveBack(half);
  used_ = 0;
  sealing_ = 0;
}

}  // namespace ktlsim::transport
