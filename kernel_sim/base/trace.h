// A short per-thread log of what the core did: submit, start, complete, notify, state changes.
//
// It costs a few stores per event and is printed when an assertion or a test fails. With
// KTLSIM_TRACE=text in the environment each event is printed to stderr as it happens, a line each:
// the time since the first one, the thread's name and number, the processor that it is, the event,
// the lane and the status. KTLSIM_TRACE=json prints the same as one JSON object a line.
#pragma once

#include <cstdint>
#include <cstdio>

namespace ktlsim {

// `event` must be a literal. `id` names the thing (handle, request number); `detail` is free.
void Trace(const char* event, std::uint64_t id, std::uint64_t detail = 0);
// The same for an asynchronous call. `lane` must be a literal.
void TraceCall(const char* event, std::uint64_t id, const char* lane);
void TraceCallStatus(const char* event, std::uint64_t id, const char* lane, std::int32_t status);

// The calling thread is this processor, and its later events carry the number.
void SetTraceProcessor(std::uint32_t index);
// Sets the function that names statuses in what is printed. It returns null for a number without a
// name. Any thread, any time.
using TraceStatusName = const char* (*)(std::int32_t status);
void SetTraceStatusName(TraceStatusName name);

// Prints the newest events of the calling thread, oldest first.
void DumpTrace(std::FILE* out);

// `observer` is called with every later event of the calling thread, from inside the code that
// traces it; null ends that. For tests: another thread may come in between any two events.
using TraceObserver = void (*)(void* context, const char* event, std::uint64_t id);
void SetTraceObserver(TraceObserver observer, void* context);

}  // namespace ktlsim
