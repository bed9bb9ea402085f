#include "kernel_sim/transport/input_queue.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace ktlsim::transport {

ChunkPool::~ChunkPool() {
  while (free_ != nullptr) delete std::exchange(free_, free_->next);
}

Chunk* ChunkPool::Take() {
  if (free_ == nullptr) return new (std::nothrow) Chunk();
  Chunk* chunk = std::exchange(free_, free_->next);
  chunk->next = nullptr;
  return chunk;
}

void ChunkPool::Give(Chunk& chunk) { chunk.next = std::exchange(free_, &chunk); }

bool InputQueue::Append(io::BufferLease lease) {
  Chunk* chunk = chunks_.Take();
  if (chunk == nullptr) return false;
  chunk->bytes = lease.bytes();
  chunk->lease = std::move(lease);
  size_ += chunk->bytes.size();
  list_.PushBack(*chunk);
  last_ = chunk;
  return true;
}

bool InputQueue::AppendCopy(std::span<const std::byte> bytes) {
  // Fill the space left in the last chunk first.
  if (last_ != nullptr && last_->memory != nullptr) {
    std::byte* const end = last_->memory->bytes() + last_->memory->capacity;
    std::byte* const at = last_->bytes.data() + last_->bytes.size();
    const std::size_t part = std::min(bytes.size(), static_cast<std::size_t>(end - at));
    if (part < bytes.size()) {
      // All or nothing: make sure of the rest before anything is changed.
      Chunk* chunk = chunks_.Take();
      Buffer* memory = buffers_.Take(bytes.size() - part);
      if (chunk == nullptr || memory == nullptr) {
        if (chunk != nullptr) chunks_.Give(*chunk);
        buffers_.Give(memory);
        return false;
      }
      chunk->memory = memory;
      chunk->bytes = {memory->bytes(), bytes.size() - part};
      std::memcpy(memory->bytes(), bytes.data() + part, bytes.size() - part);
      list_.PushBack(*chunk);
      std::memcpy(at, bytes.data(), part);
      last_->bytes = {last_->bytes.data(), last_->bytes.size() + part};
      last_ = chunk;
    } else {
      std::memcpy(at, bytes.data(), part);
      last_->bytes = {last_->bytes.data(), last_->bytes.size() + part};
    }
    size_ += bytes.size();
    return true;
  }
  Chunk* chunk = chunks_.Take();
  if (chunk == nullptr) return false;
  chunk->memory = buffers_.Take(bytes.size());
  if (chunk->memory == nullptr) {
    chunks_.Give(*chunk);
    return false;
  }
  std::memcpy(chunk->memory->bytes(), bytes.data(), bytes.size());
  chunk->bytes = {chunk->memory->bytes(), bytes.size()};
  size_ += bytes.size();
  list_.PushBack(*chunk);
  last_ = chunk;
  return true;
}

std::size_t InputQueue::Peek(std::span<std::byte> out) const {
  std::size_t copied = 0;
  for (const Chunk* chunk = list_.front(); chunk != nullptr && copied < out.size();
       chunk = chunk->next) {
    const std::size_t part = std::min(out.size() - copied, chunk->bytes.size());
    std::memcpy(out.data() + copied, chunk->bytes.data(), part);
    copied += part;
  }
  return copied;
}

void InputQueue::Consume(std::size_t bytes) {
  KTLSIM_ASSERT(bytes <= size_);
  size_ -= bytes;
  while (bytes != 0) {
    Chunk& chunk = *list_.front();
    const std::size_t part = std::min(bytes, chunk.bytes.size());
    chunk.bytes = chunk.bytes.subspan(part);
    bytes -= part;
    if (chunk.bytes.empty()) Drop(*list_.PopFront());
  }
}

bool InputQueue::Assemble(std::size_t bytes) {
  if (list_.empty()) return true;
  Chunk& first = *list_.front();
  if (!Own(first, bytes)) return false;
  while (first.bytes.size() < bytes && first.next != nullptr) {
    Chunk& second = *first.next;
    const std::size_t part = std::min(bytes - first.bytes.size(), second.bytes.size());
    std::memcpy(first.bytes.data() + first.bytes.size(), second.bytes.data(), part);
    first.bytes = {first.bytes.data(), first.bytes.size() + part};
    second.bytes = second.bytes.subspan(part);
    if (second.bytes.empty()) {
      list_.PopFront();
      Drop(*list_.PopFront());
      list_.PushFront(first);
      if (first.next == nullptr) last_ = &first;
    }
  }
  return true;
}

bool InputQueue::Detach() {
  for (Chunk* chunk = list_.front(); chunk != nullptr; chunk = chunk->next) {
    if (!Own(*chunk, chunk->bytes.size())) return false;
  }
  return true;
}

void InputQueue::Clear() {
  while (Chunk* chunk = list_.PopFront()) Drop(*chunk);
  last_ = nullptr;
  size_ = 0;
}

// Own memory with room for `capacity` bytes from the first byte on.
bool InputQueue::Own(Chunk& chunk, std::size_t capacity) {
  capacity = std::max(capacity, chunk.bytes.size());
  if (chunk.memory != nullptr) {
    const auto offset = static_cast<std::size_t>(chunk.bytes.data() - chunk.memory->bytes());
    if (chunk.memory->capacity - offset >= capacity) return true;
    if (chunk.memory->capacity >= capacity) {
      std::memmove(chunk.memory->bytes(), chunk.bytes.data(), chunk.bytes.size());
      chunk.bytes = {chunk.memory->bytes(), chunk.bytes.size()};
      return true;
    }
  }
  Buffer* memory = buffers_.Take(capacity);
  if (memory == nullptr) return false;
  std::memcpy(memory->bytes(), chunk.bytes.data(), chunk.bytes.size());
  chunk.bytes = {memory->bytes(), chunk.bytes.size()};
  chunk.lease.Reset();
  buffers_.Give(std::exchange(chunk.memory, memory));
  return true;
}

void InputQueue::Drop(Chunk& chunk) {
  if (last_ == &chunk) last_ = nullptr;
  chunk.lease.Reset();
  buffers_.Give(std::exchange(chunk.memory, nullptr));
  chunk.bytes = {};
  chunks_.Give(chunk);
}

}  // namespace ktlsim::transport
