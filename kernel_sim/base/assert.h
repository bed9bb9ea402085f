// Assertions for what only a bug can break. Peer input and caller arguments are handled, never
// asserted.
//
// KTLSIM_CHECK is always on; KTLSIM_ASSERT in builds without NDEBUG. Both dump the trace log of
// this thread (trace.h) and abort.
#pragma once

namespace ktlsim {

[[noreturn]] void AssertionFailed(const char* condition, const char* file, int line);

}  // namespace ktlsim

#define KTLSIM_CHECK(condition)                        \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::ktlsim::AssertionFailed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define KTLSIM_ASSERT(condition) static_cast<void>(sizeof(static_cast<bool>(condition)))
#else
#define KTLSIM_ASSERT(condition) KTLSIM_CHECK(condition)
#endif
