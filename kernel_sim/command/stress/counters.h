// The library's own counters, checked against each other and against a round's own counts.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/checks.h"

namespace ktlsim::command {

// Reads all statistics over and over on a thread of its own, also while the library stops and
// starts: reading is allowed at any time.
class CounterWatch {
 public:
  CounterWatch(StressTally& tally, StressEvidence& evidence);
  ~CounterWatch();
  CounterWatch(const CounterWatch&) = delete;
  CounterWatch& operator=(const CounterWatch&) = delete;

 private:
  void ReadAll();

  StressTally& tally_;
  StressEvidence& evidence_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

// The library's counts of calls since its last start, in all and by the lanes of the processors.
// Also read after KtlsimStop; those of several starts can be added.
struct CallCounters {
  struct Counts {
    std::uint64_t completed = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t timed_out = 0;
    bool operator==(const Counts&) const = default;
  };
  std::uint64_t accepted = 0;
  Counts total;
  Counts lanes;
  std::uint64_t depth = 0;  // of the lanes
  CallCounters& operator+=(const CallCounters& other);
};
// Empty, or what disagrees when nothing is in flight: with `seen`, or among the counters.
std::string Disagreement(const CallCounters& counters, const CallLedger::Counts& seen);

CallCounters ReadCallCounters(StressEvidence& evidence);

// When nothing of a round is in flight any more but deletes without a callback, and the library
// still runs: waits for these, then what was accepted was completed, on every lane, and `ledger`
// agrees about cancellations and limits. `before`: of the round's earlier starts. Passive level.
void CheckCounters(const CallLedger& ledger, const CallCounters& before, StressEvidence& evidence);

}  // namespace ktlsim::command
