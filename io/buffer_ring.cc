#include "io/buffer_ring.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <new>

#include <liburing.h>

namespace ktlsim::io {

// linux-libc-dev's header, when it is seen before liburing's, lays this out differently in C++ and
// every buffer entry would be written in the wrong place.
static_assert(offsetof(io_uring_buf_ring, bufs) == 0);

BufferRing::BufferRing(io_uring& ring, unsigned count, std::size_t buffer_bytes)
    : ReceiveBuffers(count, buffer_bytes), ring_(ring) {}

Result<std::unique_ptr<BufferRing>> BufferRing::Create(io_uring& ring, unsigned count,
                                                       std::size_t buffer_bytes) {
  std::unique_ptr<BufferRing> buffers(new (std::nothrow) BufferRing(ring, count, buffer_bytes));
  if (buffers == nullptr) return ResourceError("allocate the receive buffers");
  if (Status status = buffers->Map(); !status.ok()) return status;
  if (Status status = buffers->MapEntries(); !status.ok()) return status;
  if (Status status = buffers->Register(); !status.ok()) return status;
  buffers->ProvideAll();
  return buffers;
}

Status BufferRing::MapEntries() {
  Result<void*> pages = MapPages(count() * sizeof(io_uring_buf));
  if (!pages.ok()) return pages.status();
  entries_ = static_cast<io_uring_buf_ring*>(*pages);
  return {};
}

// The kernel begins at the first entry.
Status BufferRing::Register() {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries_);
  registration.ring_entries = count();
  registration.bgid = kGroup;
  if (int error = io_uring_register_buf_ring(&ring_, &registration, 0); error != 0) {
    return IoError(-error, "register the receive buffers");
  }
  registered_ = true;
  io_uring_buf_ring_init(entries_);
  return {};
}

Status BufferRing::Withdraw() {
  if (int error = io_uring_unregister_buf_ring(&ring_, kGroup); error != 0) {
    return IoError(-error, "take the receive buffers back");
  }
  registered_ = false;
  return Register();
}

BufferRing::~BufferRing() {
  if (registered_) io_uring_unregister_buf_ring(&ring_, kGroup);
  if (entries_ != nullptr) munmap(entries_, count() * sizeof(io_uring_buf));
}

void BufferRing::Provide(std::uint16_t id) {
  const int mask = io_uring_buf_ring_mask(count());
  io_uring_buf_ring_add(entries_, BufferAt(id), static_cast<unsigned>(buffer_bytes()), id, mask, 0);
  io_uring_buf_ring_advance(entries_, 1);
}

}  // namespace ktlsim::io
