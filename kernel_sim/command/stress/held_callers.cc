#include "kernel_sim/command/stress/held_callers.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace ktlsim::command {
namespace {

// By default it is ignored: one that comes late does no harm.
constexpr int kSignal = SIGURG;
constexpr unsigned kLooksMax = 250;
constexpr timespec kLookGap = {.tv_sec = 0, .tv_nsec = 200'000};

// Odd while a thread is held. For a signal handler: no locks.
std::atomic<std::uint32_t> holds{0};
std::atomic<std::uint64_t> held_up{0};
static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
              std::atomic<std::uint64_t>::is_always_lock_free);

void WaitInHandler(int) {
  const int interrupted_errno = errno;
  const std::uint32_t mine = holds.load();
  if (mine % 2 == 1) held_up.fetch_add(1);
  // A signal that comes after its hold is over finds an even number, or belongs to the next hold.
  for (unsigned looks = 0; mine % 2 == 1 && holds.load() == mine && looks < kLooksMax; ++looks) {
    static_cast<void>(nanosleep(&kLookGap, nullptr));
  }
  errno = interrupted_errno;
}

bool InstallHandler() {
  struct sigaction action = {};
  action.sa_handler = &WaitInHandler;
  action.sa_flags = SA_RESTART;
  return sigaction(kSignal, &action, nullptr) == 0;
}

}  // namespace

HeldCallers::Member::Member(HeldCallers& callers) : callers_(callers) {
  const ScopedLock lock(callers_.mutex_);
  callers_.threads_.push_back(pthread_self());
}

HeldCallers::Member::~Member() {
  const ScopedLock lock(callers_.mutex_);
  std::erase_if(callers_.threads_,
                [](pthread_t thread) { return pthread_equal(thread, pthread_self()) != 0; });
}

HeldCallers::Hold::Hold(HeldCallers& callers, io::SeededRandom& random) {
  static const bool installed = InstallHandler();
  holds.fetch_add(1);
  const ScopedLock lock(callers.mutex_);
  if (!installed || callers.threads_.empty()) return;
  // A thread in the list has not ended. Without the signal no thread is held up, which is no
  // failure.
  static_cast<void>(pthread_kill(callers.threads_[random.Below(callers.threads_.size())], kSignal));
}

HeldCallers::Hold::~Hold() { holds.fetch_add(1); }

std::uint64_t HeldCallers::Count() { return held_up.load(); }

}  // namespace ktlsim::command
