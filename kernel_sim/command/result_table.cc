#include "kernel_sim/command/result_table.h"

#include <fmt/format.h>

#include "kernel_sim/command/command_line.h"
#include "kernel_sim/command/durations.h"

namespace ktlsim::command {
namespace {

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string RateText(const ResultRow& row) {
  if (row.bulk) return fmt::format("{:.0f} MB/s", row.megabytes_per_second());
  return fmt::format("{:.0f} /s", row.rate());
}

std::string CpuText(const ResultRow& row) {
  if (!row.cpu_ns || row.operations == 0) return "-";
  if (row.bulk) return fmt::format("{:.3f} s/GB", row.cpu_seconds_per_gigabyte());
  return FormatDuration(static_cast<std::uint64_t>(row.cpu_ns_per_operation()));
}

std::string LatencyText(const ResultRow& row, std::uint64_t ns) {
  return row.latency.count() != 0 ? FormatDuration(ns) : "-";
}

// Narrower than this, the latencies of a row stand in a line of their own.
constexpr std::size_t kWideColumns = 116;

void PrintLatencies(const ResultRow& row, std::FILE* out) {
  const LatencyHistogram& l = row.latency;
  fmt::print(out, "{:>10}{:>10}{:>10}{:>10}{:>10}", LatencyText(row, l.Percentile(0.5)),
             LatencyText(row, l.Percentile(0.9)), LatencyText(row, l.Percentile(0.99)),
             LatencyText(row, l.Percentile(0.999)), LatencyText(row, l.max()));
}

void PrintRow(const ResultRow& row, bool wide, std::FILE* out) {
  fmt::print(out, "{:<24}{:>9}{:>12}{:>13}", row.operation, row.operations, RateText(row),
             CpuText(row));
  if (wide) {
    PrintLatencies(row, out);
    fmt::print(out, "{:>8}\n", row.errors);
  } else {
    fmt::print(out, "{:>8}\n{:>10}", row.errors, "");
    PrintLatencies(row, out);
    fmt::print(out, "\n");
  }
  std::string statuses;
  for (std::size_t i = 0; i < kStatusClasses; ++i) {
    if (row.statuses[i] == 0) continue;
    statuses += i == 0 ? " other" : fmt::format(" {}xx", i);
    statuses += fmt::format(" {}", row.statuses[i]);
  }
  if (!statuses.empty()) fmt::print(out, "    statuses:{}\n", statuses);
  for (const std::string& text : row.error_texts) fmt::print(out, "    error: {}\n", text);
}

}  // namespace

double ResultRow::rate() const { return Ratio(static_cast<double>(operations), seconds); }

double ResultRow::megabytes_per_second() const {
  return Ratio(static_cast<double>(bytes) / 1e6, seconds);
}

double ResultRow::cpu_ns_per_operation() const {
  return Ratio(static_cast<double>(cpu_ns.value_or(0)), static_cast<double>(operations));
}

double ResultRow::cpu_seconds_per_gigabyte() const {
  return Ratio(static_cast<double>(cpu_ns.value_or(0)) / 1e9, static_cast<double>(bytes) / 1e9);
}

void PrintResultTable(const std::vector<ResultRow>& rows, const std::string& cpu_side,
                      std::FILE* out) {
  const bool wide = OutputWidth(out, kWideColumns) >= kWideColumns;
  fmt::print(out, "\n{:<24}{:>9}{:>12}{:>13}", "operation", "count", "rate", cpu_side + " CPU");
  if (!wide) fmt::print(out, "{:>8}\n{:>10}", "errors", "");
  fmt::print(out, "{:>10}{:>10}{:>10}{:>10}{:>10}", "p50", "p90", "p99", "p99.9", "max");
  if (wide) fmt::print(out, "{:>8}", "errors");
  fmt::print(out, "\n");
  for (const ResultRow& row : rows) PrintRow(row, wide, out);
}

}  // namespace ktlsim::command
