// Memory that the access functions give to their callers: to be released with LocalFree, or with
// FreeSid.
//
// Every block is registered, so that a foreign pointer, or one that is freed twice, is an error and
// not a crash.
//
// Any thread, any level, except that it allocates. No thread is changing the register while the
// process forks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ktlsim::authorization {

// What frees it.
enum class LocalUse : std::uint8_t { kLocalFree, kFreeSid };

// Filled with zeros. Null: no memory.
void* AllocateLocal(std::size_t bytes, LocalUse use = LocalUse::kLocalFree);
// False: it is not one of ours, or is for the other function.
bool FreeLocal(void* block, LocalUse use = LocalUse::kLocalFree);
// Blocks that were not freed.
std::size_t LocalBlocksLive();

}  // namespace ktlsim::authorization
