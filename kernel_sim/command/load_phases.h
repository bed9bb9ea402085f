// What is derived from the rows of a load report, for its table and its JSON alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "kernel_sim/command/load_report.h"
#include "kernel_sim/command/statistics.h"

namespace ktlsim::command {

inline constexpr const char* kLagDefinition =
    "open loop: how late an operation began for which a connection had nothing else to do";

// A part of an operation or of its connection, and what exactly it is.
struct LoadPhaseFigures {
  const char* name;        // "tls_handshake", for JSON
  const char* words;       // "TLS handshake", for people
  std::string definition;  // "from ... until ..."
  const LatencyHistogram* latency;
};

struct LoadPhaseList {
  std::deque<LatencyHistogram> made;  // what is not in the row
  std::vector<LoadPhaseFigures> phases;
};

// `row` and the result live together.
LoadPhaseList PhasesOf(const LoadReport& report, const ResultRow& row, const LoadShare& share,
                       bool open_loop);

// Those that were asked for, or the usual ones; in percent.
std::vector<double> PercentilesOf(const LoadOptions& options);
// A percentile rests on the operations above it: ten at least, or none where 100 is asked for.
bool EnoughSamples(const LatencyHistogram& latency, double percentile);

// Part `which` of the connections and of the rate, 0 to 1.
double ShareOf(const LoadOptions& options, std::size_t which);

LatencyHistogram LagOf(const std::vector<ResultRow>& rows);

struct LoadConfidence {
  MeanInterval rate;
  MeanInterval cpu_ns;  // of the generator, per operation
  std::vector<std::pair<double, MeanInterval>> percentiles;
};
LoadConfidence ConfidenceOf(const LoadReport& report, std::size_t which,
                            const LoadOptions& options);

// Each signed request that was served needed neither a look-up nor a challenge, unless it was
// challenged for a new nonce.
std::uint64_t LookUpsSaved(const LoadReport& report);

}  // namespace ktlsim::command
