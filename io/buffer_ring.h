// BufferRing: the receive buffers a ring provides to the kernel, and who has each of them.
//
// A buffer belongs to the kernel from Return until the completion that names it, and to the loop's
// user from Lend until Return. Under ASan the kernel's buffers are poisoned: the kernel's writes do
// not trap, ours would.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernel_sim/base/result.h"

struct io_uring;
struct io_uring_buf_ring;

namespace ktlsim::io {

class BufferRing {
 public:
  static constexpr std::uint16_t kGroup = 1;

  // `count` is a power of two up to 32768. `ring` must outlive the BufferRing.
  static Result<std::unique_ptr<BufferRing>> Create(io_uring& ring, unsigned count,
                                                    std::size_t buffer_bytes);
  ~BufferRing();
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;

  // The kernel has filled `length` bytes of buffer `id` and given it up.
  std::span<std::byte> Lend(std::uint16_t id, std::size_t length);
  void Return(std::uint16_t id);

  unsigned lent() const { return lent_; }
  unsigned available() const { return count_ - lent_; }

 private:
  BufferRing(io_uring& ring, unsigned count, std::size_t buffer_bytes);
  Status Map();
  void Add(std::uint16_t id);
  std::byte* BufferAt(std::uint16_t id) const { return memory_ + id * buffer_bytes_; }

  io_uring& ring_;
  unsigned count_;
  std::size_t buffer_bytes_;
  io_uring_buf_ring* entries_ = nullptr;
  std::byte* memory_ = nullptr;
  std::vector<bool> is_lent_;
  unsigned lent_ = 0;
  bool registered_ = false;
};

}  // namespace ktlsim::io
