// A TLS client and a TLS server that talk in memory through the asynchronous functions alone. Every
// step is submitted from the callback of the one before it; notify modes, new and reused async
// contexts, ways to delete and what is done to a call in flight are drawn from a seed.
#pragma once

#include <cstdint>

#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {

// Passive level. Counts in `round.live` until its end; its findings go to the round.
void BeginStressConversation(StressRound& round, std::uint64_t seed);

}  // namespace ktlsim::command
