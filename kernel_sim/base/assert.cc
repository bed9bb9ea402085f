#include "kernel_sim/base/assert.h"

#include <cstdio>
#include <cstdlib>

#include "kernel_sim/base/trace.h"

namespace ktlsim {

void AssertionFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "ktlsim: assertion failed: %s (%s:%d)\n", condition, file, line);
  DumpTrace(stderr);
  std::abort();
}

}  // namespace ktlsim
