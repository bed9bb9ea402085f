#include "kernel_sim/accounts/logon_fault.h"

namespace ktlsim::accounts {

std::string_view ToText(LogonFault fault) {
  switch (fault) {
    case LogonFault::kNone:
      return "";
    case LogonFault::kNoMemory:
      return "no memory";
    case LogonFault::kInvalidParameter:
      return "a text is too long";
    case LogonFault::kNoLogonServers:
      return "there are no accounts";
    case LogonFault::kLogonFailure:
      return "the name or the password is wrong";
    case LogonFault::kInvalidLogonType:
      return "no such logon type";
    case LogonFault::kNoSystemResources:
      return "too much to do, or no memory that can be locked";
    case LogonFault::kPasswordExpired:
      return "the password has expired";
    case LogonFault::kAccountDisabled:
      return "the account is disabled";
    case LogonFault::kLogonTypeNotGranted:
      return "the account may not log on in this way";
    case LogonFault::kAccountExpired:
      return "the account has expired";
    case LogonFault::kPasswordMustChange:
      return "the password has to be changed first";
    case LogonFault::kAccountLockedOut:
      return "the account is locked";
  }
  return "";
}

}  // namespace ktlsim::accounts
