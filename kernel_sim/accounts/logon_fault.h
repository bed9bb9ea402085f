// LogonFault: why somebody is not logged on. The values are those of the Win32 errors, which the
// public functions store as they are.
#pragma once

#include <cstdint>
#include <string_view>

namespace ktlsim::accounts {

enum class [[nodiscard]] LogonFault : std::uint32_t {
  kNone = 0,
  kNoMemory = 8,
  kInvalidParameter = 87,  // a text that is too long
  kNoLogonServers = 1311,  // there is no directory
  kLogonFailure = 1326,    // the name or the password; which, nobody is told
  kInvalidLogonType = 1367,
  // The queue of verifications is full, too many wait for this name, or the memory for its
  // credentials cannot be locked: later it may be possible.
  kNoSystemResources = 1450,

  // Only after the right password.
  kPasswordExpired = 1330,
  kAccountDisabled = 1331,
  kLogonTypeNotGranted = 1385,
  kAccountExpired = 1793,
  kPasswordMustChange = 1907,
  kAccountLockedOut = 1909,
};

// In words that a log can show.
std::string_view ToText(LogonFault fault);

}  // namespace ktlsim::accounts
