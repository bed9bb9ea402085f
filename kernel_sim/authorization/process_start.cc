#include "kernel_sim/authorization/process_start.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/descriptor.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"

namespace ktlsim::authorization {
namespace {

constexpr int kFirstOther = 3;  // the first descriptor behind the standard ones
constexpr std::size_t kSignalSetBytes = 8;

// An array of texts as execve takes it; it views them.
std::vector<char*> PointersTo(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// A system call as it is: a wrapper of the C library, or of a sanitizer, may take locks. 0, or the
// errno value.
template <typename... Arguments>
int Call(long number, Arguments... arguments) noexcept {
  return syscall(number, arguments...) < 0 ? errno : 0;
}

// Behind the standard descriptors, which the child replaces one by one. EBADF, or EMFILE.
int MoveBehind(int descriptor, int* moved) {
  *moved = fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstOther);
  if (*moved >= 0) return 0;
  return errno == EBADF ? EBADF : EMFILE;
}

// What the child does, and what it uses for that: made before the fork, and not changed after it.
class ChildWork {
 public:
  ChildWork(const ProcessPlan& plan, int report)
      : plan_(plan),
        report_(report),
        programs_(PointersTo(plan.programs)),
        arguments_(PointersTo(plan.arguments)),
        environment_(PointersTo(plan.environment)) {}
  ChildWork(const ChildWork&) = delete;
  ChildWork& operator=(const ChildWork&) = delete;
  ~ChildWork() {
    for (const int one : standard_) {
      if (one >= 0) close(one);
    }
  }

  // An errno value.
  int Prepare() {
    int error = 0;
    for (std::size_t i = 0; error == 0 && i < standard_.size(); ++i) {
      if (plan_.standard[i] >= 0) error = MoveBehind(plan_.standard[i], &standard_[i]);
    }
    return error;
  }

  // In the child.
  [[noreturn]] void Run() const noexcept {
    ResetHandlers();
    int error = LeaveParent();
    if (error == 0) error = PlaceStandard();
    if (error == 0 && !plan_.inherit) error = CloseOthers();
    if (error == 0 && plan_.identity != nullptr) error = plan_.identity->TakeOn();
    // As whoever it is now.
    if (error == 0) error = EnterFolder();
    // Last of all: what comes before the program runs ends a child, not a program.
    if (error == 0) error = TakeSignals();
    if (error == 0) error = RunProgram();
    Call(SYS_write, report_, &error, sizeof(error));
    for (;;) Call(SYS_exit_group, 127);
  }

 private:
  // A program begins with the signals as they are by default, whatever the library's host ignores.
  static void ResetHandlers() noexcept {
    constexpr int kSignals = 64;
    const std::array<std::uint64_t, 8> by_default = {};  // the kernel's SIG_DFL
    for (int signal = 1; signal <= kSignals; ++signal) {
      if (signal == SIGKILL || signal == SIGSTOP) continue;
      Call(SYS_rt_sigaction, signal, by_default.data(), nullptr, kSignalSetBytes);
    }
  }

  static int TakeSignals() noexcept {
    const std::uint64_t none = 0;
    return Call(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kSignalSetBytes);
  }

  int LeaveParent() const noexcept {
    if (plan_.own_session) return Call(SYS_setsid);  // and a group, whose first process it is
    return plan_.own_group ? Call(SYS_setpgid, 0, 0) : 0;
  }

  int PlaceStandard() const noexcept {
    for (int i = 0; i < kFirstOther; ++i) {
      const auto index = static_cast<std::size_t>(i);
      if (standard_[index] >= 0) {
        if (Call(SYS_dup3, standard_[index], i, 0) != 0) return EMFILE;
      } else if (plan_.standard[index] != ProcessPlan::kParents || !Stays(i)) {
        // A program that begins without one would take the next file that it opens for it.
        if (!PlaceNothing(i)) return EMFILE;
      }
    }
    return 0;
  }

  // /dev/null. One that takes another place than it was opened for closes by itself.
  static bool PlaceNothing(int place) noexcept {
    const long opened = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    if (opened < 0) return false;
    return (opened == place ? Call(SYS_fcntl, place, F_SETFD, 0)
                            : Call(SYS_dup3, static_cast<int>(opened), place, 0)) == 0;
  }

  static bool Stays(int descriptor) noexcept {
    const long flags = syscall(SYS_fcntl, descriptor, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) == 0;
  }

  // The report has to stay open until the program runs.
  static int CloseOthers() noexcept {
    return Call(SYS_close_range, kFirstOther, ~0U, CLOSE_RANGE_CLOEXEC);
  }

  // ENOTDIR: it is none, or is not there.
  int EnterFolder() const noexcept {
    if (plan_.folder.empty()) return 0;
    const int error = Call(SYS_chdir, plan_.folder.c_str());
    return error == ENOENT ? ENOTDIR : error;
  }

  // Why no program runs; never ENOTDIR.
  int RunProgram() const noexcept {
    int error = ENOENT;
    for (char* const program : programs_) {
      if (program == nullptr) break;
      const int why = Call(SYS_execve, program, arguments_.data(), environment_.data());
      if (why != ENOENT && why != ENOTDIR && why != EACCES) return why;
      // That one may not be run is told if there is no other.
      if (why == EACCES) error = why;
    }
    return error;
  }

  const ProcessPlan& plan_;
  const int report_;
  const std::vector<char*> programs_;
  const std::vector<char*> arguments_;
  const std::vector<char*> environment_;
  std::array<int, 3> standard_ = {-1, -1, -1};
};

// ---- In the parent

// Of a process that has ended, or has not, and is still to be waited for: whether it has run a
// program. The kernel's own mark (PF_FORKNOEXEC) is the ninth word of its "stat"; the name before
// that, in parentheses, may have any. No value: it is not to be had.
std::optional<bool> HasRunProgram(pid_t child) {
  constexpr unsigned long kNoProgramYet = 0x40;
  constexpr int kWordsBetween = 6;
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/%d/stat", child);
  const ktlsim::Descriptor file(open(path, O_RDONLY | O_CLOEXEC));
  char text[512];
  const ssize_t bytes = file.valid() ? read(file.number(), text, sizeof(text) - 1) : -1;
  if (bytes <= 0) return std::nullopt;
  text[bytes] = '\0';
  const char* at = std::strrchr(text, ')');
  for (int i = 0; at != nullptr && i <= kWordsBetween; ++i) at = std::strchr(at + 1, ' ');
  if (at == nullptr) return std::nullopt;
  return (std::strtoul(at, nullptr, 10) & kNoProgramYet) == 0;
}

// A child by its number, which may become another's, and by a descriptor, which does not.
struct Child {
  pid_t pid = 0;
  int process = -1;
};

// As waitid, for a child that has ended.
int WaitOn(int process, int how, siginfo_t* facts) {
  return waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(process), facts, WEXITED | how);
}

// *killed: by a signal.
bool HasEnded(const Child& child, bool* killed) {
  siginfo_t facts{};
  *killed = false;
  // Somebody else has waited for it: it is taken for a program.
  if (WaitOn(child.process, WNOHANG | WNOWAIT, &facts) != 0) return true;
  *killed = facts.si_code == CLD_KILLED || facts.si_code == CLD_DUMPED;
  return facts.si_pid == child.pid;
}

// What the child says through its pipe: why its program does not run. 0: it does.
//
// The end of the pipe says that it runs, or that the child was ended. It may also fail to come:
// another child that this process has meanwhile may have the pipe, too. So the child is looked at
// between waits.
int WaitForProgram(const Child& child, int reading, std::uint64_t limit_ms) {
  constexpr int kLookMs = 20;
  const std::uint64_t end_ns = MonotonicClock::Now() + limit_ms * kNsPerMs;
  for (bool pipe_ended = false;;) {
    std::array<pollfd, 2> ready = {pollfd{child.process, POLLIN, 0},
                                   pollfd{pipe_ended ? -1 : reading, POLLIN, 0}};
    const bool late = MonotonicClock::Now() >= end_ns;
    poll(ready.data(), ready.size(), late ? 0 : kLookMs);
    // Before the pipe is read: one that ends by itself has said why.
    bool killed = false;
    const bool ended = HasEnded(child, &killed);
    int error = 0;
    const ssize_t bytes = read(reading, &error, sizeof(error));
    if (bytes == sizeof(error)) return error;
    pipe_ended = bytes == 0;
    if (ended && !killed) return 0;
    const std::optional<bool> runs = HasRunProgram(child.pid);
    if (runs.value_or(false)) return 0;
    if (ended) return ECANCELED;
    // A child that is there has closed its end with its program only.
    if (pipe_ended && !runs.has_value()) return 0;
    if (late) return ETIMEDOUT;
  }
}

// Children that were killed and have not ended yet, by their descriptors.
class Leftovers {
 public:
  // False: no memory. Otherwise Keep follows, and has room.
  bool Reserve() {
    const MutexLock lock(mutex_);
    try {
      children_.reserve(children_.size() + starting_ + 1);
    } catch (const std::bad_alloc&) {
      return false;
    }
    ++starting_;
    return true;
  }
  // -1: nothing is left over.
  void Keep(int process) {
    const MutexLock lock(mutex_);
    --starting_;
    if (process >= 0) children_.push_back(process);
  }
  // Waits for those that have ended.
  void Reap() {
    const MutexLock lock(mutex_);
    std::erase_if(children_, [](int process) {
      siginfo_t facts{};
      const bool ended = WaitOn(process, WNOHANG, &facts) != 0 || facts.si_pid != 0;
      if (ended) close(process);
      return ended;
    });
  }

 private:
  Mutex mutex_;
  std::size_t starting_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::vector<int> children_ KTLSIM_GUARDED_BY(mutex_);
};

Leftovers& TheLeftovers() {
  static NeverDestroyed<Leftovers> leftovers;
  return leftovers.get();
}

// True: it has ended, and nobody waits for it any more. False: a signal does not end it now, since
// it waits for a device.
bool Kill(int process) {
  constexpr int kTries = 100;
  constexpr int kTryMs = 10;
  Call(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0);
  for (int i = 0; i < kTries; ++i) {
    siginfo_t facts{};
    if (WaitOn(process, WNOHANG, &facts) != 0 || facts.si_pid != 0) return true;
    pollfd ready = {process, POLLIN, 0};
    poll(&ready, 1, kTryMs);
  }
  return false;
}

// The thread takes no signals meanwhile: their handlers are the parent's business.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

int StartProcess(const ProcessPlan& plan, pid_t* child) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return errno;
  const ktlsim::Descriptor reading(ends[0]);
  int behind = -1;
  {
    const ktlsim::Descriptor low(ends[1]);
    if (MoveBehind(low.number(), &behind) != 0) return EMFILE;
  }
  ktlsim::Descriptor writing(behind);
  ChildWork work(plan, behind);
  if (const int error = work.Prepare(); error != 0) return error;
  Leftovers& leftovers = TheLeftovers();
  leftovers.Reap();
  if (!leftovers.Reserve()) return ENOMEM;
  Child made;
  int error = 0;
  {
    const NoSignals no_signals;
    // A copy of this thread alone, without the handlers of forks: they wait for locks that the
    // child does not need. Not CLONE_VFORK, which would wait for it without any limit.
    const long started =
        syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, nullptr, &made.process, nullptr, nullptr);
    if (started == 0) work.Run();
    if (started < 0) error = errno;
    made.pid = static_cast<pid_t>(started);
  }
  close(writing.Release());
  if (error != 0) {
    leftovers.Keep(-1);
    return error;
  }
  ktlsim::Descriptor process(made.process);
  error = WaitForProgram(made, reading.number(), plan.limit_ms);
  leftovers.Keep(error == 0 || Kill(made.process) ? -1 : process.Release());
  if (error == 0) *child = made.pid;
  return error;
}

}  // namespace ktlsim::authorization
