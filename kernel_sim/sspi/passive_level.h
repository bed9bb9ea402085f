// The rule that every synchronous function which waits or allocates shares.
#pragma once

#include "kernel_sim/base/level.h"
#include "kernel_sim/executive/misuse.h"

namespace ktlsim::sspi {

// False, and counted as misuse, above passive level: the caller returns SEC_E_UNSUPPORTED_FUNCTION.
inline bool AtPassiveLevel() {
  if (CurrentLevel() == Level::kPassive) return true;
  executive::ReportMisuse("synchronous call above passive level");
  return false;
}

}  // namespace ktlsim::sspi
