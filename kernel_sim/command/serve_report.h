// The statistics that `ktlsim serve` prints at its end and on SIGUSR1.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "kernel_sim/command/access_control.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/site.h"
#include "kernel_sim/serve/forward_service.h"
#include "kernel_sim/serve/shared_credentials.h"
#include "kernel_sim/sspi/packages/tls_store_statistics.h"
#include "kernel_sim/transport/statistics.h"

namespace ktlsim::command {

struct SiteReport {
  std::string address;
  std::string mode;
  std::shared_ptr<const SiteFacts> facts;  // never null
  transport::TransportStatistics statistics;
  std::optional<serve::SharedCredentials::Counts> certificates;  // none: there is no folder
};

struct ServeReport {
  std::vector<SiteReport> sites;              // those that are there
  transport::TransportStatistics statistics;  // of all, also of those that are gone
  ServiceStatistics services;                 // likewise
  std::optional<AccessReport> access;         // none: no listener has an access control list
  sspi::TlsStoreStatistics tls_store;         // what TLS has shared in the context store
  std::uint64_t reloads = 0;                  // that were carried out
  std::uint64_t reloads_refused = 0;          // whose configuration was bad
  std::uint64_t log_lines_lost = 0;           // that could not be written
  std::uint64_t log_lines_left_out = 0;       // over the rate
  std::optional<RundownCheck> rundown;        // at the end
  LaneReport lanes;
};

// `every_call`: as in PrintLanes.
void PrintServeReport(const ServeReport& report, bool every_call, std::FILE* out);
nlohmann::json ServeJson(const ServeReport& report, const Envelope& envelope);

}  // namespace ktlsim::command
