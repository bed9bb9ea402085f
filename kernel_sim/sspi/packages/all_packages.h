// The packages that are always there.
#pragma once

#include <span>

#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

// In the order in which names are looked up. Any thread; allocates nothing.
std::span<Package* const> AllPackages();

}  // namespace ktlsim::sspi
