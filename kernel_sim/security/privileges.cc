#include "kernel_sim/security/privileges.h"

#include <array>

#include "kernel_sim/base/characters.h"

namespace ktlsim::security {
namespace {

// By number, from kFirstPrivilege on.
constexpr std::array<std::string_view, kLastPrivilege - kFirstPrivilege + 1> kPrivilegeNames = {
    "SeCreateTokenPrivilege",
    "SeAssignPrimaryTokenPrivilege",
    "SeLockMemoryPrivilege",
    "SeIncreaseQuotaPrivilege",
    "SeMachineAccountPrivilege",
    "SeTcbPrivilege",
    "SeSecurityPrivilege",
    "SeTakeOwnershipPrivilege",
    "SeLoadDriverPrivilege",
    "SeSystemProfilePrivilege",
    "SeSystemtimePrivilege",
    "SeProfileSingleProcessPrivilege",
    "SeIncreaseBasePriorityPrivilege",
    "SeCreatePagefilePrivilege",
    "SeCreatePermanentPrivilege",
    "SeBackupPrivilege",
    "SeRestorePrivilege",
    "SeShutdownPrivilege",
    "SeDebugPrivilege",
    "SeAuditPrivilege",
    "SeSystemEnvironmentPrivilege",
    "SeChangeNotifyPrivilege",
    "SeRemoteShutdownPrivilege",
    "SeUndockPrivilege",
    "SeSyncAgentPrivilege",
    "SeEnableDelegationPrivilege",
    "SeManageVolumePrivilege",
    "SeImpersonatePrivilege",
    "SeCreateGlobalPrivilege",
    "SeTrustedCredManAccessPrivilege",
    "SeRelabelPrivilege",
    "SeIncreaseWorkingSetPrivilege",
    "SeTimeZonePrivilege",
    "SeCreateSymbolicLinkPrivilege",
};

}  // namespace

std::string_view NameOf(Privilege privilege) {
  return kPrivilegeNames[static_cast<std::size_t>(privilege) - kFirstPrivilege];
}

std::optional<Privilege> FindPrivilege(std::string_view name) {
  for (std::uint32_t i = kFirstPrivilege; i <= kLastPrivilege; ++i) {
    const auto privilege = static_cast<Privilege>(i);
    if (EqualsIgnoringCase(NameOf(privilege), name)) return privilege;
  }
  return std::nullopt;
}

}  // namespace ktlsim::security
