#include "kernel_sim/authorization/process_start.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "kernel_sim/base/descriptor.h"

namespace ktlsim::authorization {
namespace {

constexpr int kFirstOther = 3;  // the first descriptor behind the standard ones

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

// Behind the standard descriptors, which the child replaces one by one. An errno value.
int MoveBehind(int descriptor, int* moved) {
  *moved = fcntl(descriptor, F_DUPFD_CLOEXEC, kFirstOther);
  return *moved >= 0 ? 0 : errno;
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
    if (nothing_ >= 0) close(nothing_);
    for (const int one : standard_) {
      if (one >= 0) close(one);
    }
  }

  // An errno value.
  int Prepare() {
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0) return errno;
    const ktlsim::Descriptor first(nothing);
    int error = MoveBehind(nothing, &nothing_);
    for (std::size_t i = 0; error == 0 && i < standard_.size(); ++i) {
      if (plan_.standard[i] >= 0) error = MoveBehind(plan_.standard[i], &standard_[i]);
    }
    return error;
  }

  // In the child.
  [[noreturn]] void Run() const noexcept {
    int error = ResetSignals();
    if (error == 0) error = LeaveParent();
    if (error == 0) error = PlaceStandard();
    if (error == 0 && !plan_.inherit) error = CloseOthers();
    if (error == 0 && plan_.identity != nullptr) error = plan_.identity->TakeOn();
    // As whoever it is now.
    if (error == 0) error = EnterFolder();
    if (error == 0) error = RunProgram();
    Call(SYS_write, report_, &error, sizeof(error));
    for (;;) Call(SYS_exit_group, 127);
  }

 private:
  // A program begins with the signals as they are by default, whatever the library's host ignores.
  static int ResetSignals() noexcept {
    constexpr std::size_t kSetBytes = 8;
    constexpr int kSignals = 64;
    const std::array<std::uint64_t, 8> zeros = {};  // the kernel's SIG_DFL, and no signal of a set
    for (int signal = 1; signal <= kSignals; ++signal) {
      if (signal == SIGKILL || signal == SIGSTOP) continue;
      Call(SYS_rt_sigaction, signal, zeros.data(), nullptr, kSetBytes);
    }
    return Call(SYS_rt_sigprocmask, SIG_SETMASK, zeros.data(), nullptr, kSetBytes);
  }

  int LeaveParent() const noexcept {
    if (plan_.own_session) return Call(SYS_setsid);  // and a group, whose first process it is
    return plan_.own_group ? Call(SYS_setpgid, 0, 0) : 0;
  }

  int PlaceStandard() const noexcept {
    for (int i = 0; i < kFirstOther; ++i) {
      const auto index = static_cast<std::size_t>(i);
      if (standard_[index] < 0 && plan_.standard[index] == ProcessPlan::kParents && Stays(i)) {
        continue;
      }
      // A program that begins without one would take the next file that it opens for it.
      const int from = standard_[index] >= 0 ? standard_[index] : nothing_;
      if (const int error = Call(SYS_dup3, from, i, 0); error != 0) return error;
    }
    return 0;
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
  int nothing_ = -1;
  std::array<int, 3> standard_ = {-1, -1, -1};
};

// What the child says through its pipe: why its program does not run. 0: it does. The child has run
// it or ended by now, so nothing is waited for: another child that this process has meanwhile may
// have the pipe, too.
int ReadReport(int reading) {
  int error = 0;
  return read(reading, &error, sizeof(error)) == sizeof(error) ? error : 0;
}

void Reap(pid_t child) {
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
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
  const ktlsim::Descriptor low(ends[1]);
  int behind = -1;
  if (const int error = MoveBehind(low.number(), &behind); error != 0) return error;
  const ktlsim::Descriptor writing(behind);
  ChildWork work(plan, writing.number());
  if (const int error = work.Prepare(); error != 0) return error;
  long started = 0;
  int error = 0;
  {
    const NoSignals no_signals;
    // A copy of this thread alone, without the handlers of forks: they wait for locks that the
    // child does not need. The call returns here when the child's program runs or it has ended.
    started = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
    if (started == 0) work.Run();
    if (started < 0) error = errno;
  }
  if (error != 0) return error;
  error = ReadReport(reading.number());
  if (error != 0) {
    Reap(static_cast<pid_t>(started));
    return error;
  }
  *child = static_cast<pid_t>(started);
  return 0;
}

}  // namespace ktlsim::authorization
