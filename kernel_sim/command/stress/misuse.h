// What a caller may get wrong: each mistake has its documented status, and never a callback.
#pragma once

#include "io/seeded_random.h"
#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {

// One mistake or a few that belong together. Passive level.
void RunMisuse(StressRound& round, io::SeededRandom& random);

}  // namespace ktlsim::command
