// Every system call that `ktlsim serve` makes from main on, refused with each errno value that its
// manual page names or that a sandbox gives: one time, or from then on.
//
// What must hold each time: the program ends when it is told to; no processor spins; and whoever is
// not served finds out why: by a status with a line in the log, or by a message that names what
// failed. KTLSIM_FAULTS=all does them all; otherwise a share that KTLSIM_SEED draws.
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <gtest/gtest.h>

#include "io/seeded_random.h"
#include "tests/support/seeds.h"
#include "tests/system/call_refuser.h"
#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

using Clock = std::chrono::steady_clock;

struct Row {
  const char* name;
  int number;
  std::vector<int> errors;
  // Nothing goes on without it: the process may abort, if it says so in these words.
  const char* last_words = nullptr;
  // While it is refused nothing moves; the process says so and waits.
  const char* complaint = nullptr;
  // In place of the errno value's own words, where the library that made the call hides them.
  const char* other_words = nullptr;
  bool only_once = false;  // refused for good, nothing could be told at all
};

// Not here: futex, rseq and munmap (of stacks), without which the C library itself aborts; brk and
// rt_sigreturn, which know no errno value; those of the dynamic linker.
const std::vector<Row>& Table() {
  static const std::vector<Row> rows = {
      {"openat",
       SYS_openat,
       {EACCES, EMFILE, ENFILE, ENOENT, ENOMEM, EPERM, ENOSYS, EINTR, ELOOP},
       nullptr,
       nullptr,
       "certificate"},
      {"openat2", SYS_openat2, {EMFILE, ENFILE, ENOMEM, EPERM, EACCES, ENOSYS, EINVAL, EAGAIN}},
      {"preadv2", SYS_preadv2, {EPERM, EACCES, ENOSYS, EIO, EAGAIN, EINVAL, EOPNOTSUPP, EINTR}},
      {"pread64", SYS_pread64, {EIO, EPERM, EINTR}},
      {"newfstatat",
       SYS_newfstatat,
       {ENOMEM, EACCES, EPERM, ENOSYS},
       nullptr,
       nullptr,
       "certificate"},
      {"read", SYS_read, {EIO, EINTR, EINVAL, EPERM, EAGAIN, EISDIR}},
      {"lseek", SYS_lseek, {EINVAL, ESPIPE, EPERM}},
      {"getdents64", SYS_getdents64, {EPERM, ENOENT, ENOSYS}},
      {"close", SYS_close, {EIO, EINTR, ENOSPC}},
      {"socket", SYS_socket, {EMFILE, ENFILE, ENOMEM, ENOBUFS, EACCES, EAFNOSUPPORT, EPERM}},
      {"setsockopt", SYS_setsockopt, {EINVAL, ENOPROTOOPT, ENOMEM, EPERM}},
      {"bind", SYS_bind, {EADDRINUSE, EACCES, EADDRNOTAVAIL, EINVAL, EPERM}},
      {"listen", SYS_listen, {EADDRINUSE, EOPNOTSUPP, EPERM}},
      {"getsockname", SYS_getsockname, {ENOBUFS, EPERM}},
      {"getpeername", SYS_getpeername, {ENOTCONN, ENOBUFS, EPERM}},
      {"shutdown", SYS_shutdown, {ENOTCONN, EINVAL, EPERM}},
      {"eventfd2", SYS_eventfd2, {EMFILE, ENFILE, ENOMEM, ENODEV, EINVAL, EPERM, ENOSYS}},
      {"io_uring_setup",
       SYS_io_uring_setup,
       {ENOMEM, EMFILE, ENFILE, EPERM, ENOSYS, EINVAL, EACCES},
       nullptr,
       nullptr,
       "io_uring"},
      {"io_uring_register",
       SYS_io_uring_register,
       {ENOMEM, EINVAL, EPERM, ENOSYS, EBUSY, EMFILE},
       nullptr,
       nullptr,
       "io_uring"},
      {"io_uring_enter",
       SYS_io_uring_enter,
       {EPERM, EACCES, ENOSYS, EINVAL, EBADFD, EOPNOTSUPP},
       "ktlsim: io_uring_enter: "},
      {"io_uring_enter",
       SYS_io_uring_enter,
       {EAGAIN, ENOMEM, EBUSY, EINTR},
       nullptr,
       "io_uring_enter fails again and again: "},
      {"write",
       SYS_write,
       {ENOSPC, EIO, EPIPE, EAGAIN, EINTR, EPERM, EDQUOT, EFBIG},
       nullptr,
       nullptr,
       nullptr,
       true},
      {"writev", SYS_writev, {EIO, EPERM}},
      {"clone3", SYS_clone3, {EAGAIN, ENOMEM, EPERM}, nullptr, nullptr, "thread"},
      {"mprotect", SYS_mprotect, {ENOMEM, EACCES, EPERM}, nullptr, nullptr, "thread"},
      {"madvise", SYS_madvise, {EINVAL, ENOMEM, EAGAIN, EPERM, ENOSYS}},
      {"rt_sigtimedwait", SYS_rt_sigtimedwait, {EAGAIN, EINTR, EINVAL, EPERM, ENOSYS}},
      {"rt_sigaction", SYS_rt_sigaction, {EINVAL, EPERM}},
      {"prlimit64", SYS_prlimit64, {EINVAL, EPERM, ENOSYS}},
      {"getrandom", SYS_getrandom, {EAGAIN, EPERM, ENOSYS}, nullptr, nullptr, "certificate"},
      {"uname", SYS_uname, {EPERM, ENOSYS}},
      {"sched_getaffinity", SYS_sched_getaffinity, {EINVAL, EPERM, ENOSYS}},
      {"sched_yield", SYS_sched_yield, {EPERM, ENOSYS}},
      {"sysinfo", SYS_sysinfo, {EPERM, ENOSYS}},
      {"prctl", SYS_prctl, {EINVAL, EPERM, ENOSYS}},
      {"set_robust_list", SYS_set_robust_list, {EPERM, ENOSYS}},
      {"gettid", SYS_gettid, {EPERM, ENOSYS}},
  };
  return rows;
}

struct Fault {
  const Row* row = nullptr;
  int error_number = 0;
  std::uint64_t place = 0;  // from main on, counted from 1
  bool once = true;

  std::string ToString() const {
    return std::string(row->name) + " " + strerrorname_np(error_number) + " at " +
           std::to_string(place) + (once ? "" : " and on");
  }
};

struct Story {
  int code = 0;
  bool listened = false;
  bool stalled = false;
  std::vector<std::string> statuses;
  std::string output;
  double cpu_s = 0;
  std::uint64_t refused = 0;
  bool impossible = false;
};

double ChildrenCpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Calls count from the dynamic linker's end on: it reads the limit on the stack last.
bool IsTheLinkersLast(const SystemCall& call) {
  return call.number == SYS_prlimit64 && call.arguments[1] == RLIMIT_STACK;
}

class RefusedCallsTest : public testing::Test {
 protected:
  RefusedCallsTest() {
    std::ofstream(folder_.File("index.html")) << "index";
    std::ofstream(folder_.File("a.txt")) << "text";
  }

  std::string Get(int port, const std::string& path) {
    return RunProgram({"curl", "-s", "-k", "--max-time", "3", "-o", "/dev/null", "-w",
                       "%{http_code}", "https://127.0.0.1:" + std::to_string(port) + path})
        .output;
  }

  // Start, requests, statistics, reload, drain.
  Story Play(const std::vector<int>& numbers, const CallRefuser::Judge& judge) {
    Story story;
    std::vector<int> calls = numbers;
    if (std::find(calls.begin(), calls.end(), SYS_prlimit64) == calls.end()) {
      calls.push_back(SYS_prlimit64);
    }
    bool armed = false;  // touched by the refuser's thread only
    CallRefuser refuser(calls, [&armed, &judge](const SystemCall& call) {
      if (armed) return judge(call);
      armed = IsTheLinkersLast(call);
      return 0;
    });
    ChildProcess::Arguments arguments = refuser.launcher();
    arguments.insert(arguments.end(), {KTLSIM_COMMAND, "serve", "--listen", "127.0.0.1:0",
                                       "--self-signed", "localhost", "--root", folder_.File("")});
    const double before = ChildrenCpuSeconds();
    {
      ChildProcess server(arguments);
      Lead(server, &story);
      story.output = server.output();
    }
    story.cpu_s = ChildrenCpuSeconds() - before;
    story.refused = refuser.refused();
    story.impossible = refuser.impossible();
    return story;
  }

  void Lead(ChildProcess& server, Story* story) {
    const int port = AwaitPort(server);
    story->listened = port != 0;
    if (!story->listened) {
      story->code = server.Wait();
      return;
    }
    for (const char* path : {"/", "/a.txt"}) Ask(port, path, story);
    if (!story->stalled) {
      server.Signal(SIGUSR1);
      Ask(port, "/", story);
      server.Signal(SIGHUP);
      static_cast<void>(server.WaitForOutput("reload", std::chrono::seconds(2)));
      Ask(port, "/a.txt", story);
    }
    server.Signal(SIGTERM);
    // As somebody would who sees that nothing moves. False: it has ended.
    if (server.WaitForOutput("again and again")) {
      story->stalled = true;
      server.Signal(SIGTERM);
    }
    story->code = server.Wait();
  }

  // From standard output or from the log, one of which may be refused. 0: it does not listen.
  static int AwaitPort(ChildProcess& server) {
    if (!server.WaitForOutput("127.0.0.1:") || !server.WaitForNext("127.0.0.1:") ||
        !server.WaitForNext("\n")) {
      return 0;
    }
    for (const std::string start : {"listening on 127.0.0.1:", "listening address=127.0.0.1:"}) {
      const std::size_t at = server.output().find(start);
      if (at != std::string::npos) return std::atoi(server.output().c_str() + at + start.size());
    }
    return 0;
  }

  void Ask(int port, const char* path, Story* story) {
    const auto begun = Clock::now();
    story->statuses.push_back(Get(port, path));
    story->stalled = Clock::now() - begun > std::chrono::seconds(2);
  }

  // How often each call is made in a run without faults.
  std::map<int, std::uint64_t> CountCalls() {
    std::vector<int> numbers;
    for (const Row& row : Table()) numbers.push_back(row.number);
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    std::map<int, std::uint64_t> counts;
    const Story story = Play(numbers, [&counts](const SystemCall& call) {
      ++counts[call.number];
      return 0;
    });
    impossible_ = story.impossible;
    if (!impossible_) {
      EXPECT_EQ(story.code, 0) << story.output;
      EXPECT_EQ(story.statuses, (std::vector<std::string>(4, "200"))) << story.output;
    }
    return counts;
  }

  void Check(const Fault& fault, const Story& story) {
    SCOPED_TRACE(fault.ToString());
    const Row& row = *fault.row;
    const auto says = [&story](const std::string& text) {
      return story.output.find(text) != std::string::npos;
    };
    const std::string words = std::generic_category().message(fault.error_number);
    // Behind the C library and OpenSSL it is no errno value any more.
    const bool short_of_memory =
        fault.error_number == ENOMEM &&
        (says("SEC_E_INSUFFICIENT_MEMORY") || says("memory or queue places ran out"));
    const bool told =
        says(words) || short_of_memory || (row.other_words != nullptr && says(row.other_words));
    EXPECT_NE(story.code, -1000) << "it had to be killed: " << story.output;
    EXPECT_LT(story.cpu_s, 4.0) << story.output;
    if (row.last_words != nullptr && story.code == -SIGABRT) {
      EXPECT_TRUE(says(row.last_words) && says(words)) << story.output;
      return;
    }
    if (story.stalled && row.complaint != nullptr) {
      EXPECT_TRUE(says(row.complaint) && says(words)) << story.output;
      return;
    }
    EXPECT_GE(story.code, 0) << story.output;
    EXPECT_TRUE(story.listened || story.code != 0) << story.output;
    EXPECT_TRUE(story.code == 0 || told) << story.output;
    for (const std::string& status : story.statuses) {
      if (status == "200") continue;
      EXPECT_TRUE(told) << status << "; " << story.output;
      EXPECT_TRUE(short_of_memory || status[0] == '5') << status << "; " << story.output;
    }
  }

  TemporaryFolder folder_;
  bool impossible_ = false;
};

constexpr int kParts = 4;

class EveryCallTest : public RefusedCallsTest, public testing::WithParamInterface<int> {
 protected:
  static bool All() {
    const char* const faults = std::getenv("KTLSIM_FAULTS");
    return faults != nullptr && std::string_view(faults) == "all";
  }

  // All of them, or of each call and errno value one, drawn.
  static std::vector<Fault> Choose(const std::map<int, std::uint64_t>& counts, std::uint64_t seed) {
    io::SeededRandom random(seed);
    std::vector<Fault> faults;
    for (const Row& row : Table()) {
      const auto found = counts.find(row.number);
      if (found == counts.end()) continue;
      for (const int error_number : row.errors) {
        if (!All()) {
          faults.push_back({&row, error_number, random.Between(1, found->second),
                            row.only_once || random.Chance(500)});
          continue;
        }
        for (std::uint64_t place = 1; place <= found->second; ++place) {
          faults.push_back({&row, error_number, place, true});
          if (!row.only_once) faults.push_back({&row, error_number, place, false});
        }
      }
    }
    return faults;
  }
};
INSTANTIATE_TEST_SUITE_P(, EveryCallTest, testing::Range(0, kParts));

TEST_P(EveryCallTest, RefusedIsAFallbackAStatusOrAMessage) {
  const std::map<int, std::uint64_t> counts = CountCalls();
  if (impossible_) GTEST_SKIP() << "no seccomp filter with a supervisor here";
  const std::uint64_t seed = test::NumberFromEnvironment("KTLSIM_SEED").value_or(1);
  SCOPED_TRACE("KTLSIM_SEED=" + std::to_string(seed));
  const std::vector<Fault> faults = Choose(counts, seed);
  std::uint64_t played = 0;
  std::uint64_t refused = 0;
  for (std::size_t i = static_cast<std::size_t>(GetParam()); i < faults.size(); i += kParts) {
    const Fault& fault = faults[i];
    std::uint64_t occurrence = 0;  // the refuser's thread's
    const Story story = Play({fault.row->number}, [&fault, &occurrence](const SystemCall& call) {
      if (call.number != fault.row->number) return 0;
      ++occurrence;
      const bool now = fault.once ? occurrence == fault.place : occurrence >= fault.place;
      return now ? fault.error_number : 0;
    });
    Check(fault, story);
    ++played;
    refused += story.refused;
  }
  RecordProperty("faults", std::to_string(played));
  std::printf("%llu faults, %llu calls refused\n", static_cast<unsigned long long>(played),
              static_cast<unsigned long long>(refused));
}

// A file that is there and cannot be read: those who ask hear of it, and so does the log; others
// are served.
TEST_F(RefusedCallsTest, AFileThatCannotBeReadIsAStatusAndALogLine) {
  CallRefuser refuser({SYS_preadv2, SYS_pread64});
  ServeProcess server({"--self-signed", "localhost", "--root", folder_.File("")},
                      refuser.launcher());
  if (refuser.impossible()) GTEST_SKIP() << "no seccomp filter with a supervisor here";
  ASSERT_TRUE(server.running()) << server.output();
  refuser.SetJudge([](const SystemCall&) { return EIO; });
  EXPECT_EQ(Get(server.port(), "/a.txt"), "500");
  EXPECT_TRUE(server.WaitForOutput("file failed path=/a.txt")) << server.output();
  EXPECT_TRUE(server.WaitForOutput("read the file: Input/output error")) << server.output();
  refuser.SetJudge([](const SystemCall& call) { return call.number == SYS_preadv2 ? EPERM : 0; });
  EXPECT_EQ(Get(server.port(), "/a.txt"), "200");
  refuser.SetJudge({});
  EXPECT_EQ(Get(server.port(), "/a.txt"), "200");
  server.StopCleanly();
}

// The kernel says that it had no memory to keep a completion: what is in flight is cut, since it
// may be this one's that is missing; listeners and the ring go on.
TEST_F(RefusedCallsTest, ALostCompletionCutsWhatIsInFlightAndNothingElse) {
  CallRefuser refuser({SYS_io_uring_enter});
  ServeProcess server({"--self-signed", "localhost", "--root", folder_.File("")},
                      refuser.launcher());
  if (refuser.impossible()) GTEST_SKIP() << "no seccomp filter with a supervisor here";
  ASSERT_TRUE(server.running()) << server.output();
  for (std::uint64_t place = 1; place <= 8; ++place) {
    SCOPED_TRACE(place);
    refuser.SetJudge([left = place](const SystemCall&) mutable { return --left == 0 ? EBADR : 0; });
    Get(server.port(), "/a.txt");
    refuser.SetJudge({});
    EXPECT_EQ(Get(server.port(), "/a.txt"), "200");
  }
  server.StopCleanly();
}

}  // namespace
}  // namespace ktlsim::system_tests
