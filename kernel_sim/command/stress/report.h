// What `ktlsim stress` has done, survived and refused, as text and as JSON.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/checks.h"
#include "kernel_sim/command/verdict.h"
#include "kernel_sim/transport/statistics.h"

namespace ktlsim::command {

struct StressReport {
  std::uint64_t seed = 0;
  std::string again;  // the command that repeats the same choices
  double seconds = 0;
  StressTally tally;
  StressEvidence evidence;
  CallLedger::Counts calls;  // the calls that it made itself
  LaneReport lanes;          // of all starts
  bool time_every_call = false;
  transport::TransportStatistics servers;
};

Verdict JudgeStress(const StressReport& report);
void PrintStressReport(const StressReport& report, std::FILE* out);
// The results alone, to be added to an envelope's.
nlohmann::json StressJson(const StressReport& report);

}  // namespace ktlsim::command
