// What every fuzzer here defines, in libFuzzer's form, and how it reports a defect.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// Called for each input; returns 0. Aborts when the input shows a defect.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes);

namespace ktlsim::test {

// A property that holds for every input.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzzer: %s\n", what);
  std::abort();
}

}  // namespace ktlsim::test
