// ReceiveBuffers: the receive buffers a ring provides to its kernel, and which of them are lent.
//
// A buffer belongs to the kernel from Provide until the completion that names it, and to the loop's
// user from Lend until Return. The kernel's buffers are poisoned (poison.h). What a lent buffer
// held is wiped when it comes back: records are opened where they lie, so it may be plaintext by
// then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernel_sim/base/result.h"

namespace ktlsim::io {

class ReceiveBuffers {
 public:
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;

  // The kernel has filled `length` bytes of buffer `id` and given it up.
  std::span<std::byte> Lend(std::uint16_t id, std::size_t length);
  void Return(std::uint16_t id);

  // Call while the kernel uses none of them. Provides all that are not lent once more, and so
  // recovers those whose completion was lost. kIo: the kernel does not take them.
  Status Renew();

  unsigned lent() const { return lent_; }
  // How many the kernel has, as far as is known.
  virtual unsigned available() const { return count_ - lent_; }
  unsigned count() const { return count_; }
  std::size_t buffer_bytes() const { return buffer_bytes_; }
  std::byte* BufferAt(std::uint16_t id) const { return memory_ + id * buffer_bytes_; }

 protected:
  ReceiveBuffers(unsigned count, std::size_t buffer_bytes);
  virtual ~ReceiveBuffers();
  // Maps the memory; as MapPages.
  Status Map();
  // For the buffers. kResource: the system gives no memory, or none to this process.
  static Result<void*> MapPages(std::size_t bytes);
  // Poisons and provides all of them. After Map, once the kernel is ready.
  void ProvideAll();

 private:
  // Gives buffer `id` to the kernel.
  virtual void Provide(std::uint16_t id) = 0;
  // Takes all back that the kernel has.
  virtual Status Withdraw() = 0;
  void ToKernel(std::uint16_t id);

  const unsigned count_;
  const std::size_t buffer_bytes_;
  std::byte* memory_ = nullptr;
  std::vector<bool> is_lent_;
  std::vector<std::size_t> lent_bytes_;  // by id: how much of it the kernel had filled
  unsigned lent_ = 0;
};

}  // namespace ktlsim::io
