// Opening, copying and using tokens through the C API; each wrong argument has its error.
#include <thread>

#include "tests/authorization/authorization_test_support.h"

namespace ktlsim::authorization {
namespace {

using security::ImpersonationLevel;
using security::TokenType;

using TokenFunctionsTest = AuthorizationTest;

TEST_F(TokenFunctionsTest, TheProcessOpensItsToken) {
  TestHandle handle;
  ASSERT_EQ(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, handle.out()), TRUE);
  EXPECT_EQ(handle.access(), DWORD{TOKEN_QUERY});
  EXPECT_EQ(handle.token(), ProcessToken());
  TestHandle all;
  ASSERT_EQ(OpenProcessToken(GetCurrentProcess(), MAXIMUM_ALLOWED, all.out()), TRUE);
  EXPECT_EQ(all.access(), DWORD{TOKEN_ALL_ACCESS});
  TestHandle generic;
  ASSERT_EQ(OpenProcessToken(GetCurrentProcess(), GENERIC_READ, generic.out()), TRUE);
  EXPECT_EQ(generic.access(), DWORD{TOKEN_READ});
  HANDLE none = nullptr;
  ExpectError(OpenProcessToken(GetCurrentThread(), TOKEN_QUERY, &none), ERROR_INVALID_HANDLE);
  ExpectError(OpenProcessToken(nullptr, TOKEN_QUERY, &none), ERROR_INVALID_HANDLE);
  ExpectError(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, nullptr), ERROR_NOACCESS);
  ExpectError(OpenProcessToken(GetCurrentProcess(), ACCESS_SYSTEM_SECURITY, &none),
              ERROR_ACCESS_DENIED);
  EXPECT_EQ(none, nullptr);
}

TEST_F(TokenFunctionsTest, AClientDoesNotOpenTheTokenOfTheProcess) {
  ASSERT_EQ(Impersonate(MakeClient()), security::Fault::kNone);
  HANDLE none = nullptr;
  ExpectError(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &none), ERROR_ACCESS_DENIED);
  ExpectError(OpenProcessToken(GetCurrentProcess(), MAXIMUM_ALLOWED, &none), ERROR_ACCESS_DENIED);
}

// Even where that one could do it: it is the client who would be acting.
TEST_F(TokenFunctionsTest, NobodyIsActedForBelowImpersonation) {
  for (const auto level :
       {security::ImpersonationLevel::kAnonymous, security::ImpersonationLevel::kIdentification}) {
    security::Token::Ref own;
    ASSERT_EQ(ProcessToken()->Duplicate(TokenType::kImpersonation, level, NextLuid(), &own),
              security::Fault::kNone);
    ASSERT_EQ(Impersonate(own), security::Fault::kNone);
    HANDLE none = nullptr;
    ExpectError(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &none),
                ERROR_BAD_IMPERSONATION_LEVEL);
    ExpectError(OpenProcessToken(GetCurrentProcess(), 0, &none), ERROR_BAD_IMPERSONATION_LEVEL);
    EXPECT_EQ(none, nullptr);
    Revert();
  }
}

TEST_F(TokenFunctionsTest, AThreadOpensItsToken) {
  HANDLE none = nullptr;
  ExpectError(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, FALSE, &none), ERROR_NO_TOKEN);
  ExpectError(OpenThreadToken(GetCurrentProcess(), TOKEN_QUERY, FALSE, &none),
              ERROR_INVALID_HANDLE);
  ExpectError(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, FALSE, nullptr), ERROR_NOACCESS);
  const security::Token::Ref client = MakeClient();
  ASSERT_EQ(Impersonate(client), security::Fault::kNone);
  for (const BOOL as_self : {FALSE, TRUE}) {
    TestHandle handle;
    ASSERT_EQ(OpenThreadToken(GetCurrentThread(), TOKEN_ALL_ACCESS, as_self, handle.out()), TRUE);
    EXPECT_EQ(handle.token(), client);
  }
  ASSERT_EQ(Impersonate(MakeClient({.level = ImpersonationLevel::kIdentification})),
            security::Fault::kNone);
  ExpectError(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, FALSE, &none),
              ERROR_BAD_IMPERSONATION_LEVEL);
  TestHandle identified;
  EXPECT_EQ(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, identified.out()), TRUE);
  ASSERT_EQ(Impersonate(MakeClient({.level = ImpersonationLevel::kAnonymous})),
            security::Fault::kNone);
  for (const BOOL as_self : {FALSE, TRUE}) {
    ExpectError(OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, as_self, &none),
                ERROR_CANT_OPEN_ANONYMOUS);
  }
}

TEST_F(TokenFunctionsTest, Copies) {
  const TestHandle full(MakeClient());
  TestHandle primary;
  ASSERT_EQ(
      DuplicateTokenEx(full.get(), 0, nullptr, SecurityImpersonation, TokenPrimary, primary.out()),
      TRUE);
  EXPECT_EQ(primary.token()->state()->type(), TokenType::kPrimary);
  EXPECT_EQ(primary.access(), DWORD{TOKEN_ALL_ACCESS}) << "0: that of the handle";
  EXPECT_NE(primary.token(), full.token());
  EXPECT_NE(primary.token()->state()->token_id(), full.token()->state()->token_id());
  TestHandle copy;
  ASSERT_EQ(DuplicateToken(full.get(), SecurityIdentification, copy.out()), TRUE);
  EXPECT_EQ(copy.access(), DWORD{TOKEN_QUERY | TOKEN_IMPERSONATE});
  EXPECT_EQ(copy.token()->state()->level(), ImpersonationLevel::kIdentification);
  HANDLE none = nullptr;
  ExpectError(DuplicateToken(copy.get(), SecurityIdentification, &none), ERROR_ACCESS_DENIED);
  const TestHandle low(copy.token());
  ExpectError(DuplicateToken(low.get(), SecurityImpersonation, &none),
              ERROR_BAD_IMPERSONATION_LEVEL);
  ExpectError(DuplicateTokenEx(low.get(), 0, nullptr, SecurityImpersonation, TokenPrimary, &none),
              ERROR_BAD_IMPERSONATION_LEVEL);
  ExpectError(DuplicateTokenEx(full.get(), 0, nullptr, SecurityImpersonation,
                               static_cast<TOKEN_TYPE>(3), &none),
              ERROR_INVALID_PARAMETER);
  ExpectError(DuplicateTokenEx(full.get(), ACCESS_SYSTEM_SECURITY, nullptr, SecurityImpersonation,
                               TokenPrimary, &none),
              ERROR_ACCESS_DENIED);
  ExpectError(DuplicateToken(full.get(), SecurityIdentification, nullptr), ERROR_NOACCESS);
  ExpectError(DuplicateToken(nullptr, SecurityIdentification, &none), ERROR_INVALID_HANDLE);
  ExpectError(
      DuplicateToken(reinterpret_cast<HANDLE>(kCurrentProcessToken), SecurityIdentification, &none),
      ERROR_ACCESS_DENIED);
  EXPECT_EQ(none, nullptr);
}

TEST_F(TokenFunctionsTest, AThreadActsAsWhoIsLoggedOn) {
  const TestHandle impersonation(MakeClient());
  ASSERT_EQ(ImpersonateLoggedOnUser(impersonation.get()), TRUE);
  EXPECT_EQ(ThreadToken(), impersonation.token());
  const TestHandle primary(MakeClient({.number = 1002, .type = TokenType::kPrimary}));
  ASSERT_EQ(ImpersonateLoggedOnUser(primary.get()), TRUE);
  EXPECT_NE(ThreadToken(), primary.token()) << "a copy of a primary one";
  EXPECT_EQ(ThreadToken()->state()->type(), TokenType::kImpersonation);
  EXPECT_EQ(security::Sid(ThreadToken()->state()->user()), ClientSid(1002));
  std::jthread([] { EXPECT_EQ(ThreadToken(), nullptr); }).join();
  const security::Token::Ref before = ThreadToken();
  const TestHandle queries(MakeClient(), TOKEN_QUERY);
  ExpectError(ImpersonateLoggedOnUser(queries.get()), ERROR_ACCESS_DENIED);
  const TestHandle no_query(MakeClient(), TOKEN_IMPERSONATE);
  ExpectError(ImpersonateLoggedOnUser(no_query.get()), ERROR_ACCESS_DENIED);
  const TestHandle not_copied(primary.token(), TOKEN_QUERY | TOKEN_IMPERSONATE);
  ExpectError(ImpersonateLoggedOnUser(not_copied.get()), ERROR_ACCESS_DENIED);
  ExpectError(ImpersonateLoggedOnUser(nullptr), ERROR_INVALID_HANDLE);
  EXPECT_EQ(ThreadToken(), before) << "a failure leaves the thread as it was";
  EXPECT_EQ(RevertToSelf(), TRUE);
  EXPECT_EQ(ThreadToken(), nullptr);
  EXPECT_EQ(RevertToSelf(), TRUE);
}

TEST_F(TokenFunctionsTest, AThreadKeepsItsTokenWhenTheHandleIsClosed) {
  {
    const TestHandle handle(MakeClient());
    ASSERT_EQ(ImpersonateLoggedOnUser(handle.get()), TRUE);
  }
  EXPECT_EQ(security::Sid(ThreadToken()->state()->user()), ClientSid(1001));
}

TEST_F(TokenFunctionsTest, ActingAsOneself) {
  ASSERT_EQ(ImpersonateSelf(SecurityIdentification), TRUE);
  EXPECT_EQ(ThreadToken()->state()->level(), ImpersonationLevel::kIdentification);
  EXPECT_EQ(ThreadToken()->state()->user(), ProcessToken()->state()->user());
  ASSERT_EQ(ImpersonateSelf(SecurityImpersonation), TRUE);
  EXPECT_EQ(ThreadToken()->state()->level(), ImpersonationLevel::kImpersonation);
}

TEST_F(TokenFunctionsTest, SettingTheTokenOfAThread) {
  const TestHandle handle(MakeClient(), TOKEN_IMPERSONATE);
  HANDLE here = GetCurrentThread();
  for (const PHANDLE thread : {PHANDLE{nullptr}, &here}) {
    ASSERT_EQ(SetThreadToken(thread, handle.get()), TRUE);
    EXPECT_EQ(ThreadToken(), handle.token());
    ASSERT_EQ(SetThreadToken(thread, nullptr), TRUE);
    EXPECT_EQ(ThreadToken(), nullptr);
  }
  HANDLE process = GetCurrentProcess();
  ExpectError(SetThreadToken(&process, handle.get()), ERROR_INVALID_HANDLE);
  const TestHandle primary(MakeClient({.type = TokenType::kPrimary}));
  ExpectError(SetThreadToken(nullptr, primary.get()), ERROR_BAD_TOKEN_TYPE);
  const TestHandle queries(MakeClient(), TOKEN_QUERY);
  ExpectError(SetThreadToken(nullptr, queries.get()), ERROR_ACCESS_DENIED);
  ExpectError(SetThreadToken(nullptr, static_cast<void*>(&here)), ERROR_INVALID_HANDLE);
  EXPECT_EQ(ThreadToken(), nullptr);
}

TEST_F(TokenFunctionsTest, RestrictedTokens) {
  const security::Token::Ref token = MakeClient();
  const security::SidView restricting[] = {security::kWorldSid};
  security::Token::Ref restricted;
  ASSERT_EQ(token->Restrict({.restricting = restricting}, NextLuid(), &restricted),
            security::Fault::kNone);
  const TestHandle handle(restricted);
  EXPECT_EQ(IsTokenRestricted(handle.get()), TRUE);
  const TestHandle free(token);
  KtlsimSetLastError(17);
  ExpectError(IsTokenRestricted(free.get()), ERROR_SUCCESS);
  const TestHandle blind(token, TOKEN_DUPLICATE);
  ExpectError(IsTokenRestricted(blind.get()), ERROR_ACCESS_DENIED);
}

}  // namespace
}  // namespace ktlsim::authorization
