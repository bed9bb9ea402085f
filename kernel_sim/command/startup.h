// Starting the library as the command line asked.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <cstdint>
#include <string>

namespace ktlsim::command {

// The library's own default, for 0; see KtlsimOptions.
inline constexpr unsigned kDefaultQueueDepth = 4096;
inline constexpr unsigned kDefaultNotifyThreads = 256;

// What is recorded of calls; see trace_file.h.
struct TraceOptions {
  friend bool operator==(const TraceOptions&, const TraceOptions&) = default;

  std::string file;  // empty: nothing
  std::uint32_t sample = 100;
  std::uint64_t bytes_max = std::uint64_t{256} << 20;
};

// What the library lets a program choose; see KtlsimOptions. 0 is the library's default.
struct StartupOptions {
  unsigned processors = 0;                // 0: one per core
  bool pool = false;                      // handshakes on separate crypto processors
  unsigned crypto_processors = 0;         // of a pool; 0: as many as processors
  unsigned queue_depth = 0;               // calls per processor
  std::uint32_t queue_wait_limit_ms = 0;  // 0: none
  // KTLSIM_NOTIFY_*, for the calls that the command submits; no option of the library.
  ULONG notify_mode = KTLSIM_NOTIFY_ON_PROCESSOR;
  unsigned notify_threads_max = 0;
  bool pin_processors = false;
  bool time_every_call = false;
  bool impersonate_os = false;  // KTLSIM_IMPERSONATE_OS
  std::string key_log;          // where TLS secrets are recorded; empty: as SSLKEYLOGFILE says
  TraceOptions trace;
  std::string roles;  // comma list, as in KtlsimOptions; empty: none
};

// Raises the limit on open files and starts the library. Empty on success, else why not, in words.
std::string StartLibrary(const StartupOptions& options);

}  // namespace ktlsim::command
