// ResultRow: what one measured phase did; and how rows are printed as a table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/command/latency_histogram.h"
#include "kernel_sim/command/time_series.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::command {

// HTTP statuses, "1xx" to "5xx", by their first digit; the first is for all others.
inline constexpr std::size_t kStatusClasses = 6;

// Parts of an operation, and of the connection that it needed.
enum class OperationPhase : std::uint8_t { kTcpConnect, kTlsHandshake, kFirstByte };
inline constexpr std::size_t kOperationPhases = 3;

struct ResultRow {
  std::string operation;
  bool bulk = false;  // its rate and cost are per byte
  std::uint64_t operations = 0;
  std::uint64_t bytes = 0;
  std::array<std::uint64_t, kStatusClasses> statuses{};  // of the responses
  double seconds = 0;
  // For the side that the table's title names; none: it cannot be separated from the other side's.
  std::optional<std::uint64_t> cpu_ns;
  // For operations that began in the measured time, including those that ended later or, with their
  // age, not at all; and for those that were due and never began, with how long they had waited.
  LatencyHistogram latency;
  // By the first connection; none: no handshake was completed.
  std::optional<transport::ConnectionInfo> negotiated;
  std::array<LatencyHistogram, kOperationPhases> phases;
  // Open loop: how late the generator was with operations that a connection waited for.
  LatencyHistogram lag;
  TimeSeries series;
  std::uint64_t not_begun = 0;   // open loop: were due, and never began
  std::uint64_t late = 0;        // ended after the measured time, and not in `operations`
  std::uint64_t unfinished = 0;  // never ended
  std::uint64_t oldest_unfinished_ns = 0;
  std::uint64_t errors = 0;
  std::vector<std::string> error_texts;
  std::string hint;  // what it may be if not one operation was completed

  double rate() const;  // operations per second
  double megabytes_per_second() const;
  // 0 without cpu_ns.
  double cpu_ns_per_operation() const;
  double cpu_seconds_per_gigabyte() const;
};

// `cpu_side`: "server" or "client", whose time `cpu_ns` is.
void PrintResultTable(const std::vector<ResultRow>& rows, const std::string& cpu_side,
                      std::FILE* out);

}  // namespace ktlsim::command
