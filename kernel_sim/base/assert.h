// Assertions for conditions that only a bug can break. Peer input and caller arguments are handled,
// never asserted.
//
// KTLSIM_CHECK is always on; KTLSIM_ASSERT is on in builds without NDEBUG. Both dump this thread's
// trace log (trace.h) and abort.
#pragma once

#include "kernel_sim/base/export.h"

namespace ktlsim {

[[noreturn]] KTLSIM_EXPORT void AssertionFailed(const char* condition, const char* file, int line);

}  // namespace ktlsim

#define KTLSIM_CHECK(condition)                        \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::ktlsim::AssertionFailed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define KTLSIM_ASSERT(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#else
#define KTLSIM_ASSERT(condition) KTLSIM_CHECK(condition)
#endif
