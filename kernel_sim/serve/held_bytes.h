// HeldBytes: bytes on their way between a client and its backend that the other side has no room
// for. At most kForwardBufferBytes, in a buffer that exists only while there are any.
//
// Private to serve/. Belongs to the loop of its pool.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "kernel_sim/serve/forward_service.h"
#include "kernel_sim/transport/memory.h"

namespace ktlsim::serve {

class HeldBytes {
 public:
  explicit HeldBytes(transport::BufferPool& pool) : pool_(pool) {}
  ~HeldBytes() { Drop(); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;

  bool empty() const { return buffer_ == nullptr; }
  std::size_t size() const { return end_ - begin_; }
  // How much more Keep takes.
  std::size_t room() const { return kForwardBufferBytes - end_; }
  std::span<const std::byte> bytes() const {
    return empty() ? std::span<const std::byte>()
                   : std::span<const std::byte>(buffer_->bytes() + begin_, size());
  }

  // Copies all of `bytes`, or fails: no memory, or no room.
  [[nodiscard]] bool Keep(std::span<const std::byte> bytes) {
    if (bytes.size() > room()) return false;
    if (empty()) buffer_ = pool_.Take(kForwardBufferBytes);
    if (empty()) return false;
    std::memcpy(buffer_->bytes() + end_, bytes.data(), bytes.size());
    end_ += bytes.size();
    return true;
  }
  // The first `bytes` of them have gone on.
  void Consume(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ == end_) Drop();
  }
  // Takes over the bytes of `other`, of the same pool. Empty before.
  void TakeFrom(HeldBytes& other) {
    buffer_ = std::exchange(other.buffer_, nullptr);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
  }
  void Drop() {
    pool_.Give(std::exchange(buffer_, nullptr));
    begin_ = 0;
    end_ = 0;
  }

 private:
  transport::BufferPool& pool_;
  transport::Buffer* buffer_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace ktlsim::serve
