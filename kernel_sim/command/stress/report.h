// What `ktlsim stress` has done, survived and refused, as text and as JSON.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/checks.h"
#include "kernel_sim/command/verdict.h"
#include "kernel_sim/transport/statistics.h"

namespace ktlsim::command {

struct StressReport {
  Machine machine;
  std::uint64_t seed = 0;
  std::string again;  // the command that makes the same choices once more
  double seconds = 0;
  StressTally tally;
  StressEvidence evidence;
  CallLedger::Counts calls;
  transport::TransportStatistics servers;
};

Verdict JudgeStress(const StressReport& report);
void PrintStressReport(const StressReport& report, std::FILE* out);
// False: the file cannot be written.
bool WriteStressJson(const StressReport& report, const std::string& path);

}  // namespace ktlsim::command
