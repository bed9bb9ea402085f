// The workers that dial the servers with raw sockets: honest now and then, mostly not.
#pragma once

#include <cstdint>

#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {

// A thread's work until `round.ending`. Workers with the numbers 0, 1, 2, ... as `first` begin with
// different things.
void RunWireWorker(StressRound& round, std::uint64_t seed, unsigned first);

}  // namespace ktlsim::command
