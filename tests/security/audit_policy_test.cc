// Which accesses a SACL asks to be recorded.
#include "kernel_sim/security/audit_policy.h"

#include <gtest/gtest.h>

#include "tests/security/security_test_support.h"

namespace ktlsim::security {
namespace {

constexpr const char* kAudited = "S-1-5-21-1-2-3-1001";
constexpr AccessMask kReadData = 0x1;
constexpr AccessMask kWriteData = 0x2;

// A token with one group of each kind.
TokenStateRef AuditedToken() {
  const TokenGroup groups[] = {{kWorldSid},
                               {test::SidOf("S-1-5-21-1-2-3-2001"), kGroupDenyOnly},
                               {test::SidOf("S-1-5-21-1-2-3-2002"), 0}};
  TokenContents contents;
  contents.user = test::SidOf(kAudited);
  contents.groups = groups;
  return test::StateOf(contents);
}

// The DACL grants the right 1 and nothing else.
std::int32_t AuditAceFor(const std::string& sacl, AccessMask desired,
                         const std::optional<SidView>& self = std::nullopt) {
  const Descriptor descriptor = test::DescriptorOf("O:BAG:BAD:(A;;0x1;;;WD)S:" + sacl);
  const TokenStateRef token = AuditedToken();
  const AccessRequest request{descriptor.view(), *token, desired, kFileMapping, self};
  AccessResult result;
  EXPECT_EQ(CheckAccess(request, &result), Fault::kNone);
  const AccessOutcome outcome{.request = request,
                              .allowed = result.allowed,
                              .granted = result.granted,
                              .types = {},
                              .results = {}};
  return FindAuditAce(outcome, AuditedResult::kWhole);
}

TEST(AuditPolicyTest, TheFlagsChooseTheOutcome) {
  EXPECT_EQ(AuditAceFor("(AU;SA;0x3;;;WD)", kReadData), 0);
  EXPECT_EQ(AuditAceFor("(AU;SA;0x3;;;WD)", kWriteData), -1);
  EXPECT_EQ(AuditAceFor("(AU;FA;0x3;;;WD)", kReadData), -1);
  EXPECT_EQ(AuditAceFor("(AU;FA;0x3;;;WD)", kWriteData), 0);
  EXPECT_EQ(AuditAceFor("(AU;SAFA;0x3;;;WD)", kReadData), 0);
  EXPECT_EQ(AuditAceFor("(AU;SAFA;0x3;;;WD)", kWriteData), 0);
  EXPECT_EQ(AuditAceFor("(AU;;0x3;;;WD)", kReadData), -1);
}

TEST(AuditPolicyTest, TheMaskNamesTheRights) {
  EXPECT_EQ(AuditAceFor("(AU;SAFA;0x2;;;WD)", kReadData), -1);
  EXPECT_EQ(AuditAceFor("(AU;SAFA;0x2;;;WD)", kWriteData), 0);
  EXPECT_EQ(AuditAceFor("(AU;SAFA;0x2;;;WD)", kReadData | kWriteData), 0);
  // What is granted counts, and not what more the ACE names.
  EXPECT_EQ(AuditAceFor("(AU;SA;0x2;;;WD)", kMaximumAllowed), -1);
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;WD)", kMaximumAllowed), 0);
  EXPECT_EQ(AuditAceFor("(AU;SAFA;;;;WD)", kReadData), -1);
  EXPECT_EQ(AuditAceFor("(AU;SA;GR;;;WD)", kReadData), 0) << "generic rights are mapped";
  EXPECT_EQ(AuditAceFor("(AU;SA;GX;;;WD)", kReadData), -1);
}

TEST(AuditPolicyTest, TheFirstAceThatCountsIsNamed) {
  EXPECT_EQ(AuditAceFor("(ML;;NW;;;LW)(AU;FA;0x1;;;WD)(AU;SA;0x1;;;WD)", kReadData), 2);
}

TEST(AuditPolicyTest, TheSidIsOneOfTheTokens) {
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;S-1-5-21-1-2-3-1001)", kReadData), 0);
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;S-1-5-21-1-2-3-1002)", kReadData), -1);
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;S-1-5-21-1-2-3-2001)", kReadData), 0) << "deny-only";
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;S-1-5-21-1-2-3-2002)", kReadData), -1) << "disabled";
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;OW)", kReadData), -1) << "it does not own the object";
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;PS)", kReadData), -1);
  const Sid self = test::SidOf(kAudited);
  EXPECT_EQ(AuditAceFor("(AU;SA;0x1;;;PS)", kReadData, self.view()), 0);
}

TEST(AuditPolicyTest, InheritOnlyIsForChildren) {
  EXPECT_EQ(AuditAceFor("(AU;IOCISA;0x1;;;WD)", kReadData), -1);
  EXPECT_EQ(AuditAceFor("(AU;OICINPIDSA;0x1;;;WD)", kReadData), 0);
}

TEST(AuditPolicyTest, WithoutASaclNothingIsRecorded) {
  EXPECT_EQ(AuditAceFor("NO_ACCESS_CONTROL", kReadData), -1);
  EXPECT_EQ(AuditAceFor("", kReadData), -1);
}

TEST(AuditPolicyTest, MaximumThatGrantsNothingIsAFailureOfEveryRight) {
  const Descriptor descriptor = test::DescriptorOf("O:BAG:BAD:S:(AU;FA;0x100;;;WD)");
  const TokenStateRef token = AuditedToken();
  const AccessRequest request{descriptor.view(), *token, kMaximumAllowed, kFileMapping,
                              std::nullopt};
  const AccessOutcome outcome{.request = request, .types = {}, .results = {}};
  EXPECT_EQ(FindAuditAce(outcome, AuditedResult::kWhole), 0);
}

// A callback ACE cannot be written as text.
TEST(AuditPolicyTest, ConditionsAreTakenAsTrueAndAlarmsDoNotCount) {
  for (const auto& [type, index] :
       {std::pair(AceType::kAuditCallback, 0), std::pair(AceType::kAuditCallbackObject, 0),
        std::pair(AceType::kAlarm, -1), std::pair(AceType::kAllowed, -1)}) {
    alignas(4) std::byte memory[64]{};
    const Sid world = kWorldSid;
    ASSERT_EQ(InitializeAcl(memory, kAclRevisionDs), Fault::kNone);
    ASSERT_EQ(AppendAce(memory, kAclRevisionDs,
                        {.type = AceType::kAudit, .flags = kAuditFlags, .mask = 1, .sid = world}),
              Fault::kNone);
    const bool object = LayoutOf(type) == AceLayout::kObject;
    if (object) {
      // Flags without a GUID, in front of the SID.
      const std::vector<std::byte> sid(memory + 16, memory + 28);
      std::ranges::fill_n(memory + 16, 4, std::byte{0});
      std::ranges::copy(sid, memory + 20);
      memory[10] = std::byte{24};
    }
    memory[8] = static_cast<std::byte>(type);
    DescriptorView view;
    const Descriptor owner = test::DescriptorOf("O:BAG:BA");
    view = owner.view();
    view.control |= kSaclPresent;
    view.sacl = AclView::Read(memory);
    ASSERT_TRUE(view.sacl.has_value());
    const TokenStateRef token = AuditedToken();
    const AccessRequest request{view, *token, kReadData, kFileMapping, std::nullopt};
    const AccessOutcome outcome{
        .request = request, .allowed = true, .granted = kReadData, .types = {}, .results = {}};
    EXPECT_EQ(FindAuditAce(outcome, AuditedResult::kWhole), index) << static_cast<int>(type);
  }
}

// An object (0) with the properties 1 and 2, of which the DACL grants the first.
class AuditedTypesTest : public testing::Test {
 protected:
  static std::string Number(int number) {
    return std::to_string(number) + "0000000-0000-0000-0000-000000000000";
  }

  std::int32_t Find(const std::string& sacl, AuditedResult counts) {
    const Descriptor descriptor =
        test::DescriptorOf("O:BAG:BAD:(OA;;0x1;" + Number(1) + ";;WD)S:" + sacl);
    Guid guids[3];
    ObjectType types[3];
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(ParseGuid(Number(i), &guids[i]));
      types[i] = {.level = static_cast<std::uint16_t>(i == 0 ? 0 : 1), .type = &guids[i]};
    }
    const TokenStateRef token = AuditedToken();
    const AccessRequest request{descriptor.view(), *token, kReadData, kFileMapping, std::nullopt};
    TypeResult results[3];
    AccessResult result;
    EXPECT_EQ(CheckAccessByType(request, types, results, &result), Fault::kNone);
    const AccessOutcome outcome{.request = request,
                                .allowed = result.allowed,
                                .granted = result.granted,
                                .types = types,
                                .results = results};
    return FindAuditAce(outcome, counts);
  }
};

TEST_F(AuditedTypesTest, AnObjectAceCountsForItsTypeAndThoseBelow) {
  EXPECT_EQ(Find("(OU;SA;0x1;" + Number(1) + ";;WD)", AuditedResult::kByType), 0);
  EXPECT_EQ(Find("(OU;FA;0x1;" + Number(1) + ";;WD)", AuditedResult::kByType), -1);
  EXPECT_EQ(Find("(OU;SA;0x1;" + Number(2) + ";;WD)", AuditedResult::kByType), -1);
  EXPECT_EQ(Find("(OU;FA;0x1;" + Number(2) + ";;WD)", AuditedResult::kByType), 0);
  EXPECT_EQ(Find("(OU;SA;0x1;" + Number(0) + ";;WD)", AuditedResult::kByType), 0);
  EXPECT_EQ(Find("(OU;SAFA;0x1;" + Number(7) + ";;WD)", AuditedResult::kByType), -1);
  EXPECT_EQ(Find("(AU;SA;0x1;;;WD)", AuditedResult::kByType), 0);
  EXPECT_EQ(Find("(OU;SA;0x1;;" + Number(7) + ";WD)", AuditedResult::kByType), 0)
      << "only the inherited type is named: it counts for the whole object";
}

TEST_F(AuditedTypesTest, OneVerdictForAllIsThatOfTheObject) {
  EXPECT_EQ(Find("(OU;SA;0x1;" + Number(1) + ";;WD)", AuditedResult::kWhole), -1);
  EXPECT_EQ(Find("(OU;FA;0x1;" + Number(1) + ";;WD)", AuditedResult::kWhole), 0);
  EXPECT_EQ(Find("(OU;FA;0x1;" + Number(7) + ";;WD)", AuditedResult::kWhole), -1);
}

TEST_F(AuditedTypesTest, WithoutAListAnObjectAceDoesNotCount) {
  EXPECT_EQ(AuditAceFor("(OU;SAFA;0x1;" + Number(1) + ";;WD)", kReadData), -1);
}

}  // namespace
}  // namespace ktlsim::security
