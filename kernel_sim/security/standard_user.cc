#include "kernel_sim/security/standard_user.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::security {
namespace {

// Administrators; power users; account, system, print and backup operators; RAS servers;
// pre-Windows 2000 access; network configuration and cryptographic operators.
constexpr std::uint32_t kOfBuiltin[] = {544, 547, 548, 549, 550, 551, 553, 554, 556, 569};

// Read-only domain controllers of the enterprise; domain administrators and controllers; publishers
// of certificates; administrators of the schema, of the enterprise and of policies; read-only
// domain controllers.
constexpr std::uint32_t kOfDomains[] = {498, 512, 516, 517, 518, 519, 520, 521};

}  // namespace

bool IsAdministrative(SidView group) {
  constexpr std::size_t kOfAccount = 5;  // 21-a-b-c-number
  if (EqualPrefix(group, kAdministratorsSid)) {
    return std::ranges::find(kOfBuiltin, group.last()) != std::end(kOfBuiltin);
  }
  return group.sub_authorities() == kOfAccount && AccountDomainOf(group).has_value() &&
         std::ranges::find(kOfDomains, group.last()) != std::end(kOfDomains);
}

}  // namespace ktlsim::security
