// InputQueue: received bytes of one connection that are not consumed yet, in order.
//
// Most bytes stay in the loop's receive buffers, where records are opened in place. All connections
// share those buffers, so bytes that cannot be consumed soon are moved to memory of our own: the
// head of a record whose rest is still to come (Assemble), and everything while reading is paused
// (Detach).
//
// Belongs to the connection's loop. The front may be in use by a call in flight: until it ends only
// Append, AppendCopy and the questions are legal; they leave the front where it is.
#pragma once

#include <cstddef>
#include <span>

#include "io/loop.h"
#include "kernel_sim/base/intrusive_list.h"
#include "kernel_sim/transport/memory.h"

namespace ktlsim::transport {

struct Chunk {
  Chunk* next = nullptr;
  io::BufferLease lease;  // exactly one of the two holds the bytes
  Buffer* memory = nullptr;
  std::span<std::byte> bytes;
};

// Free chunk nodes of one loop.
class ChunkPool {
 public:
  ChunkPool() = default;
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  Chunk* Take();  // null: out of memory
  void Give(Chunk& chunk);

 private:
  Chunk* free_ = nullptr;
};

class InputQueue {
 public:
  InputQueue(ChunkPool& chunks, BufferPool& buffers) : chunks_(chunks), buffers_(buffers) {}
  ~InputQueue() { Clear(); }

  // Functions that return bool return false when memory is short; then nothing has changed.
  [[nodiscard]] bool Append(io::BufferLease lease);
  [[nodiscard]] bool AppendCopy(std::span<const std::byte> bytes);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // The first bytes that lie together; empty when the queue is.
  std::span<std::byte> front() const {
    return list_.empty() ? std::span<std::byte>() : list_.front()->bytes;
  }
  // Copies up to `out.size()` first bytes, wherever they lie; returns how many.
  std::size_t Peek(std::span<std::byte> out) const;

  void Consume(std::size_t bytes);
  // Makes the front hold at least min(`bytes`, size()) bytes, in own memory with room for `bytes`.
  [[nodiscard]] bool Assemble(std::size_t bytes);
  // Gives all receive buffers back to the loop.
  [[nodiscard]] bool Detach();
  void Clear();

 private:
  void Drop(Chunk& chunk);
  [[nodiscard]] bool Own(Chunk& chunk, std::size_t capacity);

  ChunkPool& chunks_;
  BufferPool& buffers_;
  IntrusiveQueue<Chunk, &Chunk::next> list_;
  Chunk* last_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ktlsim::transport
