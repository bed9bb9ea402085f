// MemoryRegion: a row of bytes as long as it may ever become, whose memory is taken from its
// beginning on, as it is needed.
//
// A long one asks for huge pages. A look-up among a million entries goes to a page that no one has
// looked at for long, and in a virtual machine a missing translation costs as much as the missing
// bytes.
//
// Private to context_store/.
#pragma once

#include <cstddef>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/status.h"

namespace ktlsim::context_store {

class MemoryRegion {
 public:
  // A huge page; also how much is made usable at a time.
  static constexpr std::size_t kPieceBytes = std::size_t{2} << 20;

  MemoryRegion() = default;
  ~MemoryRegion();
  MemoryRegion(const MemoryRegion&) = delete;
  MemoryRegion& operator=(const MemoryRegion&) = delete;

  // Once, before Take: addresses for `bytes`, without memory. kResource: there are none.
  Status Reserve(std::size_t bytes) KTLSIM_EXCLUDES(lock_);

  // The next `bytes`, all zero, at a multiple of 64 if all before them were. Null: no memory, or
  // the region is at its end. Any thread.
  std::byte* Take(std::size_t bytes) KTLSIM_EXCLUDES(lock_);

  // Valid after Reserve, and fixed.
  std::byte* data() const { return data_; }

 private:
  bool Open(std::size_t end) KTLSIM_REQUIRES(lock_);

  // Fixed by Reserve.
  std::byte* mapped_ = nullptr;
  std::size_t mapped_bytes_ = 0;
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;

  Mutex lock_;
  std::size_t taken_ KTLSIM_GUARDED_BY(lock_) = 0;
  std::size_t open_ KTLSIM_GUARDED_BY(lock_) = 0;  // usable, whole pieces
};

}  // namespace ktlsim::context_store
