#include "kernel_sim/transport/send_queue.h"

#include <algorithm>
#include <cstring>

#include "kernel_sim/base/assert.h"

namespace ktlsim::transport {
namespace {

// Four records of the largest size.
constexpr std::size_t kBufferBytes = BufferPool::kClassBytes[3];

}  // namespace

std::uint32_t SendQueue::RoomIn(const Half& half) const {
  const std::uint32_t taken = half.open + overhead() + half.open_bytes + alert_room();
  const std::uint32_t capacity = half.memory->capacity;
  if (taken >= capacity) return 0;
  return std::min(capacity - taken, sizes_.message_max - half.open_bytes);
}

std::span<std::byte> SendQueue::Space() {
  if (used_ == 0 && !Grow(kBufferBytes)) return {};
  for (;;) {
    Half& half = halves_[used_ - 1];
    if (const std::uint32_t room = RoomIn(half)) {
      return {half.memory->bytes() + half.open + sizes_.header + half.open_bytes, room};
    }
    if (half.open_bytes == sizes_.message_max) {
      half.open += overhead() + half.open_bytes;
      half.open_bytes = 0;
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
  half.open_bytes += static_cast<std::uint32_t>(bytes);
}

bool SendQueue::FrontHasUnsealed() const { return used_ != 0 && halves_[0].unsealed(); }

bool SendQueue::HasUnsealed() const {
  return FrontHasUnsealed() || (used_ == 2 && halves_[1].unsealed());
}

SendQueue::Record SendQueue::BeginSeal() {
  KTLSIM_ASSERT(!sealing_ && HasUnsealed());
  seal_half_ = halves_[0].unsealed() ? 0 : 1;
  Half& half = halves_[seal_half_];
  seal_at_ = half.next;
  if (half.next == half.open) {
    seal_bytes_ = half.open_bytes;
    half.open += overhead() + half.open_bytes;
    half.open_bytes = 0;
  } else {
    seal_bytes_ = sizes_.message_max;
  }
  half.next += overhead() + seal_bytes_;
  sealing_ = true;
  return {half.memory->bytes() + seal_at_, seal_bytes_};
}

SendQueue::Record SendQueue::BeginAlert() {
  KTLSIM_ASSERT(!sealing_ && !HasUnsealed());
  if (used_ == 0 && !Grow(alert_room())) return {};
  seal_half_ = static_cast<std::uint8_t>(used_ - 1);
  Half& half = halves_[seal_half_];
  seal_at_ = half.next;
  seal_bytes_ = 2;
  half.open += alert_room();
  half.next = half.open;
  KTLSIM_CHECK(half.next <= half.memory->capacity);
  sealing_ = true;
  return {half.memory->bytes() + seal_at_, seal_bytes_};
}

void SendQueue::EndSeal(std::uint32_t header, std::uint32_t data, std::uint32_t trailer) {
  KTLSIM_ASSERT(sealing_);
  KTLSIM_CHECK(header <= sizes_.header && data <= seal_bytes_ && trailer <= sizes_.trailer);
  sealing_ = false;
  Half& half = halves_[seal_half_];
  std::byte* const base = half.memory->bytes();
  std::uint32_t from = seal_at_;
  const auto move = [&](std::uint32_t bytes, std::uint32_t place) {
    if (from != half.sealed) std::memmove(base + half.sealed, base + from, bytes);
    half.sealed += bytes;
    from += place;
  };
  // Sizes are upper bounds; with AEAD suites they are exact and nothing moves.
  move(header, sizes_.header);
  move(data, seal_bytes_);
  move(trailer, sizes_.trailer);
}

bool SendQueue::AppendSealed(std::span<const std::byte> bytes) {
  if (sealing_ || HasUnsealed()) return false;
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

void SendQueue::Sent(std::size_t bytes) {
  KTLSIM_ASSERT(bytes <= Sealed().size());
  halves_[0].sent += static_cast<std::uint32_t>(bytes);
  DropDrainedFront();
}

void SendQueue::ReleaseIfEmpty() { DropDrainedFront(); }

void SendQueue::DropDrainedFront() {
  while (used_ != 0) {
    const Half& half = halves_[0];
    if (half.unsealed() || half.sent != half.sealed || (sealing_ && seal_half_ == 0)) return;
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

void SendQueue::Clear() {
  for (Half& half : halves_) {
    buffers_.Give(half.memory);
    half = {};
  }
  used_ = 0;
  sealing_ = false;
}

}  // namespace ktlsim::transport
