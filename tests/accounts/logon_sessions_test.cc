#include "kernel_sim/accounts/logon_sessions.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/security/token.h"
#include "tests/accounts/accounts_test_support.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define KTLSIM_MLOCK_IGNORED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define KTLSIM_MLOCK_IGNORED 1
#endif
#endif

namespace ktlsim::accounts {
namespace {

// The sanitizers' run time makes mlock a function that does nothing.
#ifdef KTLSIM_MLOCK_IGNORED
constexpr bool kLocks = false;
#else
constexpr bool kLocks = true;
#endif

TEST(LogonSessionsTest, ASessionLivesAsLongAsItIsReferredTo) {
  LogonSessions sessions;
  auto credentials = LockedSecrets::Make({"alice", "", "secret"});
  ASSERT_NE(credentials, nullptr);
  auto session = sessions.Start({.id = {7, 1}, .user_name = "alice"}, std::move(credentials));
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(test::SidTextOf(session->logon_sid()), "S-1-5-5-1-7");
  EXPECT_EQ(session->network_credentials().value().password, "secret");
  EXPECT_EQ(sessions.Find({7, 1}), session);
  EXPECT_EQ(sessions.Find({7, 0}), nullptr);
  EXPECT_EQ(sessions.statistics().live, 1U);
  EXPECT_EQ(sessions.statistics().with_credentials, 1U);
  session.reset();
  EXPECT_EQ(sessions.Find({7, 1}), nullptr);
  EXPECT_EQ(sessions.statistics().live, 0U);
  EXPECT_EQ(sessions.statistics().with_credentials, 0U);
  EXPECT_EQ(sessions.statistics().started, 1U);
}

TEST(LogonSessionsTest, ASessionMayOutliveTheTable) {
  auto sessions = std::make_unique<LogonSessions>();
  const auto session = sessions->Start({.id = {7, 0}}, nullptr);
  sessions.reset();
  EXPECT_FALSE(session->has_credentials());
}

TEST(LogonSessionsTest, TokensAndTheirCopiesHoldIt) {
  LogonSessions sessions;
  security::Token::Ref token;
  {
    security::TokenContents contents;
    contents.user = security::Sid(5, {21, 1, 2, 3, 1001});
    contents.logon_session = sessions.Start({.id = {7, 0}}, nullptr);
    ASSERT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  }
  security::Token::Ref copy;
  ASSERT_EQ(token->Duplicate(security::TokenType::kImpersonation,
                             security::ImpersonationLevel::kImpersonation, {1, 0}, &copy),
            security::Fault::kNone);
  security::Token::Ref restricted;
  ASSERT_EQ(copy->Restrict({.sandbox_inert = true}, {2, 0}, &restricted), security::Fault::kNone);
  token.reset();
  copy.reset();
  EXPECT_NE(sessions.Find({7, 0}), nullptr);
  restricted.reset();
  EXPECT_EQ(sessions.Find({7, 0}), nullptr);
}

// The flags of the mapping that has `at`, from smaps; "" if there is none.
std::string FlagsOf(const void* at) {
  std::ifstream maps("/proc/self/smaps");
  const auto wanted = reinterpret_cast<std::uintptr_t>(at);
  bool inside = false;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream head(line);
    std::uintptr_t from = 0;
    std::uintptr_t until = 0;
    char dash = 0;
    if (head >> std::hex >> from >> dash >> until && dash == '-') {
      inside = from <= wanted && wanted < until;
    }
    if (inside && line.starts_with("VmFlags:")) return line + " ";
  }
  return {};
}

// Older kernels, and simulators of kernels, have no MADV_WIPEONFORK.
bool CanBeWipedInAChild() {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const at = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) return false;
  const bool can = madvise(at, page, MADV_WIPEONFORK) == 0;
  munmap(at, page);
  return can;
}

// Whether smaps has the flags of mappings at all.
bool TellsFlags() {
  std::ifstream maps("/proc/self/smaps");
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with("VmFlags:")) return true;
  }
  return false;
}

TEST(LockedSecretsTest, AreLockedNotDumpedAndNotInherited) {
  if (!CanBeWipedInAChild()) GTEST_SKIP() << "the system has no MADV_WIPEONFORK";
  if (!TellsFlags()) GTEST_SKIP() << "/proc/self/smaps has no VmFlags";
  const auto secrets = LockedSecrets::Make({"alice", "EXAMPLE", "secret"});
  ASSERT_NE(secrets, nullptr);
  EXPECT_EQ(secrets->texts()[0], "alice");
  EXPECT_EQ(secrets->texts()[1], "EXAMPLE");
  EXPECT_EQ(secrets->texts()[2], "secret");
  const std::string flags = FlagsOf(secrets->texts()[0].data());
  ASSERT_NE(flags, "") << "no such mapping";
  EXPECT_NE(flags.find(" dd "), std::string::npos) << "dumped: " << flags;
  EXPECT_NE(flags.find(" wf "), std::string::npos) << "not wiped in a child: " << flags;
  EXPECT_EQ(flags.find(" lo ") != std::string::npos, kLocks) << flags;
  const pid_t child = fork();
  if (child == 0) {
    const std::string_view password = secrets->texts()[2];
    _exit(password == std::string_view("\0\0\0\0\0\0", 6) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "the child sees the password";
}

TEST(LockedSecretsTest, ALongTextTakesMorePages) {
  const std::string text(10000, 'x');
  const auto secrets = LockedSecrets::Make({text, "", text});
  ASSERT_NE(secrets, nullptr);
  EXPECT_EQ(secrets->texts()[2], text);
}

// In a process of its own: a limit that was lowered is not raised again.
TEST(LockedSecretsTest, WithoutMemoryToLockThereAreNone) {
  if (!kLocks) GTEST_SKIP() << "mlock does nothing under a sanitizer";
  constexpr int kNoOtherUser = 77;
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    // The superuser may lock all the same. A user namespace may not have the other user.
    if (getuid() == 0 && setuid(65534) != 0) {
      _exit(errno == EINVAL || errno == EPERM ? kNoOtherUser : 1);
    }
    const bool limited = setrlimit(RLIMIT_MEMLOCK, &none) == 0;
    _exit(limited && LockedSecrets::Make({"a", "b", "c"}) == nullptr ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNoOtherUser) {
    GTEST_SKIP() << "the superuser cannot become user 65534 here";
  }
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace ktlsim::accounts
