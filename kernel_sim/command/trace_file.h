// TraceFile: `--trace FILE`: a sample of the library's calls, as Chrome's JSON trace events, which
// the Perfetto viewer opens (ui.perfetto.dev).
//
// Each processor is a process of the trace; a call is an asynchronous slice of it, from its
// acceptance to the return of its callback, and in that slice are the stages: queued, served,
// notified, callback. Calls overlap, so they cannot be slices of a thread.
//
// A thread of its own formats and writes. What a newcomer gets wrong: the file is an array whose
// end comes with Close; viewers open one without it, too, such as that of a program that was
// killed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "kernel_sim/base/call_trace.h"
#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/startup.h"

namespace ktlsim::command {

// What a record becomes in the file: its lines, each with its comma at the end.
void AppendTraceEvents(const ktlsim::CallRecord& record, std::string* out);

class TraceFile {
 public:
  // Calls are recorded from the next start of the library on. Null without an error: none is asked
  // for. Null and *error: the file cannot be written, and the remedy. Passive level.
  static std::unique_ptr<TraceFile> Open(const TraceOptions& options, std::string* error);
  // The library has stopped.
  ~TraceFile();
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;

  // Writes the rest, and names the processors. The library has stopped. Empty: the sample is whole;
  // else what is missing, and why.
  std::string Close();

 private:
  TraceFile(const TraceOptions& options, int descriptor);

  void Main();
  void WriteFinished();
  bool Append(const ktlsim::CallRecord& record);
  void WriteText();
  void NameProcessors();
  void Stop();

  const TraceOptions options_;
  Descriptor file_;
  CallTrace trace_;
  // The thread's; after its end, the owner's.
  std::string text_;
  std::uint64_t bytes_ = 0;
  std::uint64_t beyond_ = 0;  // records left out for the size
  int error_ = 0;             // errno of the first write that failed

  Mutex mutex_;
  ConditionVariable changed_;
  bool stopping_ KTLSIM_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace ktlsim::command
