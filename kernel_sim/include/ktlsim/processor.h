// The simulated kernel's processors, for a transport application: an extension of ktlsim, C++ only.
//
// A transport application puts its sockets on the loop of the processor that does their TLS work.
// What it submits there, with KTLSIM_NOTIFY_ON_PROCESSOR, is run and notified on the same thread:
// nothing is handed between threads, and the connection needs no lock.
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
// clang-format off
#error "ktlsim/processor.h needs C++20: compile with -std=c++20 (CMake: target_compile_features(your_target PRIVATE cxx_std_20)); sspi.h and ktlsim/sspi_ext.h need C11 or C++11 only"
// clang-format on
#endif

#include <sspi.h>

#include "io/loop.h"

// One processor that does I/O. (With KTLSIM_PLACEMENT_POOL there are crypto processors as well;
// they have no sockets and are not visited.) The structure and what it points to live until
// KtlsimStop.
struct KtlsimProcessor {
  ULONG index;
  const char* role;        // from KtlsimOptions::pszProcessorRoles, else "io"
  ktlsim::io::Loop* loop;  // use it on its own thread only: get there with loop->Post
};

extern "C" {

/// Calls `visit` for each I/O processor, in order, on the calling thread. Starts the runtime with
/// defaults if it has not been started. A KtlsimStop on another thread waits until all visits have
/// returned; a KtlsimStop inside a visit is refused, as in a callback.
/// Level: passive. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: `visit` is null; what KtlsimStart
/// returns when it cannot start; SEC_E_SHUTDOWN_IN_PROGRESS after KtlsimStop.
KTLSIM_API SECURITY_STATUS KtlsimForEachProcessor(void (*visit)(void* context,
                                                                const KtlsimProcessor* processor),
                                                  void* context);

/// CPU time used since the last start, also after KtlsimStop, by all threads of the processors of
/// `role` (crypto processors have the role "crypto"; null: all of them).
/// Level: any. Returns: nanoseconds.
KTLSIM_API ULONGLONG KtlsimProcessorCpuNs(const char* role);

}  // extern "C"
