// Why access is allowed or denied, right by right, and whose token is meant.
#include "kernel_sim/command/access_reasons.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_sim/command/access_subject.h"

namespace ktlsim::command {
namespace {

constexpr const char* kAlice = "S-1-5-21-1-2-3-1001";

class AccessReasonsTest : public testing::Test {
 protected:
  // One line a right: "FILE_READ_DATA granted: ...".
  std::string Explain(const std::string& sddl, const std::string& rights) {
    std::optional<security::Descriptor> descriptor;
    EXPECT_EQ(security::ParseSddl(sddl, std::nullopt, &descriptor).fault, security::Fault::kNone);
    security::TokenStateRef token;
    EXPECT_EQ(MakeSubject(subject_, std::nullopt, &token), "");
    security::AccessMask desired = 0;
    EXPECT_EQ(ParseRights(rights, ObjectKind::kFile, &desired), "");
    AccessReasons reasons;
    const security::Fault fault = ExplainAccess(
        {descriptor.value().view(), *token, desired, security::kFileMapping, std::nullopt},
        ObjectKind::kFile, std::nullopt, &reasons);
    if (fault != security::Fault::kNone) return std::string(security::ToText(fault));
    allowed_ = reasons.result.allowed;
    std::string text;
    for (const RightReason& one : reasons.rights) {
      text += RightName(ObjectKind::kFile, one.right) + (one.granted ? " granted: " : " denied: ") +
              one.text + "\n";
    }
    return text;
  }

  SubjectText subject_{.user = kAlice, .groups = {"WD", "BU"}};
  bool allowed_ = false;
};

TEST_F(AccessReasonsTest, EachRightHasItsEntry) {
  EXPECT_EQ(
      Explain("O:BAG:BAD:(D;;0x2;;;BU)(A;;0x3;;;WD)", "0x7"),
      "FILE_READ_DATA granted: entry 2 (A;;CCDC;;;WD): S-1-1-0 (Everyone) is an enabled group\n"
      "FILE_WRITE_DATA denied: entry 1 (D;;DC;;;BU): S-1-5-32-545 (Users) is an enabled group\n"
      "FILE_APPEND_DATA denied: no entry for a SID of the token grants it\n");
  EXPECT_FALSE(allowed_);
  EXPECT_EQ(Explain("O:BAG:BAD:(A;;0x1;;;S-1-5-21-1-2-3-1001)", "0x1"),
            "FILE_READ_DATA granted: entry 1 (A;;CC;;;S-1-5-21-1-2-3-1001): S-1-5-21-1-2-3-1001 is "
            "the user\n");
  EXPECT_TRUE(allowed_);
}

TEST_F(AccessReasonsTest, WhatIsNoEntryIsNamedToo) {
  EXPECT_THAT(Explain("O:BAG:BA", "0x1"), testing::HasSubstr("there is no DACL"));
  EXPECT_THAT(Explain("O:BAG:BAD:NO_ACCESS_CONTROL", "0x1"), testing::HasSubstr("DACL is NULL"));
  EXPECT_THAT(Explain("O:S-1-5-21-1-2-3-1001G:BAD:", "READ_CONTROL"),
              testing::HasSubstr("granted: the token has the owner"));
  EXPECT_THAT(Explain("O:BAG:BAD:", "ACCESS_SYSTEM_SECURITY"),
              testing::HasSubstr("denied: SeSecurityPrivilege is not enabled"));
  subject_.privileges = {"sesecurityprivilege", "SeTakeOwnershipPrivilege"};
  EXPECT_THAT(Explain("O:BAG:BAD:", "ACCESS_SYSTEM_SECURITY"),
              testing::HasSubstr("granted: SeSecurityPrivilege is enabled"));
  EXPECT_THAT(Explain("O:BAG:BAD:", "WRITE_OWNER"),
              testing::HasSubstr("granted: SeTakeOwnershipPrivilege is enabled"));
  EXPECT_THAT(Explain("O:BAG:BAD:(A;;GA;;;WD)S:(ML;;NW;;;HI)", "0x2"),
              testing::HasSubstr("less integrity than the label S-1-16-12288"));
  subject_.integrity = "low";
  EXPECT_THAT(Explain("O:BAG:BAD:(A;;GA;;;WD)", "0x2"), testing::HasSubstr("without a label"));
  EXPECT_EQ(Explain("D:(A;;GA;;;WD)", "0x1"), "no valid security descriptor");
}

TEST_F(AccessReasonsTest, DenyOnlyGroupsAndRestrictionsShow) {
  subject_.deny_only = {"BA"};
  EXPECT_THAT(Explain("O:BUG:BAD:(D;;0x1;;;BA)(A;;0x1;;;WD)", "0x1"),
              testing::HasSubstr("S-1-5-32-544 (Administrators) is a group for denying only"));
  EXPECT_THAT(Explain("O:BUG:BAD:(A;;0x1;;;BA)", "0x1"), testing::HasSubstr("no entry for a SID"));
  subject_.restricting = {"S-1-5-12"};
  EXPECT_THAT(Explain("O:BUG:BAD:(A;;0x1;;;WD)", "0x1"),
              testing::HasSubstr("no entry grants it to a restricting SID"));
  EXPECT_THAT(Explain("O:BUG:BAD:(A;;0x1;;;WD)(D;;0x1;;;RC)", "0x1"),
              testing::HasSubstr("is a restricting SID of the token"));
}

TEST_F(AccessReasonsTest, TheMaximumIsWhatIsGranted) {
  EXPECT_EQ(
      Explain("O:BAG:BAD:(A;;0x1;;;WD)(A;;0x20;;;BU)(A;;0x4;;;BA)", "MAXIMUM_ALLOWED"),
      "FILE_READ_DATA granted: entry 1 (A;;CC;;;WD): S-1-1-0 (Everyone) is an enabled group\n"
      "FILE_EXECUTE granted: entry 2 (A;;WP;;;BU): S-1-5-32-545 (Users) is an enabled group\n");
  EXPECT_TRUE(allowed_);
  EXPECT_EQ(Explain("O:BAG:BAD:", "MAXIMUM_ALLOWED"), "");
  EXPECT_FALSE(allowed_);
}

TEST(AccessSubjectTest, ReadsAFile) {
  SubjectText subject;
  EXPECT_EQ(ParseSubject("user = \"S-1-5-21-1-2-3-1001\"\ngroups = [\"WD\", \"BU\"]\n"
                         "deny-only = [\"BA\"]\ndisabled = [\"BG\"]\n"
                         "privileges = [\"SeAuditPrivilege\"]\nrestricting = [\"RC\"]\n"
                         "write-restricted = true\nintegrity = \"low\"\n",
                         &subject),
            "");
  security::TokenStateRef token;
  ASSERT_EQ(MakeSubject(subject, std::nullopt, &token), "");
  EXPECT_EQ(token->sids().size(), 5U);
  EXPECT_TRUE(token->write_restricted());
  EXPECT_EQ(token->integrity(), 4096U);
  EXPECT_TRUE(token->privileges().enabled.Has(security::Privilege::kAudit));
}

TEST(AccessSubjectTest, MistakesHaveALine) {
  for (const auto& [text, word] :
       {std::pair("user = 1", "line 1: user is a text"),
        std::pair("\ngroups = \"WD\"", "line 2: groups is a list"),
        std::pair("groups = [1]", "list of texts"),
        std::pair("write-restricted = 1", "true or false"),
        std::pair("uesr = \"x\"", "\"uesr\" is not one of user"), std::pair("user = ", "line 1"),
        std::pair("x = [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", "nested")}) {
    SubjectText subject;
    EXPECT_THAT(ParseSubject(text, &subject), testing::HasSubstr(word)) << text;
  }
  security::TokenStateRef token;
  EXPECT_THAT(MakeSubject({}, std::nullopt, &token), testing::HasSubstr("a user is needed"));
  EXPECT_THAT(MakeSubject({.user = "x"}, std::nullopt, &token), testing::HasSubstr("no SID"));
  EXPECT_THAT(MakeSubject({.user = kAlice, .privileges = {"Se"}}, std::nullopt, &token),
              testing::HasSubstr("no privilege"));
  EXPECT_THAT(MakeSubject({.user = kAlice, .integrity = "x"}, std::nullopt, &token),
              testing::HasSubstr("not one of untrusted"));
}

}  // namespace
}  // namespace ktlsim::command
