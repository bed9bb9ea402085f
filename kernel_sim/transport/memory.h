// Memory of a path on one loop: buffers by size class and chunk nodes, each with a free list, so
// that a steady state allocates nothing.
//
// Owned and used by one loop's thread; made and destroyed while no loop uses it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktlsim::transport {

// A number with one writer at a time and readers on any thread.
class Counter {
 public:
  void Add(std::uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  void Subtract(std::uint64_t by = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - by, std::memory_order_relaxed);
  }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Overwrites plaintext, in a way the compiler keeps, before others get the memory.
void Wipe(std::span<std::byte> bytes);

// A block of bytes; they follow this header.
struct Buffer {
  Buffer* next = nullptr;
  std::uint32_t capacity = 0;
  std::uint32_t size_class = 0;

  std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
};

class BufferPool {
 public:
  // Small handshake input; one record or a flight of tokens; a receive buffer's worth; four sealed
  // records. Anything larger is allocated and freed each time.
  static constexpr std::array<std::uint32_t, 4> kClassBytes = {4 * 1024, 20 * 1024, 33 * 1024,
                                                               66 * 1024};
  // How many free ones each class keeps.
  static constexpr std::uint32_t kKeepMax = 256;

  BufferPool() = default;
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // At least `bytes` of capacity; the content is undefined. Null: out of memory.
  Buffer* Take(std::size_t bytes);
  void Give(Buffer* buffer);  // null is fine
  std::uint64_t in_use() const { return in_use_.value(); }

 private:
  static constexpr std::uint32_t kUnpooled = kClassBytes.size();

  std::array<Buffer*, kClassBytes.size()> free_{};
  std::array<std::uint32_t, kClassBytes.size()> kept_{};
  Counter in_use_;
};

}  // namespace ktlsim::transport
