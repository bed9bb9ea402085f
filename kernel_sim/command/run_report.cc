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
constexpr const char* kClosedLoopNote =
    "closed loop: a connection that waits sends nothing, so a pause of the server is in few of "
    "the\n"
    "percentiles; `ktlsim load --rate` counts what was due meanwhile.\n";
constexpr const char* kPoolNote =
    "placement pool: the crypto processors work for both sides, so a handshake has no server "
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

Verdict RunReport::Judge() const {
  Verdict verdict;
  for (const ResultRow& row : rows) JudgeRow(row, &verdict);
  if (!stopped.empty()) verdict.Add(Doubt::kNothingDone, stopped);
  if (interrupted) verdict.Add(Doubt::kInterrupted, "the rows are of the phases that had ended");
  JudgeRundown(rundown, &verdict);
  return verdict;
}

void PrintRunReport(const RunReport& report, std::FILE* out) {
  PrintResultTable(report.rows, "server", out);
  const Machine& m = report.machine;
  fmt::print(out, "\n{} cores ({}), {}, {}\n{}\n", m.cores, m.cpu, m.kernel, m.openssl, m.aead);
  fmt::print(out, "{} build{}{}, placement {}, {} server and {} client processors\n", m.build_type,
             m.sanitizers.empty() ? "" : " with sanitizers ", m.sanitizers, report.placement,
             report.server_processors, report.client_processors);
  fmt::print(out, "{}{}", kHowToRead, kClosedLoopNote);
  if (report.placement == "pool") fmt::print(out, "{}", kPoolNote);
  if (!m.optimized) fmt::print(out, "{}", kNotOptimized);
  PrintVerdict(report.Judge(), out);
}

bool WriteRunJson(const RunReport& report, const std::string& path) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ResultRow& row : report.rows) rows.push_back(ResultJson(row, "server"));
  nlohmann::json rundown = nlohmann::json::object();
  for (const auto& [name, left] : report.rundown.counters) rundown[name] = left;
  nlohmann::json json = {{"machine", MachineJson(report.machine)},
                         {"placement", report.placement},
                         {"server_processors", report.server_processors},
                         {"client_processors", report.client_processors},
                         {"operations", rows},
                         {"errors", report.errors()},
                         {"rundown", rundown},
                         {"rundown_clean", report.rundown.clean()}};
  AddVerdict(report.Judge(), &json);
  return WriteJsonFile(json, path);
}

}  // namespace ktlsim::command
