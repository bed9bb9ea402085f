#include "kernel_sim/executive/misuse.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernel_sim/base/trace.h"

namespace ktlsim::executive {
namespace {

std::atomic<std::uint64_t> count{0};

bool Aborts() {
  static const bool aborts = [] {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here writes the environment
    const char* value = std::getenv("KTLSIM_MISUSE");
    return value != nullptr && std::strcmp(value, "abort") == 0;
  }();
  return aborts;
}

}  // namespace

void ReportMisuse(const char* what) {
  count.fetch_add(1, std::memory_order_relaxed);
  Trace(what, 0);
  if (Aborts()) {
    std::fprintf(stderr, "ktlsim: misuse: %s (KTLSIM_MISUSE=abort)\n", what);
    DumpTrace(stderr);
    std::abort();
  }
}

std::uint64_t MisuseCount() { return count.load(std::memory_order_relaxed); }

}  // namespace ktlsim::executive
