#include "kernel_sim/command/result_json.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/file.h"
#include "kernel_sim/command/envelope.h"

namespace ktlsim::command {
namespace {

constexpr const char* kStandardOutput = "-";

}  // namespace

namespace {

// Null where nothing was measured.
nlohmann::json Known(bool measured, const nlohmann::json& figure) {
  return measured ? figure : nlohmann::json();
}

nlohmann::json StatusesJson(const ResultRow& row) {
  const bool any = std::any_of(row.statuses.begin(), row.statuses.end(),
                               [](std::uint64_t count) { return count != 0; });
  if (!any) return nullptr;
  return {{"1xx", row.statuses[1]}, {"2xx", row.statuses[2]}, {"3xx", row.statuses[3]},
          {"4xx", row.statuses[4]}, {"5xx", row.statuses[5]}, {"other", row.statuses[0]}};
}

nlohmann::json NegotiatedJson(const std::optional<transport::ConnectionInfo>& info) {
  if (!info) return nullptr;
  return {{"tls_version", info->version_text()},
          {"cipher_suite", info->cipher_suite_name},
          {"group", TextOrNull(info->group_text())},
          {"alpn", TextOrNull(info->alpn)}};
}

}  // namespace

nlohmann::json LatencyJson(const LatencyHistogram& latency) {
  const bool any = latency.count() != 0;
  const auto percentile = [&latency, any](double share) {
    return Known(any, latency.Percentile(share));
  };
  return {{"count", latency.count()},
          {"min", Known(any, latency.Min())},
          {"mean", Known(any, latency.Mean())},
          {"deviation", Known(any, latency.Deviation())},
          {"p50", percentile(0.5)},
          {"p90", percentile(0.9)},
          {"p99", percentile(0.99)},
          {"p999", percentile(0.999)},
          {"max", Known(any, latency.max())}};
}

nlohmann::json BucketsJson(const LatencyHistogram& latency) {
  nlohmann::json buckets = nlohmann::json::array();
  for (const LatencyHistogram::Bucket& bucket : latency.Buckets()) {
    buckets.push_back(nlohmann::json::array({bucket.upper_ns, bucket.count}));
  }
  return buckets;
}

void AddVerdict(const Verdict& verdict, nlohmann::json* json) {
  nlohmann::json reasons = nlohmann::json::array();
  for (const Verdict::Reason& reason : verdict.reasons()) {
    reasons.push_back({{"reason", DoubtName(reason.doubt)}, {"text", reason.text}});
  }
  (*json)["valid"] = verdict.valid();
  (*json)["reasons"] = reasons;
}

void AddRundown(const RundownCheck& rundown, nlohmann::json* json) {
  nlohmann::json left = nlohmann::json::object();
  for (const auto& [name, count] : rundown.counters) left[name] = count;
  (*json)["rundown"] = std::move(left);
  (*json)["rundown_clean"] = rundown.clean();
}

nlohmann::json ResultJson(const ResultRow& row, const std::string& cpu_side) {
  const bool timed = row.seconds > 0;
  const bool cost = row.cpu_ns.has_value();
  return {
      {"operation", row.operation},
      {"negotiated", NegotiatedJson(row.negotiated)},
      {"count", row.operations},
      {"bytes", row.bytes},
      {"seconds", row.seconds},
      {"rate_per_s", Known(timed, row.rate())},
      {"mb_per_s", Known(timed && row.bytes != 0, row.megabytes_per_second())},
      {cpu_side + "_cpu_ns", Known(cost, row.cpu_ns.value_or(0))},
      {cpu_side + "_cpu_ns_per_operation",
       Known(cost && row.operations != 0, row.cpu_ns_per_operation())},
      {cpu_side + "_cpu_s_per_gb", Known(cost && row.bytes != 0, row.cpu_seconds_per_gigabyte())},
      {"latency_ns", LatencyJson(row.latency)},
      {"statuses", StatusesJson(row)},
      {"late", row.late},
      {"unfinished", row.unfinished},
      {"oldest_unfinished_ns", Known(row.unfinished != 0, row.oldest_unfinished_ns)},
      {"errors", row.errors},
      {"error_texts", row.error_texts}};
}

std::string CheckWritable(const std::string& path) {
  if (path.empty()) return "a file is needed; - is standard output";
  if (path == kStandardOutput) return {};
  const Result<int> file = OpenForWriting(path.c_str(), O_APPEND, 0666);
  if (!file.ok()) {
    return fmt::format("{}: cannot be written: {}; name a file in a folder that exists", path,
                       file.status().ToString());
  }
  close(file.value());
  return {};
}

std::FILE* TextOutput(const std::string& json_path) {
  return json_path == kStandardOutput ? stderr : stdout;
}

bool WriteJsonFile(const nlohmann::json& json, const std::string& path) {
  // What people type is not always UTF-8, as JSON has to be (RFC 8259 8.1).
  const std::string text =
      json.dump(2, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace) + "\n";
  if (path == kStandardOutput) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    return std::fflush(stdout) == 0 && written;
  }
  return WriteFile(path.c_str(), text).ok();
}

}  // namespace ktlsim::command
