// A short per-thread log of what the core did: submit, start, complete, notify, state changes.
//
// It costs a few stores per event and is printed when an assertion or a test fails. With
// KTLSIM_TRACE=text in the environment each event is printed to stderr as it happens, with the time
// since the first one, the thread's name and its number.
#pragma once

#include <cstdint>
#include <cstdio>

namespace ktlsim {

// `event` must be a literal. `id` names the thing (handle, request number); `detail` is free.
void Trace(const char* event, std::uint64_t id, std::uint64_t detail = 0);

// Prints the newest events of the calling thread, oldest first.
void DumpTrace(std::FILE* out);

// Who is told of every later event of the calling thread, in the midst of whatever traces it. Null:
// nobody. For tests: between two events is where another thread may come in between.
using TraceObserver = void (*)(void* context, const char* event, std::uint64_t id);
void SetTraceObserver(TraceObserver observer, void* context);

}  // namespace ktlsim
