// Programs that are started as a token: what they learn, what they have of their parent, and why
// they are not started.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "kernel_sim/authorization/environment_block.h"
#include "kernel_sim/authorization/process_start.h"
#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/base/level.h"
#include "tests/authorization/authorization_test_support.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/thread_sanitizer.h"

namespace ktlsim::authorization {
namespace {

using security::Privilege;
using security::TokenType;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

HANDLE HandleOf(int descriptor) {
  return reinterpret_cast<HANDLE>(static_cast<std::intptr_t>(descriptor));
}

// The exit status; -1: it did not end by itself.
int WaitFor(DWORD process) {
  int status = 0;
  if (waitpid(static_cast<pid_t>(process), &status, 0) != static_cast<pid_t>(process)) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A pipe whose ends a program does not inherit by itself.
struct Pipe {
  Pipe() { EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    CloseWriting();
    close(ends[0]);
  }
  void CloseWriting() {
    if (ends[1] >= 0) close(ends[1]);
    ends[1] = -1;
  }
  // Everything until all have closed the other end.
  std::string ReadAll() {
    CloseWriting();
    std::string text;
    std::array<char, 4096> room{};
    for (ssize_t bytes = 1; bytes > 0;) {
      bytes = read(ends[0], room.data(), room.size());
      if (bytes > 0) text.append(room.data(), static_cast<std::size_t>(bytes));
    }
    return text;
  }

  int ends[2] = {-1, -1};
};

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

class ProcessFunctionsTest : public AuthorizationTest {
 protected:
  ProcessFunctionsTest() { startup_.cb = sizeof(startup_); }

  static security::Token::Ref MakePrimary() {
    return MakeClient(
        {.type = TokenType::kPrimary,
         .groups = {{security::kWorldSid}, {ClientSid(2001), SE_GROUP_USE_FOR_DENY_ONLY}},
         .privileges = {.held = {Privilege::kChangeNotify, Privilege::kShutdown},
                        .enabled = {Privilege::kChangeNotify}}});
  }
  // The error; 0: it runs. `line` is the command line.
  DWORD Start(HANDLE token, const char* program, std::string line, DWORD flags = 0,
              LPVOID environment = nullptr, const char* folder = nullptr, BOOL inherit = FALSE) {
    SetLastError(0);
    const BOOL started =
        CreateProcessAsUserA(token, program, line.empty() ? nullptr : line.data(), nullptr, nullptr,
                             inherit, flags, environment, folder, &startup_, &process_);
    EXPECT_EQ(started == TRUE, GetLastError() == ERROR_SUCCESS);
    return GetLastError();
  }
  // What a script of the shell prints; it has to succeed.
  std::string Script(const std::string& script, DWORD flags = 0, LPVOID environment = nullptr,
                     const char* folder = nullptr, BOOL inherit = FALSE) {
    const TestHandle token(MakePrimary());
    Pipe output;
    startup_.dwFlags = STARTF_USESTDHANDLES;
    startup_.hStdInput = INVALID_HANDLE_VALUE;
    startup_.hStdOutput = HandleOf(output.ends[1]);
    startup_.hStdError = HandleOf(2);
    EXPECT_EQ(Start(token.get(), "/bin/sh", "sh -c \"" + script + "\"", flags, environment, folder,
                    inherit),
              DWORD{ERROR_SUCCESS});
    std::string text = output.ReadAll();
    Finish();
    return text;
  }
  void Finish(int status = 0) {
    EXPECT_EQ(process_.hThread, nullptr);
    EXPECT_EQ(process_.dwThreadId, process_.dwProcessId);
    EXPECT_EQ(WaitFor(process_.dwProcessId), status);
    EXPECT_EQ(CloseHandle(process_.hProcess), TRUE);
  }

  STARTUPINFOA startup_{};
  PROCESS_INFORMATION process_{};
};

TEST_F(ProcessFunctionsTest, AProgramLearnsItsIdentity) {
  char block[] = "PATH=/usr/bin:/bin\0KTLSIM_TOKEN_USER=S-1-5-18\0KTLSIM_TOKEN_MORE=x\0WORD=a b\0";
  const std::vector<std::string> lines = LinesOf(Script("env", 0, block));
  for (const char* const line :
       {"WORD=a b", "KTLSIM_TOKEN_USER=S-1-5-21-1-2-3-1001", "KTLSIM_TOKEN_LOGON=0x0",
        "KTLSIM_TOKEN_OWNER=S-1-5-21-1-2-3-1001", "KTLSIM_TOKEN_PRIMARY_GROUP=S-1-5-21-1-2-3-1001",
        "KTLSIM_TOKEN_GROUPS=S-1-1-0/0x7,S-1-5-21-1-2-3-2001/0x10",
        "KTLSIM_TOKEN_PRIVILEGES=SeShutdownPrivilege/0x0,SeChangeNotifyPrivilege/0x2",
        "KTLSIM_TOKEN_INTEGRITY=S-1-16-8192"}) {
    EXPECT_THAT(lines, Contains(line));
  }
  EXPECT_THAT(lines, Not(Contains("KTLSIM_TOKEN_USER=S-1-5-18"))) << "whoever says so";
  EXPECT_THAT(lines, Not(Contains(StartsWith("KTLSIM_TOKEN_MORE"))));
  EXPECT_THAT(lines, Not(Contains(StartsWith("KTLSIM_TOKEN_RESTRICTING"))));
  EXPECT_THAT(lines, Not(Contains(StartsWith("KTLSIM_TOKEN_NAME")))) << "no session, no name";
  EXPECT_THAT(lines, Not(Contains(StartsWith("HOME=")))) << "not in the block";
}

TEST_F(ProcessFunctionsTest, ARestrictedTokenAndItsNameInTheEnvironment) {
  struct Session final : security::TokenSession {
    std::optional<security::NetworkCredentials> network_credentials() const override { return {}; }
    std::string_view user_name() const override { return "Ålice"; }
  };
  security::TokenContents contents;
  contents.user = ClientSid(1001);
  contents.logon_session = std::make_shared<Session>();
  contents.authentication_id = {7, 1};
  security::Token::Ref token;
  ASSERT_EQ(security::Token::Create(contents, &token), security::Fault::kNone);
  const std::array<security::SidView, 2> restricting = {security::kWorldSid,
                                                        security::kAdministratorsSid};
  const std::array<security::SidView, 1> disable = {contents.user};
  security::Token::Ref restricted;
  ASSERT_EQ(
      token->Restrict({.disable = disable, .restricting = restricting}, NextLuid(), &restricted),
      security::Fault::kNone);
  std::vector<std::string> variables;
  AddIdentity(*restricted->state(), &variables);
  EXPECT_THAT(variables, Contains("KTLSIM_TOKEN_NAME=Ålice"));
  EXPECT_THAT(variables, Contains("KTLSIM_TOKEN_LOGON=0x100000007"));
  EXPECT_THAT(variables, Contains("KTLSIM_TOKEN_USER_ATTRIBUTES=0x10"));
  EXPECT_THAT(variables, Contains("KTLSIM_TOKEN_RESTRICTING=S-1-1-0,S-1-5-32-544"));
}

TEST_F(ProcessFunctionsTest, InUtf16AndFromThePath) {
  const TestHandle token(MakePrimary());
  Pipe output;
  STARTUPINFOW startup{};
  startup.cb = sizeof(startup);
  startup.dwFlags = STARTF_USESTDHANDLES;
  startup.hStdInput = INVALID_HANDLE_VALUE;
  startup.hStdOutput = HandleOf(output.ends[1]);
  startup.hStdError = HandleOf(2);
  WCHAR line[] = u"printenv WORD";
  WCHAR block[] = u"WORD=\u00E5 b\0";
  ASSERT_EQ(CreateProcessAsUserW(token.get(), nullptr, line, nullptr, nullptr, FALSE,
                                 CREATE_UNICODE_ENVIRONMENT | CREATE_NO_WINDOW, block, u"/",
                                 &startup, &process_),
            TRUE)
      << GetLastError();
  EXPECT_EQ(output.ReadAll(), "\u00E5 b\n");
  Finish();
}

TEST_F(ProcessFunctionsTest, TheFolderAndTheCallersEnvironment) {
  const test::TemporaryFolder folder;
  ASSERT_EQ(setenv("KTLSIM_TOKEN_USER", "S-1-5-18", 1), 0);
  ASSERT_EQ(setenv("KTLSIM_TEST_WORD", "here", 1), 0);
  const std::vector<std::string> lines =
      LinesOf(Script("pwd -P; env", 0, nullptr, folder.path().c_str()));
  unsetenv("KTLSIM_TOKEN_USER");
  unsetenv("KTLSIM_TEST_WORD");
  ASSERT_FALSE(lines.empty());
  EXPECT_THAT(lines[0], HasSubstr("ktlsim-test-"));
  EXPECT_THAT(lines, Contains("KTLSIM_TEST_WORD=here"));
  EXPECT_THAT(lines, Contains("KTLSIM_TOKEN_USER=S-1-5-21-1-2-3-1001"));
  EXPECT_THAT(lines, Not(Contains("KTLSIM_TOKEN_USER=S-1-5-18")));
}

// Those of the others that do not close by themselves, and only if the caller says so.
TEST_F(ProcessFunctionsTest, WhichDescriptorsAProgramHas) {
  const Descriptor open_one(dup(2));
  const Descriptor closing(fcntl(2, F_DUPFD_CLOEXEC, 0));
  const std::string script = "ls /proc/$$/fd; :";  // the last command may take the shell's place
  EXPECT_EQ(LinesOf(Script(script)), (std::vector<std::string>{"0", "1", "2"}));
  const std::vector<std::string> inherited = LinesOf(Script(script, 0, nullptr, nullptr, TRUE));
  EXPECT_THAT(inherited, Contains(std::to_string(open_one.number())));
  EXPECT_THAT(inherited, Not(Contains(std::to_string(closing.number()))));
  EXPECT_EQ(LinesOf(Script("readlink /proc/$$/fd/0")), std::vector<std::string>{"/dev/null"});
}

// Where each is wanted in the place of another; and where the parent's would close.
TEST_F(ProcessFunctionsTest, StandardDescriptorsTradePlaces) {
  Pipe output;
  const ProcessPlan swapped = {.programs = {"/bin/sh"},
                               .arguments = {"sh", "-c", "echo out; echo error >&2"},
                               .standard = {1, output.ends[1], output.ends[1]}};
  pid_t child = 0;
  ASSERT_EQ(StartProcess(swapped, &child), 0);
  EXPECT_EQ(output.ReadAll(), "out\nerror\n");
  EXPECT_EQ(WaitFor(static_cast<DWORD>(child)), 0);
  Pipe names;
  const int flags = fcntl(0, F_GETFD);
  ASSERT_EQ(fcntl(0, F_SETFD, FD_CLOEXEC), 0);
  ProcessPlan closing = {.programs = {"/bin/sh"},
                         .arguments = {"sh", "-c", "readlink /proc/$$/fd/0"},
                         .environment = {"PATH=/usr/bin:/bin"},
                         .standard = {ProcessPlan::kParents, names.ends[1], 2}};
  ASSERT_EQ(StartProcess(closing, &child), 0);
  EXPECT_EQ(names.ReadAll(), "/dev/null\n");
  EXPECT_EQ(WaitFor(static_cast<DWORD>(child)), 0);
  EXPECT_EQ(fcntl(0, F_SETFD, flags), 0);
}

TEST_F(ProcessFunctionsTest, SignalsAreAsByDefault) {
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  struct sigaction before{};
  ASSERT_EQ(sigaction(SIGPIPE, &ignore, &before), 0);
  sigset_t blocked;
  sigset_t mask;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &blocked, &mask), 0);
  const std::string status = Script("exec cat /proc/self/status");
  sigset_t after;
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &mask, &after), 0);
  EXPECT_EQ(sigismember(&after, SIGUSR1), 1) << "the parent's are as they were";
  EXPECT_EQ(sigismember(&after, SIGUSR2), 0);
  ASSERT_EQ(sigaction(SIGPIPE, &before, nullptr), 0);
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  EXPECT_THAT(status, HasSubstr("SigIgn:\t0000000000000000"));
}

TEST_F(ProcessFunctionsTest, AGroupAndASessionOfItsOwn) {
  const TestHandle token(MakePrimary());
  for (const DWORD flags : {DWORD{0}, DWORD{CREATE_NEW_PROCESS_GROUP}, DWORD{DETACHED_PROCESS},
                            DWORD{DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP}}) {
    Pipe input;
    startup_.dwFlags = STARTF_USESTDHANDLES;
    startup_.hStdInput = HandleOf(input.ends[0]);
    startup_.hStdOutput = INVALID_HANDLE_VALUE;
    startup_.hStdError = HandleOf(2);
    ASSERT_EQ(Start(token.get(), "/bin/cat", "", flags), DWORD{ERROR_SUCCESS});
    const auto child = static_cast<pid_t>(process_.dwProcessId);
    EXPECT_EQ(getpgid(child) == child, flags != 0);
    EXPECT_EQ(getsid(child) == child, (flags & DETACHED_PROCESS) != 0);
    input.CloseWriting();
    Finish();
  }
}

TEST_F(ProcessFunctionsTest, TheHandleKeepsTheSessionUntilItIsClosed) {
  std::weak_ptr<security::Token> left;
  {
    const security::Token::Ref token = MakePrimary();
    left = token;
    const TestHandle handle(token);
    ASSERT_EQ(Start(handle.get(), nullptr, "sh -c \"exit 7\""), DWORD{ERROR_SUCCESS});
  }
  EXPECT_FALSE(left.expired());
  HANDLE none = nullptr;
  ExpectError(OpenProcessToken(process_.hProcess, TOKEN_QUERY, &none), ERROR_INVALID_HANDLE);
  ExpectError(ImpersonateLoggedOnUser(process_.hProcess), ERROR_INVALID_HANDLE);
  Finish(7);
  EXPECT_TRUE(left.expired());
  ExpectError(CloseHandle(process_.hProcess), ERROR_INVALID_HANDLE);
}

TEST_F(ProcessFunctionsTest, WhatCannotBeRun) {
  const test::TemporaryFolder folder;
  const TestHandle token(MakePrimary());
  const std::string text = folder.Write("text", "no program");
  EXPECT_EQ(Start(token.get(), folder.File("none").c_str(), ""), DWORD{ERROR_FILE_NOT_FOUND});
  EXPECT_EQ(Start(token.get(), (text + "/x").c_str(), ""), DWORD{ERROR_FILE_NOT_FOUND});
  EXPECT_EQ(Start(token.get(), nullptr, "no-such-program-anywhere"), DWORD{ERROR_FILE_NOT_FOUND});
  EXPECT_EQ(Start(token.get(), text.c_str(), ""), DWORD{ERROR_ACCESS_DENIED});
  EXPECT_EQ(Start(token.get(), folder.path().c_str(), ""), DWORD{ERROR_ACCESS_DENIED});
  ASSERT_EQ(chmod(text.c_str(), 0755), 0);
  EXPECT_EQ(Start(token.get(), text.c_str(), ""), DWORD{ERROR_BAD_EXE_FORMAT}) << "no shell";
  EXPECT_EQ(Start(token.get(), std::string(5000, 'x').c_str(), ""), DWORD{ERROR_PATH_NOT_FOUND});
  EXPECT_EQ(Start(token.get(), "/bin/sh", "", 0, nullptr, text.c_str()), DWORD{ERROR_DIRECTORY});
  EXPECT_EQ(Start(token.get(), "/bin/sh", "", 0, nullptr, "/no/folder"), DWORD{ERROR_DIRECTORY});
  std::string long_block = "A=" + std::string(200000, 'x');
  long_block.push_back('\0');
  EXPECT_EQ(Start(token.get(), "/bin/sh", "", 0, long_block.data()), DWORD{ERROR_INVALID_PARAMETER})
      << "the machine's limit for one text";
  startup_.dwFlags = STARTF_USESTDHANDLES;
  startup_.hStdOutput = HandleOf(1000000);
  EXPECT_EQ(Start(token.get(), "/bin/sh", ""), DWORD{ERROR_INVALID_HANDLE});
  startup_.hStdOutput = HandleOf(-2);
  EXPECT_EQ(Start(token.get(), "/bin/sh", ""), DWORD{ERROR_INVALID_HANDLE});
  EXPECT_EQ(process_.dwProcessId, 0U) << "nothing was stored";
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD) << "no child is left";
}

TEST_F(ProcessFunctionsTest, WrongArguments) {
  const TestHandle token(MakePrimary());
  for (const DWORD flags : {DWORD{CREATE_SUSPENDED}, DWORD{1}, DWORD{0x80000000}}) {
    EXPECT_EQ(Start(token.get(), "/bin/sh", "", flags), DWORD{ERROR_INVALID_PARAMETER});
  }
  EXPECT_EQ(Start(token.get(), nullptr, ""), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(Start(token.get(), nullptr, "  "), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(Start(token.get(), nullptr, "\"\""), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(Start(token.get(), "", "sh"), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(Start(token.get(), "\xFF", "sh"), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(Start(token.get(), "/bin/sh", std::string(32768, 'x')), DWORD{ERROR_INVALID_PARAMETER});
  EXPECT_EQ(Start(token.get(), "/bin/sh", "", 0, nullptr, ""), DWORD{ERROR_INVALID_PARAMETER});
  for (const char* const block : {"=x\0", "word\0", "A=\xFF\0"}) {
    std::array<char, 16> room{};
    std::memcpy(room.data(), block, strlen(block));
    EXPECT_EQ(Start(token.get(), "/bin/sh", "", 0, room.data()), DWORD{ERROR_INVALID_PARAMETER});
  }
  std::string endless;
  while (endless.size() < kEnvironmentUnitsMax) endless.append("A=b").push_back('\0');
  EXPECT_EQ(Start(token.get(), "/bin/sh", "", 0, endless.data()), DWORD{ERROR_INVALID_PARAMETER});
  startup_.cb = sizeof(startup_) - 1;
  EXPECT_EQ(Start(token.get(), "/bin/sh", ""), DWORD{ERROR_INVALID_PARAMETER});
  startup_.cb = sizeof(startup_);
  // A short one is not read beyond its size.
  const auto cb = std::make_unique<DWORD>(DWORD{sizeof(DWORD)});
  ExpectError(
      CreateProcessAsUserA(token.get(), "/bin/sh", nullptr, nullptr, nullptr, FALSE, 0, nullptr,
                           nullptr, reinterpret_cast<LPSTARTUPINFOA>(cb.get()), &process_),
      ERROR_INVALID_PARAMETER);
  SECURITY_ATTRIBUTES attributes{};
  ExpectError(CreateProcessAsUserA(token.get(), "/bin/sh", nullptr, &attributes, nullptr, FALSE, 0,
                                   nullptr, nullptr, &startup_, &process_),
              ERROR_INVALID_PARAMETER);
  ExpectError(CreateProcessAsUserA(token.get(), "/bin/sh", nullptr, nullptr, nullptr, FALSE, 0,
                                   nullptr, nullptr, nullptr, &process_),
              ERROR_NOACCESS);
  ExpectError(CreateProcessAsUserA(token.get(), "/bin/sh", nullptr, nullptr, nullptr, FALSE, 0,
                                   nullptr, nullptr, &startup_, nullptr),
              ERROR_NOACCESS);
  const ScopedLevel dispatch(Level::kDispatch);
  EXPECT_EQ(Start(token.get(), "/bin/sh", ""), DWORD{ERROR_NOT_SUPPORTED});
}

TEST_F(ProcessFunctionsTest, WhichTokensAreRefused) {
  EXPECT_EQ(Start(nullptr, "/bin/sh", ""), DWORD{ERROR_INVALID_HANDLE});
  const TestHandle client(MakeClient());
  EXPECT_EQ(Start(client.get(), "/bin/sh", ""), DWORD{ERROR_BAD_TOKEN_TYPE});
  for (const DWORD missing :
       {DWORD{TOKEN_QUERY}, DWORD{TOKEN_DUPLICATE}, DWORD{TOKEN_ASSIGN_PRIMARY}}) {
    const TestHandle less(MakePrimary(), TOKEN_ALL_ACCESS & ~missing);
    EXPECT_EQ(Start(less.get(), "/bin/sh", ""), DWORD{ERROR_ACCESS_DENIED});
  }
}

// Without the privilege, a copy of the process's own token that can do no more.
TEST_F(ProcessFunctionsTest, WithoutThePrivilegeOnlyLessThanItself) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(60);
    const auto take = [](Privilege privilege) {
      const security::PrivilegeChange change = {privilege, security::kPrivilegeRemoved};
      return ProcessToken()->AdjustPrivileges({&change, 1}, NextLuid(),
                                              [](auto) { return true; }) == security::Fault::kNone;
    };
    const TestHandle other(MakePrimary());
    const TestHandle before(ProcessToken());
    HANDLE less = nullptr;
    if (!take(Privilege::kAssignPrimaryToken)) _exit(1);
    if (Start(other.get(), nullptr, "true") != ERROR_PRIVILEGE_NOT_HELD) _exit(2);
    if (CreateRestrictedToken(before.get(), DISABLE_MAX_PRIVILEGE | LUA_TOKEN, 0, nullptr, 0,
                              nullptr, 0, nullptr, &less) != TRUE ||
        Start(less, nullptr, "true") != ERROR_SUCCESS || WaitFor(process_.dwProcessId) != 0) {
      _exit(3);
    }
    // One that has kept what the process has not any more.
    HANDLE copy = nullptr;
    if (DuplicateTokenEx(before.get(), 0, nullptr, SecurityImpersonation, TokenPrimary, &copy) !=
        TRUE) {
      _exit(4);
    }
    if (!take(Privilege::kChangeNotify)) _exit(5);
    if (Start(copy, nullptr, "true") != ERROR_PRIVILEGE_NOT_HELD) _exit(6);
    if (!take(Privilege::kIncreaseQuota)) _exit(7);
    if (Start(less, nullptr, "true") != ERROR_PRIVILEGE_NOT_HELD) _exit(8);
    _exit(0);
  }
  EXPECT_EQ(WaitFor(static_cast<DWORD>(child)), 0);
}

// What the child takes on between the fork and the program.
struct FakeIdentity final : ChildIdentity {
  explicit FakeIdentity(int error) : error_(error) {}
  int TakeOn() const noexcept override {
    if (error_ == 0) umask(0123);
    return error_;
  }
  const int error_;
};

TEST_F(ProcessFunctionsTest, AChildTakesOnAnIdentityOrDoesNotRun) {
  Pipe output;
  const FakeIdentity good(0);
  ProcessPlan plan = {.programs = {"/bin/sh"},
                      .arguments = {"sh", "-c", "umask"},
                      .standard = {ProcessPlan::kNothing, output.ends[1], 2},
                      .identity = &good};
  pid_t child = 0;
  ASSERT_EQ(StartProcess(plan, &child), 0);
  EXPECT_EQ(output.ReadAll(), "0123\n");
  EXPECT_EQ(WaitFor(static_cast<DWORD>(child)), 0);
  const FakeIdentity refused(EPERM);
  plan.identity = &refused;
  plan.standard[1] = ProcessPlan::kNothing;
  child = 0;
  EXPECT_EQ(StartProcess(plan, &child), EPERM);
  EXPECT_EQ(child, 0);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

// What happens to a child before its program runs.
struct Mishap final : ChildIdentity {
  explicit Mishap(int signal) : signal_(signal) {}
  int TakeOn() const noexcept override {
    syscall(SYS_kill, syscall(SYS_getpid), signal_);
    return 0;
  }
  const int signal_;
};

TEST_F(ProcessFunctionsTest, AChildThatSomebodyStopsOrEndsIsNoProgram) {
  // A signal that can be blocked comes just before the program, and not to it.
  for (const auto& [signal, error] : {std::pair(SIGTERM, ECANCELED), std::pair(SIGKILL, ECANCELED),
                                      std::pair(SIGSTOP, ETIMEDOUT)}) {
    const Mishap mishap(signal);
    const ProcessPlan plan = {.programs = {"/bin/true"},
                              .arguments = {"true"},
                              .standard = {ProcessPlan::kNothing, ProcessPlan::kNothing, 2},
                              .identity = &mishap,
                              .limit_ms = signal == SIGSTOP ? 30U : 60'000U};
    pid_t child = 0;
    EXPECT_EQ(StartProcess(plan, &child), error) << signal;
    EXPECT_EQ(child, 0);
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
  }
}

TEST_F(ProcessFunctionsTest, AProgramThatIsEndedAtOnceHasRun) {
  for (int i = 0; i < 8; ++i) {
    const ProcessPlan plan = {.programs = {"/bin/sh"}, .arguments = {"sh", "-c", "kill -9 $$"}};
    pid_t child = 0;
    ASSERT_EQ(StartProcess(plan, &child), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
}

// In the folder of the caller, whichever the program is to run in.
TEST_F(ProcessFunctionsTest, ARelativeProgramIsTheCallers) {
  const test::TemporaryFolder folder;
  const TestHandle token(MakePrimary());
  const std::string decoy = folder.Write("program", "#!/bin/sh\nexit 9\n");
  ASSERT_EQ(chmod(decoy.c_str(), 0755), 0);
  const std::string here = std::filesystem::current_path().string();
  const test::TemporaryFolder callers;
  const std::string good = callers.Write("program", "#!/bin/sh\nexit 0\n");
  ASSERT_EQ(chmod(good.c_str(), 0755), 0);
  std::filesystem::current_path(callers.path());
  const char* const in = folder.path().c_str();
  for (const auto& [program, line] : {std::pair("program", ""), std::pair("./program", ""),
                                      std::pair<const char*, const char*>(nullptr, "./program")}) {
    EXPECT_EQ(Start(token.get(), program, line, 0, nullptr, in), DWORD{ERROR_SUCCESS});
    Finish();
  }
  // Entries of PATH that mean whatever folder somebody is in.
  const char* const path = getenv("PATH");
  const std::string before = path != nullptr ? path : "";
  for (const char* const relative : {"", ".", ":", "./:", ":/no/folder:."}) {
    ASSERT_EQ(setenv("PATH", relative, 1), 0);
    EXPECT_EQ(Start(token.get(), nullptr, "program", 0, nullptr, in), DWORD{ERROR_FILE_NOT_FOUND})
        << relative;
  }
  ASSERT_EQ(setenv("PATH", before.c_str(), 1), 0);
  std::filesystem::current_path(here);
}

// Threads that start programs while others hold the locks of memory.
TEST_F(ProcessFunctionsTest, FromManyThreads) {
  const TestHandle token(MakePrimary());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&token, i] {
      for (int run = 0; run < 4; ++run) {
        std::string line = "sh -c \"exit " + std::to_string(i * 4 + run) + "\"";
        STARTUPINFOA startup{};
        startup.cb = sizeof(startup);
        PROCESS_INFORMATION process{};
        ASSERT_EQ(CreateProcessAsUserA(token.get(), nullptr, line.data(), nullptr, nullptr, FALSE,
                                       0, nullptr, nullptr, &startup, &process),
                  TRUE);
        EXPECT_EQ(WaitFor(process.dwProcessId), i * 4 + run);
        EXPECT_EQ(CloseHandle(process.hProcess), TRUE);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace ktlsim::authorization
