// Calls that are over when they return: the synchronous functions and the queries.
#pragma once

#include "io/seeded_random.h"
#include "kernel_sim/command/stress/round.h"

namespace ktlsim::command {

// A credential acquired and freed, a leg with a short or the longest name, its context deleted.
// Passive level.
void RunSyncCalls(StressRound& round, io::SeededRandom& random);

// Visits the processors and reads all statistics. Passive level.
void RunQuestions(StressRound& round, io::SeededRandom& random);

}  // namespace ktlsim::command
