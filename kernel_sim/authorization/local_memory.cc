#include "kernel_sim/authorization/local_memory.h"

#include <pthread.h>

#include <array>
#include <cstdlib>
#include <new>
#include <unordered_map>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"

namespace ktlsim::authorization {
namespace {

// Several, so that threads seldom meet.
struct LocalShard {
  Mutex mutex;
  std::unordered_map<void*, LocalUse> blocks KTLSIM_GUARDED_BY(mutex);
};

struct LocalRegister {
  LocalRegister() { pthread_atfork(&Lock, &Unlock, &Unlock); }
  static void Lock();
  static void Unlock();

  std::array<LocalShard, 8> shards;
};

LocalRegister& Blocks() {
  static NeverDestroyed<LocalRegister> blocks;
  return blocks.get();
}

// Its handlers precede those of whoever uses it while holding locks of its own.
[[maybe_unused]] const LocalRegister& blocks_from_the_start = Blocks();  // NOLINT(cert-err58-cpp)

KTLSIM_NO_THREAD_SAFETY void LocalRegister::Lock() {
  for (LocalShard& shard : Blocks().shards) shard.mutex.lock();
}
KTLSIM_NO_THREAD_SAFETY void LocalRegister::Unlock() {
  for (LocalShard& shard : Blocks().shards) shard.mutex.unlock();
}

LocalShard& ShardOf(const void* block) {
  return Blocks().shards[(reinterpret_cast<std::uintptr_t>(block) >> 4) % 8];
}

}  // namespace

void* AllocateLocal(std::size_t bytes, LocalUse use) {
  void* const block = std::calloc(bytes != 0 ? bytes : 1, 1);
  if (block == nullptr) return nullptr;
  LocalShard& shard = ShardOf(block);
  const MutexLock lock(shard.mutex);
  try {
    shard.blocks.emplace(block, use);
  } catch (const std::bad_alloc&) {
    std::free(block);
    return nullptr;
  }
  return block;
}

bool FreeLocal(void* block, LocalUse use) {
  {
    LocalShard& shard = ShardOf(block);
    const MutexLock lock(shard.mutex);
    const auto found = shard.blocks.find(block);
    if (found == shard.blocks.end() || found->second != use) return false;
    shard.blocks.erase(found);
  }
  std::free(block);
  return true;
}

std::size_t LocalBlocksLive() {
  std::size_t count = 0;
  for (LocalShard& shard : Blocks().shards) {
    const MutexLock lock(shard.mutex);
    count += shard.blocks.size();
  }
  return count;
}

}  // namespace ktlsim::authorization
