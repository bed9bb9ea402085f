#include "kernel_sim/command/alert_counts.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ktlsim::command {

nlohmann::json AlertsJson(const std::array<std::uint64_t, transport::kAlertKinds>& counts) {
  nlohmann::json alerts = nlohmann::json::object();
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] != 0) alerts[transport::AlertKindName(i)] = counts[i];
  }
  return alerts;
}

void PrintAlerts(const transport::TransportStatistics& statistics, std::FILE* out) {
  const auto print = [out](const auto& counts, const char* direction) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      fmt::print(out, "  {:>10}  alert {}: {}\n", counts[i], direction,
                 transport::AlertKindName(i));
    }
  };
  print(statistics.alerts_sent, "sent");
  print(statistics.alerts_received, "received");
}

}  // namespace ktlsim::command
