// BufferRing: receive buffers provided to a real kernel through a registered ring of entries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "io/receive_buffers.h"

struct io_uring;
struct io_uring_buf_ring;

namespace ktlsim::io {

class BufferRing final : public ReceiveBuffers {
 public:
  static constexpr std::uint16_t kGroup = 1;

  // `count` is a power of two up to 32768. `ring` must outlive the BufferRing.
  static Result<std::unique_ptr<BufferRing>> Create(io_uring& ring, unsigned count,
                                                    std::size_t buffer_bytes);
  ~BufferRing() override;

 private:
  BufferRing(io_uring& ring, unsigned count, std::size_t buffer_bytes);
  Status MapEntries();
  Status Register();
  void Provide(std::uint16_t id) override;
  Status Withdraw() override;

  io_uring& ring_;
  io_uring_buf_ring* entries_ = nullptr;
  bool registered_ = false;
};

}  // namespace ktlsim::io
