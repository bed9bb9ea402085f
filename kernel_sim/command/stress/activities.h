// What `ktlsim stress` does, and how it is counted.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/base/clock.h"

namespace ktlsim::command {

enum class StressActivity : std::uint8_t {
  // Honest connections over the client path.
  kFullHandshake12,
  kResumedHandshake12,
  kFullHandshake13,
  kResumedHandshake13,
  kRequest,
  kBulk,
  // Raw sockets, with the synchronous functions where TLS is needed.
  kCanary,
  kKeyUpdate,
  kHalfClose,
  kSlowReader,
  kSlowWriter,
  kSilent,
  kGarbage,
  kPlainHttp,
  kTruncatedHello,
  kOversizedRecord,
  kFlood,
  kCorrupted,
  kAbort,
  kReset,
  // The asynchronous functions, in memory.
  kConversation,
  kPolledCall,
  kCredentialChain,
  kBurst,
  kEarlyDelete,
  kEarlyFree,
  kCancel,
  kQueueLimit,
  kMisuse,
  kFullQueue,
  kStopInFlight,
  kRestartUnderLoad,
  kFork,
  // The whole library.
  kStatistics,
  kRestart,
  kRound,
};
inline constexpr std::size_t kStressActivities = 36;

// "slow-reader". Never null.
const char* StressActivityName(StressActivity activity);

// The activities that are faults: those that --faults can name.
using FaultSet = std::bitset<kStressActivities>;
bool IsFault(StressActivity activity);
bool Has(const FaultSet& faults, StressActivity activity);
FaultSet AllFaults();
// "all", "none", or names with commas between them. No value: an unknown name, which `*error`
// reports.
std::optional<FaultSet> ParseFaults(const std::string& list, std::string* error);
std::vector<std::string> FaultNameList();
// "half-close, slow-reader, ...", for people.
std::string FaultNames();

enum class StressOutcome : std::uint8_t {
  kRight,    // everything was as it should be
  kRefused,  // ended with a documented refusal
  kCut,      // ended early for a reason of our own: a restart, a delete, a cancel, the round's end
};
inline constexpr std::size_t kStressOutcomes = 3;

// Any thread, any level.
class StressTally {
 public:
  void Add(StressActivity activity, StressOutcome outcome, std::uint64_t count = 1) {
    Cell(activity, outcome).fetch_add(count, std::memory_order_relaxed);
  }
  std::uint64_t Get(StressActivity activity, StressOutcome outcome) const {
    return cells_[Index(activity, outcome)].load(std::memory_order_relaxed);
  }
  std::uint64_t Total() const;

  // How long a canary took, from the dial to the last byte. Slow ones are reported, not failures:
  // the machine may be busy with other things.
  static constexpr std::uint64_t kSlowCanaryNs = kNsPerSecond;
  void AddCanary(std::uint64_t ns);
  std::uint64_t slow_canaries() const { return slow_canaries_.load(std::memory_order_relaxed); }
  std::uint64_t slowest_canary_ns() const {
    return slowest_canary_ns_.load(std::memory_order_relaxed);
  }

 private:
  static std::size_t Index(StressActivity activity, StressOutcome outcome) {
    return static_cast<std::size_t>(activity) * kStressOutcomes + static_cast<std::size_t>(outcome);
  }
  std::atomic<std::uint64_t>& Cell(StressActivity activity, StressOutcome outcome) {
    return cells_[Index(activity, outcome)];
  }

  std::array<std::atomic<std::uint64_t>, kStressActivities * kStressOutcomes> cells_{};
  std::atomic<std::uint64_t> slow_canaries_{0};
  std::atomic<std::uint64_t> slowest_canary_ns_{0};
};

}  // namespace ktlsim::command
