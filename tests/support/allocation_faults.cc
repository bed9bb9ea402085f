#include "tests/support/allocation_faults.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <malloc.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <sstream>

// The allocator below ours: a sanitizer's, else glibc's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KTLSIM_BELOW(name) __interceptor_##name
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KTLSIM_BELOW(name) __interceptor_##name
#endif
#endif
#ifndef KTLSIM_BELOW
#define KTLSIM_BELOW(name) __libc_##name
#endif

extern "C" {
void* KTLSIM_BELOW(malloc)(std::size_t);
void* KTLSIM_BELOW(calloc)(std::size_t, std::size_t);
void* KTLSIM_BELOW(realloc)(void*, std::size_t);
void* KTLSIM_BELOW(memalign)(std::size_t, std::size_t);
void KTLSIM_BELOW(free)(void*);
}

namespace ktlsim::test {
namespace {

constexpr int kFramesMax = 24;

// Constant initialised: allocations come before any constructor.
constinit std::atomic<int> scopes{0};
constinit std::atomic<std::uint64_t> first{AllocationFaults::kNever};
constinit std::atomic<bool> all_later{false};
constinit std::atomic<std::uint64_t> counted{0};
constinit std::atomic<std::uint64_t> failed{0};
constinit std::atomic<std::uint64_t> failed_in_all{0};
constinit std::atomic<std::int64_t> live{0};
constinit std::array<void*, kFramesMax> frames{};
constinit std::atomic<int> frame_count{0};
constinit thread_local int exempt = 0;

// Blocks by address, in an open table; what does not fit is not remembered.
struct Block {
  std::atomic<void*> memory{nullptr};
  std::array<void*, kFramesMax> callers{};
  int depth = 0;
};
constexpr std::size_t kBlocks = 1 << 14;
constinit std::array<Block, kBlocks> blocks{};
constinit std::atomic<bool> remembering{false};
void* const kForgotten = &blocks;

std::size_t PlaceOf(const void* memory) {
  return (reinterpret_cast<std::uintptr_t>(memory) >> 4) * 0x9E3779B97F4A7C15 % kBlocks;
}

void NoteBlock(void* memory) {
  if (!remembering.load(std::memory_order_relaxed) || exempt != 0) return;
  ++exempt;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    Block& block = blocks[(PlaceOf(memory) + i) % kBlocks];
    void* expected = block.memory.load();
    if ((expected != nullptr && expected != kForgotten) ||
        !block.memory.compare_exchange_strong(expected, memory)) {
      continue;
    }
    block.depth = backtrace(block.callers.data(), kFramesMax);
    break;
  }
  --exempt;
}

bool ForgetBlock(void* memory) {
  if (!remembering.load(std::memory_order_relaxed)) return false;
  for (std::size_t i = 0; i < kBlocks; ++i) {
    Block& block = blocks[(PlaceOf(memory) + i) % kBlocks];
    void* expected = memory;
    if (block.memory.compare_exchange_strong(expected, kForgotten)) return true;
    if (expected == nullptr) return false;
  }
  return false;
}

void Describe(void* const* callers, int depth, std::ostream& text) {
  for (int i = 0; i < depth; ++i) {
    Dl_info info{};
    text << "\n    ";
    if (dladdr(callers[i], &info) == 0 || info.dli_fname == nullptr) {
      text << callers[i];
      continue;
    }
    const char* slash = std::strrchr(info.dli_fname, '/');
    text << (slash != nullptr ? slash + 1 : info.dli_fname) << "+0x" << std::hex
         << static_cast<char*>(callers[i]) - static_cast<char*>(info.dli_fbase) << std::dec;
    if (info.dli_sname != nullptr) text << " " << info.dli_sname;
  }
}

bool MayAllocate() {
  if (scopes.load(std::memory_order_relaxed) == 0 || exempt != 0) return true;
  const std::uint64_t number = counted.fetch_add(1);
  const std::uint64_t n = first.load(std::memory_order_relaxed);
  if (number != n && (number < n || !all_later.load(std::memory_order_relaxed))) return true;
  failed_in_all.fetch_add(1);
  if (failed.fetch_add(1) == 0) {
    ++exempt;
    frame_count.store(backtrace(frames.data(), kFramesMax));
    --exempt;
  }
  errno = ENOMEM;
  return false;
}

void* Counted(void* memory) {
  if (memory == nullptr) return nullptr;
  live.fetch_add(1, std::memory_order_relaxed);
  NoteBlock(memory);
  return memory;
}

void* Aligned(std::size_t alignment, std::size_t bytes) {
  return MayAllocate() ? Counted(KTLSIM_BELOW(memalign)(alignment, bytes)) : nullptr;
}

}  // namespace

void AllocationFaults::Prepare(std::uint64_t n, FaultExtent extent) {
  // The first call loads the unwinder, which allocates.
  static const int loaded = backtrace(frames.data(), 1);
  static_cast<void>(loaded);
  first.store(n);
  all_later.store(extent == FaultExtent::kFromThenOn);
  counted.store(0);
  failed.store(0);
  frame_count.store(0);
}

bool AllocationFaults::Fired() { return failed.load() != 0; }
std::uint64_t AllocationFaults::Counted() { return counted.load(); }
std::uint64_t AllocationFaults::Failed() { return failed.load(); }
std::uint64_t AllocationFaults::FailedInAll() { return failed_in_all.load(); }
std::int64_t AllocationFaults::LiveBlocks() { return live.load(); }

std::string AllocationFaults::Where() {
  const Exempt own;
  std::ostringstream text;
  Describe(frames.data(), frame_count.load(), text);
  return text.str();
}

void AllocationFaults::Remember() {
  for (Block& block : blocks) block.memory.store(nullptr);
  remembering.store(true);
}

std::string AllocationFaults::Remembered() {
  const Exempt own;
  remembering.store(false);
  std::ostringstream text;
  for (Block& block : blocks) {
    if (block.memory.load() == nullptr || block.memory.load() == kForgotten) continue;
    text << "\n  a block of";
    Describe(block.callers.data(), block.depth, text);
  }
  return text.str();
}

AllocationFaults::Scope::Scope() { scopes.fetch_add(1); }
AllocationFaults::Scope::~Scope() { scopes.fetch_sub(1); }
AllocationFaults::Exempt::Exempt() { ++exempt; }
AllocationFaults::Exempt::~Exempt() { --exempt; }

}  // namespace ktlsim::test

// ---- Instead of the C library's -------------------------------------------------------------

using ktlsim::test::Aligned;
using ktlsim::test::Counted;
using ktlsim::test::MayAllocate;

extern "C" {

void* malloc(std::size_t bytes) {
  return MayAllocate() ? Counted(KTLSIM_BELOW(malloc)(bytes)) : nullptr;
}
void* calloc(std::size_t count, std::size_t bytes) {
  return MayAllocate() ? Counted(KTLSIM_BELOW(calloc)(count, bytes)) : nullptr;
}
void* realloc(void* memory, std::size_t bytes) {
  if (memory == nullptr) return malloc(bytes);
  if (bytes == 0) {
    free(memory);
    return nullptr;
  }
  if (!MayAllocate()) return nullptr;
  const bool remembered = ktlsim::test::ForgetBlock(memory);
  void* moved = KTLSIM_BELOW(realloc)(memory, bytes);
  if (remembered) ktlsim::test::NoteBlock(moved != nullptr ? moved : memory);
  return moved;
}
void* memalign(std::size_t alignment, std::size_t bytes) { return Aligned(alignment, bytes); }
void* aligned_alloc(std::size_t alignment, std::size_t bytes) { return Aligned(alignment, bytes); }
int posix_memalign(void** out, std::size_t alignment, std::size_t bytes) {
  if (alignment < sizeof(void*) || (alignment & (alignment - 1)) != 0) return EINVAL;
  void* memory = Aligned(alignment, bytes);
  if (memory == nullptr) return ENOMEM;
  *out = memory;
  return 0;
}
void free(void* memory) {
  if (memory == nullptr) return;
  ktlsim::test::live.fetch_sub(1, std::memory_order_relaxed);
  ktlsim::test::ForgetBlock(memory);
  KTLSIM_BELOW(free)(memory);
}

}  // extern "C"

namespace {

void* New(std::size_t bytes) {
  void* memory = malloc(bytes != 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* New(std::size_t bytes, std::align_val_t alignment) {
  void* memory = memalign(static_cast<std::size_t>(alignment), bytes != 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// A sanitizer's own operators would not pass through malloc.
void* operator new(std::size_t bytes) { return New(bytes); }
void* operator new[](std::size_t bytes) { return New(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return New(bytes, alignment); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return New(bytes, alignment);
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return malloc(bytes != 0 ? bytes : 1);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return malloc(bytes != 0 ? bytes : 1);
}
void* operator new(std::size_t bytes, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return memalign(static_cast<std::size_t>(alignment), bytes != 0 ? bytes : 1);
}
void* operator new[](std::size_t bytes, std::align_val_t alignment,
                     const std::nothrow_t&) noexcept {
  return memalign(static_cast<std::size_t>(alignment), bytes != 0 ? bytes : 1);
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, std::size_t) noexcept { free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { free(memory); }
void operator delete(void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  free(memory);
}
void operator delete[](void* memory, std::align_val_t, const std::nothrow_t&) noexcept {
  free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { free(memory); }
