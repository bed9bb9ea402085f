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
#include "kernel_sim/command/stress/counters.h"
#include "kernel_sim/command/stress/wire_worker.h"

namespace ktlsim::command {
namespace {

constexpr double kRoundSeconds = 4;
constexpr double kFullQueuesSeconds = 0.5;
constexpr double kFirstRestartSeconds = 0.3;
constexpr double kRestartSeconds = 0.7;
constexpr unsigned kApiThreads = 3;
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

std::string StressRunner::StartLibraryFor(ApiMix mix) {
  StartupOptions startup = plan_.library;
  startup.pool = plan_.placement == StressPlacement::kPool ||
                 (plan_.placement == StressPlacement::kMixed && rounds_ % 2 == 0);
  if (mix == ApiMix::kFullQueues) {
    startup.queue_depth = static_cast<unsigned>(seeds_.Between(1, 32));
    if (Has(plan_.faults, StressActivity::kQueueLimit)) {
      startup.queue_wait_limit_ms = static_cast<unsigned>(seeds_.Below(5));
    }
  }
  std::string error = StartLibrary(startup);
  if (!error.empty() || certificate_.get() != nullptr) return error;
  std::optional<Certificate> made =
      CreateSelfSigned(kStressServerName, KTLSIM_KEY_ECDSA_P256, &error);
  if (made) certificate_ = std::move(*made);
  return error;
}

void StressRunner::StartWorkers(StressRound& round, ApiMix mix) {
  for (unsigned i = 0; i < kApiThreads; ++i) {
    workers_.emplace_back(&RunApiWorker, std::ref(round), seeds_.Next(), mix);
  }
  if (mix == ApiMix::kFullQueues) return;
  for (unsigned i = 0; i < std::max(4U, plan_.connections / 4); ++i) {
    workers_.emplace_back(&RunWireWorker, std::ref(round), seeds_.Next(), i);
  }
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
  CheckCounters(round.ledger, report_.evidence);
  if (Has(plan_.faults, StressActivity::kStopInFlight)) {
    LastCalls(round).Submit();
  } else {
    round.pairs = {};
  }
  static_cast<void>(KtlsimStop());
  round.ledger.CheckAll();
  report_.calls += round.ledger.counts();
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
  round.targets.foreign = plan_.foreign.has_value();
  const Watchdog watchdog(seconds + kRoundLimitSeconds, [this, &round] {
    report_.evidence.Add(fmt::format("round {} did not come to its end: {} calls and conversations",
                                     rounds_, round.live.load()));
    plan_.give_up();
  });
  std::string error = StartLibraryFor(mix);
  if (!error.empty()) return error;
  error = round.MakeCredentials(certificate_);
  StressPaths paths(round);
  const bool with_paths = mix == ApiMix::kEverything;
  if (error.empty() && with_paths) error = paths.Start(plan_.foreign);
  if (error.empty() && with_paths) error = paths.StartLoad(plan_.connections);
  if (error.empty()) {
    StartWorkers(round, mix);
    Watch(paths, MonotonicClock::Now() + Nanoseconds(seconds));
    JoinWorkers(round);
  }
  paths.EndLoad();
  paths.Stop();
  report_.servers += paths.server_statistics();
  StopLibrary(round);
  return error;
}

std::string StressRunner::Run() {
  const std::uint64_t begun = MonotonicClock::Now();
  end_ = begun + Nanoseconds(plan_.seconds);
  progress_.Begin(fmt::format("stress, seed {}", report_.seed), plan_.seconds);
  const bool full_queues = Has(plan_.faults, StressActivity::kFullQueue);
  const CounterWatch watch(report_.tally, report_.evidence);
  const double share = std::min(kRoundSeconds, plan_.seconds / 3);
  std::string error;
  while (error.empty() && !interrupted()) {
    const std::uint64_t now = MonotonicClock::Now();
    // However short the time or slow the machine: one round with full queues, one with everything.
    const bool owed = rounds_ < 2;
    if (now >= end_ && !owed) break;
    const double left = owed ? share : static_cast<double>(end_ - now) / 1e9;
    const bool full = full_queues && rounds_ % 3 == 0;
    error = full ? RunRound(ApiMix::kFullQueues, std::min(kFullQueuesSeconds, left))
                 : RunRound(ApiMix::kEverything, std::min(share, left));
  }
  progress_.End();
  report_.seconds = static_cast<double>(MonotonicClock::Now() - begun) / 1e9;
  return error;
}

}  // namespace ktlsim::command
