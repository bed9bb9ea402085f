#include "kernel_sim/security/fault.h"

namespace ktlsim::security {

std::string_view ToText(Fault fault) {
  switch (fault) {
    case Fault::kNone:
      return "";
    case Fault::kAccessDenied:
      return "access denied";
    case Fault::kInvalidHandle:
      return "no valid handle";
    case Fault::kNoMemory:
      return "out of memory";
    case Fault::kBadLength:
      return "a length that cannot be";
    case Fault::kNotSupported:
      return "not supported";
    case Fault::kInvalidParameter:
      return "an argument that cannot be";
    case Fault::kInsufficientBuffer:
      return "the buffer is too small";
    case Fault::kNoAccess:
      return "no valid address";
    case Fault::kInvalidFlags:
      return "flags that cannot be";
    case Fault::kNoToken:
      return "the thread has no token";
    case Fault::kNotAllAssigned:
      return "not all of them are in the token";
    case Fault::kUnknownRevision:
      return "an unknown revision";
    case Fault::kRevisionMismatch:
      return "two revisions that do not fit";
    case Fault::kInvalidOwner:
      return "this SID may not be an owner";
    case Fault::kInvalidPrimaryGroup:
      return "this SID may not be the primary group";
    case Fault::kNoImpersonationToken:
      return "no impersonation token";
    case Fault::kCantDisableMandatory:
      return "a mandatory group cannot be disabled";
    case Fault::kNoSuchPrivilege:
      return "there is no such privilege";
    case Fault::kPrivilegeNotHeld:
      return "a privilege is not held";
    case Fault::kNoneMapped:
      return "the name belongs to no SID";
    case Fault::kInvalidAcl:
      return "no valid access control list";
    case Fault::kInvalidSid:
      return "no valid SID";
    case Fault::kInvalidSecurityDescriptor:
      return "no valid security descriptor";
    case Fault::kAllottedSpaceExceeded:
      return "the list has no room left";
    case Fault::kBadImpersonationLevel:
      return "the impersonation level does not allow it";
    case Fault::kCantOpenAnonymous:
      return "an anonymous token cannot be opened";
    case Fault::kBadTokenType:
      return "a token of the other type";
    case Fault::kGenericNotMapped:
      return "generic rights were not mapped";
    case Fault::kBadDescriptorFormat:
      return "the other form of a security descriptor";
    case Fault::kNoSystemResources:
      return "it could not be recorded";
  }
  return "";
}

}  // namespace ktlsim::security
