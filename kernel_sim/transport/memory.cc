#include "kernel_sim/transport/memory.h"

#include <cstring>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim::transport {
namespace {

Buffer* Allocate(std::size_t bytes, std::uint32_t size_class) {
  void* memory = ::operator new(sizeof(Buffer) + bytes, std::nothrow);
  if (memory == nullptr) return nullptr;
  auto* buffer = new (memory) Buffer();
  buffer->capacity = static_cast<std::uint32_t>(bytes);
  buffer->size_class = size_class;
  return buffer;
}

void Free(Buffer* buffer) { ::operator delete(buffer); }

}  // namespace

void Wipe(std::span<std::byte> bytes) { explicit_bzero(bytes.data(), bytes.size()); }

BufferPool::~BufferPool() {
  KTLSIM_ASSERT(in_use() == 0);
  for (Buffer* buffer : free_) {
    while (buffer != nullptr) Free(std::exchange(buffer, buffer->next));
  }
}

Buffer* BufferPool::Take(std::size_t bytes) {
  std::uint32_t size_class = 0;
  while (size_class < kUnpooled && kClassBytes[size_class] < bytes) ++size_class;
  Buffer* buffer = nullptr;
  if (size_class == kUnpooled) {
    buffer = Allocate(bytes, kUnpooled);
  } else if (free_[size_class] != nullptr) {
    buffer = std::exchange(free_[size_class], free_[size_class]->next);
    buffer->next = nullptr;
    --kept_[size_class];
  } else {
    buffer = Allocate(kClassBytes[size_class], size_class);
  }
  if (buffer != nullptr) in_use_.Add();
  return buffer;
}

void BufferPool::Give(Buffer* buffer) {
  if (buffer == nullptr) return;
  in_use_.Subtract();
  const std::uint32_t size_class = buffer->size_class;
  if (size_class == kUnpooled || kept_[size_class] == kKeepMax) {
    Free(buffer);
    return;
  }
  buffer->next = std::exchange(free_[size_class], buffer);
  ++kept_[size_class];
}

}  // namespace ktlsim::transport
