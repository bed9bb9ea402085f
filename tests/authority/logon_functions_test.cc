// KtlsimLoadAccounts and LogonUser: who is logged on as whom, and why not.
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/level.h"
#include "tests/authority/authority_test_support.h"
#include "tests/sspi_digest/digest_scene.h"

namespace ktlsim::test {
namespace {

using testing::HasSubstr;

const char* const kAliceSid = "sid = 'S-1-5-21-1-2-3-1001'\n";

class LogonFunctionsTest : public AuthorityTest {};

TEST_F(LogonFunctionsTest, AMistakeInTheFileSaysWhereAndKeepsWhatCounted) {
  ASSERT_EQ(Load(AccountText("alice", kAliceSid)), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(Load(AccountText("bob") + "colour = 'red'\n"), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_THAT(KtlsimLastErrorText(), HasSubstr("accounts.toml:4: key `colour`"));
  EXPECT_EQ(Load("[[account]\n"), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_THAT(KtlsimLastErrorText(), HasSubstr("accounts.toml:1"));
  EXPECT_EQ(KtlsimLoadAccounts("/nowhere/accounts.toml"), SEC_E_UNKNOWN_CREDENTIALS);
  EXPECT_THAT(KtlsimLastErrorText(), HasSubstr("/nowhere/accounts.toml"));
  EXPECT_EQ(LogOn("alice"), DWORD{ERROR_SUCCESS});
  EXPECT_EQ(LogOn("bob"), DWORD{ERROR_LOGON_FAILURE});
  {
    const ScopedLevel dispatch(Level::kDispatch);
    EXPECT_EQ(KtlsimLoadAccounts(nullptr), SEC_E_UNSUPPORTED_FUNCTION);
    EXPECT_EQ(LogOn("alice"), DWORD{ERROR_NOT_SUPPORTED});
  }
  EXPECT_EQ(LogOn("alice"), DWORD{ERROR_SUCCESS});
}

TEST_F(LogonFunctionsTest, EachTypeHasItsToken) {
  ASSERT_EQ(Load(AccountText("alice", kAliceSid)), SEC_E_OK) << KtlsimLastErrorText();
  const struct {
    DWORD type;
    bool impersonates;
    security::Sid sid;
  } cases[] = {{LOGON32_LOGON_INTERACTIVE, false, security::Sid(5, {4})},
               {LOGON32_LOGON_NETWORK, true, security::Sid(5, {2})},
               {LOGON32_LOGON_BATCH, false, security::Sid(5, {3})},
               {LOGON32_LOGON_SERVICE, false, security::Sid(5, {6})},
               {LOGON32_LOGON_NETWORK_CLEARTEXT, false, security::Sid(5, {2})}};
  for (const auto& one : cases) {
    HANDLE token = nullptr;
    ASSERT_EQ(LogOn("alice", kPassword, one.type, &token), DWORD{ERROR_SUCCESS}) << one.type;
    const security::TokenStateRef state = StateOf(token);
    EXPECT_EQ(state->type() == security::TokenType::kImpersonation, one.impersonates);
    EXPECT_EQ(UserText(*state), "S-1-5-21-1-2-3-1001");
    EXPECT_TRUE(state->IsMember(one.sid)) << one.type;
    EXPECT_EQ(authorization::FindToken(token)->access(), authorization::kTokenAllAccess);
    EXPECT_EQ(ImpersonateLoggedOnUser(token), TRUE);
    EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
    EXPECT_EQ(UserText(*authorization::ThreadToken()->state()), "S-1-5-21-1-2-3-1001");
    EXPECT_EQ(RevertToSelf(), TRUE);
  }
}

TEST_F(LogonFunctionsTest, BothWidthsAndAllNamesOfAnAccount) {
  ASSERT_EQ(Load("domain = 'EXAMPLE'\n" + AccountText("Jürgen", "upn = 'j@example.org'\n")),
            SEC_E_OK)
      << KtlsimLastErrorText();
  HANDLE token = nullptr;
  const auto narrow = [&](const char* user, const char* domain, const char* password) {
    const BOOL good =
        LogonUserA(user, domain, password, LOGON32_LOGON_NETWORK, LOGON32_PROVIDER_WINNT50, &token);
    if (good == TRUE) return CloseHandle(token) == TRUE ? DWORD{0} : GetLastError();
    return GetLastError();
  };
  const auto wide = [&](const WCHAR* user, const WCHAR* domain, const WCHAR* password) {
    const BOOL good =
        LogonUserW(user, domain, password, LOGON32_LOGON_NETWORK, LOGON32_PROVIDER_WINNT50, &token);
    if (good == TRUE) return CloseHandle(token) == TRUE ? DWORD{0} : GetLastError();
    return GetLastError();
  };
  EXPECT_EQ(narrow("Jürgen", "EXAMPLE", kPassword), DWORD{0});
  EXPECT_EQ(narrow("Jürgen", ".", kPassword), DWORD{0});
  EXPECT_EQ(narrow("Jürgen", nullptr, kPassword), DWORD{0});
  EXPECT_EQ(narrow("j@example.org", nullptr, kPassword), DWORD{0});
  EXPECT_EQ(wide(u"Jürgen", u"EXAMPLE", u"Circle of Life"), DWORD{0});
  EXPECT_EQ(wide(u"j@example.org", nullptr, u"Circle of Life"), DWORD{0});
  EXPECT_EQ(wide(u"Jürgen", u"ELSEWHERE", u"Circle of Life"), DWORD{ERROR_LOGON_FAILURE});
  // A password that is no text is not one with another character in that place.
  EXPECT_EQ(wide(u"Jürgen", nullptr, u"\xD83D"), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(wide(u"Jürgen", nullptr, u"\xDE00 x"), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(narrow("J\xFCrgen", nullptr, kPassword), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(wide(u"\U0001F600", nullptr, u"x"), DWORD{ERROR_LOGON_FAILURE});
}

TEST_F(LogonFunctionsTest, OnlyTheRightPasswordIsToldWhatElseIsWrong) {
  ASSERT_EQ(
      Load(AccountText("disabled", "disabled = true\n") + AccountText("locked", "locked = true\n") +
           AccountText("expired", "expires = 2001-01-01T00:00:00Z\n") +
           AccountText("batch", "logon-types = ['batch']\n") +
           AccountText("must-change", "password-must-change = true\n") +
           AccountText("old", "password-expires = 2001-01-01T00:00:00Z\n")),
      SEC_E_OK)
      << KtlsimLastErrorText();
  const std::pair<const char*, DWORD> cases[] = {{"disabled", ERROR_ACCOUNT_DISABLED},
                                                 {"locked", ERROR_ACCOUNT_LOCKED_OUT},
                                                 {"expired", ERROR_ACCOUNT_EXPIRED},
                                                 {"batch", ERROR_LOGON_TYPE_NOT_GRANTED},
                                                 {"must-change", ERROR_PASSWORD_MUST_CHANGE},
                                                 {"old", ERROR_PASSWORD_EXPIRED},
                                                 {"nobody", ERROR_LOGON_FAILURE}};
  for (const auto& [user, error] : cases) {
    EXPECT_EQ(LogOn(user), error) << user;
    EXPECT_EQ(LogOn(user, "wrong"), DWORD{ERROR_LOGON_FAILURE}) << user;
  }
}

TEST_F(LogonFunctionsTest, ParametersAreChecked) {
  ASSERT_EQ(Load(AccountText("alice")), SEC_E_OK) << KtlsimLastErrorText();
  const auto call = [](const char* user, const char* password, DWORD type, DWORD provider) {
    HANDLE token = nullptr;
    EXPECT_EQ(LogonUserA(user, nullptr, password, type, provider, &token), FALSE);
    EXPECT_EQ(token, nullptr);
    return KtlsimGetLastError();
  };
  for (const DWORD type : {0U, 1U, 6U, DWORD{LOGON32_LOGON_UNLOCK}, 10U, 0x102U}) {
    EXPECT_EQ(call("alice", kPassword, type, 0), DWORD{ERROR_INVALID_LOGON_TYPE}) << type;
  }
  for (const DWORD provider : {DWORD{LOGON32_PROVIDER_VIRTUAL}, 5U}) {
    EXPECT_EQ(call("alice", kPassword, LOGON32_LOGON_NETWORK, provider),
              DWORD{ERROR_INVALID_PARAMETER});
  }
  EXPECT_EQ(call("alice", kPassword, LOGON32_LOGON_NEW_CREDENTIALS, LOGON32_PROVIDER_WINNT40),
            DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(call(nullptr, kPassword, LOGON32_LOGON_NETWORK, 0), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(call("alice", std::string(1025, 'x').c_str(), LOGON32_LOGON_NETWORK, 0),
            DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(call("alice", nullptr, LOGON32_LOGON_NETWORK, 0), DWORD{ERROR_LOGON_FAILURE});
  EXPECT_EQ(LogonUserA("alice", nullptr, kPassword, LOGON32_LOGON_NETWORK, 0, nullptr), FALSE);
  EXPECT_EQ(KtlsimGetLastError(), DWORD{ERROR_NOACCESS});
}

TEST_F(LogonFunctionsTest, AnotherFileCountsAndTokensStay) {
  EXPECT_EQ(LogOn("alice"), DWORD{ERROR_NO_LOGON_SERVERS});
  ASSERT_EQ(Load(AccountText("alice", kAliceSid)), SEC_E_OK);
  HANDLE token = nullptr;
  ASSERT_EQ(LogOn("alice", kPassword, LOGON32_LOGON_NETWORK, &token), DWORD{ERROR_SUCCESS});
  ASSERT_EQ(Load(AccountText("bob")), SEC_E_OK);
  EXPECT_EQ(LogOn("alice"), DWORD{ERROR_LOGON_FAILURE});
  EXPECT_EQ(LogOn("bob"), DWORD{ERROR_SUCCESS});
  ASSERT_EQ(KtlsimLoadAccounts(nullptr), SEC_E_OK);
  EXPECT_EQ(LogOn("bob"), DWORD{ERROR_NO_LOGON_SERVERS});
  EXPECT_EQ(UserText(*StateOf(token)), "S-1-5-21-1-2-3-1001");
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
  ASSERT_EQ(Load(AccountText("alice")), SEC_E_OK);
  EXPECT_EQ(LogOn("alice"), DWORD{ERROR_SUCCESS});
}

// Goal: a stop, and taking the accounts away, end logons in progress. Method: threads log on with a
// wrong password, later and later, until they are told that nobody is there to verify it.
TEST_F(LogonFunctionsTest, AStopEndsLogonsUntilTheNextStart) {
  EXPECT_EQ(KtlsimStop(), SEC_E_OK) << "an earlier test may have started it";
  ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK) << KtlsimLastErrorText();
  for (const bool stops : {true, false}) {
    ASSERT_EQ(Load(AccountText("alice")), SEC_E_OK);
    std::atomic<int> failures{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&failures, name = (stops ? "a" : "b") + std::to_string(i)] {
        DWORD error = ERROR_LOGON_FAILURE;
        while (error == ERROR_LOGON_FAILURE) {
          error = LogOn(name.c_str(), "wrong");
          ++failures;
        }
        EXPECT_EQ(error, DWORD{ERROR_NO_LOGON_SERVERS});
      });
    }
    while (failures < 6) std::this_thread::yield();
    EXPECT_EQ(stops ? KtlsimStop() : KtlsimLoadAccounts(nullptr), SEC_E_OK);
    threads.clear();
    EXPECT_EQ(LogOn("alice"), DWORD{ERROR_NO_LOGON_SERVERS});
    if (!stops) continue;
    ASSERT_EQ(KtlsimStart(nullptr), SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_EQ(LogOn("alice"), DWORD{ERROR_SUCCESS}) << "the accounts have stayed";
  }
  EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  EXPECT_EQ(KtlsimStart(nullptr), SEC_E_OK);
}

TEST_F(LogonFunctionsTest, AChildHasTheAccountsAndNoPasswordOfASession) {
  KTLSIM_SKIP_CHILD_WITH_THREADS();
  ASSERT_EQ(Load(AccountText("alice", kAliceSid)), SEC_E_OK);
  HANDLE token = nullptr;
  ASSERT_EQ(LogOn("alice", kPassword, LOGON32_LOGON_INTERACTIVE, &token), DWORD{ERROR_SUCCESS});
  const auto keeps = [&] {
    const security::TokenStateRef state = authorization::FindToken(token)->token()->state();
    return state->identity().logon_session->network_credentials().has_value();
  };
  EXPECT_TRUE(keeps());
  const std::string other = folder_.Write("other.toml", AccountText("bob"));
  const int outcome = InChild([&] {
    if (keeps()) return 1;
    if (LogOn("alice", "wrong") != ERROR_LOGON_FAILURE) return 2;
    HANDLE own = nullptr;
    if (LogOn("alice", kPassword, LOGON32_LOGON_INTERACTIVE, &own) != ERROR_SUCCESS) return 3;
    if (UserText(*StateOf(own)) != "S-1-5-21-1-2-3-1001") return 4;
    if (CloseHandle(own) != TRUE || CloseHandle(token) != TRUE) return 5;
    if (KtlsimLoadAccounts(other.c_str()) != SEC_E_OK) return 6;
    if (LogOn("bob") != ERROR_SUCCESS || LogOn("alice") != ERROR_LOGON_FAILURE) return 7;
    // Once more, with helper threads that the child has made.
    return InChild([] { return LogOn("bob") == ERROR_SUCCESS ? 0 : 8; });
  });
  EXPECT_EQ(outcome, 0);
  EXPECT_TRUE(keeps());
  EXPECT_EQ(LogOn("alice"), DWORD{ERROR_SUCCESS}) << "what the child loads is the child's";
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

// ---- Going on to another server

// The outcome of authenticating to a server of Digest without credentials that are given.
SECURITY_STATUS GoOn() {
  DigestServer server;
  const Accepted challenge = server.Challenge();
  DigestClient client((DigestClient::Default()));
  std::string header;
  SECURITY_STATUS status = client.Respond(challenge.token, &header);
  CtxtHandle context = challenge.context;
  if (status == SEC_E_OK) status = server.Accept(header, {}, &context).status;
  DigestServer::Delete(challenge.context);
  return status;
}

TEST_F(LogonFunctionsTest, AServerGoesOnAsWhomItHasLoggedOn) {
  ASSERT_EQ(Load(AccountText("Mufasa")), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(GoOn(), SEC_E_NO_CREDENTIALS) << "the process itself has none";
  for (const DWORD type : {DWORD{LOGON32_LOGON_INTERACTIVE}, DWORD{LOGON32_LOGON_NETWORK_CLEARTEXT},
                           DWORD{LOGON32_LOGON_NETWORK}}) {
    HANDLE token = nullptr;
    ASSERT_EQ(LogOn("Mufasa", kPassword, type, &token), DWORD{ERROR_SUCCESS});
    ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
    // The thread keeps the session.
    EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
    EXPECT_EQ(GoOn(), type == LOGON32_LOGON_NETWORK ? SEC_E_NO_CREDENTIALS : SEC_E_OK);
    EXPECT_EQ(RevertToSelf(), TRUE);
    EXPECT_EQ(GoOn(), SEC_E_NO_CREDENTIALS);
  }
}

TEST_F(LogonFunctionsTest, NewCredentialsAreForTheNetworkAlone) {
  HANDLE token = nullptr;
  ASSERT_EQ(LogOn("Mufasa", kPassword, LOGON32_LOGON_NEW_CREDENTIALS, &token), DWORD{ERROR_SUCCESS})
      << "nobody verifies them, so no accounts are needed";
  EXPECT_EQ(UserText(*StateOf(token)), UserText(*authorization::ProcessToken()->state()));
  ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
  EXPECT_EQ(GoOn(), SEC_E_OK);
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

}  // namespace
}  // namespace ktlsim::test
