#include "kernel_sim/command/serve_signals.h"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>
#include <system_error>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"

namespace ktlsim::command {
namespace {

// A signal outside the set, a debugger, a stop: each interrupts once.
constexpr int kInterruptionsMax = 100;

std::string Words(int error_number) { return std::generic_category().message(error_number); }

void MaskEnds(int how) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(how, &ends, nullptr);
}

}  // namespace

ServeSignals::ServeSignals() {
  sigemptyset(&set_);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, Nudge()}) sigaddset(&set_, signal);
  if (const int error_number = pthread_sigmask(SIG_BLOCK, &set_, nullptr); error_number != 0) {
    error_ = fmt::format("signals cannot be blocked: rt_sigprocmask: {}; a sandbox must allow it",
                         Words(error_number));
  }
  // Writing to a closed pipe or socket is an ordinary error.
  if (std::signal(SIGPIPE, SIG_IGN) == SIG_ERR && error_.empty()) {
    error_ = fmt::format("SIGPIPE cannot be ignored: rt_sigaction: {}; a sandbox must allow it",
                         Words(errno));
  }
}

ServeSignals::~ServeSignals() {
  if (descriptor_ >= 0) close(descriptor_);
}

int ServeSignals::NextFromCall(std::uint64_t limit_ns) const {
  timespec limit{};
  limit.tv_sec = static_cast<std::time_t>(limit_ns / kNsPerSecond);
  limit.tv_nsec = static_cast<long>(limit_ns % kNsPerSecond);
  for (int i = 0; i < kInterruptionsMax; ++i) {
    const int signal =
        limit_ns == 0 ? sigwaitinfo(&set_, nullptr) : sigtimedwait(&set_, nullptr, &limit);
    if (signal > 0) return signal;
    if (limit_ns != 0 && errno == EAGAIN) return 0;
    if (errno != EINTR) break;
  }
  return -errno;
}

int ServeSignals::NextFromDescriptor(std::uint64_t limit_ns) {
  if (descriptor_ < 0) descriptor_ = signalfd(-1, &set_, SFD_CLOEXEC);
  if (descriptor_ < 0) return -errno;
  for (int i = 0; i < kInterruptionsMax; ++i) {
    if (limit_ns != 0) {
      pollfd ready{.fd = descriptor_, .events = POLLIN, .revents = 0};
      const std::uint64_t ms = std::max<std::uint64_t>(limit_ns / kNsPerMs, 1);
      const int count =
          poll(&ready, 1,
               static_cast<int>(std::min<std::uint64_t>(ms, std::numeric_limits<int>::max())));
      if (count == 0) return 0;
      // Not on to the read, which would wait without a limit.
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) break;
    }
    signalfd_siginfo info{};
    if (read(descriptor_, &info, sizeof(info)) == sizeof(info)) {
      return static_cast<int>(info.ssi_signo);
    }
    if (errno != EINTR) break;
  }
  return -errno;
}

int ServeSignals::Next(std::uint64_t limit_ns) {
  const int signal = NextFromCall(limit_ns);
  if (signal >= 0) return signal;
  const int other = NextFromDescriptor(limit_ns);
  if (other >= 0) return other;
  fmt::print(stderr,
             "ktlsim serve: signals cannot be waited for: rt_sigtimedwait: {}, signalfd: {}; "
             "draining; a sandbox must allow one of them\n",
             Words(-signal), Words(-other));
  return SIGTERM;
}

void ServeSignals::LetGo() { MaskEnds(SIG_UNBLOCK); }
void ServeSignals::Hold() { MaskEnds(SIG_BLOCK); }

}  // namespace ktlsim::command
