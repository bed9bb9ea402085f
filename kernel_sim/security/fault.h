// Fault: why something of tokens, descriptors or access checks is refused.
//
// The values are those of the Win32 errors (winerror.h), since the contract speaks in them: the
// public functions store a Fault as the thread's last error as it is. tests/security compares the
// two.
#pragma once

#include <cstdint>
#include <string_view>

namespace ktlsim::security {

enum class [[nodiscard]] Fault : std::uint32_t {
  kNone = 0,
  kAccessDenied = 5,
  kInvalidHandle = 6,
  kNoMemory = 8,
  kBadLength = 24,
  kNotSupported = 50,
  kInvalidParameter = 87,
  kInsufficientBuffer = 122,
  kNoAccess = 998,  // an address that cannot be used
  kInvalidFlags = 1004,
  kNoToken = 1008,
  kNotAllAssigned = 1300,  // done, but not for everything that was named
  kUnknownRevision = 1305,
  kRevisionMismatch = 1306,
  kInvalidOwner = 1307,
  kInvalidPrimaryGroup = 1308,
  kNoImpersonationToken = 1309,
  kCantDisableMandatory = 1310,
  kNoSuchPrivilege = 1313,
  kPrivilegeNotHeld = 1314,
  kNoneMapped = 1332,
  kInvalidAcl = 1336,
  kInvalidSid = 1337,
  kInvalidSecurityDescriptor = 1338,
  kAllottedSpaceExceeded = 1344,
  kBadImpersonationLevel = 1346,
  kCantOpenAnonymous = 1347,
  kBadTokenType = 1349,
  kGenericNotMapped = 1360,
  kBadDescriptorFormat = 1361,
  kNoSystemResources = 1450,  // an access that could not be recorded
};

// In words that a log can show, such as "no valid SID"; "" for kNone.
std::string_view ToText(Fault fault);

}  // namespace ktlsim::security
