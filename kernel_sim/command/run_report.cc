#include "kernel_sim/command/run_report.h"

#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/durations.h"

namespace ktlsim::command {
namespace {

constexpr const char* kHowToRead =
    "rate: operations per second over all connections. server CPU: time of the server's processor\n"
    "threads per operation, per GB for bulk; the client has threads of its own and is not in it.\n"
    "p50 to max: time of one operation as the client sees it, with its share of waiting for the\n"
    "others in flight (see `ktlsim run --help`).\n";
constexpr const char* kPoolNote =
    "placement pool: the crypto processors work for both sides, so their time is not in server "
    "CPU.\n";
constexpr const char* kNotOptimized =
    "*** This is a debug or sanitizer build: the figures above mean NOTHING. ***\n"
    "*** Build with `cmake --preset release` to measure.                     ***\n";

double Ratio(double part, double whole) { return whole > 0 ? part / whole : 0; }

std::string RateText(const RunRow& row) {
  if (row.bulk) return fmt::format("{:.0f} MB/s", row.megabytes_per_second());
  return fmt::format("{:.0f} /s", row.rate());
}

std::string CpuText(const RunRow& row) {
  if (row.bulk) return fmt::format("{:.3f} s/GB", row.cpu_seconds_per_gigabyte());
  return FormatDuration(static_cast<std::uint64_t>(row.cpu_ns_per_operation()));
}

void PrintRow(const RunRow& row, std::FILE* out) {
  const LatencyHistogram& l = row.latency;
  fmt::print(out, "{:<24}{:>9}{:>12}{:>13}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}\n", row.operation,
             row.operations, RateText(row), CpuText(row), FormatDuration(l.Percentile(0.5)),
             FormatDuration(l.Percentile(0.9)), FormatDuration(l.Percentile(0.99)),
             FormatDuration(l.Percentile(0.999)), FormatDuration(l.max()), row.errors);
  for (const std::string& text : row.error_texts) fmt::print(out, "    error: {}\n", text);
}

nlohmann::json RowJson(const RunRow& row) {
  const LatencyHistogram& l = row.latency;
  return {{"operation", row.operation},
          {"count", row.operations},
          {"bytes", row.bytes},
          {"seconds", row.seconds},
          {"rate_per_s", row.rate()},
          {"mb_per_s", row.megabytes_per_second()},
          {"server_cpu_ns", row.server_cpu_ns},
          {"server_cpu_ns_per_operation", row.cpu_ns_per_operation()},
          {"server_cpu_s_per_gb", row.cpu_seconds_per_gigabyte()},
          {"latency_ns",
           {{"p50", l.Percentile(0.5)},
            {"p90", l.Percentile(0.9)},
            {"p99", l.Percentile(0.99)},
            {"p999", l.Percentile(0.999)},
            {"max", l.max()}}},
          {"errors", row.errors},
          {"error_texts", row.error_texts}};
}

}  // namespace

double RunRow::rate() const { return Ratio(static_cast<double>(operations), seconds); }

double RunRow::megabytes_per_second() const {
  return Ratio(static_cast<double>(bytes) / 1e6, seconds);
}

double RunRow::cpu_ns_per_operation() const {
  return Ratio(static_cast<double>(server_cpu_ns), static_cast<double>(operations));
}

double RunRow::cpu_seconds_per_gigabyte() const {
  return Ratio(static_cast<double>(server_cpu_ns) / 1e9, static_cast<double>(bytes) / 1e9);
}

std::uint64_t RunReport::errors() const {
  std::uint64_t sum = 0;
  for (const RunRow& row : rows) sum += row.errors;
  return sum;
}

void PrintRunReport(const RunReport& report, std::FILE* out) {
  fmt::print(out, "\n{:<24}{:>9}{:>12}{:>13}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}\n", "operation",
             "count", "rate", "server CPU", "p50", "p90", "p99", "p99.9", "max", "errors");
  for (const RunRow& row : report.rows) PrintRow(row, out);
  const Machine& m = report.machine;
  fmt::print(out, "\n{} cores ({}), {}, {}\n{}\n", m.cores, m.cpu, m.kernel, m.openssl, m.aead);
  fmt::print(out, "{} build{}{}, placement {}, {} server and {} client processors\n", m.build_type,
             m.sanitizers.empty() ? "" : " with sanitizers ", m.sanitizers, report.placement,
             report.server_processors, report.client_processors);
  fmt::print(out, "{}", kHowToRead);
  if (report.placement == "pool") fmt::print(out, "{}", kPoolNote);
  if (!m.optimized) fmt::print(out, "{}", kNotOptimized);
  if (report.errors() != 0) fmt::print(out, "FAILED: {} errors\n", report.errors());
  if (!report.rundown.clean()) {
    fmt::print(out, "FAILED: left behind after the end: {}\n", report.rundown.Leftovers());
  }
}

bool WriteRunJson(const RunReport& report, const std::string& path) {
  nlohmann::json rows = nlohmann::json::array();
  for (const RunRow& row : report.rows) rows.push_back(RowJson(row));
  nlohmann::json rundown = nlohmann::json::object();
  for (const auto& [name, left] : report.rundown.counters) rundown[name] = left;
  const Machine& m = report.machine;
  const nlohmann::json json = {{"machine",
                                {{"cores", m.cores},
                                 {"cpu", m.cpu},
                                 {"kernel", m.kernel},
                                 {"openssl", m.openssl},
                                 {"aead", m.aead},
                                 {"build_type", m.build_type},
                                 {"sanitizers", m.sanitizers},
                                 {"figures_mean_something", m.optimized}}},
                               {"placement", report.placement},
                               {"server_processors", report.server_processors},
                               {"client_processors", report.client_processors},
                               {"operations", rows},
                               {"errors", report.errors()},
                               {"rundown", rundown},
                               {"rundown_clean", report.rundown.clean()}};
  std::ofstream file(path);
  file << json.dump(2) << '\n';
  file.close();
  return !file.fail();
}

}  // namespace ktlsim::command
