// Finding buffers in a caller's SecBufferDesc. Only the memory that it names is trusted, nothing
// else in it.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace ktlsim::sspi {

inline ULONG TypeOf(const SecBuffer& buffer) { return buffer.BufferType & ~SECBUFFER_ATTRMASK; }

inline std::span<SecBuffer> BuffersOf(PSecBufferDesc descriptor) {
  if (descriptor == nullptr || descriptor->pBuffers == nullptr) return {};
  return {descriptor->pBuffers, descriptor->cBuffers};
}

// More buffers than one call may have: refused as a parameter, so that no call takes longer than
// others can wait.
inline bool TooManyBuffers(const SecBufferDesc* descriptor) {
  return descriptor != nullptr && descriptor->cBuffers > KTLSIM_BUFFERS_MAX;
}

// The first one of `type`, or null.
inline SecBuffer* FindBuffer(PSecBufferDesc descriptor, ULONG type) {
  for (SecBuffer& buffer : BuffersOf(descriptor)) {
    if (TypeOf(buffer) == type) return &buffer;
  }
  return nullptr;
}

// It claims bytes and has none.
inline bool IsNullWithSize(const SecBuffer& buffer) {
  return buffer.pvBuffer == nullptr && buffer.cbBuffer != 0;
}

// Empty for a buffer that is absent or has no memory.
inline std::span<std::byte> BytesOf(const SecBuffer* buffer) {
  if (buffer == nullptr || buffer->pvBuffer == nullptr) return {};
  return {static_cast<std::byte*>(buffer->pvBuffer), buffer->cbBuffer};
}

inline void SetBuffer(SecBuffer& buffer, ULONG type, std::span<std::byte> bytes) {
  buffer.BufferType = type;
  buffer.cbBuffer = static_cast<ULONG>(bytes.size());
  buffer.pvBuffer = bytes.data();
}

}  // namespace ktlsim::sspi
