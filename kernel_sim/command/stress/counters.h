// The library's own counters, against each other and against what a round has counted itself.
#pragma once

#include <atomic>
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

// When nothing of a round is in flight any more but deletes without a callback, and the library
// still runs: waits for these, then what was accepted was completed, on every lane, and `ledger`
// agrees about cancellations and limits. Passive level.
void CheckCounters(const CallLedger& ledger, StressEvidence& evidence);

}  // namespace ktlsim::command
