// The JSON result and the histogram files of `ktlsim load`.
#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/file.h"
#include "kernel_sim/command/command_line.h"
#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/hdr_format.h"
#include "kernel_sim/command/load_phases.h"
#include "kernel_sim/command/load_report.h"
#include "kernel_sim/command/load_request.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/statistics.h"
#include "kernel_sim/command/tls_words.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

using nlohmann::json;

json PhaseJson(const LoadPhaseFigures& phase) {
  return {{"definition", phase.definition},
          {"latency_ns", LatencyJson(*phase.latency)},
          {"buckets", BucketsJson(*phase.latency)}};
}

json PhasesJson(const LoadReport& report, const ResultRow& row, const LoadShare& share,
                bool open_loop) {
  json phases = json::object();
  const LoadPhaseList list = PhasesOf(report, row, share, open_loop);
  for (const LoadPhaseFigures& phase : list.phases) phases[phase.name] = PhaseJson(phase);
  return phases;
}

json PercentilesJson(const LatencyHistogram& latency, const LoadOptions& options) {
  json percentiles = json::array();
  for (const double percentile : PercentilesOf(options)) {
    const std::uint64_t above = latency.SamplesAbove(percentile / 100);
    percentiles.push_back(
        {{"percentile", percentile},
         {"latency_ns", latency.count() != 0 ? json(latency.Percentile(percentile / 100)) : json()},
         {"samples_above", above},
         {"enough_samples", EnoughSamples(latency, percentile)}});
  }
  return percentiles;
}

json IntervalJson(const TimeSeries::Interval& interval, std::size_t repeat, double at_s,
                  double length_s) {
  const LatencyHistogram latency = interval.Latency();
  const auto known = [&latency](std::uint64_t ns) {
    return latency.count() != 0 ? json(ns) : json();
  };
  return {{"repeat", repeat},
          {"at_s", at_s},
          {"length_s", length_s},
          {"operations", interval.operations},
          {"errors", interval.errors},
          {"bytes", interval.bytes},
          {"rate_per_s", length_s > 0 ? static_cast<double>(interval.operations) / length_s : 0},
          {"p50_ns", known(latency.Percentile(0.5))},
          {"p99_ns", known(latency.Percentile(0.99))},
          {"max_ns", known(latency.max())},
          {"histogram", latency.count() != 0 ? json(EncodeHdr(latency)) : json()}};
}

// The last interval may be cut off, or be longer where the end was late.
double LengthOf(std::size_t index, const ResultRow& row) {
  const double each = Seconds(row.series.interval_ns());
  const double begin = each * static_cast<double>(index);
  const bool last = index + 1 == row.series.intervals().size();
  return last ? std::max(row.seconds - begin, 0.0) : std::clamp(row.seconds - begin, 0.0, each);
}

json TimeSeriesJson(const LoadReport& report, std::size_t which) {
  json series = json::array();
  for (std::size_t repeat = 0; repeat < report.repeats.size(); ++repeat) {
    const ResultRow& row = report.repeats[repeat].rows[which];
    const auto& intervals = row.series.intervals();
    for (std::size_t i = 0; i < intervals.size(); ++i) {
      const double length = LengthOf(i, row);
      if (length <= 0) break;
      series.push_back(
          IntervalJson(intervals[i], repeat + 1, Seconds(row.series.interval_ns() * i), length));
    }
  }
  return series;
}

json MonotonicJson(const LoadRepeat& first, const LoadRepeat& last) {
  return {{"from", first.measured_from_ns}, {"until", last.measured_until_ns}};
}

json RepeatsJson(const LoadReport& report, std::size_t which) {
  json repeats = json::array();
  for (const LoadRepeat& repeat : report.repeats) {
    const ResultRow& row = repeat.rows[which];
    repeats.push_back(
        {{"measured_monotonic_ns", MonotonicJson(repeat, repeat)},
         {"measured_from_unix_s", repeat.measured_from_unix_s},
         {"seconds", row.seconds},
         {"count", row.operations},
         {"errors", row.errors},
         {"rate_per_s", row.rate()},
         {"client_cpu_ns_per_operation",
          row.cpu_ns && row.operations != 0 ? json(row.cpu_ns_per_operation()) : json()},
         {"latency_ns", LatencyJson(row.latency)}});
  }
  return repeats;
}

json IntervalOf(const MeanInterval& interval) {
  if (!interval.known()) return nullptr;
  return {{"mean", interval.mean}, {"low", interval.low}, {"high", interval.high}};
}

json ConfidenceJson(const LoadReport& report, std::size_t which, const LoadOptions& options) {
  const LoadConfidence confidence = ConfidenceOf(report, which, options);
  json percentiles = json::array();
  for (const auto& [percentile, interval] : confidence.percentiles) {
    percentiles.push_back({{"percentile", percentile}, {"latency_ns", IntervalOf(interval)}});
  }
  return {{"level", 0.95},
          {"repeats", report.repeats.size()},
          {"rate_per_s", IntervalOf(confidence.rate)},
          {"client_cpu_ns_per_operation", IntervalOf(confidence.cpu_ns)},
          {"percentiles", std::move(percentiles)}};
}

json OperationJson(const LoadReport& report, const ResultRow& row, std::size_t which,
                   const LoadOptions& options) {
  const LoadShare share = options.Shares()[which];
  json operation = ResultJson(row, "client");
  operation["kind"] = share.word();
  operation["share"] = ShareOf(options, which);
  operation["path"] = share.handshake() ? json() : json(LoadTarget(options, share));
  operation["not_begun"] = options.open_loop() ? json(row.not_begun) : json();
  operation["percentiles"] = PercentilesJson(row.latency, options);
  operation["phases"] = PhasesJson(report, row, share, options.open_loop());
  operation["interval_s"] = Seconds(row.series.interval_ns());
  operation["time_series"] = TimeSeriesJson(report, which);
  operation["repeats"] = RepeatsJson(report, which);
  operation["confidence"] = ConfidenceJson(report, which, options);
  return operation;
}

json GeneratorJson(const LoadReport& report, const std::vector<ResultRow>& rows,
                   const LoadOptions& options, const Envelope& envelope) {
  const LatencyHistogram lag = LagOf(rows);
  const std::uint64_t operations = report.operations();
  return {{"processors", report.processors()},
          {"cpu_ns", report.cpu_ns()},
          {"cpu_share", CpuShare(report.cpu_ns(), report.seconds(), report.processors(),
                                 envelope.machine().cores)},
          {"cpu_ns_per_operation", operations != 0 ? json(static_cast<double>(report.cpu_ns()) /
                                                          static_cast<double>(operations))
                                                   : json()},
          {"lag_definition", kLagDefinition},
          {"lag_ns", options.open_loop() ? LatencyJson(lag) : json()}};
}

json LabelsJson(const LoadOptions& options) {
  json labels = json::object();
  for (const std::string& label : options.output.labels) {
    const std::size_t equals = label.find('=');
    labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return labels;
}

json RequestJson(const LoadOptions& options, const LoadShare& share) {
  if (share.handshake()) return nullptr;
  return {
      {"method", LoadMethod(options, share)},
      {"path", LoadTarget(options, share)},
      {"headers", WithoutPasswords(options.request.headers)},
      {"body", TextOrNull(options.request.body)},
      {"body_bytes", options.request.body_bytes != 0 ? json(options.request.body_bytes) : json()}};
}

json SettingsJson(const LoadReport& report, const LoadOptions& options) {
  const bool digest = report.digest.first_authentications.has_value();
  const auto of_digest = [digest](const json& figure) { return digest ? figure : json(); };
  const std::vector<LoadShare> shares = options.Shares();
  json kinds = json::array();
  json requests = json::array();
  for (const LoadShare& share : shares) {
    kinds.push_back(share.word());
    requests.push_back(RequestJson(options, share));
  }
  json settings = {
      {"mode", options.mix.empty() ? LoadModeName(shares.front().mode) : "mix"},
      {"kinds", std::move(kinds)},
      {"requests", std::move(requests)},
      {"resume", options.resume},
      {"repeats", options.repeats},
      {"seconds", Seconds(options.duration_ns)},
      {"warm_up_s", Seconds(options.warm_up_ns)},
      {"drain_s", Seconds(options.drain_ns)},
      {"timeout_s", options.timeout_ns != 0 ? json(Seconds(options.timeout_ns)) : json()},
      {"connections", options.connections},
      {"rate_asked_per_s", options.open_loop() ? json(options.rate) : json()},
      {"arrivals", options.open_loop() ? json(ArrivalsName(options.arrivals)) : json()},
      {"seed", options.open_loop() ? json(report.seed) : json()},
      {"tls_versions", WordOf(options.versions, kTlsWords)},
      {"cipher_suites", TextOrNull(options.suites)},
      {"groups", TextOrNull(options.groups)},
      {"alpn", options.alpn},
      {"server_name", LoadServerName(options)},
      {"verify", !options.insecure},
      {"digest_user", TextOrNull(options.digest_user)},
      {"digest_contexts", of_digest(report.digest.contexts)},
      {"digest_renewals", of_digest(report.digest.renewals)},
      {"digest_proofs", of_digest(report.digest.proofs)},
      {"digest_look_ups_saved", of_digest(LookUpsSaved(report))}};
  return settings;
}

std::string HlogOf(const LoadReport& report, const LoadOptions& options) {
  const std::vector<LoadShare> shares = options.Shares();
  const double start = report.repeats.front().measured_from_unix_s;
  std::vector<HdrLogEntry> entries;
  for (const LoadRepeat& repeat : report.repeats) {
    for (std::size_t which = 0; which < repeat.rows.size(); ++which) {
      const ResultRow& row = repeat.rows[which];
      const auto& intervals = row.series.intervals();
      for (std::size_t i = 0; i < intervals.size(); ++i) {
        const LatencyHistogram latency = intervals[i].Latency();
        const double length = LengthOf(i, row);
        if (length <= 0) break;
        entries.push_back(
            {.tag = shares.size() > 1 ? shares[which].word() : "",
             .start_s = repeat.measured_from_unix_s - start + Seconds(row.series.interval_ns() * i),
             .length_s = length,
             .max_ns = latency.max(),
             .encoded = EncodeHdr(latency)});
      }
    }
  }
  return HdrLogText(start, entries);
}

std::string WriteText(const char* option, const std::string& file, const std::string& text) {
  if (file.empty()) return {};
  if (file == "-")
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size()
               ? ""
               : fmt::format("--{} -: cannot be written", option);
  if (WriteFile(file.c_str(), text).ok()) return {};
  return fmt::format("--{} {}: cannot be written; name a file in a folder that exists", option,
                     file);
}

}  // namespace

nlohmann::json LoadJson(const LoadReport& report, const LoadOptions& options,
                        const Envelope& envelope, const Verdict& verdict) {
  const std::vector<ResultRow> rows = report.Rows();
  json result = envelope.Json(report.lanes);
  result["settings"] = SettingsJson(report, options);
  result["measured_monotonic_ns"] = MonotonicJson(report.repeats.front(), report.repeats.back());
  result["labels"] = LabelsJson(options);
  result["peer"] = options.url.Place();
  result["server_certificate"] = CertificateJson(report.server_certificate);
  result["client_certificate"] = CertificateJson(report.client_certificate);
  result["first_authentications"] = report.digest.first_authentications
                                        ? ResultJson(*report.digest.first_authentications, "client")
                                        : json();
  result["operations"] = json::array();
  std::uint64_t errors = 0;
  std::uint64_t not_begun = 0;
  for (std::size_t which = 0; which < rows.size(); ++which) {
    result["operations"].push_back(OperationJson(report, rows[which], which, options));
    errors += rows[which].errors;
    not_begun += rows[which].not_begun;
  }
  result["generator"] = GeneratorJson(report, rows, options, envelope);
  result["not_begun"] = options.open_loop() ? json(not_begun) : json();
  result["errors"] = errors;
  result["warm_up_errors"] = report.warm_up_errors;
  result["warm_up_error_texts"] = report.warm_up_error_texts;
  result["addresses_passed_over"] = report.passed_over;
  result["merged"] = nullptr;
  AddRundown(report.rundown, &result);
  AddVerdict(verdict, &result);
  return result;
}

std::string WriteLoadFiles(const LoadReport& report, const LoadOptions& options,
                           const Envelope& envelope, const Verdict& verdict) {
  const LoadOutputOptions& output = options.output;
  if (!output.hgrm.empty()) {
    LatencyHistogram all;
    for (const ResultRow& row : report.Rows()) all.Merge(row.latency);
    std::string wrong = WriteText("hgrm", output.hgrm, HdrPercentileText(all));
    if (!wrong.empty()) return wrong;
  }
  if (!output.hlog.empty()) {
    std::string wrong = WriteText("hlog", output.hlog, HlogOf(report, options));
    if (!wrong.empty()) return wrong;
  }
  if (output.json.empty()) return {};
  if (WriteJsonFile(LoadJson(report, options, envelope, verdict), output.json)) return {};
  return fmt::format("--json {}: cannot be written; name a file in a folder that exists",
                     output.json);
}

}  // namespace ktlsim::command
