// Under AddressSanitizer, memory that a ring owns is poisoned: a program that touches it meanwhile
// is reported. The kernel's own reads and writes do not trap. In other builds this does nothing.
//
// Eight bytes share one mark. A region's last bytes stay readable when others follow in their
// eight, and its neighbours are never poisoned with it.
#pragma once

#include <sanitizer/asan_interface.h>

#include <cstddef>
#include <cstring>
#include <span>

#if defined(__SANITIZE_ADDRESS__)
#define KTLSIM_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KTLSIM_ADDRESS_SANITIZER 1
#endif
#endif

namespace ktlsim::io {

inline void Poison([[maybe_unused]] std::span<const std::byte> bytes) {
  ASAN_POISON_MEMORY_REGION(bytes.data(), bytes.size());
}

inline void Unpoison([[maybe_unused]] std::span<const std::byte> bytes) {
  ASAN_UNPOISON_MEMORY_REGION(bytes.data(), bytes.size());
}

// Copies as a kernel does: poison neither hinders it nor goes away.
#ifdef KTLSIM_ADDRESS_SANITIZER
__attribute__((no_sanitize("address"))) inline void CopyPoisoned(std::byte* to,
                                                                 const std::byte* from,
                                                                 std::size_t length) {
  // Volatile, so that no compiler makes it a memcpy, which would trap.
  const volatile std::byte* source = from;
  volatile std::byte* destination = to;
  for (std::size_t i = 0; i < length; ++i) destination[i] = source[i];
}
#else
inline void CopyPoisoned(std::byte* to, const std::byte* from, std::size_t length) {
  if (length != 0) std::memcpy(to, from, length);
}
#endif

}  // namespace ktlsim::io
