#include "kernel_sim/command/run_report.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/tls_words.h"
#include "kernel_sim/command/values.h"

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

unsigned ProcessorsOf(const RunReport& report, const char* role) {
  unsigned count = 0;
  for (const LaneReport::Role& each : report.lanes.roles) {
    if (each.name == role) count += each.processors;
  }
  return count;
}

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
  fmt::print(out, "\n{} cores ({}), {}, {}\n{}\n", m.cores, m.cpu.empty() ? "-" : m.cpu, m.kernel,
             m.openssl, m.aead);
  fmt::print(out, "{} build{}{}, placement {}, {} server and {} client processors\n", m.build_type,
             m.sanitizers.empty() ? "" : " with sanitizers ", m.sanitizers, report.placement,
             ProcessorsOf(report, "server"), ProcessorsOf(report, "client"));
  fmt::print(out, "{}{}", kHowToRead, kClosedLoopNote);
  if (report.digest.nonce_count_max != 0) {
    fmt::print(out,
               "Digest: {} context{} for all signed requests, with nonce counts up to {}; {} new "
               "nonces meanwhile.\n",
               report.digest.contexts, report.digest.contexts == 1 ? "" : "s",
               report.digest.nonce_count_max, report.digest.renewals);
  }
  if (report.placement == "pool") fmt::print(out, "{}", kPoolNote);
  PrintLanes(report.lanes, report.time_every_call, out);
  if (!m.optimized) fmt::print(out, "{}", kNotOptimized);
  PrintVerdict(report.Judge(), out);
}

nlohmann::json RunJson(const RunReport& report, const Envelope& envelope,
                       const RunOptions& options) {
  nlohmann::json rows = nlohmann::json::array();
  for (const ResultRow& row : report.rows) rows.push_back(ResultJson(row, "server"));
  nlohmann::json json = envelope.Json(report.lanes);
  json["settings"] = {{"seconds", Seconds(options.duration_ns)},
                      {"warm_up_s", Seconds(options.warm_up_ns())},
                      {"connections", options.connections},
                      {"handshakes_in_flight", options.handshakes_in_flight()},
                      {"bulk_connections", options.bulk_connections()},
                      {"respond_bytes", options.respond_bytes},
                      {"tls_versions", WordOf(options.versions, kTlsWords)}};
  json["certificate"] = CertificateJson(report.certificate);
  json["operations"] = std::move(rows);
  json["digest"] = {{"contexts", report.digest.contexts},
                    {"nonce_count_max", report.digest.nonce_count_max},
                    {"renewals", report.digest.renewals}};
  json["errors"] = report.errors();
  AddRundown(report.rundown, &json);
  AddVerdict(report.Judge(), &json);
  return json;
}

}  // namespace ktlsim::command
