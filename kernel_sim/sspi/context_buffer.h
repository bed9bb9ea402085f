// Memory that SSPI gives to its callers, to be released with FreeContextBuffer.
//
// Every buffer is registered, so that a foreign pointer, or one freed twice, is an error and not a
// crash, and so that a test can count the buffers that were not released.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ktlsim::sspi {

// Null: out of memory. Any thread, any level.
void* AllocateContextBuffer(std::size_t bytes);
// False: not one of ours.
bool ReleaseContextBuffer(void* buffer);
std::uint64_t ContextBuffersLive();

// Around a fork.
void LockContextBuffers();
void UnlockContextBuffers();

}  // namespace ktlsim::sspi
