#include "kernel_sim/command/stress/counters.h"

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>

#include <chrono>

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

void CheckCounters(const CallLedger& ledger, StressEvidence& evidence) {
  KtlsimStatistics total = Statistics(evidence);
  while (total.cInFlight != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    total = Statistics(evidence);
  }
  KtlsimLaneStatistics lanes{};
  ForEachLane([&lanes](ULONG, const KtlsimLaneStatistics& lane) {
    lanes.cDepth += lane.cDepth;
    lanes.cCompleted += lane.cCompleted;
    lanes.cCancelled += lane.cCancelled;
    lanes.cQueueTimeouts += lane.cQueueTimeouts;
  });
  const CallLedger::Counts counts = ledger.counts();
  const bool agree = total.cAccepted == total.cCompleted && lanes.cCompleted == total.cCompleted &&
                     lanes.cDepth == 0 && total.cCancelled == counts.cancelled &&
                     lanes.cCancelled == counts.cancelled &&
                     total.cQueueTimeouts == counts.timed_out &&
                     lanes.cQueueTimeouts == counts.timed_out;
  if (agree) return;
  evidence.Add(fmt::format(
      "statistics: {} accepted, {} completed; lanes: {} completed, depth {}; cancelled: {}, lanes "
      "{}, seen {}; over their limit: {}, lanes {}, seen {}",
      total.cAccepted, total.cCompleted, lanes.cCompleted, lanes.cDepth, total.cCancelled,
      lanes.cCancelled, counts.cancelled, total.cQueueTimeouts, lanes.cQueueTimeouts,
      counts.timed_out));
}

}  // namespace ktlsim::command
