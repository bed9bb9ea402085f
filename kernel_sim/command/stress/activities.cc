#include "kernel_sim/command/stress/activities.h"

#include <sstream>
#include <vector>

#include "kernel_sim/command/similar.h"

namespace ktlsim::command {
namespace {

struct Description {
  StressActivity activity;
  const char* name;
  bool fault;
};

using A = StressActivity;

constexpr std::array<Description, kStressActivities> kDescriptions = {{
    {A::kFullHandshake12, "full-handshake-1.2", false},
    {A::kResumedHandshake12, "resumed-handshake-1.2", false},
    {A::kFullHandshake13, "full-handshake-1.3", false},
    {A::kResumedHandshake13, "resumed-handshake-1.3", false},
    {A::kRequest, "request", false},
    {A::kBulk, "bulk", false},
    {A::kCanary, "canary", false},
    {A::kKeyUpdate, "key-update", false},
    {A::kHalfClose, "half-close", true},
    {A::kSlowReader, "slow-reader", true},
    {A::kSlowWriter, "slow-writer", true},
    {A::kSilent, "silent", true},
    {A::kGarbage, "garbage", true},
    {A::kPlainHttp, "plain-http", true},
    {A::kTruncatedHello, "truncated-hello", true},
    {A::kOversizedRecord, "oversized-record", true},
    {A::kFlood, "flood", true},
    {A::kCorrupted, "corrupted", true},
    {A::kAbort, "abort", true},
    {A::kReset, "reset", true},
    {A::kConversation, "conversation", false},
    {A::kPolledCall, "polled-call", false},
    {A::kCredentialChain, "credential-chain", false},
    {A::kBurst, "burst", false},
    {A::kEarlyDelete, "early-delete", true},
    {A::kEarlyFree, "early-free", true},
    {A::kCancel, "cancel", true},
    {A::kQueueLimit, "queue-limit", true},
    {A::kMisuse, "misuse", true},
    {A::kFullQueue, "full-queue", true},
    {A::kStopInFlight, "stop-in-flight", true},
    {A::kRestartUnderLoad, "restart-under-load", true},
    {A::kFork, "fork", true},
    {A::kStatistics, "statistics", false},
    {A::kRestart, "restart", true},
    {A::kRound, "round", false},
}};

constexpr bool InOrder() {
  for (std::size_t i = 0; i < kDescriptions.size(); ++i) {
    if (static_cast<std::size_t>(kDescriptions[i].activity) != i) return false;
  }
  return true;
}
static_assert(InOrder(), "the table is indexed by activity");

}  // namespace

const char* StressActivityName(StressActivity activity) {
  return kDescriptions[static_cast<std::size_t>(activity)].name;
}

bool IsFault(StressActivity activity) {
  return kDescriptions[static_cast<std::size_t>(activity)].fault;
}

bool Has(const FaultSet& faults, StressActivity activity) {
  return faults[static_cast<std::size_t>(activity)];
}

FaultSet AllFaults() {
  FaultSet faults;
  for (std::size_t i = 0; i < kDescriptions.size(); ++i) faults[i] = kDescriptions[i].fault;
  return faults;
}

std::vector<std::string> FaultNameList() {
  std::vector<std::string> names;
  for (const Description& each : kDescriptions) {
    if (each.fault) names.emplace_back(each.name);
  }
  return names;
}

std::string FaultNames() {
  std::string names;
  for (const std::string& each : FaultNameList()) names += (names.empty() ? "" : ", ") + each;
  return names;
}

std::optional<FaultSet> ParseFaults(const std::string& list, std::string* error) {
  if (list == "all") return AllFaults();
  FaultSet faults;
  if (list == "none") return faults;
  std::istringstream stream(list);
  for (std::string name; std::getline(stream, name, ',');) {
    bool known = false;
    for (std::size_t i = 0; i < kDescriptions.size(); ++i) {
      if (!kDescriptions[i].fault || name != kDescriptions[i].name) continue;
      faults.set(i);
      known = true;
    }
    if (!known) {
      const std::string similar = SimilarName(name, FaultNameList());
      *error = "no fault is called '" + name + "'; ";
      *error += similar.empty() ? "there are all, none, " + FaultNames()
                                : "did you mean " + similar + "?";
      return {};
    }
  }
  return faults;
}

void StressTally::AddCanary(std::uint64_t ns) {
  if (ns > kSlowCanaryNs) slow_canaries_.fetch_add(1, std::memory_order_relaxed);
  std::uint64_t slowest = slowest_canary_ns_.load(std::memory_order_relaxed);
  while (ns > slowest &&
         !slowest_canary_ns_.compare_exchange_weak(slowest, ns, std::memory_order_relaxed)) {
  }
}

std::uint64_t StressTally::Total() const {
  std::uint64_t sum = 0;
  for (const auto& cell : cells_) sum += cell.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace ktlsim::command
