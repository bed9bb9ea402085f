// What `ktlsim run` tells: the table, and the same as JSON.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "kernel_sim/command/latency_histogram.h"
#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/rundown_check.h"

namespace ktlsim::command {

struct RunRow {
  std::string operation;
  bool bulk = false;  // its rate and cost are told per byte
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
  std::uint64_t server_cpu_ns = 0;
  LatencyHistogram latency;
  std::uint64_t errors = 0;
  std::vector<std::string> error_texts;

  double rate() const;  // operations per second
  double megabytes_per_second() const;
  double cpu_ns_per_operation() const;
  double cpu_seconds_per_gigabyte() const;
};

struct RunReport {
  Machine machine;
  std::string placement;
  unsigned server_processors = 0;
  unsigned client_processors = 0;
  std::vector<RunRow> rows;
  RundownCheck rundown;

  std::uint64_t errors() const;
};

void PrintRunReport(const RunReport& report, std::FILE* out);
// False: the file cannot be written.
bool WriteRunJson(const RunReport& report, const std::string& path);

}  // namespace ktlsim::command
