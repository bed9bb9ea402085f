#include "kernel_sim/command/stress/counters.h"

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>

#include <chrono>
#include <utility>

#include <fmt/format.h>

namespace ktlsim::command {
namespace {

// A count of things that are there now is never so large, unless it went below zero.
constexpr ULONGLONG kNowMax = 1ULL << 40;

KtlsimStatistics Statistics(StressEvidence& evidence) {
  KtlsimStatistics now{};
  now.cbSize = sizeof(now);
  if (KtlsimQueryStatistics(&now) != SEC_E_OK) evidence.Add("the statistics cannot be read");
  return now;
}

// visit(processor, lane) for each lane there is.
template <typename Visit>
void ForEachLane(Visit visit) {
  KtlsimProcessorStatistics now{};
  now.cbSize = sizeof(now);
  for (ULONG i = 0; KtlsimQueryProcessorStatistics(i, &now) == SEC_E_OK; ++i) {
    for (const KtlsimLaneStatistics& lane : now.Lanes) visit(i, lane);
  }
}

}  // namespace

CounterWatch::CounterWatch(StressTally& tally, StressEvidence& evidence)
    : tally_(tally), evidence_(evidence), thread_([this] {
        while (!ending_.load(std::memory_order_relaxed)) {
          ReadAll();
          std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
      }) {}

CounterWatch::~CounterWatch() {
  ending_.store(true, std::memory_order_relaxed);
  thread_.join();
}

void CounterWatch::ReadAll() {
  const KtlsimStatistics now = Statistics(evidence_);
  const ULONGLONG there = now.cInFlight | now.cAsyncContexts | now.cSecurityContexts |
                          now.cCredentials | now.cContextBuffers | now.cNotifyThreads;
  if (there > kNowMax) evidence_.Add("statistics: fewer than none");
  ForEachLane([this](ULONG processor, const KtlsimLaneStatistics& lane) {
    if (lane.cDepth > kNowMax) {
      evidence_.Add(fmt::format("statistics: processor {} has fewer calls than none", processor));
    }
  });
  static_cast<void>(KtlsimProcessorCpuNs(nullptr));
  tally_.Add(StressActivity::kStatistics, StressOutcome::kRight);
}

CallCounters& CallCounters::operator+=(const CallCounters& other) {
  const auto add = [](Counts& to, const Counts& from) {
    to.completed += from.completed;
    to.cancelled += from.cancelled;
    to.timed_out += from.timed_out;
  };
  accepted += other.accepted;
  add(total, other.total);
  add(lanes, other.lanes);
  depth += other.depth;
  return *this;
}

std::string Disagreement(const CallCounters& counters, const CallLedger::Counts& seen) {
  const CallCounters::Counts& total = counters.total;
  const CallCounters::Counts& lanes = counters.lanes;
  const bool agree = counters.accepted == total.completed && lanes == total &&
                     counters.depth == 0 && total.cancelled == seen.cancelled &&
                     total.timed_out == seen.timed_out;
  if (agree) return {};
  return fmt::format(
      "statistics: {} accepted, {} completed; lanes: {} completed, depth {}; cancelled: {}, lanes "
      "{}, seen {}; over their limit: {}, lanes {}, seen {}",
      counters.accepted, total.completed, lanes.completed, counters.depth, total.cancelled,
      lanes.cancelled, seen.cancelled, total.timed_out, lanes.timed_out, seen.timed_out);
}

CallCounters ReadCallCounters(StressEvidence& evidence) {
  const KtlsimStatistics now = Statistics(evidence);
  CallCounters counters{.accepted = now.cAccepted,
                        .total = {.completed = now.cCompleted,
                                  .cancelled = now.cCancelled,
                                  .timed_out = now.cQueueTimeouts},
                        .lanes = {},
                        .depth = 0};
  ForEachLane([&counters](ULONG, const KtlsimLaneStatistics& lane) {
    counters.depth += lane.cDepth;
    counters.lanes.completed += lane.cCompleted;
    counters.lanes.cancelled += lane.cCancelled;
    counters.lanes.timed_out += lane.cQueueTimeouts;
  });
  return counters;
}

void CheckCounters(const CallLedger& ledger, const CallCounters& before, StressEvidence& evidence) {
  while (Statistics(evidence).cInFlight != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CallCounters all = before;
  all += ReadCallCounters(evidence);
  std::string wrong = Disagreement(all, ledger.counts());
  if (!wrong.empty()) evidence.Add(std::move(wrong));
}

}  // namespace ktlsim::command
