// Alerts sent and received, counted by name, for reports.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include <nlohmann/json_fwd.hpp>

#include "kernel_sim/transport/statistics.h"

namespace ktlsim::command {

// {"unknown_ca": 3}: those that came at all.
nlohmann::json AlertsJson(const std::array<std::uint64_t, transport::kAlertKinds>& counts);
// A line each; none when there were none.
void PrintAlerts(const transport::TransportStatistics& statistics, std::FILE* out);

}  // namespace ktlsim::command
