// What `ktlsim serve --admin` tells Prometheus: the report of the end, the library's own counters,
// and histograms.
//
// Names of metrics are a promise to those who keep dashboards: rename none. Each label has a
// bounded number of values: those of our own tables, and the listeners of the configuration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel_sim/command/serve_report.h"
#include "kernel_sim/transport/handshake_times.h"

namespace ktlsim::command {

// Where the server is in its life.
enum class ServePhase : std::uint8_t { kStarting, kReady, kDraining };

struct ServeMetrics {
  ServePhase phase = ServePhase::kStarting;
  std::uint64_t started_unix_ns = 0;
  bool every_call = false;  // each call is timed, not a sample
  ServeReport report;       // without `lanes` and `rundown`
  std::vector<transport::HandshakeFigures> handshakes;
  std::uint64_t handshakes_left_out = 0;
};

// Asks the library for the rest. Throws bad_alloc. Any thread.
std::string ServeMetricsText(const ServeMetrics& metrics);

}  // namespace ktlsim::command
