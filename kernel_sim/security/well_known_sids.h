// SIDs that mean the same everywhere, and those that each domain makes in the same way.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <cstdint>
#include <optional>

#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::security {

inline constexpr Sid kWorldSid(1, {0});
inline constexpr Sid kOwnerRightsSid(3, {4});
inline constexpr Sid kSelfSid(5, {10});
inline constexpr Sid kAuthenticatedUserSid(5, {11});
inline constexpr Sid kLocalSystemSid(5, {18});
inline constexpr Sid kAdministratorsSid(5, {32, 544});

// Integrity levels: the only sub-authority of S-1-16-x.
inline constexpr std::uint64_t kLabelAuthority = 16;
inline constexpr std::uint32_t kUntrustedIntegrity = 0;
inline constexpr std::uint32_t kLowIntegrity = 4096;
inline constexpr std::uint32_t kMediumIntegrity = 8192;
inline constexpr std::uint32_t kHighIntegrity = 12288;
inline constexpr std::uint32_t kSystemIntegrity = 16384;

// `type` is a WELL_KNOWN_SID_TYPE. A type of a domain needs `domain`, any other ignores it.
// kInvalidParameter: the type is unknown or cannot be made, or its domain is missing;
// kInvalidSid: the domain's SID has no room for one more number.
Fault MakeWellKnownSid(std::uint32_t type, std::optional<SidView> domain, Sid* sid);

// Whether `sid` is of the type; one of a domain's types in whichever domain.
bool IsWellKnownSid(SidView sid, std::uint32_t type);

}  // namespace ktlsim::security
