// KTLSIM_IMPERSONATE_OS: what a program gets by the C API. Needs root.
#include <fcntl.h>
#include <ktlsim/security.h>
#include <ktlsim/sspi_ext.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
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

  // Of a shell that runs `script` in the session of `token`.
  std::string OutputOf(HANDLE token, const std::string& script) const {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    STARTUPINFOA startup{};
    startup.cb = sizeof(startup);
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = INVALID_HANDLE_VALUE;
    startup.hStdOutput = reinterpret_cast<HANDLE>(static_cast<std::intptr_t>(ends[1]));
    startup.hStdError = INVALID_HANDLE_VALUE;
    PROCESS_INFORMATION process{};
    std::string line = "sh -c \"" + script + "\"";
    EXPECT_EQ(CreateProcessAsUserA(token, "/bin/sh", line.data(), nullptr, nullptr, FALSE, 0,
                                   nullptr, "/", &startup, &process),
              TRUE)
        << KtlsimGetLastError();
    close(ends[1]);
    std::string text;
    std::array<char, 4096> memory{};
    for (ssize_t bytes = 0; (bytes = read(ends[0], memory.data(), memory.size())) > 0;) {
      text.append(memory.data(), static_cast<std::size_t>(bytes));
    }
    close(ends[0]);
    EXPECT_EQ(waitpid(static_cast<pid_t>(process.dwProcessId), nullptr, 0),
              static_cast<pid_t>(process.dwProcessId));
    EXPECT_EQ(KtlsimCloseHandle(process.hProcess), TRUE);
    return text;
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

// For good: real, effective and saved ids, and without capabilities, whomever the thread acts as.
TEST_F(RealProgramTest, AProcessIsTheUserOfItsToken) {
  const HANDLE alice = LogOn("alice", LOGON32_LOGON_INTERACTIVE);
  const HANDLE carol = LogOn("carol", LOGON32_LOGON_INTERACTIVE);
  const std::string read = "cat " + alices_ + " || cat " + public_;
  const std::string who = "grep -E '^(Uid|Gid|Groups|Cap(Inh|Prm|Eff|Amb))' /proc/self/status; ";
  const auto expected = [](const std::string& id) {
    const std::string ids = "\t" + id + "\t" + id + "\t" + id + "\t" + id + "\n";
    std::string text = "Uid:" + ids + "Gid:" + ids + "Groups:\t \n";
    for (const char* set : {"Inh", "Prm", "Eff", "Amb"}) {
      text.append("Cap").append(set).append(":\t0000000000000000\n");
    }
    return text;
  };
  EXPECT_EQ(OutputOf(alice, who + read), expected("40001") + "alice");
  EXPECT_EQ(OutputOf(carol, who + read), expected("65534") + "public");
  ASSERT_EQ(ImpersonateLoggedOnUser(alice), TRUE);
  EXPECT_EQ(OutputOf(carol, who + read), expected("65534") + "public");
  EXPECT_EQ(ReadError(own_), EACCES);
  EXPECT_EQ(KtlsimCloseHandle(alice), TRUE);
  EXPECT_EQ(KtlsimCloseHandle(carol), TRUE);
}

// The folder is root's, and so is the writer's thread.
TEST_F(RealProgramTest, TheAuditTrailIsTheProcessesWhoeverOpensIt) {
  const HANDLE token = LogOn("alice", LOGON32_LOGON_NETWORK);
  const std::string path = folder_.path() + "/audit.log";
  const std::string key(32, 'k');
  KtlsimAuditTrail trail{};
  trail.cbSize = sizeof(trail);
  trail.pszLogFile = path.c_str();
  trail.pbKey = reinterpret_cast<const unsigned char*>(key.data());
  trail.cbKey = static_cast<ULONG>(key.size());
  ASSERT_EQ(ImpersonateLoggedOnUser(token), TRUE);
  EXPECT_EQ(KtlsimOpenAuditTrail(&trail), SEC_E_OK) << KtlsimLastErrorText();
  EXPECT_EQ(ReadError(own_), EACCES);  // still the client
  ASSERT_EQ(RevertToSelf(), TRUE);
  struct stat facts{};
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_uid, 0U);
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(thread.path() / "status");
    const std::string text{std::istreambuf_iterator<char>(status), {}};
    EXPECT_NE(text.find("\nUid:\t0\t0\t0\t0\n"), std::string::npos) << text;
  }
  EXPECT_EQ(KtlsimCloseAuditTrail(), SEC_E_OK) << KtlsimLastErrorText();
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
