#include "io/receive_buffers.h"

#include <string.h>
#include <sys/mman.h>

#include <cerrno>

#include "io/poison.h"
#include "kernel_sim/base/assert.h"

namespace ktlsim::io {

ReceiveBuffers::ReceiveBuffers(unsigned count, std::size_t buffer_bytes)
    : count_(count), buffer_bytes_(buffer_bytes), is_lent_(count), lent_bytes_(count) {}

ReceiveBuffers::~ReceiveBuffers() {
  KTLSIM_ASSERT(lent_ == 0);
  if (memory_ == nullptr) return;
  Unpoison({memory_, count_ * buffer_bytes_});
  munmap(memory_, count_ * buffer_bytes_);
}

Status ReceiveBuffers::Map() {
  Result<void*> pages = MapPages(count_ * buffer_bytes_);
  if (!pages.ok()) return pages.status();
  memory_ = static_cast<std::byte*>(*pages);
  return {};
}

Result<void*> ReceiveBuffers::MapPages(std::size_t bytes) {
  void* const pages =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages != MAP_FAILED) return pages;
  return Status(Category::kResource, errno, "allocate the receive buffers");
}

void ReceiveBuffers::ProvideAll() {
  for (unsigned id = 0; id < count_; ++id) ToKernel(static_cast<std::uint16_t>(id));
}

Status ReceiveBuffers::Renew() {
  if (Status status = Withdraw(); !status.ok()) return status;
  for (unsigned id = 0; id < count_; ++id) {
    if (!is_lent_[id]) ToKernel(static_cast<std::uint16_t>(id));
  }
  return {};
}

void ReceiveBuffers::ToKernel(std::uint16_t id) {
  Poison({BufferAt(id), buffer_bytes_});
  Provide(id);
}

std::span<std::byte> ReceiveBuffers::Lend(std::uint16_t id, std::size_t length) {
  KTLSIM_ASSERT(id < count_);
  KTLSIM_ASSERT(length <= buffer_bytes_);
  // A kernel that hands out a buffer twice would let two connections share their bytes.
  KTLSIM_ASSERT(!is_lent_[id]);
  is_lent_[id] = true;
  lent_bytes_[id] = length;
  ++lent_;
  const std::span<std::byte> bytes(BufferAt(id), length);
  Unpoison(bytes);
  return bytes;
}

void ReceiveBuffers::Return(std::uint16_t id) {
  KTLSIM_ASSERT(id < count_);
  KTLSIM_ASSERT(is_lent_[id]);
  is_lent_[id] = false;
  explicit_bzero(BufferAt(id), lent_bytes_[id]);
  --lent_;
  ToKernel(id);
}

}  // namespace ktlsim::io
