// The words of `--tls`, the same for serve, load and run.
#pragma once

#include <array>

#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {

inline constexpr std::array kTlsWords = {Word<TlsVersions>{"1.2", TlsVersions::k12},
                                         Word<TlsVersions>{"1.3", TlsVersions::k13},
                                         Word<TlsVersions>{"1.2-1.3", TlsVersions::k12And13}};

}  // namespace ktlsim::command
