#include "kernel_sim/command/result_json.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/file.h"

namespace ktlsim::command {
namespace {

constexpr const char* kStandardOutput = "-";

}  // namespace

nlohmann::json MachineJson(const Machine& machine) {
  return {{"cores", machine.cores},
          {"cpu", machine.cpu},
          {"kernel", machine.kernel},
          {"openssl", machine.openssl},
          {"aead", machine.aead},
          {"build_type", machine.build_type},
          {"sanitizers", machine.sanitizers},
          {"figures_mean_something", machine.optimized}};
}

void AddVerdict(const Verdict& verdict, nlohmann::json* json) {
  nlohmann::json reasons = nlohmann::json::array();
  for (const Verdict::Reason& reason : verdict.reasons()) {
    reasons.push_back({{"reason", DoubtName(reason.doubt)}, {"text", reason.text}});
  }
  (*json)["valid"] = verdict.valid();
  (*json)["reasons"] = reasons;
}

nlohmann::json ResultJson(const ResultRow& row, const std::string& cpu_side) {
  // Null where nothing was measured.
  const auto known = [&row](auto figure) {
    return row.cpu_ns ? nlohmann::json(figure) : nlohmann::json();
  };
  const LatencyHistogram& l = row.latency;
  const auto latency = [&l](std::uint64_t ns) {
    return l.count() != 0 ? nlohmann::json(ns) : nlohmann::json();
  };
  return {{"operation", row.operation},
          {"count", row.operations},
          {"bytes", row.bytes},
          {"seconds", row.seconds},
          {"rate_per_s", row.rate()},
          {"mb_per_s", row.megabytes_per_second()},
          {cpu_side + "_cpu_ns", known(row.cpu_ns.value_or(0))},
          {cpu_side + "_cpu_ns_per_operation", known(row.cpu_ns_per_operation())},
          {cpu_side + "_cpu_s_per_gb", known(row.cpu_seconds_per_gigabyte())},
          {"latency_ns",
           {{"p50", latency(l.Percentile(0.5))},
            {"p90", latency(l.Percentile(0.9))},
            {"p99", latency(l.Percentile(0.99))},
            {"p999", latency(l.Percentile(0.999))},
            {"max", latency(l.max())}}},
          {"statuses",
           {{"1xx", row.statuses[1]},
            {"2xx", row.statuses[2]},
            {"3xx", row.statuses[3]},
            {"4xx", row.statuses[4]},
            {"5xx", row.statuses[5]},
            {"other", row.statuses[0]}}},
          {"late", row.late},
          {"unfinished", row.unfinished},
          {"oldest_unfinished_ns", row.oldest_unfinished_ns},
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
  const std::string text = json.dump(2) + "\n";
  if (path == kStandardOutput) {
    const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    return std::fflush(stdout) == 0 && written;
  }
  return WriteFile(path.c_str(), text).ok();
}

}  // namespace ktlsim::command
