#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::security {
namespace {

// WELL_KNOWN_SID_TYPE of winnt.h, and the SID.
struct WellKnown {
  std::uint32_t type;
  Sid sid;
};

constexpr WellKnown kWellKnown[] = {
    {0, Sid(0, {0})},             // WinNullSid
    {1, kWorldSid},               // WinWorldSid
    {2, Sid(2, {0})},             // WinLocalSid
    {3, Sid(3, {0})},             // WinCreatorOwnerSid
    {4, Sid(3, {1})},             // WinCreatorGroupSid
    {7, Sid(5, {})},              // WinNtAuthoritySid
    {9, Sid(5, {2})},             // WinNetworkSid
    {10, Sid(5, {3})},            // WinBatchSid
    {11, Sid(5, {4})},            // WinInteractiveSid
    {12, Sid(5, {6})},            // WinServiceSid
    {13, Sid(5, {7})},            // WinAnonymousSid
    {16, kSelfSid},               // WinSelfSid
    {17, kAuthenticatedUserSid},  // WinAuthenticatedUserSid
    {18, Sid(5, {12})},           // WinRestrictedCodeSid
    {22, kLocalSystemSid},        // WinLocalSystemSid
    {23, Sid(5, {19})},           // WinLocalServiceSid
    {24, Sid(5, {20})},           // WinNetworkServiceSid
    {25, Sid(5, {32})},           // WinBuiltinDomainSid
    {26, kAdministratorsSid},     // WinBuiltinAdministratorsSid
    {27, Sid(5, {32, 545})},      // WinBuiltinUsersSid
    {28, Sid(5, {32, 546})},      // WinBuiltinGuestsSid
    {29, Sid(5, {32, 547})},      // WinBuiltinPowerUsersSid
    {30, Sid(5, {32, 548})},      // WinBuiltinAccountOperatorsSid
    {31, Sid(5, {32, 549})},      // WinBuiltinSystemOperatorsSid
    {32, Sid(5, {32, 550})},      // WinBuiltinPrintOperatorsSid
    {33, Sid(5, {32, 551})},      // WinBuiltinBackupOperatorsSid
    {34, Sid(5, {32, 552})},      // WinBuiltinReplicatorSid
    {35, Sid(5, {32, 554})},      // WinBuiltinPreWindows2000CompatibleAccessSid
    {36, Sid(5, {32, 555})},      // WinBuiltinRemoteDesktopUsersSid
    {37, Sid(5, {32, 556})},      // WinBuiltinNetworkConfigurationOperatorsSid
    {51, Sid(5, {64, 10})},       // WinNTLMAuthenticationSid
    {52, Sid(5, {64, 21})},       // WinDigestAuthenticationSid
    {53, Sid(5, {64, 14})},       // WinSChannelAuthenticationSid
    {54, Sid(5, {15})},           // WinThisOrganizationSid
    {57, Sid(5, {32, 558})},      // WinBuiltinPerfMonitoringUsersSid
    {58, Sid(5, {32, 559})},      // WinBuiltinPerfLoggingUsersSid
    {62, Sid(5, {32, 568})},      // WinBuiltinIUsersSid
    {65, Sid(kLabelAuthority, {kUntrustedIntegrity})},  // WinUntrustedLabelSid
    {66, Sid(kLabelAuthority, {kLowIntegrity})},        // WinLowLabelSid
    {67, Sid(kLabelAuthority, {kMediumIntegrity})},     // WinMediumLabelSid
    {68, Sid(kLabelAuthority, {kHighIntegrity})},       // WinHighLabelSid
    {69, Sid(kLabelAuthority, {kSystemIntegrity})},     // WinSystemLabelSid
    {70, Sid(5, {33})},                                 // WinWriteRestrictedCodeSid
    {71, kOwnerRightsSid},                              // WinCreatorOwnerRightsSid
    {76, Sid(5, {32, 573})},                            // WinBuiltinEventLogReadersGroup
    {79, Sid(kLabelAuthority, {8448})},                 // WinMediumPlusLabelSid
    {103, Sid(18, {1})},                                // WinAuthenticationAuthorityAssertedSid
    {104, Sid(18, {2})},                                // WinAuthenticationServiceAssertedSid
};

// WinAccountAdministratorSid 38 to WinAccountPolicyAdminsSid 49: the number behind the domain's.
constexpr std::uint32_t kFirstOfDomain = 38;
constexpr std::uint32_t kOfDomain[] = {500, 501, 502, 512, 513, 514, 515, 516, 517, 518, 519, 520};

const std::uint32_t* NumberInDomain(std::uint32_t type) {
  if (type < kFirstOfDomain || type - kFirstOfDomain >= std::size(kOfDomain)) return nullptr;
  return &kOfDomain[type - kFirstOfDomain];
}

const Sid* FindWellKnown(std::uint32_t type) {
  const auto* const found = std::ranges::find(kWellKnown, type, &WellKnown::type);
  return found == std::end(kWellKnown) ? nullptr : &found->sid;
}

}  // namespace

Fault MakeWellKnownSid(std::uint32_t type, std::optional<SidView> domain, Sid* sid) {
  if (const Sid* const known = FindWellKnown(type)) {
    *sid = *known;
    return Fault::kNone;
  }
  const std::uint32_t* const number = NumberInDomain(type);
  if (number == nullptr || !domain) return Fault::kInvalidParameter;
  Sid made(*domain);
  if (!made.Append(*number)) return Fault::kInvalidSid;
  *sid = made;
  return Fault::kNone;
}

bool IsWellKnownSid(SidView sid, std::uint32_t type) {
  if (const Sid* const known = FindWellKnown(type)) return *known == sid;
  const std::uint32_t* const number = NumberInDomain(type);
  return number != nullptr && sid.sub_authorities() == 5 && AccountDomainOf(sid).has_value() &&
         sid.last() == *number;
}

}  // namespace ktlsim::security
