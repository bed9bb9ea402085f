// Misuse is a status, in every build (the contract's misuse matrix); this counts it and, with
// KTLSIM_MISUSE=abort in the environment, turns it into an abort with a message, for debugging.
#pragma once

#include <cstdint>

namespace ktlsim::executive {

// `what` is a literal that names the rule. Any thread, any level.
void ReportMisuse(const char* what);
std::uint64_t MisuseCount();

}  // namespace ktlsim::executive
