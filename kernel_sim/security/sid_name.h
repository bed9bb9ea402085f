// SIDs by name: as S-1-authority-sub-authority... or by the two letters that SDDL has for them,
// such as BA.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <optional>
#include <string_view>

#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::security {

// Reads all of `text`. kInvalidSid: it is neither; kNoneMapped: the letters are those of a domain's
// account, and there is no domain. *sid is then unchanged.
Fault ParseSidOrName(std::string_view text, const std::optional<Sid>& domain, Sid* sid);

}  // namespace ktlsim::security
