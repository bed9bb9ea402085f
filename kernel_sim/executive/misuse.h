// In every build a caller's misuse leads to a status. This counts it and, for debugging, prints a
// message and aborts if KTLSIM_MISUSE=abort is in the environment.
#pragma once

#include <cstdint>

namespace ktlsim::executive {

// `what` is a literal that names what the caller did. Any thread, any level.
void ReportMisuse(const char* what);
std::uint64_t MisuseCount();

}  // namespace ktlsim::executive
