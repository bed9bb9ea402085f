// The clients' identities: who maps them, and what impersonating them returns.
#include "kernel_sim/sspi/client_identity.h"

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/runtime.h"
#include "tests/support/scripted_mapper.h"
#include "tests/support/scripted_store.h"
#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/test_authority.h"
#include "tls/identity/certificate.h"

namespace ktlsim::test {
namespace {

using authorization::ThreadToken;
using security::ImpersonationLevel;
using security::MappingOutcome;

// The user of the thread's token; S-1-0-0 for the process.
security::Sid ThreadUser() {
  const security::Token::Ref token = ThreadToken();
  return token != nullptr ? security::Sid(token->state()->user()) : security::Sid();
}

// ---- With the scripted package

class ScriptedServer {
 public:
  explicit ScriptedServer(std::string user, SECURITY_STATUS status = SEC_E_OK,
                          const sspi::ScriptedWait& wait = {}) {
    sspi::Runtime::Instance().RegisterPackage(sspi::ScriptedPackage::Instance());
    sspi::Script script;
    script.repeats = true;
    script.legs.resize(1);
    static_cast<sspi::ScriptedWait&>(script.legs[0]) = wait;
    script.legs[0].status = status;
    script.legs[0].attributes = ASC_RET_STREAM;
    script.client_user = std::move(user);
    script_ = KeepScript(std::move(script));
    char package[] = "ktlsim scripted";
    EXPECT_EQ(AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, script_,
                                        nullptr, nullptr, &credential_, nullptr),
              SEC_E_OK);
    SecInvalidateHandle(&context);
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    Delete();
    EXPECT_EQ(FreeCredentialsHandle(&credential_), SEC_E_OK);
  }

  SECURITY_STATUS Accept(ULONG flags = 0) {
    const bool first = !SecIsValidHandle(&context);
    return AcceptSecurityContext(&credential_, first ? nullptr : &context, nullptr, flags, 0,
                                 &context, nullptr, &attributes, nullptr);
  }
  SECURITY_STATUS Submit(AsyncCall& call) {
    return SspiAcceptSecurityContextAsync(call.get(), &credential_, nullptr, nullptr, 0, 0,
                                          &context, nullptr, &attributes, nullptr);
  }
  SECURITY_STATUS Complete() {
    char token[] = "token";
    SecBuffer buffer = {sizeof(token), SECBUFFER_TOKEN, token};
    SecBufferDesc message = {SECBUFFER_VERSION, 1, &buffer};
    return CompleteAuthToken(&context, &message);
  }
  void Delete() {
    if (!SecIsValidHandle(&context)) return;
    EXPECT_EQ(DeleteSecurityContext(&context), SEC_E_OK);
    SecInvalidateHandle(&context);
  }
  PCredHandle credential() { return &credential_; }

  CtxtHandle context;
  ULONG attributes = 0;

 private:
  sspi::Script* script_ = nullptr;
  CredHandle credential_{};
};

TEST(ClientIdentityTest, AMapperIsTakenAndGivenBack) {
  auto& runtime = sspi::Runtime::Instance();
  std::uint64_t number = 1;
  EXPECT_EQ(runtime.identity_mapper(&number), nullptr);
  EXPECT_EQ(number, 0U);
  const auto mapper = std::make_shared<ScriptedMapper>();
  runtime.UseIdentityMapper(mapper);
  EXPECT_EQ(runtime.identity_mapper(&number), mapper);
  const std::uint64_t first = number;
  runtime.UseIdentityMapper(mapper);
  runtime.identity_mapper(&number);
  EXPECT_NE(number, first);
  runtime.UseIdentityMapper(nullptr);
  EXPECT_EQ(mapper.use_count(), 1);
}

TEST(ClientIdentityTest, TheThreadActsAsTheClientUntilItReverts) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  ScriptedServer server("alice");
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  const MappedFacts asked = mapper->last();
  EXPECT_EQ(asked.user, "alice");
  EXPECT_EQ(asked.realm, "scripted");
  EXPECT_EQ(asked.level, ImpersonationLevel::kImpersonation);
  EXPECT_EQ(ThreadToken(), nullptr) << "authenticating changes no thread";
  ASSERT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
  EXPECT_EQ(ThreadUser(), UserSid(1001));
  std::jthread([] { EXPECT_EQ(ThreadToken(), nullptr) << "another thread"; }).join();
  EXPECT_EQ(RevertSecurityContext(&server.context), SEC_E_OK);
  EXPECT_EQ(ThreadToken(), nullptr);
  EXPECT_EQ(RevertSecurityContext(&server.context), SEC_E_OK) << "it has reverted already";
}

// No stack: the newest one counts, and one revert suffices, of whichever context.
TEST(ClientIdentityTest, RevertInEveryOrder) {
  const WithMapper mapper;
  mapper->SayUser("a", 1001);
  mapper->SayUser("b", 1002);
  ScriptedServer a("a");
  ScriptedServer b("b");
  ASSERT_EQ(a.Accept(), SEC_E_OK);
  ASSERT_EQ(b.Accept(), SEC_E_OK);
  for (const bool other : {false, true}) {
    ASSERT_EQ(ImpersonateSecurityContext(&a.context), SEC_E_OK);
    ASSERT_EQ(ImpersonateSecurityContext(&b.context), SEC_E_OK);
    EXPECT_EQ(ThreadUser(), UserSid(1002));
    EXPECT_EQ(RevertSecurityContext(other ? &a.context : &b.context), SEC_E_OK);
    EXPECT_EQ(ThreadToken(), nullptr);
    EXPECT_EQ(RevertSecurityContext(other ? &b.context : &a.context), SEC_E_OK);
    EXPECT_EQ(ThreadToken(), nullptr);
  }
  // The context may be gone before: the thread keeps the token, and the handle reverts nothing.
  ASSERT_EQ(ImpersonateSecurityContext(&a.context), SEC_E_OK);
  CtxtHandle dead = a.context;
  a.Delete();
  EXPECT_EQ(ThreadUser(), UserSid(1001));
  EXPECT_EQ(RevertSecurityContext(&dead), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(ThreadUser(), UserSid(1001));
  EXPECT_EQ(ImpersonateSecurityContext(&dead), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(RevertSecurityContext(&b.context), SEC_E_OK);
  EXPECT_EQ(ThreadToken(), nullptr);
}

TEST(ClientIdentityTest, EachOutcomeHasItsStatusAndLeavesTheThreadAsItWas) {
  const WithMapper mapper;
  const std::pair<MappingOutcome, SECURITY_STATUS> cases[] = {
      {MappingOutcome::kNoMatch, SEC_E_NO_IMPERSONATION},
      {MappingOutcome::kTwoMatches, SEC_E_MULTIPLE_ACCOUNTS},
      {MappingOutcome::kDisabled, SEC_E_LOGON_DENIED},
      {MappingOutcome::kNoMemory, SEC_E_INSUFFICIENT_MEMORY},
      {MappingOutcome::kFailure, SEC_E_NO_AUTHENTICATING_AUTHORITY}};
  mapper->SayUser("known", 1001);
  ScriptedServer known("known");
  ASSERT_EQ(known.Accept(), SEC_E_OK);
  for (const bool impersonates : {false, true}) {
    if (impersonates) {
      ASSERT_EQ(ImpersonateSecurityContext(&known.context), SEC_E_OK);
    }
    const security::Token::Ref before = ThreadToken();
    for (const auto& [outcome, status] : cases) {
      mapper->Say(outcome);
      ScriptedServer server("unknown");
      ASSERT_EQ(server.Accept(), SEC_E_OK) << "to be authenticated is not to be mapped";
      EXPECT_EQ(server.attributes, ULONG{ASC_RET_STREAM});
      EXPECT_EQ(ImpersonateSecurityContext(&server.context), status);
      EXPECT_NE(std::string(KtlsimLastErrorText()), "") << "the caller is told";
      void* token = nullptr;
      EXPECT_EQ(QuerySecurityContextToken(&server.context, &token), status);
      EXPECT_EQ(token, nullptr);
      SecPkgContext_AccessToken borrowed{};
      EXPECT_EQ(QueryContextAttributesA(&server.context, SECPKG_ATTR_ACCESS_TOKEN, &borrowed),
                status);
      EXPECT_EQ(ThreadToken(), before);
    }
  }
}

TEST(ClientIdentityTest, WithoutAMapperOrAClientThereIsNoImpersonation) {
  ScriptedServer unmapped("alice");
  ASSERT_EQ(unmapped.Accept(), SEC_E_OK);
  EXPECT_EQ(ImpersonateSecurityContext(&unmapped.context), SEC_E_NO_IMPERSONATION);
  const WithMapper mapper;
  mapper->SayUser(1001);
  ScriptedServer anonymous("");
  ASSERT_EQ(anonymous.Accept(), SEC_E_OK);
  EXPECT_EQ(ImpersonateSecurityContext(&anonymous.context), SEC_E_NO_IMPERSONATION);
  ScriptedServer unfinished("alice", SEC_I_CONTINUE_NEEDED);
  ASSERT_EQ(unfinished.Accept(), SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(ImpersonateSecurityContext(&unfinished.context), SEC_E_NO_IMPERSONATION);
  EXPECT_EQ(mapper->times(), 0U);
  EXPECT_EQ(ImpersonateSecurityContext(nullptr), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(RevertSecurityContext(nullptr), SEC_E_INVALID_HANDLE);
  void* token = nullptr;
  EXPECT_EQ(QuerySecurityContextToken(nullptr, &token), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(QuerySecurityContextToken(&anonymous.context, nullptr), SEC_E_INVALID_PARAMETER);
}

TEST(ClientIdentityTest, IdentifyGivesATokenForThatOnly) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  ScriptedServer server("alice");
  ASSERT_EQ(server.Accept(ASC_REQ_IDENTIFY), SEC_E_OK);
  EXPECT_EQ(server.attributes, ULONG{ASC_RET_STREAM | ASC_RET_IDENTIFY});
  EXPECT_EQ(mapper->last().level, ImpersonationLevel::kIdentification);
  ASSERT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
  EXPECT_EQ(ThreadToken()->state()->level(), ImpersonationLevel::kIdentification);
}

TEST(ClientIdentityTest, ATokenThatNoMapperMayGiveIsNone) {
  const WithMapper mapper;
  security::Token::Ref primary;
  ASSERT_EQ(MakeUserToken(1001)->Duplicate(security::TokenType::kPrimary,
                                           ImpersonationLevel::kImpersonation, {9, 0}, &primary),
            security::Fault::kNone);
  const security::Token::Ref wrong[] = {
      primary,
      MakeUserToken(1001, ImpersonationLevel::kDelegation),
  };
  for (const security::Token::Ref& token : wrong) {
    mapper->Give(token);
    ScriptedServer server("alice");
    ASSERT_EQ(server.Accept(), SEC_E_OK);
    EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  }
  mapper->Give(nullptr);
  mapper->RunOutOfMemory(true);
  ScriptedServer server("alice");
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_INSUFFICIENT_MEMORY);
}

TEST(ClientIdentityTest, AClientsContextHasNobodyToImpersonate) {
  const WithMapper mapper;
  TestCredential client = TestCredential::Client();
  TestCredential server = TestCredential::Server();
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()));
  EXPECT_EQ(ImpersonateSecurityContext(&client_end.context), SEC_E_UNSUPPORTED_FUNCTION);
  void* token = nullptr;
  EXPECT_EQ(QuerySecurityContextToken(&client_end.context, &token), SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(ImpersonateSecurityContext(&server_end.context), SEC_E_NO_IMPERSONATION)
      << "it has sent no certificate";
  EXPECT_EQ(mapper->times(), 0U);
}

TEST(ClientIdentityTest, HandlesOfTheTokenAreTheCallersOrLent) {
  const std::uint32_t open = authorization::OpenHandles();
  {
    const WithMapper mapper;
    mapper->SayUser(1001);
    ScriptedServer server("alice");
    ASSERT_EQ(server.Accept(), SEC_E_OK);
    void* first = nullptr;
    void* second = nullptr;
    ASSERT_EQ(QuerySecurityContextToken(&server.context, &first), SEC_E_OK);
    ASSERT_EQ(QuerySecurityContextToken(&server.context, &second), SEC_E_OK);
    EXPECT_NE(first, second);
    EXPECT_EQ(authorization::FindToken(first)->token(), authorization::FindToken(second)->token());
    EXPECT_EQ(authorization::FindToken(first)->access(), authorization::kTokenAllAccess);
    EXPECT_EQ(authorization::CloseForCaller(first), security::Fault::kNone);
    EXPECT_EQ(authorization::CloseForCaller(first), security::Fault::kInvalidHandle);
    EXPECT_FALSE(authorization::FindToken(first));

    SecPkgContext_AccessToken lent{};
    SecPkgContext_AccessToken again{};
    ASSERT_EQ(QueryContextAttributesA(&server.context, SECPKG_ATTR_ACCESS_TOKEN, &lent), SEC_E_OK);
    EXPECT_EQ(QueryContextAttributesExW(&server.context, SECPKG_ATTR_ACCESS_TOKEN, &again,
                                        sizeof(again) - 1),
              SEC_E_BUFFER_TOO_SMALL);
    ASSERT_EQ(
        QueryContextAttributesExW(&server.context, SECPKG_ATTR_ACCESS_TOKEN, &again, sizeof(again)),
        SEC_E_OK);
    EXPECT_EQ(lent.AccessToken, again.AccessToken) << "it belongs to the context";
    EXPECT_EQ(authorization::CloseForCaller(lent.AccessToken), security::Fault::kInvalidHandle);
    ASSERT_TRUE(authorization::FindToken(lent.AccessToken)) << "it goes on working";
    server.Delete();
    EXPECT_FALSE(authorization::FindToken(lent.AccessToken));
    EXPECT_EQ(security::Sid(authorization::FindToken(second)->token()->state()->user()),
              UserSid(1001))
        << "the caller's outlives the context";
    EXPECT_EQ(authorization::CloseForCaller(second), security::Fault::kNone);
  }
  EXPECT_EQ(authorization::OpenHandles(), open);
}

// The client of a context that goes on for hours: with accounts that have changed it is mapped
// again at its next request, and not before.
TEST(ClientIdentityTest, ANewGenerationMapsAgain) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  ScriptedServer server("alice");
  for (int i = 0; i < 3; ++i) ASSERT_EQ(server.Accept(), SEC_E_OK);
  EXPECT_EQ(mapper->times(), 1U);
  SecPkgContext_AccessToken lent{};
  ASSERT_EQ(QueryContextAttributesA(&server.context, SECPKG_ATTR_ACCESS_TOKEN, &lent), SEC_E_OK);
  mapper->Say(MappingOutcome::kDisabled);
  mapper->NextGeneration();
  ASSERT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK) << "not asked before a request";
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  EXPECT_EQ(mapper->times(), 2U);
  EXPECT_EQ(ThreadUser(), UserSid(1001)) << "who impersonates already goes on";
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_LOGON_DENIED);
  EXPECT_TRUE(authorization::FindToken(lent.AccessToken)) << "until another one is lent";
  mapper->SayUser(1002);
  mapper->NextGeneration();
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  SecPkgContext_AccessToken next{};
  ASSERT_EQ(QueryContextAttributesA(&server.context, SECPKG_ATTR_ACCESS_TOKEN, &next), SEC_E_OK);
  EXPECT_NE(next.AccessToken, lent.AccessToken);
  EXPECT_FALSE(authorization::FindToken(lent.AccessToken));
  sspi::Runtime::Instance().UseIdentityMapper(nullptr);
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_NO_IMPERSONATION);
}

// The token is as the newest request asks, whatever an earlier one did.
TEST(ClientIdentityTest, AnotherLevelMapsAgain) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  ScriptedServer server("alice");
  std::size_t times = 0;
  for (const ULONG flags : {ULONG{0}, ULONG{ASC_REQ_IDENTIFY}, ULONG{0}}) {
    for (int i = 0; i < 2; ++i) {
      ASSERT_EQ(server.Accept(flags), SEC_E_OK);
      EXPECT_EQ(server.attributes & ASC_RET_IDENTIFY, flags);
      ASSERT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
      EXPECT_EQ(ThreadToken()->state()->level(), flags != 0 ? ImpersonationLevel::kIdentification
                                                            : ImpersonationLevel::kImpersonation);
      ASSERT_EQ(RevertSecurityContext(&server.context), SEC_E_OK);
    }
    EXPECT_EQ(mapper->times(), ++times);
  }
}

TEST(ClientIdentityTest, AFailureIsNoVerdictAndIsAskedAgain) {
  const WithMapper mapper;
  for (const MappingOutcome failure : {MappingOutcome::kFailure, MappingOutcome::kNoMemory}) {
    ScriptedServer server("alice");
    mapper->Say(failure);
    ASSERT_EQ(server.Accept(), SEC_E_OK);
    EXPECT_NE(ImpersonateSecurityContext(&server.context), SEC_E_OK);
    mapper->SayUser(1001);
    ASSERT_EQ(server.Accept(), SEC_E_OK);
    ASSERT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
    EXPECT_EQ(ThreadUser(), UserSid(1001));
    ASSERT_EQ(RevertSecurityContext(&server.context), SEC_E_OK);
  }
  ScriptedServer server("alice");
  mapper->RunOutOfMemory(true);
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_INSUFFICIENT_MEMORY);
  mapper->RunOutOfMemory(false);
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
}

// A leg that finds the context of a client has not yet looked at the client's response.
TEST(ClientIdentityTest, AClientIsMappedOnceItsTokenIsComplete) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  ScriptedServer server("alice", SEC_I_COMPLETE_NEEDED);
  ASSERT_EQ(server.Accept(ASC_REQ_IDENTIFY), SEC_I_COMPLETE_NEEDED);
  EXPECT_EQ(server.attributes, ULONG{ASC_RET_STREAM});
  EXPECT_EQ(mapper->times(), 0U);
  void* token = nullptr;
  SecPkgContext_AccessToken lent{};
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_NO_IMPERSONATION);
  EXPECT_EQ(QuerySecurityContextToken(&server.context, &token), SEC_E_NO_IMPERSONATION);
  EXPECT_EQ(QueryContextAttributesA(&server.context, SECPKG_ATTR_ACCESS_TOKEN, &lent),
            SEC_E_NO_IMPERSONATION);
  mapper->Hold(true);
  std::jthread later([&] {
    mapper->WaitForHeld();
    mapper->LetGo();
  });
  ASSERT_EQ(server.Complete(), SEC_E_OK);
  EXPECT_EQ(mapper->times(), 1U);
  EXPECT_EQ(mapper->last().level, ImpersonationLevel::kIdentification);
  later.join();
  // The token that was let go is of a higher level than the leg asked for.
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  mapper->Hold(false);
  ASSERT_EQ(server.Complete(), SEC_E_OK) << "it asks again";
  ASSERT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
  EXPECT_EQ(ThreadUser(), UserSid(1001));
  ASSERT_EQ(server.Complete(), SEC_E_OK);
  EXPECT_EQ(mapper->times(), 2U);
}

// Goal: however long the package has waited, the mapping has its own time. Method: the package's
// wait has the longest limit, the mapping's a short one.
TEST(ClientIdentityTest, AMappingHasALimitOfItsOwn) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  mapper->Hold(true, 20);
  sspi::ScriptedWait wait;
  wait.on_suspend = [](executive::ResumeToken token) { token.Resume(); };
  wait.limit_ms = 30'000;
  ScriptedServer server("alice", SEC_E_OK, wait);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(25));
  EXPECT_TRUE(mapper->NewestHeld()->given_up);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_NO_AUTHENTICATING_AUTHORITY);
}

// Goal: a lent handle is not closed by somebody who comes late with the token before. Method: a
// handle that is lent after the one change of a round must be alive.
TEST(ClientIdentityTest, TheHandleOfThePresentTokenStaysOpen) {
  const security::Token::Ref before = MakeUserToken(1001);
  const security::Token::Ref after = MakeUserToken(1002);
  for (int round = 0; round < 500; ++round) {
    sspi::ClientIdentity client;
    client.Set({.mapper = 1, .generation = 1}, MappingOutcome::kToken, before);
    std::atomic<bool> changed{false};
    std::array<std::jthread, 3> threads;
    for (std::jthread& thread : threads) {
      thread = std::jthread([&] {
        for (bool last = false; !last;) {
          last = changed;
          void* handle = nullptr;
          ASSERT_EQ(client.LendHandle(&handle), SEC_E_OK);
          if (!last) continue;
          const auto found = authorization::FindToken(handle);
          ASSERT_TRUE(found);
          EXPECT_EQ(found->token(), after);
        }
      });
    }
    client.Set({.mapper = 1, .generation = 2}, MappingOutcome::kToken, after);
    changed = true;
  }
}

TEST(ClientIdentityTest, AMappingThatWaitsHoldsTheCallAndNoProcessor) {
  KtlsimOptions options{};
  options.cProcessors = 1;
  const RuntimeWith one_processor(options);
  const WithMapper mapper;
  mapper->SayUser(1001);
  mapper->Hold(true);
  ScriptedServer waiting("alice");
  AsyncCall call;
  ASSERT_EQ(waiting.Submit(call), SEC_E_OK);
  mapper->WaitForHeld();
  mapper->Hold(false);
  ScriptedServer other("bob");
  ASSERT_EQ(other.Accept(), SEC_E_OK) << "it needs the one processor";
  EXPECT_EQ(SspiGetAsyncCallStatus(call.get()), SEC_I_ASYNC_CALL_PENDING);
  mapper->LetGo();
  EXPECT_EQ(call.Finish(), SEC_E_OK);
  ASSERT_EQ(ImpersonateSecurityContext(&waiting.context), SEC_E_OK);
  EXPECT_EQ(ThreadUser(), UserSid(1001));
}

TEST(ClientIdentityTest, AfterTheLimitTheClientHasNoToken) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  mapper->Hold(true, 20);
  ScriptedServer server("alice");
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  const auto mapping = mapper->NewestHeld();
  EXPECT_TRUE(mapping->given_up);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_NO_AUTHENTICATING_AUTHORITY);
  mapper->LetGo();  // too late
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_NO_AUTHENTICATING_AUTHORITY);
}

TEST(ClientIdentityTest, AStopEndsTheWait) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  mapper->Hold(true);
  {
    ScriptedServer server("alice");
    AsyncCall call;
    ASSERT_EQ(server.Submit(call), SEC_E_OK);
    mapper->WaitForHeld();
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    EXPECT_EQ(call.Finish(), SEC_E_SHUTDOWN_IN_PROGRESS);
    EXPECT_FALSE(SecIsValidHandle(&server.context)) << "a first leg that failed";
  }
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
  mapper->LetGo();
}

// Without SeImpersonatePrivilege a process may only identify its clients.
TEST(ClientIdentityTest, WithoutThePrivilegeItIsIdentificationOnly) {
  const WithMapper mapper;
  mapper->SayUser(1001);
  ScriptedServer server("alice");
  ASSERT_EQ(server.Accept(), SEC_E_OK);
  const security::Token::Ref& process = authorization::ProcessToken();
  const auto enable = [&](std::uint32_t attributes) {
    const security::PrivilegeChange change = {security::Privilege::kImpersonate, attributes};
    EXPECT_EQ(process->AdjustPrivileges({&change, 1}, authorization::NextLuid(),
                                        [](auto) { return true; }),
              security::Fault::kNone);
  };
  enable(0);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
  EXPECT_EQ(ThreadUser(), UserSid(1001));
  EXPECT_EQ(ThreadToken()->state()->level(), ImpersonationLevel::kIdentification);
  enable(security::kPrivilegeEnabled);
  EXPECT_EQ(ImpersonateSecurityContext(&server.context), SEC_E_OK);
  EXPECT_EQ(ThreadToken()->state()->level(), ImpersonationLevel::kImpersonation);
}

// Goal: a token never belongs to another client. Method: many contexts of different users, mapped
// late and in another order, accepted from several threads.
TEST(ClientIdentityTest, ManyClientsAreNeverMistaken) {
  constexpr int kThreads = 4;
  constexpr std::uint32_t kEach = 25;
  const WithMapper mapper;
  for (std::uint32_t i = 0; i < kThreads * kEach; ++i) {
    mapper->SayUser("user" + std::to_string(i), 2000 + i);
  }
  std::vector<std::jthread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      std::vector<std::unique_ptr<ScriptedServer>> servers;
      for (std::uint32_t i = 0; i < kEach; ++i) {
        const std::uint32_t user = t * kEach + i;
        servers.push_back(std::make_unique<ScriptedServer>("user" + std::to_string(user)));
        EXPECT_EQ(servers.back()->Accept(), SEC_E_OK);
        // Each call is made as the client before it.
        EXPECT_EQ(ImpersonateSecurityContext(&servers.back()->context), SEC_E_OK);
        EXPECT_EQ(ThreadUser(), UserSid(2000 + user));
      }
      for (std::uint32_t i = 0; i < kEach; ++i) {
        EXPECT_EQ(ImpersonateSecurityContext(&servers[i]->context), SEC_E_OK);
        EXPECT_EQ(ThreadUser(), UserSid(2000 + t * kEach + i));
      }
    });
  }
}

// ---- With TLS

security::KeyId KeyIdOf(const IssuedCertificate& certificate) {
  const std::string pem = certificate.Pem();
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  const std::unique_ptr<X509, decltype(&X509_free)> read(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free);
  unsigned char* der = nullptr;
  const int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(read.get()), &der);
  security::KeyId id{};
  EXPECT_EQ(
      EVP_Digest(der, static_cast<std::size_t>(bytes), id.data(), nullptr, EVP_sha256(), nullptr),
      1);
  OPENSSL_free(der);
  return id;
}

struct LoadedCertificate {
  LoadedCertificate(const std::string& chain_pem, const std::string& key_pem) {
    EXPECT_EQ(KtlsimLoadCertificatePem(chain_pem.c_str(), key_pem.c_str(), &context), SEC_E_OK);
  }
  LoadedCertificate(const LoadedCertificate&) = delete;
  LoadedCertificate& operator=(const LoadedCertificate&) = delete;
  ~LoadedCertificate() { CertFreeCertificateContext(context); }
  std::vector<std::uint8_t> leaf() const {
    return {context->pbCertEncoded, context->pbCertEncoded + context->cbCertEncoded};
  }

  PCCERT_CONTEXT context = nullptr;
};

class TlsIdentityTest : public testing::TestWithParam<ULONG> {
 protected:
  TlsIdentityTest()
      : middle_(root_.Authority("middle")),
        leaf_(middle_.Leaf("alice.test")),
        alice_(leaf_.Pem() + middle_.Pem(), leaf_.KeyPem()),
        trust_(folder_.Write("trust.pem", root_.Pem())) {
    mapper_->SayUser(1001);
  }

  TestCredential Server(ULONG flags = 0, ULONG policy = KTLSIM_CLIENT_AUTH_REQUEST) {
    TestCredential server = TestCredential::Server(GetParam(), KTLSIM_KEY_ECDSA_P256, flags);
    KtlsimCred_ClientAuth client_auth{policy, trust_.c_str()};
    EXPECT_EQ(SetCredentialsAttributesA(server.get(), KTLSIM_ATTR_CLIENT_AUTH, &client_auth,
                                        sizeof(client_auth)),
              SEC_E_OK)
        << KtlsimLastErrorText();
    return server;
  }
  TestCredential Client(PCCERT_CONTEXT certificate) const {
    return TestCredential::ClientWith(certificate, GetParam());
  }
  // False: no handshake. The client has its ticket afterwards.
  static bool Connect(TestEnd& client_end, TestCredential& client, TestEnd& server_end,
                      TestCredential& server) {
    if (!RunHandshake(client_end, client.get(), server_end, server.get())) return false;
    const ULONG attributes = server_end.attributes;
    Append(client_end.inbox, server_end.Seal(ToBytes("x")));
    EXPECT_EQ(ToText(client_end.Open(client.get())), "x");
    server_end.attributes = attributes;
    return true;
  }
  void ExpectAlice(TestEnd& server_end, bool resumed) {
    EXPECT_EQ(server_end.Resumed() != 0, resumed);
    EXPECT_NE(server_end.attributes & ASC_RET_MUTUAL_AUTH, 0U);
    const MappedFacts asked = mapper_->last();
    EXPECT_EQ(asked.leaf, alice_.leaf());
    EXPECT_EQ(asked.issuers, (std::vector<security::KeyId>{KeyIdOf(middle_), KeyIdOf(root_)}));
    ASSERT_EQ(ImpersonateSecurityContext(&server_end.context), SEC_E_OK);
    EXPECT_EQ(ThreadUser(), UserSid(1001));
    EXPECT_EQ(RevertSecurityContext(&server_end.context), SEC_E_OK);
  }

  const WithMapper mapper_;
  const TemporaryFolder folder_;
  const IssuedCertificate root_ = IssuedCertificate::Root("root");
  const IssuedCertificate middle_;
  const IssuedCertificate leaf_;
  const LoadedCertificate alice_;
  const std::string trust_;
};

// The parameter is the version that is disabled.
INSTANTIATE_TEST_SUITE_P(Versions, TlsIdentityTest,
                         testing::Values(ULONG{SP_PROT_TLS1_3}, ULONG{SP_PROT_TLS1_2}),
                         [](const auto& test) {
                           return test.param == SP_PROT_TLS1_3 ? "Tls12" : "Tls13";
                         });

TEST_P(TlsIdentityTest, ACertificateIsMappedWithTheKeysOfItsIssuers) {
  TestCredential server = Server();
  TestCredential client = Client(alice_.context);
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(Connect(client_end, client, server_end, server));
  ExpectAlice(server_end, false);
  EXPECT_EQ(mapper_->times(), 1U);
}

TEST_P(TlsIdentityTest, AResumedSessionIsMappedAgain) {
  for (const ULONG tickets : {1U, 0U}) {
    if (tickets == 0 && GetParam() == SP_PROT_TLS1_2) continue;
    TestCredential server = Server();
    server.SetTickets(tickets);
    TestCredential client = Client(alice_.context);
    for (const bool resumed : {false, true, true}) {
      TestEnd client_end(false);
      TestEnd server_end(true);
      ASSERT_TRUE(Connect(client_end, client, server_end, server));
      ExpectAlice(server_end, resumed);
    }
    // The accounts have changed: the session gives what they give now.
    mapper_->Say(MappingOutcome::kDisabled);
    TestEnd client_end(false);
    TestEnd server_end(true);
    ASSERT_TRUE(Connect(client_end, client, server_end, server));
    EXPECT_EQ(server_end.attributes & ASC_RET_MUTUAL_AUTH, 0U);
    EXPECT_EQ(ImpersonateSecurityContext(&server_end.context), SEC_E_LOGON_DENIED);
    mapper_->SayUser(1001);
  }
}

class FixedClock final : public Clock {
 public:
  std::uint64_t NowNs() const override { return kNsPerSecond; }
};

TEST_P(TlsIdentityTest, AnotherMachineWithTheSameStoreMapsTheSameClient) {
  FixedClock clock;
  const auto store = std::make_shared<ScriptedStore>(clock);
  auto& package = sspi::TlsPackage::Instance();
  ASSERT_TRUE(package.UseStore(store));
  for (const ULONG tickets : {1U, 0U}) {
    if (tickets == 0 && GetParam() == SP_PROT_TLS1_2) continue;
    // Nothing in this process has anything in common with the other server.
    TestCredential first = Server();
    TestCredential second = Server();
    first.SetTickets(tickets);
    second.SetTickets(tickets);
    TestCredential client = Client(alice_.context);
    bool resumed = false;
    for (TestCredential* const server : {&first, &second, &first}) {
      TestEnd client_end(false);
      TestEnd server_end(true);
      ASSERT_TRUE(Connect(client_end, client, server_end, *server));
      ExpectAlice(server_end, std::exchange(resumed, true));
    }
  }
  EXPECT_TRUE(package.UseStore(nullptr));
}

TEST_P(TlsIdentityTest, WithNoSystemMapperNobodyIsMapped) {
  TestCredential server = Server(SCH_CRED_NO_SYSTEM_MAPPER);
  TestCredential client = Client(alice_.context);
  for (const bool resumed : {false, true}) {
    TestEnd client_end(false);
    TestEnd server_end(true);
    ASSERT_TRUE(Connect(client_end, client, server_end, server));
    EXPECT_EQ(server_end.Resumed() != 0, resumed);
    EXPECT_EQ(server_end.attributes & ASC_RET_MUTUAL_AUTH, 0U);
    EXPECT_EQ(ImpersonateSecurityContext(&server_end.context), SEC_E_NO_IMPERSONATION);
  }
  EXPECT_EQ(mapper_->times(), 0U);
}

TEST_P(TlsIdentityTest, ACertificateThatDoesNotPassIsNobodys) {
  const IssuedCertificate other_root = IssuedCertificate::Root("root");  // the same name
  const IssuedCertificate stranger = other_root.Leaf("alice.test");
  const LoadedCertificate loaded(stranger.Pem(), stranger.KeyPem());
  TestCredential client = Client(loaded.context);
  {
    TestCredential server = Server();
    TestEnd client_end(false);
    TestEnd server_end(true);
    EXPECT_FALSE(RunHandshake(client_end, client.get(), server_end, server.get()));
    EXPECT_LT(server_end.status, 0);
  }
  // A server that only takes note of the verdict.
  TestCredential server = Server(SCH_CRED_MANUAL_CRED_VALIDATION);
  for (const bool resumed : {false, true}) {
    TestEnd client_end(false);
    TestEnd server_end(true);
    ASSERT_TRUE(Connect(client_end, client, server_end, server));
    EXPECT_EQ(server_end.Resumed() != 0, resumed);
    EXPECT_EQ(ImpersonateSecurityContext(&server_end.context), SEC_E_NO_IMPERSONATION);
  }
  EXPECT_EQ(mapper_->times(), 0U);
}

TEST_P(TlsIdentityTest, AMappingMayTakeItsTime) {
  TestCredential server = Server();
  TestCredential client = Client(alice_.context);
  mapper_->Hold(true);
  std::jthread later([&](const std::stop_token& stop) {
    while (!mapper_->WaitForHeld(1, std::chrono::milliseconds(100)) && !stop.stop_requested()) {
    }
    mapper_->LetGo();
  });
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(Connect(client_end, client, server_end, server));
  ExpectAlice(server_end, false);
}

}  // namespace
}  // namespace ktlsim::test
