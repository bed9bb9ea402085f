// What happens to the whole library while other threads call it: stops and starts, and forks of the
// process.
#pragma once

#include <cstdint>

#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/command/stress/counters.h"
#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {

// How the library is started again.
struct RestartPlan {
  StartupOptions startup;
  bool either_placement = false;  // drawn for each start; otherwise that of `startup`
};

// Stops and starts until `round.ending`, beginning with a stop and ending with a start; the figures
// of each start that ends are added to `*ended` and `*lanes`. A thread of its own, passive level.
void RunRestarts(StressRound& round, std::uint64_t seed, const RestartPlan& plan,
                 CallCounters* ended, LaneReport* lanes);

// Some children, one at a time, until `round.ending`: the library refuses to work in them until
// they start one of their own, which works while the parent's does. A thread of its own.
void RunForks(StressRound& round, std::uint64_t seed);

}  // namespace ktlsim::command
