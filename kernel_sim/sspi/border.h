// The one border between exceptions and statuses: no exception leaves a function of the C API, or a
// call that runs on a processor.
#pragma once

#include <sspi.h>

#include <new>

namespace ktlsim::sspi {

// The status of `call`. Costs nothing as long as nothing is thrown. Any level.
template <typename Call>
SECURITY_STATUS NothingThrown(Call&& call) noexcept {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return SEC_E_INSUFFICIENT_MEMORY;
  } catch (...) {
    return SEC_E_INTERNAL_ERROR;
  }
}

}  // namespace ktlsim::sspi
