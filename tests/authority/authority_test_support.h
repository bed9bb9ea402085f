// Accounts of the process for the tests of authority/, through the C API.
#pragma once

#include <ktlsim/security.h>
#include <ktlsim/sspi_ext.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "kernel_sim/authorization/handles.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/security/sid.h"
#include "kernel_sim/security/token.h"
#include "tests/accounts/accounts_test_support.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/thread_sanitizer.h"

// ThreadSanitizer ends a child of a process with threads that makes one.
#if defined(KTLSIM_TEST_TSAN)
#define KTLSIM_SKIP_CHILD_WITH_THREADS() \
  GTEST_SKIP() << "ThreadSanitizer lets no child of a process with threads make one"
#else
#define KTLSIM_SKIP_CHILD_WITH_THREADS() static_cast<void>(0)
#endif

namespace ktlsim::test {

inline constexpr char kPassword[] = "Circle of Life";

// One account with kPassword, and more lines of its own.
inline std::string AccountText(const std::string& name, const std::string& more = {}) {
  static const std::string hash = accounts::test::CheapHash(kPassword);
  return "[[account]]\nname = '" + name + "'\npassword = '" + hash + "'\n" + more;
}

// The user of a token, in text.
inline std::string UserText(const security::TokenState& state) {
  return accounts::test::SidTextOf(state.user());
}

// Files of accounts that count; none does after the test, and the thread acts as the process.
class AuthorityTest : public testing::Test {
 protected:
  ~AuthorityTest() override {
    EXPECT_EQ(KtlsimLoadAccounts(nullptr), SEC_E_OK);
    EXPECT_EQ(RevertToSelf(), TRUE);
  }

  SECURITY_STATUS Load(const std::string& text) {
    return KtlsimLoadAccounts(folder_.Write("accounts.toml", text).c_str());
  }
  // The error; 0: it succeeded, and *token, where that is wanted, is the token.
  static DWORD LogOn(const char* user, const char* password = kPassword,
                     DWORD type = LOGON32_LOGON_INTERACTIVE, HANDLE* token = nullptr) {
    HANDLE handle = nullptr;
    if (LogonUserA(user, nullptr, password, type, LOGON32_PROVIDER_DEFAULT, &handle) != TRUE) {
      EXPECT_EQ(handle, nullptr);
      return KtlsimGetLastError();
    }
    if (token != nullptr) {
      *token = handle;
    } else {
      EXPECT_EQ(KtlsimCloseHandle(handle), TRUE);
    }
    return ERROR_SUCCESS;
  }
  static security::TokenStateRef StateOf(HANDLE token) {
    const auto found = authorization::FindToken(token);
    EXPECT_TRUE(found);
    return found->token()->state();
  }
  // What `call` returns in a forked child; -1: it did not end in order.
  template <typename Call>
  static int InChild(const Call& call) {
    const pid_t child = fork();
    if (child == 0) _exit(call());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  const TemporaryFolder folder_;
};

}  // namespace ktlsim::test
