// What a token loses when an administrator goes on as a standard user: LUA_TOKEN of
// CreateRestrictedToken, and what User Account Control of Windows takes from an administrator's
// token.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include "kernel_sim/security/privileges.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::security {

// The privileges that a standard user keeps.
inline constexpr PrivilegeSet kStandardUserPrivileges = {
    Privilege::kShutdown, Privilege::kChangeNotify, Privilege::kUndock,
    Privilege::kIncreaseWorkingSet, Privilege::kTimeZone};

// Whether a group is one that administers: of S-1-5-32 or of a domain.
bool IsAdministrative(SidView group);

}  // namespace ktlsim::security
