// What `ktlsim serve` tells at its end.
#pragma once

#include <cstdio>
#include <string>

#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/transport/statistics.h"

namespace ktlsim::command {

struct ServeReport {
  std::string address;
  transport::TransportStatistics statistics;
  RundownCheck rundown;
};

void PrintServeReport(const ServeReport& report, std::FILE* out);
// False: the file cannot be written.
bool WriteServeJson(const ServeReport& report, const std::string& path);

}  // namespace ktlsim::command
