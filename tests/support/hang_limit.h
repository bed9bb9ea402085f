// How long a test waits for what must come. It ends a test that would hang; no test depends on how
// soon something comes.
#pragma once

#include <chrono>

namespace ktlsim::test {

// A sanitizer on a busy machine makes seconds of what takes milliseconds.
inline constexpr std::chrono::seconds kHangLimit{100};

}  // namespace ktlsim::test
