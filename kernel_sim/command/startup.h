// Starting the library as the command line asked.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <string>

namespace ktlsim::command {

struct StartupOptions {
  unsigned processors = 0;           // 0: one per core
  bool pool = false;                 // handshakes on separate crypto processors
  unsigned queue_depth = 0;          // calls per processor; 0: the library's default
  unsigned queue_wait_limit_ms = 0;  // 0: none
  std::string roles;                 // comma list, as in KtlsimOptions; empty: none
};

// Raises the limit on open files and starts the library. Empty on success, else why not, in words.
std::string StartLibrary(const StartupOptions& options);

}  // namespace ktlsim::command
