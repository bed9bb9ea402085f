#include "kernel_sim/context_store/memory_region.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "kernel_sim/base/assert.h"

#if defined(__SANITIZE_ADDRESS__)
#define KTLSIM_REGION_MAY_POINT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KTLSIM_REGION_MAY_POINT 1
#endif
#endif

#if defined(KTLSIM_REGION_MAY_POINT)
#include <sanitizer/lsan_interface.h>
#endif

namespace ktlsim::context_store {
namespace {

constexpr std::size_t kPageBytes = 4096;

std::size_t RoundUp(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// Slots point to values outside. LeakSanitizer looks for pointers in mapped memory only if told.
#if defined(KTLSIM_REGION_MAY_POINT)
void TellLeakChecker(const void* data, std::size_t bytes) {
  __lsan_register_root_region(data, bytes);
}
void UntellLeakChecker(const void* data, std::size_t bytes) {
  __lsan_unregister_root_region(data, bytes);
}
#else
void TellLeakChecker(const void*, std::size_t) {}
void UntellLeakChecker(const void*, std::size_t) {}
#endif

}  // namespace

MemoryRegion::~MemoryRegion() {
  if (mapped_ == nullptr) return;
  UntellLeakChecker(data_, bytes_);
  munmap(mapped_, mapped_bytes_);
}

Status MemoryRegion::Reserve(std::size_t bytes) {
  KTLSIM_ASSERT(mapped_ == nullptr && bytes != 0);
  const bool is_long = bytes >= kPieceBytes;
  bytes_ = RoundUp(bytes, is_long ? kPieceBytes : kPageBytes);
  // So much longer that there are whole huge pages in it, wherever it begins.
  mapped_bytes_ = bytes_ + (is_long ? kPieceBytes : 0);
  // Without access it is no memory yet, but its addresses count against RLIMIT_AS.
  void* const mapped =
      mmap(nullptr, mapped_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return ResourceError("no addresses for the context store");
  mapped_ = static_cast<std::byte*>(mapped);
  const auto begin = reinterpret_cast<std::uintptr_t>(mapped_);
  data_ = mapped_ + (is_long ? RoundUp(begin, kPieceBytes) - begin : 0);
  // Refused where the kernel knows no huge pages: then they are small ones.
  if (is_long) madvise(data_, bytes_, MADV_HUGEPAGE);
  TellLeakChecker(data_, bytes_);
  return {};
}

std::byte* MemoryRegion::Take(std::size_t bytes) {
  const MutexLock lock(lock_);
  if (bytes > bytes_ - taken_ || !Open(taken_ + bytes)) return nullptr;
  taken_ += bytes;
  return data_ + (taken_ - bytes);
}

bool MemoryRegion::Open(std::size_t end) {
  if (end <= open_) return true;
  const std::size_t open = std::min(RoundUp(end, kPieceBytes), bytes_);
  if (mprotect(data_ + open_, open - open_, PROT_READ | PROT_WRITE) != 0) return false;
  open_ = open;
  return true;
}

}  // namespace ktlsim::context_store
