#include "kernel_sim/audit/object_audit.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/security/sddl.h"
#include "tests/audit/audit_test_support.h"

namespace ktlsim::audit {
namespace {

using nlohmann::json;
using security::Fault;

constexpr const char* kText = "O:BAG:BAD:(A;;0x1;;;WD)S:(AU;SAFA;0x3;;;WD)";
constexpr const char* kNoAudit = "O:BAG:BAD:(A;;0x1;;;WD)";

class ObjectAuditTest : public testing::Test {
 protected:
  ObjectAuditTest() {
    process_ = StateOf(500, {security::Privilege::kAudit}, security::TokenType::kPrimary,
                       security::ImpersonationLevel::kImpersonation);
    client_ = StateOf(1001, {}, security::TokenType::kImpersonation,
                      security::ImpersonationLevel::kImpersonation);
    trail_ = scene_.Open();
  }

  static security::TokenStateRef StateOf(std::uint32_t number, security::PrivilegeSet enabled,
                                         security::TokenType type,
                                         security::ImpersonationLevel level) {
    const security::TokenGroup groups[] = {{security::kWorldSid}};
    security::TokenContents contents;
    contents.user = security::Sid(5, {21, 1, 2, 3, number});
    contents.groups = groups;
    contents.privileges = {enabled, enabled, enabled};
    contents.type = type;
    contents.level = level;
    security::Token::Ref token;
    EXPECT_EQ(security::Token::Create(contents, &token), Fault::kNone);
    return token->state();
  }

  static security::Descriptor DescriptorOf(const std::string& text) {
    std::optional<security::Descriptor> descriptor;
    EXPECT_EQ(security::ParseSddl(text, std::nullopt, &descriptor).fault, Fault::kNone) << text;
    return std::move(descriptor).value();
  }

  AuditParties Parties() {
    return {.trail = trail_.get(), .process = *process_, .client = client_.get()};
  }
  Fault Check(const std::string& text, security::AccessMask desired, bool optional = false) {
    const security::Descriptor descriptor = DescriptorOf(text);
    return CheckAccessAndAudit(Parties(), kObject,
                               {.descriptor = descriptor.view(),
                                .desired = desired,
                                .mapping = security::kFileMapping,
                                .self = std::nullopt,
                                .privilege_optional = optional,
                                .types = {},
                                .results = {}},
                               &access_);
  }

  // The records of callers, the last one's fields.
  std::vector<json> Records() {
    EXPECT_TRUE(trail_->Flush().ok());
    std::vector<json> records;
    for (const std::string& line : test::LinesOf(test::ContentOf(scene_.log()))) {
      json record = json::parse(line);
      if (record.contains("outcome")) records.push_back(std::move(record));
    }
    return records;
  }

  static constexpr AuditedObject kObject{
      .subsystem = "test", .handle_id = 0x44, .type = "File", .name = "/x"};

  test::TrailScene scene_;
  security::TokenStateRef process_;
  security::TokenStateRef client_;
  std::unique_ptr<AuditTrail> trail_;
  AuditedAccess access_;
};

TEST_F(ObjectAuditTest, AnAllowedAccessIsRecordedIfTheSaclAsks) {
  ASSERT_EQ(Check(kText, 0x1), Fault::kNone);
  EXPECT_TRUE(access_.result.allowed);
  EXPECT_TRUE(access_.generate_on_close);
  ASSERT_EQ(Check(kNoAudit, 0x1), Fault::kNone);
  EXPECT_TRUE(access_.result.allowed);
  EXPECT_FALSE(access_.generate_on_close);
  const std::vector<json> records = Records();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0]["event"], "access");
  EXPECT_EQ(records[0]["outcome"], "success");
  EXPECT_EQ(records[0]["client"]["user"], "S-1-5-21-1-2-3-1001");
  EXPECT_EQ(records[0]["server"]["user"], "S-1-5-21-1-2-3-500");
  EXPECT_EQ(records[0]["granted"], "0x1");
  EXPECT_EQ(records[0]["handle"], "0x44");
}

TEST_F(ObjectAuditTest, ADeniedAccessIsRecordedAndNeedsNoClose) {
  ASSERT_EQ(Check(kText, 0x2), Fault::kNone);
  EXPECT_FALSE(access_.result.allowed);
  EXPECT_EQ(access_.result.reason, Fault::kAccessDenied);
  EXPECT_FALSE(access_.generate_on_close);
  const std::vector<json> records = Records();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0]["outcome"], "failure");
  EXPECT_EQ(records[0]["desired"], "0x2");
  EXPECT_EQ(records[0]["granted"], "0x0");
}

TEST_F(ObjectAuditTest, ArgumentsAreJudgedInOrderAndNothingIsRecorded) {
  access_.result.granted = 77;
  const security::TokenStateRef client = client_;
  client_ = nullptr;
  process_ =
      StateOf(500, {}, security::TokenType::kPrimary, security::ImpersonationLevel::kImpersonation);
  EXPECT_EQ(Check(kText, 0x1), Fault::kNoImpersonationToken);
  client_ = StateOf(1001, {}, security::TokenType::kImpersonation,
                    security::ImpersonationLevel::kAnonymous);
  EXPECT_EQ(Check(kText, 0x1), Fault::kBadImpersonationLevel);
  client_ = client;
  EXPECT_EQ(Check(kText, 0x1), Fault::kPrivilegeNotHeld);
  process_ = StateOf(500, {security::Privilege::kAudit}, security::TokenType::kPrimary,
                     security::ImpersonationLevel::kImpersonation);
  EXPECT_EQ(Check(kText, security::kGenericRead), Fault::kGenericNotMapped);
  EXPECT_EQ(Check("D:", 0x1), Fault::kInvalidSecurityDescriptor);
  EXPECT_EQ(access_.result.granted, 77U) << "untouched";
  EXPECT_TRUE(Records().empty());
}

TEST_F(ObjectAuditTest, ThePrivilegeIsTheProcesssNotTheClients) {
  client_ = StateOf(1001, {security::Privilege::kAudit}, security::TokenType::kImpersonation,
                    security::ImpersonationLevel::kImpersonation);
  process_ =
      StateOf(500, {}, security::TokenType::kPrimary, security::ImpersonationLevel::kImpersonation);
  EXPECT_EQ(Check(kText, 0x1), Fault::kPrivilegeNotHeld);
  EXPECT_EQ(Check(kText, 0x1, true), Fault::kNone) << "AUDIT_ALLOW_NO_PRIVILEGE";
  EXPECT_TRUE(access_.result.allowed);
  EXPECT_FALSE(access_.generate_on_close);
  EXPECT_TRUE(Records().empty());
}

TEST_F(ObjectAuditTest, WhatCannotBeRecordedIsDenied) {
  ASSERT_TRUE(trail_->Close().ok());
  ASSERT_EQ(Check(kText, 0x1), Fault::kNone);
  EXPECT_FALSE(access_.result.allowed);
  EXPECT_EQ(access_.result.granted, 0U);
  EXPECT_EQ(access_.result.reason, Fault::kNoSystemResources);
  EXPECT_FALSE(access_.generate_on_close);
  ASSERT_EQ(Check(kNoAudit, 0x1), Fault::kNone);
  EXPECT_TRUE(access_.result.allowed) << "it needs no record";
}

TEST_F(ObjectAuditTest, WhatCannotBeRecordedIsCountedWhereThePolicySaysSo) {
  trail_ = nullptr;
  scene_.options.when_full = FullPolicy::kCount;
  trail_ = scene_.Open();
  ASSERT_TRUE(trail_->Close().ok());
  ASSERT_EQ(Check(kText, 0x1), Fault::kNone);
  EXPECT_TRUE(access_.result.allowed);
  EXPECT_EQ(trail_->figures().lost, 1U);
}

TEST_F(ObjectAuditTest, WithoutATrailChecksGoOn) {
  trail_ = nullptr;
  ASSERT_EQ(Check(kText, 0x1), Fault::kNone);
  EXPECT_TRUE(access_.result.allowed);
}

TEST_F(ObjectAuditTest, TypesAreAuditedEachByItself) {
  const std::string one = "10000000-0000-0000-0000-000000000000";
  const security::Descriptor descriptor =
      DescriptorOf("O:BAG:BAD:(OA;;0x1;" + one + ";;WD)S:(OU;SA;0x1;" + one + ";;WD)");
  const security::Guid root{};
  security::Guid guid;
  ASSERT_TRUE(security::ParseGuid(one, &guid));
  const security::Guid second{.data1 = 2};
  const security::ObjectType types[] = {
      {.level = 0, .type = &root}, {.level = 1, .type = &guid}, {.level = 1, .type = &second}};
  security::TypeResult results[3];
  const auto check = [&](bool each) {
    return CheckAccessAndAudit(Parties(), kObject,
                               {.descriptor = descriptor.view(),
                                .desired = 0x1,
                                .mapping = security::kFileMapping,
                                .self = std::nullopt,
                                .types = types,
                                .results = results,
                                .verdict_for_each = each},
                               &access_);
  };
  for (const bool each : {true, false}) {
    ASSERT_EQ(check(each), Fault::kNone);
    EXPECT_FALSE(access_.result.allowed);
    EXPECT_TRUE(results[1].allowed);
    EXPECT_EQ(access_.generate_on_close, each);
  }
  EXPECT_EQ(Records().size(), 1U);
  ASSERT_TRUE(trail_->Close().ok());
  ASSERT_EQ(check(true), Fault::kNone);
  EXPECT_FALSE(results[1].allowed) << "it could not be recorded";
}

TEST_F(ObjectAuditTest, OpeningIsRecordedAsTold) {
  const security::Descriptor descriptor = DescriptorOf(kText);
  bool generate = false;
  ASSERT_EQ(AuditObjectOpen(Parties(), kObject, descriptor.view(),
                            {.desired = 0x3, .granted = 0x3, .creation = true, .allowed = true},
                            &generate),
            Fault::kNone);
  EXPECT_TRUE(generate) << "no check of its own";
  ASSERT_EQ(AuditObjectOpen(Parties(), kObject, descriptor.view(), {.desired = 0x3}, &generate),
            Fault::kNone);
  EXPECT_FALSE(generate);
  ASSERT_EQ(AuditObjectOpen(Parties(), kObject, descriptor.view(),
                            {.desired = 0x4, .granted = 0x4, .allowed = true}, &generate),
            Fault::kNone);
  EXPECT_FALSE(generate) << "the SACL does not name the right";
  const std::vector<json> records = Records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0]["event"], "open");
  EXPECT_TRUE(records[0]["creation"]);
  EXPECT_EQ(records[1]["outcome"], "failure");
  // Generic rights in the SACL mean themselves.
  const security::Descriptor generic = DescriptorOf("O:BAG:BAS:(AU;FA;GR;;;WD)");
  ASSERT_EQ(AuditObjectOpen(Parties(), kObject, generic.view(), {.desired = security::kGenericRead},
                            &generate),
            Fault::kNone);
  EXPECT_EQ(Records().size(), 3U);
}

TEST_F(ObjectAuditTest, ClosingAndDeletingAreRecordedIfOpeningWas) {
  EXPECT_EQ(AuditObjectClose(Parties(), kObject, false), Fault::kNone);
  EXPECT_EQ(AuditObjectDelete(Parties(), kObject, false), Fault::kNone);
  EXPECT_TRUE(Records().empty());
  EXPECT_EQ(AuditObjectClose(Parties(), kObject, true), Fault::kNone);
  EXPECT_EQ(AuditObjectDelete(Parties(), kObject, true), Fault::kNone);
  const std::vector<json> records = Records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0]["event"], "close");
  EXPECT_EQ(records[1]["event"], "delete");
}

TEST_F(ObjectAuditTest, PrivilegesAreAlwaysRecorded) {
  const DecidedAccess decided{
      .desired = 0x1, .privileges = {security::Privilege::kBackup}, .allowed = true};
  EXPECT_EQ(AuditObjectPrivilege(Parties(), kObject, decided), Fault::kNone);
  EXPECT_EQ(AuditPrivilegedService(Parties(), kObject, decided), Fault::kNone);
  const std::vector<json> records = Records();
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(records[0]["event"], "privilege-use");
  EXPECT_EQ(records[0]["privileges"], json::array({"SeBackupPrivilege"}));
  EXPECT_EQ(records[1]["event"], "service");
}

TEST_F(ObjectAuditTest, EveryAlarmNeedsThePrivilegeAndARoom) {
  const security::Descriptor descriptor = DescriptorOf(kText);
  bool generate = true;
  const auto all = [&] {
    return std::vector<Fault>{
        AuditObjectOpen(Parties(), kObject, descriptor.view(), {.desired = 1}, &generate),
        AuditObjectClose(Parties(), kObject, true), AuditObjectDelete(Parties(), kObject, true),
        AuditObjectPrivilege(Parties(), kObject, {}),
        AuditPrivilegedService(Parties(), kObject, {})};
  };
  ASSERT_TRUE(trail_->Close().ok());
  for (const Fault fault : all()) EXPECT_EQ(fault, Fault::kNoSystemResources);
  process_ =
      StateOf(500, {}, security::TokenType::kPrimary, security::ImpersonationLevel::kImpersonation);
  for (const Fault fault : all()) EXPECT_EQ(fault, Fault::kPrivilegeNotHeld);
  EXPECT_TRUE(generate) << "untouched";
}

}  // namespace
}  // namespace ktlsim::audit
