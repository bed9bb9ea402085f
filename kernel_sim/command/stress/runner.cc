#include "kernel_sim/command/stress/runner.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/stress/restarts.h"
#include "kernel_sim/command/stress/wire_worker.h"

namespace ktlsim::command {
namespace {

constexpr double kRoundSeconds = 4;
constexpr double kFullQueuesSeconds = 0.5;
constexpr double kRestartsSeconds = 1;
constexpr double kFirstRestartSeconds = 0.3;
constexpr double kRestartSeconds = 0.7;
constexpr unsigned kApiThreads = 3;
constexpr unsigned kApiThreadsRestarts = 6;  // so that there is always one on the way in
// Beyond its own time: a round that takes longer has lost something.
constexpr double kRoundLimitSeconds = 60;

std::uint64_t Nanoseconds(double seconds) {
  return static_cast<std::uint64_t>(seconds * static_cast<double>(kNsPerSecond));
}

// Calls `bite` on a thread of its own unless it is gone before the time is over.
class Watchdog {
 public:
  Watchdog(double seconds, std::function<void()> bite)
      : thread_([this, seconds, bite = std::move(bite)] {
          const ScopedLock lock(mutex_);
          const auto end =
              std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
          while (!gone_) {
            if (over_.wait_until(mutex_, end) == std::cv_status::timeout && !gone_) return bite();
          }
        }) {}
  ~Watchdog() {
    {
      const ScopedLock lock(mutex_);
      gone_ = true;
    }
    over_.notify_one();
    thread_.join();
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  Mutex mutex_;
  ConditionVariable over_;
  bool gone_ KTLSIM_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace

StartupOptions StressRunner::StartupFor(ApiMix mix) {
  StartupOptions startup = plan_.library;
  startup.notify_mode = plan_.notify_mode.value_or(ULONG{KTLSIM_NOTIFY_POOL});
  startup.pool = plan_.placement == StressPlacement::kPool ||
                 (plan_.placement == StressPlacement::kMixed && rounds_ % 2 == 0);
  if (mix == ApiMix::kFullQueues) {
    startup.queue_depth = static_cast<unsigned>(seeds_.Between(1, 32));
    if (Has(plan_.faults, StressActivity::kQueueLimit)) {
      startup.queue_wait_limit_ms = static_cast<unsigned>(seeds_.Below(5));
    }
  }
  return startup;
}

std::string StressRunner::StartLibraryFor(const StartupOptions& startup) {
  std::string error = StartLibrary(startup);
  if (!error.empty() || certificate_.get() != nullptr) return error;
  std::optional<Certificate> made =
      CreateSelfSigned(kStressServerName, KTLSIM_KEY_ECDSA_P256, &error);
  if (made) certificate_ = std::move(*made);
  return error;
}

void StressRunner::StartWorkers(StressRound& round, ApiMix mix) {
  const unsigned api_threads = mix == ApiMix::kRestarts ? kApiThreadsRestarts : kApiThreads;
  for (unsigned i = 0; i < api_threads; ++i) {
    workers_.emplace_back(&RunApiWorker, std::ref(round), seeds_.Next(), mix);
  }
  if (mix != ApiMix::kEverything) return;
  for (unsigned i = 0; i < std::max(4U, plan_.connections / 4); ++i) {
    workers_.emplace_back(&RunWireWorker, std::ref(round), seeds_.Next(), i);
  }
}

void StressRunner::StartRestarts(StressRound& round, const StartupOptions& startup) {
  if (Has(plan_.faults, StressActivity::kFork)) {
    workers_.emplace_back(&RunForks, std::ref(round), seeds_.Next());
  }
  if (!round.restarts) return;
  const RestartPlan plan{.startup = startup,
                         .either_placement = plan_.placement == StressPlacement::kMixed};
  workers_.emplace_back(&RunRestarts, std::ref(round), seeds_.Next(), plan, &ended_starts_,
                        &report_.lanes);
}

void StressRunner::JoinWorkers(StressRound& round) {
  round.ending.store(true, std::memory_order_relaxed);
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void StressRunner::Watch(StressPaths& paths, std::uint64_t end) {
  std::uint64_t restart = MonotonicClock::Now() + Nanoseconds(kFirstRestartSeconds);
  for (std::uint64_t now = MonotonicClock::Now(); now < end; now = MonotonicClock::Now()) {
    if (interrupted()) return;
    if (now >= restart && Has(plan_.faults, StressActivity::kRestart)) {
      paths.Restart();
      restart = MonotonicClock::Now() + Nanoseconds(kRestartSeconds);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    progress_.Update(
        fmt::format("stress, round {}, {} violations", rounds_, report_.evidence.violations()),
        report_.tally.Total(),
        static_cast<double>(end_ - std::min(end_, MonotonicClock::Now())) / 1e9);
  }
}

void StressRunner::WaitForCalls(StressRound& round) {
  while (round.live.load(std::memory_order_acquire) != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void StressRunner::StopLibrary(StressRound& round) {
  WaitForCalls(round);
  CheckCounters(round.ledger, ended_starts_, report_.evidence);
  if (Has(plan_.faults, StressActivity::kStopInFlight)) {
    LastCalls(round).Submit();
  } else {
    round.pairs = {};
  }
  static_cast<void>(KtlsimStop());
  round.ledger.CheckAll();
  report_.calls += round.ledger.counts();
  report_.lanes += ReadLanes();
  RundownCheck rundown = CheckRundown();
  // Misuse was ours, and on purpose.
  std::erase_if(rundown.counters, [](const auto& counter) { return counter.first == "misuse"; });
  if (!rundown.clean()) {
    report_.evidence.Add(fmt::format("round {}: left behind {}", rounds_, rundown.Leftovers()));
  }
  report_.tally.Add(StressActivity::kRound, StressOutcome::kRight);
}

std::string StressRunner::RunRound(ApiMix mix, double seconds) {
  ++rounds_;
  StressRound round(plan_.faults, report_.tally, report_.evidence);
  round.notify_mode = plan_.notify_mode;
  round.targets.foreign = plan_.foreign.has_value();
  round.restarts = mix == ApiMix::kRestarts && Has(plan_.faults, StressActivity::kRestartUnderLoad);
  ended_starts_ = {};
  const Watchdog watchdog(seconds + kRoundLimitSeconds, [this, &round] {
    report_.evidence.Add(fmt::format("round {} did not come to its end: {} calls and conversations",
                                     rounds_, round.live.load()));
    plan_.give_up();
  });
  const StartupOptions startup = StartupFor(mix);
  std::string error = StartLibraryFor(startup);
  if (!error.empty()) return error;
  error = round.MakeCredentials(certificate_);
  StressPaths paths(round);
  const bool with_paths = mix == ApiMix::kEverything;
  if (error.empty() && with_paths) error = paths.Start(plan_.foreign);
  if (error.empty() && with_paths) error = paths.StartLoad(plan_.connections);
  if (error.empty()) {
    StartWorkers(round, mix);
    if (mix == ApiMix::kRestarts) StartRestarts(round, startup);
    Watch(paths, MonotonicClock::Now() + Nanoseconds(seconds));
    JoinWorkers(round);
  }
  paths.EndLoad();
  paths.Stop();
  report_.servers += paths.server_statistics();
  StopLibrary(round);
  return error;
}

// Restarts and forks have rounds of their own: servers live on the loops of one start, and a child
// has their sockets until it ends.
bool StressRunner::Restarts() const {
  return Has(plan_.faults, StressActivity::kRestartUnderLoad) ||
         Has(plan_.faults, StressActivity::kFork);
}

bool StressRunner::RestartsNamed() const {
  return Has(plan_.faults, StressActivity::kRestartUnderLoad) && plan_.faults != AllFaults();
}

ApiMix StressRunner::NextMix() const {
  if (rounds_ % 3 == 0 && Has(plan_.faults, StressActivity::kFullQueue)) return ApiMix::kFullQueues;
  // Where restarts were named explicitly, they get the rounds of full queues, too.
  const bool turn = rounds_ % 3 == 2 || (rounds_ % 3 == 0 && RestartsNamed());
  return turn && Restarts() ? ApiMix::kRestarts : ApiMix::kEverything;
}

std::string StressRunner::Run() {
  const std::uint64_t begun = MonotonicClock::Now();
  end_ = begun + Nanoseconds(plan_.seconds);
  progress_.Begin(fmt::format("stress, seed {}", report_.seed), plan_.seconds);
  const unsigned rounds_min = Restarts() ? 3 : 2;
  const CounterWatch watch(report_.tally, report_.evidence);
  const double share = std::min(kRoundSeconds, plan_.seconds / 3);
  std::string error;
  while (error.empty() && !interrupted()) {
    const std::uint64_t now = MonotonicClock::Now();
    // However short the time or slow the machine: one round of each kind.
    const bool owed = rounds_ < rounds_min;
    if (now >= end_ && !owed) break;
    const double left = owed ? share : static_cast<double>(end_ - now) / 1e9;
    const ApiMix mix = NextMix();
    const double most = mix == ApiMix::kFullQueues                     ? kFullQueuesSeconds
                        : mix == ApiMix::kRestarts && !RestartsNamed() ? kRestartsSeconds
                                                                       : share;
    error = RunRound(mix, std::min(most, left));
  }
  progress_.End();
  report_.seconds = static_cast<double>(MonotonicClock::Now() - begun) / 1e9;
  return error;
}

}  // namespace ktlsim::command
