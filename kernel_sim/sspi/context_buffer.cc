#include "kernel_sim/sspi/context_buffer.h"

#include <array>
#include <cstdlib>
#include <unordered_map>

#include <openssl/crypto.h>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"

namespace ktlsim::sspi {
namespace {

struct Shard {
  Mutex mutex;
  std::unordered_map<void*, std::size_t> live KTLSIM_GUARDED_BY(mutex);
};

constexpr std::size_t kShards = 16;

std::array<Shard, kShards>& Shards() {
  static NeverDestroyed<std::array<Shard, kShards>> shards;
  return shards.get();
}

Shard& ShardOf(const void* buffer) {
  return Shards()[(reinterpret_cast<std::uintptr_t>(buffer) >> 6) % kShards];
}

}  // namespace

void* AllocateContextBuffer(std::size_t bytes) {
  void* buffer = std::malloc(bytes != 0 ? bytes : 1);
  if (buffer == nullptr) return nullptr;
  Shard& shard = ShardOf(buffer);
  MutexLock lock(shard.mutex);
  try {
    shard.live.emplace(buffer, bytes);
  } catch (const std::bad_alloc&) {
    std::free(buffer);
    return nullptr;
  }
  return buffer;
}

bool ReleaseContextBuffer(void* buffer) {
  std::size_t bytes = 0;
  {
    Shard& shard = ShardOf(buffer);
    MutexLock lock(shard.mutex);
    const auto found = shard.live.find(buffer);
    if (found == shard.live.end()) return false;
    bytes = found->second;
    shard.live.erase(found);
  }
  // It may have held key material or plaintext.
  OPENSSL_cleanse(buffer, bytes);
  std::free(buffer);
  return true;
}

std::uint64_t ContextBuffersLive() {
  std::uint64_t count = 0;
  for (Shard& shard : Shards()) {
    MutexLock lock(shard.mutex);
    count += shard.live.size();
  }
  return count;
}

KTLSIM_NO_THREAD_SAFETY void LockContextBuffers() {
  for (Shard& shard : Shards()) shard.mutex.lock();
}

KTLSIM_NO_THREAD_SAFETY void UnlockContextBuffers() {
  for (Shard& shard : Shards()) shard.mutex.unlock();
}

}  // namespace ktlsim::sspi
