// ResultRow: what one measured phase did; and how rows are printed as a table.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "kernel_sim/command/latency_histogram.h"

namespace ktlsim::command {

struct ResultRow {
  std::string operation;
  bool bulk = false;  // its rate and cost are told per byte
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
  std::uint64_t cpu_ns = 0;  // of the side that the table's title names
  LatencyHistogram latency;
  std::uint64_t errors = 0;
  std::vector<std::string> error_texts;

  double rate() const;  // operations per second
  double megabytes_per_second() const;
  double cpu_ns_per_operation() const;
  double cpu_seconds_per_gigabyte() const;
};

// `cpu_side`: "server" or "client", whose time `cpu_ns` is.
void PrintResultTable(const std::vector<ResultRow>& rows, const std::string& cpu_side,
                      std::FILE* out);

}  // namespace ktlsim::command
