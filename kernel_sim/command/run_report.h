// What `ktlsim run` tells: the table, and the same as JSON.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/verdict.h"

namespace ktlsim::command {

struct RunReport {
  Machine machine;
  std::string placement;
  unsigned server_processors = 0;
  unsigned client_processors = 0;
  std::vector<ResultRow> rows;
  bool interrupted = false;  // by a signal: `rows` has what was finished
  RundownCheck rundown;

  std::string stopped;  // what ended it before the last phase; empty: nothing

  std::uint64_t errors() const;
  Verdict Judge() const;
};

void PrintRunReport(const RunReport& report, std::FILE* out);
// False: the file cannot be written.
bool WriteRunJson(const RunReport& report, const std::string& path);

}  // namespace ktlsim::command
