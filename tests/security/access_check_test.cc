#include "kernel_sim/security/access_check.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

using test::SidOf;

constexpr GenericMapping kMapping = {0x20001, 0x20002, 0x20004, 0xF000F};
constexpr AccessMask kRead = 1;
constexpr AccessMask kWrite = 2;
constexpr AccessMask kExecute = 4;

struct Who {
  std::vector<std::string> enabled = {};
  std::vector<std::string> deny_only = {};
  std::vector<std::string> disabled = {};
  PrivilegeSet privileges = {};
  std::uint32_t integrity = kMediumIntegrity;
  std::vector<std::string> restricting = {};
  bool write_restricted = false;
  bool user_deny_only = false;
};

constexpr const char* kUser = "S-1-5-21-1-2-3-1001";

TokenStateRef TokenOf(const Who& who) {
  std::vector<TokenGroup> groups;
  for (const std::string& sid : who.enabled) groups.push_back({SidOf(sid), kGroupEnabled});
  for (const std::string& sid : who.deny_only) groups.push_back({SidOf(sid), kGroupDenyOnly});
  for (const std::string& sid : who.disabled) groups.push_back({SidOf(sid), 0});
  TokenContents contents;
  contents.user = SidOf(kUser);
  contents.groups = groups;
  contents.privileges = {.held = who.privileges, .enabled = who.privileges};
  contents.integrity = who.integrity;
  contents.type = TokenType::kImpersonation;
  Token::Ref token;
  EXPECT_EQ(Token::Create(contents, &token), Fault::kNone);
  std::vector<Sid> sids;
  for (const std::string& sid : who.restricting) sids.push_back(SidOf(sid));
  const std::vector<SidView> restricting(sids.begin(), sids.end());
  std::vector<SidView> disable;
  if (who.user_deny_only) disable.push_back(contents.user);
  Token::Ref restricted;
  EXPECT_EQ(token->Restrict({.disable = disable,
                             .restricting = restricting,
                             .write_restricted = who.write_restricted},
                            {2, 0}, &restricted),
            Fault::kNone);
  return restricted->state();
}

AccessResult Check(std::string_view sddl, const Who& who, AccessMask desired,
                   const char* self = nullptr) {
  const Descriptor descriptor = test::DescriptorOf(sddl);
  const TokenStateRef token = TokenOf(who);
  AccessRequest request{descriptor.view(), *token, desired, kMapping, std::nullopt};
  Sid self_sid;
  if (self != nullptr) {
    self_sid = SidOf(self);
    request.self = self_sid;
  }
  AccessResult result;
  EXPECT_EQ(CheckAccess(request, &result), Fault::kNone);
  return result;
}

bool Allows(std::string_view sddl, const Who& who, AccessMask desired) {
  return Check(sddl, who, desired).allowed;
}

AccessMask Maximum(std::string_view sddl, const Who& who) {
  return Check(sddl, who, kMaximumAllowed).granted;
}

void ExpectDecision(const AccessResult& result, bool allowed, Decider decider, int ace,
                    bool restricting = false) {
  EXPECT_EQ(result.allowed, allowed);
  EXPECT_EQ(result.decision.decider, decider);
  EXPECT_EQ(result.decision.ace, ace);
  EXPECT_EQ(result.decision.restricting, restricting);
}

// Microsoft's page "How DACLs Control Access to an Object": ACE 1 denies Andrew, ACE 2 allows Group
// A to write, ACE 3 allows everyone to read and execute. Thread A is Andrew, thread B is Jane of
// Group A.
TEST(AccessCheckTest, PublishedExample) {
  const std::string sddl =
      "O:BAG:BAD:(D;;0x7;;;S-1-5-21-1-2-3-1001)(A;;0x2;;;S-1-5-21-1-2-3-2001)"
      "(A;;0x5;;;WD)";
  const Who andrew{.enabled = {"S-1-1-0"}};
  ExpectDecision(Check(sddl, andrew, kRead), false, Decider::kAce, 0);
  const std::string for_jane =
      "O:BAG:BAD:(D;;0x7;;;S-1-5-21-1-2-3-1002)"
      "(A;;0x2;;;S-1-5-21-1-2-3-2001)(A;;0x5;;;WD)";
  const Who jane{.enabled = {"S-1-1-0", "S-1-5-21-1-2-3-2001"}};
  ExpectDecision(Check(for_jane, jane, kRead | kWrite | kExecute), true, Decider::kAce, 2);
  EXPECT_EQ(Check(for_jane, jane, kWrite).decision.ace, 1);
}

TEST(AccessCheckTest, NullEmptyAndAbsentLists) {
  const Who who{.enabled = {"S-1-1-0"}};
  ExpectDecision(Check("O:BAG:BA", who, 0x1F), true, Decider::kNullDacl, -1);
  ExpectDecision(Check("O:BAG:BAD:NO_ACCESS_CONTROL", who, 0x1F), true, Decider::kNullDacl, -1);
  ExpectDecision(Check("O:BAG:BAD:", who, kRead), false, Decider::kEndOfList, -1);
  EXPECT_EQ(Maximum("O:BAG:BA", who), kMapping.all);
  EXPECT_EQ(Check("O:BAG:BA", who, kMaximumAllowed | 0x100).granted, kMapping.all | 0x100);
  ExpectDecision(Check("O:BAG:BAD:", who, kMaximumAllowed), false, Decider::kEndOfList, -1);
}

// Never sorted: whichever comes first decides.
TEST(AccessCheckTest, StoredOrder) {
  const Who who{.enabled = {"S-1-1-0"}};
  ExpectDecision(Check("O:BAG:BAD:(A;;0x1;;;WD)(D;;0x1;;;WD)", who, kRead), true, Decider::kAce, 0);
  ExpectDecision(Check("O:BAG:BAD:(D;;0x1;;;WD)(A;;0x1;;;WD)", who, kRead), false, Decider::kAce,
                 0);
  // A deny ACE counts for what is not granted yet.
  EXPECT_TRUE(Allows("O:BAG:BAD:(A;;0x3;;;WD)(D;;0x3;;;WD)", who, kRead | kWrite));
  ExpectDecision(Check("O:BAG:BAD:(A;;0x1;;;WD)(D;;0x3;;;WD)(A;;0x3;;;WD)", who, kRead | kWrite),
                 false, Decider::kAce, 1);
  EXPECT_EQ(Maximum("O:BAG:BAD:(A;;0x1;;;WD)(D;;0x3;;;WD)(A;;0x7;;;WD)", who), kRead | kExecute);
}

TEST(AccessCheckTest, WhatIsMissingIsTold) {
  const Who who{.enabled = {"S-1-1-0"}};
  const AccessResult result = Check("O:BAG:BAD:(A;;0x1;;;WD)", who, kRead | kWrite | kExecute);
  ExpectDecision(result, false, Decider::kEndOfList, -1);
  EXPECT_EQ(result.decision.missing, kWrite | kExecute);
  EXPECT_EQ(result.granted, 0U);
  EXPECT_EQ(result.reason, Fault::kAccessDenied);
  const AccessResult granted = Check("O:BAG:BAD:(A;;0x1;;;WD)", who, kRead);
  EXPECT_EQ(granted.reason, Fault::kNone);
  EXPECT_EQ(granted.granted, kRead);
  ExpectDecision(Check("O:BAG:BAD:", who, 0), true, Decider::kNothingAsked, -1);
}

TEST(AccessCheckTest, InheritOnlyIsSkipped) {
  const Who who{.enabled = {"S-1-1-0"}};
  EXPECT_FALSE(Allows("O:BAG:BAD:(A;CIIO;0x1;;;WD)", who, kRead));
  EXPECT_TRUE(Allows("O:BAG:BAD:(D;CIIO;0x1;;;WD)(A;CIID;0x1;;;WD)", who, kRead));
}

TEST(AccessCheckTest, DenyOnlyAndDisabledGroups) {
  const Who deny_only{.deny_only = {"S-1-1-0"}};
  EXPECT_FALSE(Allows("O:BAG:BAD:(A;;0x1;;;WD)", deny_only, kRead));
  ExpectDecision(Check("O:BAG:BAD:(D;;0x1;;;WD)(A;;0x1;;;S-1-5-21-1-2-3-1001)", deny_only, kRead),
                 false, Decider::kAce, 0);
  const Who disabled{.disabled = {"S-1-1-0"}};
  EXPECT_FALSE(Allows("O:BAG:BAD:(A;;0x1;;;WD)", disabled, kRead));
  EXPECT_TRUE(Allows("O:BAG:BAD:(D;;0x1;;;WD)(A;;0x1;;;S-1-5-21-1-2-3-1001)", disabled, kRead));
}

TEST(AccessCheckTest, TheOwnerReadsAndWritesTheDescriptor) {
  const std::string owned = "O:S-1-5-21-1-2-3-1001G:BAD:";
  ExpectDecision(Check(owned, {}, kReadControl | kWriteDac), true, Decider::kOwner, -1);
  ExpectDecision(Check(owned + "(D;;RCWD;;;WD)", {.enabled = {"S-1-1-0"}}, kWriteDac), true,
                 Decider::kOwner, -1);
  EXPECT_EQ(Maximum(owned, {}), kReadControl | kWriteDac);
  EXPECT_FALSE(Allows(owned, {}, kWriteOwner));
  EXPECT_TRUE(Allows("O:BAG:BAD:", {.enabled = {"S-1-5-32-544"}}, kWriteDac)) << "as a group";
  EXPECT_FALSE(Allows("O:BAG:BAD:", {.deny_only = {"S-1-5-32-544"}}, kWriteDac));
  EXPECT_FALSE(Allows(owned, {.user_deny_only = true}, kWriteDac));
}

// An ACE for S-1-3-4 takes the place of what an owner has otherwise.
TEST(AccessCheckTest, OwnerRights) {
  const std::string owned = "O:S-1-5-21-1-2-3-1001G:BA";
  EXPECT_FALSE(Allows(owned + "D:(A;;0x1;;;OW)", {}, kReadControl));
  ExpectDecision(Check(owned + "D:(A;;0x1;;;OW)", {}, kRead), true, Decider::kAce, 0);
  ExpectDecision(Check(owned + "D:(D;;0x1;;;OW)(A;;0x1;;;S-1-5-21-1-2-3-1001)", {}, kRead), false,
                 Decider::kAce, 0);
  EXPECT_TRUE(Allows(owned + "D:(A;CIIO;0x1;;;OW)", {}, kReadControl)) << "not for this object";
  EXPECT_FALSE(Allows("O:BAG:BAD:(A;;0x1;;;OW)", {}, kRead)) << "of somebody else";
  EXPECT_FALSE(Allows("O:BAG:BAD:(A;;0x1;;;OW)", {.deny_only = {"S-1-5-32-544"}}, kRead));
  ExpectDecision(Check("O:BAG:BAD:(D;;0x1;;;OW)(A;;0x1;;;S-1-5-21-1-2-3-1001)",
                       {.deny_only = {"S-1-5-32-544"}}, kRead),
                 false, Decider::kAce, 0);
}

TEST(AccessCheckTest, SelfStandsForTheObject) {
  const std::string sddl = "O:BAG:BAD:(A;;0x1;;;PS)";
  EXPECT_TRUE(Check(sddl, {}, kRead, kUser).allowed);
  EXPECT_FALSE(Check(sddl, {}, kRead, "S-1-1-0").allowed);
  EXPECT_FALSE(Check(sddl, {}, kRead).allowed);
  EXPECT_FALSE(Check(sddl, {.enabled = {"S-1-5-10"}}, kRead, "S-1-1-0").allowed);
}

TEST(AccessCheckTest, GenericRightsOfAcesAreMapped) {
  const Who who{.enabled = {"S-1-1-0"}};
  EXPECT_EQ(Maximum("O:BAG:BAD:(A;;GR;;;WD)", who), kMapping.read);
  EXPECT_EQ(Maximum("O:BAG:BAD:(D;;GW;;;WD)(A;;GA;;;WD)", who), kMapping.all & ~kMapping.write);
}

TEST(AccessCheckTest, SystemSecurityNeedsThePrivilege) {
  const Who none{.enabled = {"S-1-1-0"}};
  const Who auditor{.enabled = {"S-1-1-0"}, .privileges = {Privilege::kSecurity}};
  for (const char* sddl : {"O:BAG:BAD:(A;;0xffffffff;;;WD)", "O:BAG:BA"}) {
    const AccessResult refused = Check(sddl, none, kAccessSystemSecurity | kRead);
    ExpectDecision(refused, false, Decider::kPrivilege, -1);
    EXPECT_EQ(refused.reason, Fault::kPrivilegeNotHeld);
    EXPECT_EQ(refused.decision.missing, kAccessSystemSecurity);
    const AccessResult granted = Check(sddl, auditor, kAccessSystemSecurity | kRead);
    EXPECT_TRUE(granted.allowed);
    EXPECT_EQ(granted.granted, kAccessSystemSecurity | kRead);
    EXPECT_EQ(granted.privileges, PrivilegeSet{Privilege::kSecurity});
    EXPECT_EQ(Check(sddl, auditor, kMaximumAllowed).granted & kAccessSystemSecurity, 0U)
        << "only where it is asked for";
  }
  const AccessResult alone = Check("O:BAG:BAD:", auditor, kAccessSystemSecurity | kMaximumAllowed);
  EXPECT_TRUE(alone.allowed);
  EXPECT_EQ(alone.granted, kAccessSystemSecurity);
  EXPECT_EQ(Check("O:BAG:BAD:", auditor, kAccessSystemSecurity | kRead).privileges, PrivilegeSet())
      << "none was used for a refusal";
}

TEST(AccessCheckTest, OwnershipCanBeTaken) {
  const Who taker{.enabled = {"S-1-1-0"}, .privileges = {Privilege::kTakeOwnership}};
  const AccessResult taken = Check("O:BAG:BAD:(D;;WO;;;WD)", taker, kWriteOwner);
  ExpectDecision(taken, true, Decider::kPrivilege, -1);
  EXPECT_EQ(taken.privileges, PrivilegeSet{Privilege::kTakeOwnership});
  EXPECT_FALSE(Allows("O:BAG:BAD:", taker, kWriteOwner | kRead));
  EXPECT_FALSE(Allows("O:BAG:BAD:", taker, kWriteDac));
  EXPECT_EQ(Maximum("O:BAG:BAD:(A;;0x1;;;WD)", taker), kRead) << "only where it is asked for";
}

// What backup software may do is for its callers to ask.
TEST(AccessCheckTest, BackupAndRestoreGrantNothing) {
  const Who backup{.privileges = {Privilege::kBackup, Privilege::kRestore}};
  EXPECT_FALSE(Allows("O:BAG:BAD:", backup, kRead));
  EXPECT_FALSE(Allows("O:BAG:BAD:", backup, kWrite));
}

TEST(AccessCheckTest, LowerIntegrityWritesNothingUp) {
  const std::string dacl = "O:BAG:BAD:(A;;0x1f000f;;;WD)";
  const Who low{.enabled = {"S-1-1-0"}, .integrity = kLowIntegrity};
  const Who medium{.enabled = {"S-1-1-0"}};
  EXPECT_TRUE(Allows(dacl, medium, kWrite));
  ExpectDecision(Check(dacl, low, kWrite), false, Decider::kLabel, -1);
  EXPECT_TRUE(Allows(dacl, low, kRead | kExecute)) << "without a label: medium, no write up";
  EXPECT_FALSE(Allows(dacl, low, kDelete)) << "what neither reads nor executes writes";
  EXPECT_TRUE(Allows(dacl + "S:(ML;;NW;;;LW)", low, kWrite));
  ExpectDecision(Check(dacl + "S:(AU;SA;GA;;;WD)(ML;;NW;;;HI)", medium, kWrite), false,
                 Decider::kLabel, 1);
  EXPECT_TRUE(Allows(dacl + "S:(ML;;NR;;;HI)", medium, kWrite));
  EXPECT_FALSE(Allows(dacl + "S:(ML;;NR;;;HI)", medium, kRead));
  EXPECT_FALSE(Allows(dacl + "S:(ML;;NX;;;HI)", medium, kExecute));
  EXPECT_TRUE(Allows(dacl + "S:(ML;;;;;HI)", medium, kRead | kWrite | kExecute | kDelete));
  EXPECT_TRUE(Allows(dacl + "S:(ML;IO;NW;;;HI)", medium, kWrite)) << "not for this object";
  EXPECT_TRUE(Allows(dacl + "S:(ML;;NW;;;BA)", medium, kWrite)) << "no integrity level";
  EXPECT_EQ(Maximum(dacl + "S:(ML;;NW;;;HI)", medium), kReadControl | kRead | kExecute);
  EXPECT_FALSE(Allows("O:BAG:BAS:(ML;;NW;;;HI)", medium, kWrite)) << "a NULL DACL, too";
  const Who taker{.privileges = {Privilege::kTakeOwnership}};
  EXPECT_FALSE(Allows("O:BAG:BAS:(ML;;NW;;;HI)", taker, kWriteOwner)) << "a privilege, too";
}

// Both passes have to grant.
TEST(AccessCheckTest, RestrictedTokens) {
  const Who who{.enabled = {"S-1-1-0"}, .restricting = {"S-1-5-12"}};
  const std::string both = "O:BAG:BAD:(A;;0x3;;;WD)(A;;0x5;;;RC)";
  EXPECT_TRUE(Allows(both, who, kRead));
  ExpectDecision(Check(both, who, kWrite), false, Decider::kEndOfList, -1, true);
  ExpectDecision(Check(both, who, kExecute), false, Decider::kEndOfList, -1, false);
  EXPECT_EQ(Maximum(both, who), kRead);
  ExpectDecision(Check("O:BAG:BAD:(A;;0x2;;;WD)(A;;0x4;;;RC)", who, kMaximumAllowed), false,
                 Decider::kEndOfList, -1, true);
  ExpectDecision(Check("O:BAG:BAD:(D;;0x1;;;RC)(A;;0x1;;;WD)(A;;0x1;;;RC)", who, kRead), false,
                 Decider::kAce, 0, true);
  EXPECT_TRUE(Allows("O:BAG:BA", who, kRead)) << "a NULL DACL passes both";
  EXPECT_FALSE(Allows("O:S-1-5-21-1-2-3-1001G:BAD:", who, kWriteDac)) << "the owner in one pass";
  const Who self{.restricting = {kUser}};
  EXPECT_TRUE(Allows("O:S-1-5-21-1-2-3-1001G:BAD:", self, kWriteDac)) << "the owner in both";
  const Who taker{.privileges = {Privilege::kTakeOwnership}, .restricting = {"S-1-5-12"}};
  EXPECT_TRUE(Allows("O:BAG:BAD:", taker, kWriteOwner)) << "privileges are no matter of SIDs";
}

TEST(AccessCheckTest, WriteRestrictedTokens) {
  const Who who{.enabled = {"S-1-1-0"}, .restricting = {"S-1-5-33"}, .write_restricted = true};
  const std::string sddl = "O:BAG:BAD:(A;;0xf000f;;;WD)";
  EXPECT_TRUE(Allows(sddl, who, kRead | kExecute));
  ExpectDecision(Check(sddl, who, kRead | kWrite), false, Decider::kEndOfList, -1, true);
  EXPECT_FALSE(Allows(sddl, who, kDelete));
  EXPECT_TRUE(Allows(sddl + "(A;;0x2;;;WR)", who, kRead | kWrite));
  EXPECT_EQ(Maximum(sddl, who), kReadControl | kRead | kExecute);
}

// There is nobody to judge a condition.
TEST(AccessCheckTest, CallbackAces) {
  const auto check = [](AceType type) {
    const Descriptor descriptor = test::DescriptorOf("O:BAG:BAD:(A;;0x1;;;WD)(A;;0x1;;;WD)");
    std::vector<std::byte> bytes = test::CopyOf(descriptor.image());
    bytes[28] = static_cast<std::byte>(type);
    DescriptorView view;
    EXPECT_EQ(ReadDescriptor(bytes, &view), Fault::kNone);
    const TokenStateRef token = TokenOf({.enabled = {"S-1-1-0"}});
    AccessResult result;
    EXPECT_EQ(CheckAccess({view, *token, kRead, kMapping, std::nullopt}, &result), Fault::kNone);
    return result;
  };
  ExpectDecision(check(AceType::kAllowedCallback), true, Decider::kAce, 1);
  ExpectDecision(check(AceType::kDeniedCallback), false, Decider::kAce, 0);
  ExpectDecision(check(AceType::kAudit), true, Decider::kAce, 1);
  ExpectDecision(check(AceType::kAllowedCompound), true, Decider::kAce, 1);
  ExpectDecision(check(static_cast<AceType>(0xEE)), true, Decider::kAce, 1);
}

TEST(AccessCheckTest, WhatCannotBeChecked) {
  const TokenStateRef token = TokenOf({});
  AccessResult result;
  result.granted = 0x1234;
  const auto fault_of = [&](std::string_view sddl, AccessMask desired) {
    const Descriptor descriptor = test::DescriptorOf(sddl);
    return CheckAccess({descriptor.view(), *token, desired, kMapping, std::nullopt}, &result);
  };
  for (const AccessMask generic : {kGenericAll, kGenericRead, kGenericWrite, kGenericExecute}) {
    EXPECT_EQ(fault_of("O:BAG:BA", generic | kRead), Fault::kGenericNotMapped);
  }
  EXPECT_EQ(fault_of("O:BA", kGenericRead), Fault::kGenericNotMapped) << "told first";
  EXPECT_EQ(fault_of("O:BA", kRead), Fault::kInvalidSecurityDescriptor);
  EXPECT_EQ(fault_of("G:BA", kRead), Fault::kInvalidSecurityDescriptor);
  EXPECT_EQ(result.granted, 0x1234U) << "untouched";
}

TEST(AccessCheckTest, TokensOfClients) {
  const auto fault_of = [](TokenType type, ImpersonationLevel level) {
    TokenContents contents;
    contents.type = type;
    contents.level = level;
    return CheckClientToken(*test::StateOf(contents));
  };
  using Level = ImpersonationLevel;
  EXPECT_EQ(fault_of(TokenType::kPrimary, Level::kImpersonation), Fault::kNoImpersonationToken);
  EXPECT_EQ(fault_of(TokenType::kImpersonation, Level::kAnonymous), Fault::kBadImpersonationLevel);
  EXPECT_EQ(fault_of(TokenType::kImpersonation, Level::kIdentification), Fault::kNone);
  EXPECT_EQ(fault_of(TokenType::kImpersonation, Level::kDelegation), Fault::kNone);
}

}  // namespace
}  // namespace ktlsim::security
