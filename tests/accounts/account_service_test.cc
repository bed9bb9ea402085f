#include "kernel_sim/accounts/account_service.h"

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/security/well_known_sids.h"
#include "tests/accounts/accounts_test_support.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim::accounts {
namespace {

using security::Privilege;
using test::CheapHash;
using test::kNow;
using test::Service;
using test::SidTextOf;

std::string AccountText(const std::string& name, const std::string& more) {
  return "[[account]]\nname = '" + name + "'\npassword = '" + CheapHash("secret") + "'\n" + more;
}

std::string DigestHash(const std::string& user, const std::string& realm,
                       const std::string& password) {
  digest::Hasher hasher(digest::HashId::kSha256);
  digest::HashValue hash;
  EXPECT_TRUE(digest::ComputeAccountHash(hasher, user, realm, password, &hash));
  return std::string(digest::HexText(hash).view());
}

std::vector<std::string> SidsOf(const security::TokenState& state) {
  std::vector<std::string> sids;
  for (const security::Sid& sid : state.sids()) sids.push_back(SidTextOf(sid));
  return sids;
}

bool Has(const security::TokenState& state, const std::string& sid) {
  for (const std::string& one : SidsOf(state)) {
    if (one == sid) return true;
  }
  return false;
}

TEST(LogOnTest, TellsNameAndPasswordNotApart) {
  Service service;
  EXPECT_EQ(service.LogOn("alice", "secret"), LogonFault::kNoLogonServers);
  service.Use(AccountText("alice", "upn = 'alice@example.org'\n"));
  EXPECT_EQ(service.LogOn("alice", "secret"), LogonFault::kNone);
  EXPECT_EQ(service.LogOn("ALICE@EXAMPLE.ORG", "secret"), LogonFault::kNone);
  EXPECT_EQ(service.LogOn("alice", "Secret"), LogonFault::kLogonFailure);
  EXPECT_EQ(service.LogOn("alice", ""), LogonFault::kLogonFailure);
  EXPECT_EQ(service.LogOn("bob", "secret"), LogonFault::kLogonFailure);
  EXPECT_EQ(service.LogOn("", ""), LogonFault::kLogonFailure);
  EXPECT_EQ(service.LogOn("alice", std::string(1025, 'x')), LogonFault::kInvalidParameter);
  EXPECT_EQ(service.LogOn(std::string(1025, 'x'), "secret"), LogonFault::kInvalidParameter);
  // Each that was compared at all cost one computation.
  EXPECT_EQ(service->password_statistics().hashes, 6U);
}

// What is wrong with the account is for its owner to know.
TEST(LogOnTest, RestrictionsAreToldAfterTheRightPasswordAlone) {
  struct Case {
    const char* text;
    LogonFault fault;
  };
  const Case cases[] = {
      {"disabled = true\n", LogonFault::kAccountDisabled},
      {"locked = true\n", LogonFault::kAccountLockedOut},
      {"expires = 2026-12-31T00:00:00Z\n", LogonFault::kAccountExpired},
      {"logon-types = ['network']\n", LogonFault::kLogonTypeNotGranted},
      {"password-must-change = true\n", LogonFault::kPasswordMustChange},
      {"password-expires = 2026-12-31T00:00:00Z\n", LogonFault::kPasswordExpired},
      {"expires = 2027-12-31T00:00:00Z\npassword-expires = 2027-12-31T00:00:00Z\n",
       LogonFault::kNone},
  };
  for (const Case& one : cases) {
    Service service;
    service.Use(AccountText("alice", one.text));
    EXPECT_EQ(service.LogOn("alice", "wrong"), LogonFault::kLogonFailure) << one.text;
    EXPECT_EQ(service.LogOn("alice", "secret"), one.fault) << one.text;
  }
}

TEST(LogOnTest, AnAccountWithDigestAloneIsVerifiedByIt) {
  Service service;
  service.Use("[[account]]\nname = 'dora'\ndigest = ['SHA-256:d.smith:staff:" +
              DigestHash("d.smith", "staff", "secret") +
              "', 'd.smith:staff:00112233445566778899aabbccddeeff']\n" + AccountText("alice", "") +
              "[[account]]\nname = 'none'\n");
  EXPECT_EQ(service.LogOn("dora", "secret"), LogonFault::kNone);
  EXPECT_EQ(service.LogOn("dora", "wrong"), LogonFault::kLogonFailure);
  // Without anything to compare with, no password is right.
  EXPECT_EQ(service.LogOn("none", ""), LogonFault::kLogonFailure);
  EXPECT_EQ(service.LogOn("none", "secret"), LogonFault::kLogonFailure);
  // They cost as much as the others.
  EXPECT_EQ(service->password_statistics().hashes, 4U);
}

TEST(LogOnTest, EachTypeGivesItsToken) {
  Service service;
  service.Use(
      "domain-sid = 'S-1-5-21-1-2-3'\n[[group]]\nname = 'staff'\nsid = 'S-1-5-21-1-2-3-7'\n" +
      AccountText("alice",
                  "sid = 'S-1-5-21-1-2-3-1001'\ngroups = ['staff']\n"
                  "privileges = ['SeChangeNotifyPrivilege', 'SeAuditPrivilege']\n"));
  struct Case {
    LogonType type;
    const char* sid;
    bool network;
    bool credentials;
  };
  const Case cases[] = {{LogonType::kInteractive, "S-1-5-4", false, true},
                        {LogonType::kBatch, "S-1-5-3", false, true},
                        {LogonType::kService, "S-1-5-6", false, true},
                        {LogonType::kNetwork, "S-1-5-2", true, false},
                        {LogonType::kNetworkCleartext, "S-1-5-2", true, true}};
  for (const Case& one : cases) {
    security::Token::Ref token;
    ASSERT_EQ(service.LogOn("alice", "secret", one.type, &token), LogonFault::kNone);
    const security::TokenStateRef state = token->state();
    const bool impersonation = one.type == LogonType::kNetwork;
    EXPECT_EQ(state->type(),
              impersonation ? security::TokenType::kImpersonation : security::TokenType::kPrimary);
    EXPECT_EQ(state->level(), security::ImpersonationLevel::kImpersonation);
    EXPECT_EQ(SidTextOf(state->user()), "S-1-5-21-1-2-3-1001");
    EXPECT_EQ(state->owner(), state->user());
    const auto session = service->sessions().Find(state->identity().authentication_id);
    ASSERT_NE(session, nullptr);
    EXPECT_EQ(session->facts().type, one.type);
    EXPECT_EQ(session->facts().logged_on, kNow);
    EXPECT_EQ(session->has_credentials(), one.credentials);
    const std::string logon_sid = SidTextOf(session->logon_sid());
    EXPECT_EQ(SidsOf(*state),
              (std::vector<std::string>{"S-1-5-21-1-2-3-1001", "S-1-1-0", "S-1-5-11",
                                        "S-1-5-21-1-2-3-7", one.sid, logon_sid}));
    EXPECT_EQ(state->attributes(5), 0xC0000007U);
    EXPECT_TRUE(state->privileges().held.Has(Privilege::kAudit));
    EXPECT_EQ(state->privileges().enabled.Has(Privilege::kAudit), one.network);
    EXPECT_TRUE(state->privileges().enabled.Has(Privilege::kChangeNotify));
    EXPECT_EQ(state->integrity(), security::kMediumIntegrity);
    ASSERT_TRUE(state->default_dacl().has_value());
    EXPECT_EQ(state->default_dacl()->count(), 2U);
    EXPECT_EQ(std::string_view(state->identity().source.name.data(), 8), "ktlsim  ");
  }
  EXPECT_EQ(service->sessions().statistics().live, 0U);
  EXPECT_EQ(service->sessions().statistics().started, 5U);
}

TEST(LogOnTest, AdministratorsOwnAndHaveHighIntegrity) {
  Service service;
  service.Use(AccountText("root", "groups = ['S-1-5-32-544']\n"));
  security::Token::Ref token;
  ASSERT_EQ(service.LogOn("root", "secret", LogonType::kInteractive, &token), LogonFault::kNone);
  const security::TokenStateRef state = token->state();
  const auto index = state->IndexOf(security::kAdministratorsSid);
  ASSERT_TRUE(index.has_value());
  EXPECT_NE(state->attributes(*index) & security::kGroupOwner, 0U);
  EXPECT_EQ(state->integrity(), security::kHighIntegrity);
}

TEST(LogOnTest, NewCredentialsKeepTheIdentity) {
  Service service;
  security::TokenContents contents;
  contents.user = security::Sid(5, {21, 9, 9, 9, 1});
  contents.authentication_id = {5, 0};
  security::Token::Ref caller;
  ASSERT_EQ(security::Token::Create(contents, &caller), security::Fault::kNone);
  const LogonRequest request = {
      .user = "other", .domain = "realm", .password = "theirs", .type = LogonType::kNewCredentials};
  security::Token::Ref token;
  EXPECT_EQ(service->LogOn(request, nullptr, &token), LogonFault::kInvalidParameter);
  ASSERT_EQ(service->LogOn(request, caller.get(), &token), LogonFault::kNone);
  const security::TokenStateRef state = token->state();
  EXPECT_EQ(state->user(), contents.user.view());
  EXPECT_EQ(state->type(), security::TokenType::kPrimary);
  EXPECT_EQ(state->identity().origin, (security::Luid{5, 0}));
  EXPECT_NE(state->token_id(), caller->state()->token_id());
  const auto session = service->sessions().Find(state->identity().authentication_id);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(session->network_credentials().value().user, "other");
  EXPECT_EQ(session->network_credentials().value().domain, "realm");
  EXPECT_EQ(session->network_credentials().value().password, "theirs");
  // Whoever may only be identified cannot be gone on as.
  security::Token::Ref low;
  ASSERT_EQ(caller->Duplicate(security::TokenType::kImpersonation,
                              security::ImpersonationLevel::kIdentification, {6, 0}, &low),
            security::Fault::kNone);
  EXPECT_EQ(service->LogOn(request, low.get(), &token), LogonFault::kLogonFailure);
}

// A log-on in progress does not outlive the accounts, nor an end that is over before it is.
TEST(LogOnTest, NoneIsGrantedAcrossAnEnd) {
  Service service;
  const auto expect_ended = [&](const char* text, auto meanwhile) {
    service.Use(AccountText("alice", text));
    service.AtNextJudgement([&] {
      meanwhile();
      service->EndLogons();
      service->AdmitLogons();
    });
    security::Token::Ref token;
    EXPECT_EQ(service.LogOn("alice", "secret", LogonType::kNetwork, &token),
              LogonFault::kNoLogonServers);
    EXPECT_EQ(token, nullptr);
  };
  expect_ended("", [&] { service->store().Use(nullptr); });
  expect_ended("", [&] {
    service->store().Use(nullptr);
    service.Use(AccountText("bob", ""));
  });
  expect_ended("", [] {});
  expect_ended("disabled = true\n", [] {});
  EXPECT_EQ(service->sessions().statistics().started, 0U);
  service.Use(AccountText("alice", ""));
  EXPECT_EQ(service.LogOn("alice", "secret"), LogonFault::kNone);
}

// Nor one whose password was found right, and its account in order, just before the end.
TEST(LogOnTest, NoneIsGrantedWhoseCheckWasBeforeTheEnd) {
  Service service;
  service.Use(AccountText("alice", ""));
  service.AtNextGrant([&] {
    service->store().Use(nullptr);
    service->EndLogons();
    service->AdmitLogons();
  });
  security::Token::Ref token;
  EXPECT_EQ(service.LogOn("alice", "secret", LogonType::kNetwork, &token),
            LogonFault::kNoLogonServers);
  EXPECT_EQ(token, nullptr);
  EXPECT_EQ(service->sessions().statistics().live, 0U) << "its session has ended with it";
}

TEST(LogOnTest, TooManyAtOnceHaveTheirStatus) {
  Service service({.password_queue = 0});
  service.Use(AccountText("alice", ""));
  EXPECT_EQ(service.LogOn("alice", "secret"), LogonFault::kNoSystemResources);
}

TEST(LogOnTest, AWrongPasswordDelaysTheAccountUnderAllItsNames) {
  Service service({.pace = {.free_failures = 1}});
  service.Use(AccountText("alice", "upn = 'a@b'\n"));
  ASSERT_EQ(service.LogOn("alice", "wrong"), LogonFault::kLogonFailure);
  LogonFault fault = LogonFault::kInvalidParameter;
  std::thread waiting([&] { fault = service.LogOn("A@B", "secret"); });
  // Others go on meanwhile, though nobody's time does.
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(service.LogOn("nobody" + std::to_string(i), "x"), LogonFault::kLogonFailure);
  }
  EXPECT_EQ(service->password_statistics().right, 0U);
  service.clock().Advance(kNsPerSecond);
  waiting.join();
  EXPECT_EQ(fault, LogonFault::kNone);
}

// ---- Mapping

TEST(DirectoryMapperTest, DigestGivesATokenOfTheAccount) {
  Service service;
  DirectoryMapper mapper(service.get());
  const security::ClientFacts facts = {
      .client = security::DigestClient{.user = "dora", .realm = "staff"},
      .level = security::ImpersonationLevel::kIdentification};
  EXPECT_EQ(mapper.Map(facts)->outcome(), security::MappingOutcome::kFailure);
  const std::uint64_t before = mapper.generation();
  service.Use(AccountText("dora", "digest = 'dora:staff:00112233445566778899aabbccddeeff'\n"));
  EXPECT_NE(mapper.generation(), before);
  const auto mapping = mapper.Map(facts);
  ASSERT_TRUE(mapping->done());
  ASSERT_EQ(mapping->outcome(), security::MappingOutcome::kToken);
  const security::TokenStateRef state = mapping->token()->state();
  EXPECT_EQ(state->type(), security::TokenType::kImpersonation);
  EXPECT_EQ(state->level(), security::ImpersonationLevel::kIdentification);
  EXPECT_TRUE(Has(*state, "S-1-5-64-21"));
  EXPECT_TRUE(Has(*state, "S-1-5-2"));
  EXPECT_EQ(std::string_view(state->identity().source.name.data(), 8), "WDigest ");
  const auto session = service->sessions().Find(state->identity().authentication_id);
  ASSERT_NE(session, nullptr);
  EXPECT_FALSE(session->has_credentials());
  const security::ClientFacts other = {
      .client = security::DigestClient{.user = "Dora", .realm = "staff"}};
  EXPECT_EQ(mapper.Map(other)->outcome(), security::MappingOutcome::kNoMatch);
  const MappingStatistics statistics = service->mapping_statistics();
  EXPECT_EQ(statistics.mapped, 1U);
  EXPECT_EQ(statistics.no_match, 1U);
  EXPECT_EQ(statistics.failed, 1U);
}

// ---- The file

TEST(DirectoryStoreTest, AMistakeKeepsWhatWasThere) {
  const ktlsim::test::TemporaryFolder folder;
  DirectoryStore store;
  EXPECT_EQ(store.snapshot().directory, nullptr);
  EXPECT_NE(store.Reload(), "");
  EXPECT_NE(store.Load(folder.File("none")).find("name a file that can be read"),
            std::string::npos);
  EXPECT_NE(store.Load("/dev/zero"), "");
  const std::string path = folder.Write("d.toml", "[[account]]\nname = 'a'\n");
  ASSERT_EQ(store.Load(path), "");
  const DirectorySnapshot first = store.snapshot();
  folder.Write("d.toml", "[[account]]\nname = 'a'\nuid = 0\n");
  const std::string told = store.Reload();
  EXPECT_TRUE(told.starts_with(path + ":3: key `uid`: unknown")) << told;
  EXPECT_EQ(store.snapshot().directory, first.directory);
  EXPECT_EQ(store.snapshot().generation, first.generation);
  folder.Write("d.toml", "[[account]]\nname = 'b'\n");
  ASSERT_EQ(store.Reload(), "");
  EXPECT_NE(store.snapshot().generation, first.generation);
  EXPECT_NE(store.snapshot().directory->FindByName("b"), nullptr);
  EXPECT_NE(first.directory->FindByName("a"), nullptr);  // who has it goes on having it
}

TEST(DirectoryStoreTest, ReadersSeeOneStateWhileItIsReplaced) {
  DirectoryStore store;
  const auto one = test::DirectoryOf("domain = 'ONE'\n[[account]]\nname = 'one'\n");
  const auto two = test::DirectoryOf("domain = 'TWO'\n[[account]]\nname = 'two'\n");
  store.Use(one);
  std::atomic<bool> over{false};
  std::thread writer([&] {
    for (int i = 0; i < 2000; ++i) store.Use(i % 2 == 0 ? two : one);
    over = true;
  });
  do {
    const DirectorySnapshot now = store.snapshot();
    EXPECT_NE(now.directory->FindByName(now.directory->domain()), nullptr);
  } while (!over);
  writer.join();
  EXPECT_EQ(store.snapshot().generation, 2001U);
}

}  // namespace
}  // namespace ktlsim::accounts
