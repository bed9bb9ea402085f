// The report of `ktlsim run`: the table, and the same as JSON.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/run_digest.h"
#include "kernel_sim/command/run_settings.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/verdict.h"

namespace ktlsim::command {

struct RunReport {
  Machine machine;
  std::string placement;
  bool time_every_call = false;
  std::optional<CertificateFacts> certificate;  // of the server
  LaneReport lanes;
  std::vector<ResultRow> rows;
  RunDigestFacts digest;
  bool interrupted = false;  // by a signal: `rows` has what was finished
  RundownCheck rundown;

  std::string stopped;  // what ended it before the last phase; empty: nothing

  std::uint64_t errors() const;
  Verdict Judge() const;
};

void PrintRunReport(const RunReport& report, std::FILE* out);
nlohmann::json RunJson(const RunReport& report, const Envelope& envelope,
                       const RunOptions& options);

}  // namespace ktlsim::command
