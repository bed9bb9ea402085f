// KTLSIM_IMPERSONATE_OS: what a program gets by the C API. Needs root.
#include <fcntl.h>
#include <ktlsim/security.h>
#include <ktlsim/sspi_ext.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include "tests/accounts/accounts_test_support.h"
#include "tests/support/temporary_folder.h"

namespace ktlsim {
namespace {

int ReadError(const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return errno;
  close(descriptor);
  return 0;
}

SECURITY_STATUS StartWith(ULONG flags) {
  KtlsimOptions options{};
  options.cbSize = sizeof(options);
  options.cProcessors = 1;
  options.fFlags = flags;
  return KtlsimStart(&options);
}

class RealProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root may act as other users";
    ASSERT_EQ(StartWith(KTLSIM_IMPERSONATE_OS), SEC_E_OK) << KtlsimLastErrorText();
    ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
    const std::string hash = accounts::test::CheapHash("secret");
    const auto account = [&](const char* name, const std::string& more) {
      return std::string("[[account]]\nname = '") + name + "'\npassword = '" + hash + "'\n" + more;
    };
    const std::string text =
        account("alice", "unix-user = 40001\nunix-group = 40001\nunix-groups = []\n") +
        account("carol", "");
    ASSERT_EQ(KtlsimLoadAccounts(folder_.Write("accounts.toml", text).c_str()), SEC_E_OK)
        << KtlsimLastErrorText();
    own_ = Make("own", 0, 0600);
    alices_ = Make("alice", 40001, 0600);
    public_ = Make("public", 0, 0644);
  }
  ~RealProgramTest() override {
    EXPECT_EQ(RevertToSelf(), TRUE);
    EXPECT_EQ(KtlsimLoadAccounts(nullptr), SEC_E_OK);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
    EXPECT_EQ(StartWith(0), SEC_E_OK);
    EXPECT_EQ(KtlsimStop(), SEC_E_OK);
  }

  std::string Make(const char* name, uid_t uid, mode_t mode) const {
    std::string path = folder_.Write(name, name);
    EXPECT_EQ(chown(path.c_str(), uid, uid), 0);
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  static HANDLE LogOn(const char* name, DWORD type) {
    HANDLE token = nullptr;
    EXPECT_EQ(LogonUserA(name, nullptr, "secret", type, LOGON32_PROVIDER_DEFAULT, &token), TRUE);
    return token;
  }

  const test::TemporaryFolder folder_;
  std::string own_, alices_, public_;
};

TEST_F(RealProgramTest, AThreadThatImpersonatesOpensAsTheUnixUser) {
  KtlsimStatistics before{};
  before.cbSize = sizeof(before);
  ASSERT_EQ(KtlsimQueryStatistics(&before), SEC_E_OK);
  const HANDLE token = LogOn("alice", LOGON32_LOGON_NETWORK);
  ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
  EXPECT_EQ(ReadError(alices_), 0);
  EXPECT_EQ(ReadError(public_), 0);
  EXPECT_EQ(ReadError(own_), EACCES);
  ASSERT_EQ(RevertToSelf(), TRUE);
  EXPECT_EQ(ReadError(own_), 0);
  ASSERT_EQ(SetThreadToken(nullptr, token), TRUE);
  EXPECT_EQ(ReadError(own_), EACCES);
  ASSERT_EQ(SetThreadToken(nullptr, nullptr), TRUE);
  EXPECT_EQ(ReadError(own_), 0);
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
  KtlsimStatistics after = before;
  ASSERT_EQ(KtlsimQueryStatistics(&after), SEC_E_OK);
  EXPECT_EQ(after.cUnixSwitches - before.cUnixSwitches, 2U);
  EXPECT_EQ(after.cUnixSwitchesRefused, before.cUnixSwitchesRefused);
}

TEST_F(RealProgramTest, WithoutAUnixUserItOpensAsNobody) {
  const HANDLE token = LogOn("carol", LOGON32_LOGON_NETWORK);
  ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
  EXPECT_EQ(ReadError(public_), 0);
  EXPECT_EQ(ReadError(own_), EACCES);
  EXPECT_EQ(ReadError(alices_), EACCES);
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

TEST_F(RealProgramTest, AnonymousAndIdentifiedClientsAreNobody) {
  ASSERT_EQ(ImpersonateAnonymousToken(GetCurrentThread()), TRUE);
  EXPECT_EQ(ReadError(own_), EACCES);
  ASSERT_EQ(RevertToSelf(), TRUE);
  const HANDLE token = LogOn("alice", LOGON32_LOGON_INTERACTIVE);
  HANDLE identified = nullptr;
  ASSERT_EQ(DuplicateToken(token, SecurityIdentification, &identified), TRUE);
  ASSERT_EQ(SetThreadToken(nullptr, identified), TRUE);
  EXPECT_EQ(ReadError(alices_), EACCES);
  EXPECT_EQ(ReadError(public_), 0);
  EXPECT_EQ(KtlsimCloseHandle(identified), TRUE);
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

// The thread's own token is the process's, whatever its level.
TEST_F(RealProgramTest, WhoImpersonatesItselfStaysTheProcess) {
  ASSERT_EQ(ImpersonateSelf(SecurityIdentification), TRUE);
  EXPECT_EQ(ReadError(own_), 0);
}

TEST_F(RealProgramTest, NewCredentialsAreStillTheCallers) {
  const HANDLE token = LogOn("alice", LOGON32_LOGON_INTERACTIVE);
  ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
  HANDLE moved = nullptr;
  ASSERT_EQ(LogonUserA("other", "realm", "x", LOGON32_LOGON_NEW_CREDENTIALS,
                       LOGON32_PROVIDER_DEFAULT, &moved),
            TRUE);
  ASSERT_EQ(ImpersonateLoggedOnUser(moved), TRUE);
  EXPECT_EQ(ReadError(alices_), 0);
  EXPECT_EQ(ReadError(own_), EACCES);
  EXPECT_EQ(KtlsimCloseHandle(moved), TRUE);
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

TEST_F(RealProgramTest, ItEndsWithAStartWithoutIt) {
  ASSERT_EQ(KtlsimStop(), SEC_E_OK);
  ASSERT_EQ(StartWith(0), SEC_E_OK);
  const HANDLE token = LogOn("alice", LOGON32_LOGON_NETWORK);
  ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
  EXPECT_EQ(ReadError(own_), 0);
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

}  // namespace
}  // namespace ktlsim
