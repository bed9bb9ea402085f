#include "io/buffer_ring.h"

#include <sanitizer/asan_interface.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <new>

#include <liburing.h>

namespace ktlsim::io {

// linux-libc-dev's header, when it is seen before liburing's, lays this out differently in C++ and
// every buffer entry would be written in the wrong place.
static_assert(offsetof(io_uring_buf_ring, bufs) == 0);

namespace {

void* MapPages(std::size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

}  // namespace

BufferRing::BufferRing(io_uring& ring, unsigned count, std::size_t buffer_bytes)
    : ring_(ring), count_(count), buffer_bytes_(buffer_bytes), is_lent_(count) {}

Result<std::unique_ptr<BufferRing>> BufferRing::Create(io_uring& ring, unsigned count,
                                                       std::size_t buffer_bytes) {
  std::unique_ptr<BufferRing> buffers(new (std::nothrow) BufferRing(ring, count, buffer_bytes));
  if (buffers == nullptr) return IoError(ENOMEM, "allocate the receive buffers");
  if (Status status = buffers->Map(); !status.ok()) return status;
  return buffers;
}

Status BufferRing::Map() {
  entries_ = static_cast<io_uring_buf_ring*>(MapPages(count_ * sizeof(io_uring_buf)));
  memory_ = static_cast<std::byte*>(MapPages(count_ * buffer_bytes_));
  if (entries_ == nullptr || memory_ == nullptr) {
    return IoError(ENOMEM, "allocate the receive buffers");
  }
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries_);
  registration.ring_entries = count_;
  registration.bgid = kGroup;
  if (int error = io_uring_register_buf_ring(&ring_, &registration, 0); error != 0) {
    return IoError(-error, "register the receive buffers");
  }
  registered_ = true;
  io_uring_buf_ring_init(entries_);
  for (unsigned id = 0; id < count_; ++id) Add(static_cast<std::uint16_t>(id));
  return {};
}

BufferRing::~BufferRing() {
  KTLSIM_ASSERT(lent_ == 0);
  if (registered_) io_uring_unregister_buf_ring(&ring_, kGroup);
  if (memory_ != nullptr) {
    ASAN_UNPOISON_MEMORY_REGION(memory_, count_ * buffer_bytes_);
    munmap(memory_, count_ * buffer_bytes_);
  }
  if (entries_ != nullptr) munmap(entries_, count_ * sizeof(io_uring_buf));
}

std::span<std::byte> BufferRing::Lend(std::uint16_t id, std::size_t length) {
  KTLSIM_ASSERT(id < count_);
  KTLSIM_ASSERT(length <= buffer_bytes_);
  KTLSIM_ASSERT(!is_lent_[id]);
  is_lent_[id] = true;
  ++lent_;
  ASAN_UNPOISON_MEMORY_REGION(BufferAt(id), length);
  return {BufferAt(id), length};
}

void BufferRing::Return(std::uint16_t id) {
  KTLSIM_ASSERT(id < count_);
  KTLSIM_ASSERT(is_lent_[id]);
  is_lent_[id] = false;
  --lent_;
  Add(id);
}

void BufferRing::Add(std::uint16_t id) {
  ASAN_POISON_MEMORY_REGION(BufferAt(id), buffer_bytes_);
  const int mask = io_uring_buf_ring_mask(count_);
  io_uring_buf_ring_add(entries_, BufferAt(id), static_cast<unsigned>(buffer_bytes_), id, mask, 0);
  io_uring_buf_ring_advance(entries_, 1);
}

}  // namespace ktlsim::io
