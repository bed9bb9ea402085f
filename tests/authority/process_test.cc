// A client that is logged on here goes on in a process of its own.
#include <dirent.h>
#include <fcntl.h>
#include <ktlsim/sspi_ext.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/authority/authority_test_support.h"

namespace ktlsim::test {
namespace {

// The descriptors of this process that a program would inherit.
std::set<int> Inheritable() {
  std::set<int> found;
  DIR* const folder = opendir("/proc/self/fd");
  EXPECT_NE(folder, nullptr);
  if (folder == nullptr) return found;
  while (const dirent* const entry = readdir(folder)) {
    const int descriptor = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || descriptor == dirfd(folder)) continue;
    const int flags = fcntl(descriptor, F_GETFD);
    if (flags >= 0 && (flags & FD_CLOEXEC) == 0) found.insert(descriptor);
  }
  closedir(folder);
  return found;
}

class ProcessTest : public AuthorityTest {
 protected:
  // What the program prints; its exit status is `status`.
  static std::string Run(HANDLE token, std::string line, int status = 0) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    STARTUPINFOA startup{};
    startup.cb = sizeof(startup);
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = INVALID_HANDLE_VALUE;
    startup.hStdOutput = reinterpret_cast<HANDLE>(static_cast<std::intptr_t>(ends[1]));
    startup.hStdError = reinterpret_cast<HANDLE>(static_cast<std::intptr_t>(2));
    PROCESS_INFORMATION process{};
    EXPECT_EQ(CreateProcessAsUserA(token, nullptr, line.data(), nullptr, nullptr, TRUE, 0, nullptr,
                                   nullptr, &startup, &process),
              TRUE)
        << GetLastError();
    close(ends[1]);
    std::string text;
    std::array<char, 4096> room{};
    for (ssize_t bytes = 1; bytes > 0;) {
      bytes = read(ends[0], room.data(), room.size());
      if (bytes > 0) text.append(room.data(), static_cast<std::size_t>(bytes));
    }
    close(ends[0]);
    int ended = -1;
    EXPECT_EQ(waitpid(static_cast<pid_t>(process.dwProcessId), &ended, 0),
              static_cast<pid_t>(process.dwProcessId));
    EXPECT_EQ(WEXITSTATUS(ended), status);
    EXPECT_EQ(KtlsimCloseHandle(process.hProcess), TRUE);
    return text;
  }
};

TEST_F(ProcessTest, AProgramInTheClientsLogonSession) {
  ASSERT_EQ(Load(AccountText("alice", "sid = 'S-1-5-21-1-2-3-1001'\n")), SEC_E_OK);
  HANDLE token = nullptr;
  ASSERT_EQ(LogOn("alice", kPassword, LOGON32_LOGON_INTERACTIVE, &token), DWORD{ERROR_SUCCESS});
  const std::string text = Run(token, "env");
  EXPECT_THAT(text, testing::HasSubstr("KTLSIM_TOKEN_USER=S-1-5-21-1-2-3-1001\n"));
  EXPECT_THAT(text, testing::HasSubstr("KTLSIM_TOKEN_NAME=alice\n"));
  EXPECT_THAT(text, testing::HasSubstr("S-1-5-4/0x7")) << "logged on interactively";
  EXPECT_THAT(text, testing::Not(testing::HasSubstr(kPassword)));
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
  ASSERT_EQ(LogOn("alice", kPassword, LOGON32_LOGON_NETWORK, &token), DWORD{ERROR_SUCCESS});
  STARTUPINFOA startup{};
  startup.cb = sizeof(startup);
  PROCESS_INFORMATION process{};
  EXPECT_EQ(CreateProcessAsUserA(token, "/bin/sh", nullptr, nullptr, nullptr, FALSE, 0, nullptr,
                                 nullptr, &startup, &process),
            FALSE);
  EXPECT_EQ(GetLastError(), DWORD{ERROR_BAD_TOKEN_TYPE}) << "a network log-on is no primary token";
  EXPECT_EQ(KtlsimCloseHandle(token), TRUE);
}

// Rings, wake-ups, helper threads, the trail and its head: nothing of the library is inherited.
TEST_F(ProcessTest, AProgramHasNoDescriptorOfTheLibrary) {
  KTLSIM_SKIP_CHILD_WITH_THREADS();
  const auto run = [this] {
    const std::set<int> before = Inheritable();
    if (KtlsimStart(nullptr) != SEC_E_OK || Load(AccountText("alice")) != SEC_E_OK) return 1;
    const std::string path = folder_.path() + "/audit.log";
    const std::string key(32, 'k');
    KtlsimAuditTrail trail{};
    trail.cbSize = sizeof(trail);
    trail.pszLogFile = path.c_str();
    trail.pbKey = reinterpret_cast<const unsigned char*>(key.data());
    trail.cbKey = static_cast<ULONG>(key.size());
    if (KtlsimOpenAuditTrail(&trail) != SEC_E_OK) return 2;
    HANDLE token = nullptr;
    if (LogOn("alice", kPassword, LOGON32_LOGON_INTERACTIVE, &token) != ERROR_SUCCESS) return 3;
    if (Inheritable() != before) return 4;
    const std::string script =
        "sh -c \"test -e /proc/$$/fd/" + std::to_string(*before.rbegin()) + " && echo inherits\"";
    if (Run(token, script) != "inherits\n") return 5;
    KtlsimCloseHandle(token);
    if (KtlsimCloseAuditTrail() != SEC_E_OK) return 6;
    return KtlsimStop() == SEC_E_OK ? 0 : 7;
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(_exit(run()), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace ktlsim::test
