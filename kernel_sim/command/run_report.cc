#include "kernel_sim/command/run_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/result_json.h"

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

}  // namespace

std::uint64_t RunReport::errors() const {
  std::uint64_t sum = 0;
  for (const ResultRow& row : rows) sum += row.errors;
  return sum;
}

void PrintRunReport(const RunReport& report, std::FILE* out) {
  PrintResultTable(report.rows, "server", out);
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
  for (const ResultRow& row : report.rows) rows.push_back(ResultJson(row, "server"));
  nlohmann::json rundown = nlohmann::json::object();
  for (const auto& [name, left] : report.rundown.counters) rundown[name] = left;
  const nlohmann::json json = {{"machine", MachineJson(report.machine)},
                               {"placement", report.placement},
                               {"server_processors", report.server_processors},
                               {"client_processors", report.client_processors},
                               {"operations", rows},
                               {"errors", report.errors()},
                               {"rundown", rundown},
                               {"rundown_clean", report.rundown.clean()}};
  return WriteJsonFile(json, path);
}

}  // namespace ktlsim::command
