#include "kernel_sim/command/load_report.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include <fmt/format.h>

#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/load_phases.h"
#include "kernel_sim/command/result_json.h"

namespace ktlsim::command {
namespace {

constexpr std::array kUsualPercentiles = {50.0, 90.0, 99.0, 99.9};
constexpr std::uint64_t kSamplesAboveMin = 10;

void AddRow(const ResultRow& row, ResultRow* sum) {
  sum->operation = row.operation;
  sum->bulk = row.bulk;
  sum->hint = row.hint;
  sum->operations += row.operations;
  sum->bytes += row.bytes;
  sum->seconds += row.seconds;
  for (std::size_t i = 0; i < kStatusClasses; ++i) sum->statuses[i] += row.statuses[i];
  if (row.cpu_ns) sum->cpu_ns = sum->cpu_ns.value_or(0) + *row.cpu_ns;
  sum->latency.Merge(row.latency);
  for (std::size_t i = 0; i < kOperationPhases; ++i) sum->phases[i].Merge(row.phases[i]);
  sum->lag.Merge(row.lag);
  if (sum->series.interval_ns() == 0) sum->series = row.series;
  if (!sum->negotiated) sum->negotiated = row.negotiated;
  sum->not_begun += row.not_begun;
  sum->late += row.late;
  sum->unfinished += row.unfinished;
  sum->oldest_unfinished_ns = std::max(sum->oldest_unfinished_ns, row.oldest_unfinished_ns);
  sum->errors += row.errors;
  for (const std::string& text : row.error_texts) {
    const bool known =
        std::find(sum->error_texts.begin(), sum->error_texts.end(), text) != sum->error_texts.end();
    if (!known) sum->error_texts.push_back(text);
  }
}

std::string WholeDefinition(const LoadShare& share, bool open_loop) {
  const bool connects = share.handshake() || share.mode == LoadMode::kChurn;
  return fmt::format("from {} until {}",
                     open_loop  ? "the time at which it was due"
                     : connects ? "the dial"
                                : "the sending of the request",
                     share.handshake() ? "the handshake is over" : "the last byte of the response");
}

}  // namespace

std::vector<ResultRow> LoadReport::Rows() const {
  std::vector<ResultRow> rows(repeats.empty() ? 0 : repeats.front().rows.size());
  for (const LoadRepeat& repeat : repeats) {
    for (std::size_t i = 0; i < rows.size(); ++i) AddRow(repeat.rows[i], &rows[i]);
  }
  return rows;
}

std::uint64_t LoadReport::cpu_ns() const {
  return std::accumulate(
      repeats.begin(), repeats.end(), std::uint64_t{0},
      [](std::uint64_t sum, const LoadRepeat& repeat) { return sum + repeat.cpu_ns; });
}

double LoadReport::seconds() const {
  return std::accumulate(repeats.begin(), repeats.end(), 0.0,
                         [](double sum, const LoadRepeat& repeat) {
                           return sum + (repeat.rows.empty() ? 0 : repeat.rows.front().seconds);
                         });
}

std::uint64_t LoadReport::operations() const {
  std::uint64_t sum = 0;
  for (const LoadRepeat& repeat : repeats) {
    for (const ResultRow& row : repeat.rows) sum += row.operations;
  }
  return sum;
}

LoadPhaseList PhasesOf(const LoadReport& report, const ResultRow& row, const LoadShare& share,
                       bool open_loop) {
  LoadPhaseList list;
  LatencyHistogram& look_up = list.made.emplace_back();
  if (report.look_up_ns != 0) look_up.Record(report.look_up_ns);
  const auto part = [&row](OperationPhase phase) {
    return &row.phases[static_cast<std::size_t>(phase)];
  };
  const bool kept = !share.handshake() && share.mode != LoadMode::kChurn;
  const std::string whose = kept ? " (of all connections, also those of the warm-up)" : "";
  list.phases.push_back({"name_resolution", "name",
                         "look-up of the server's name, once, before the start", &look_up});
  list.phases.push_back({"tcp_connect", "TCP connect",
                         "from the dial until the server's system has accepted" + whose,
                         part(OperationPhase::kTcpConnect)});
  list.phases.push_back({"tls_handshake", "TLS handshake",
                         "from there until the handshake is over" + whose,
                         part(OperationPhase::kTlsHandshake)});
  list.phases.push_back({"first_byte", "first byte",
                         "from the sending of the request until the first byte of the response",
                         part(OperationPhase::kFirstByte)});
  list.phases.push_back({"whole", "whole", WholeDefinition(share, open_loop), &row.latency});
  return list;
}

std::vector<double> PercentilesOf(const LoadOptions& options) {
  if (!options.output.percentiles.empty()) return options.output.percentiles;
  return {kUsualPercentiles.begin(), kUsualPercentiles.end()};
}

bool EnoughSamples(const LatencyHistogram& latency, double percentile) {
  if (percentile >= 100) return latency.count() != 0;
  return latency.SamplesAbove(percentile / 100) >= kSamplesAboveMin;
}

double ShareOf(const LoadOptions& options, std::size_t which) {
  const std::vector<LoadShare> shares = options.Shares();
  double sum = 0;
  for (const LoadShare& share : shares) sum += share.weight;
  return shares[which].weight / sum;
}

LatencyHistogram LagOf(const std::vector<ResultRow>& rows) {
  LatencyHistogram lag;
  for (const ResultRow& row : rows) lag.Merge(row.lag);
  return lag;
}

LoadConfidence ConfidenceOf(const LoadReport& report, std::size_t which,
                            const LoadOptions& options) {
  const auto mean_of = [&](auto figure, bool of_each) {
    std::vector<double> figures;
    for (const LoadRepeat& repeat : report.repeats) {
      const ResultRow& row = repeat.rows[which];
      if (of_each || row.operations != 0) figures.push_back(figure(row));
    }
    return MeanOf(figures);
  };
  LoadConfidence confidence;
  // A repeat in which nothing was completed has a rate, too.
  confidence.rate = mean_of([](const ResultRow& row) { return row.rate(); }, /*of_each=*/true);
  if (!report.repeats.empty() && report.repeats.front().rows[which].cpu_ns) {
    confidence.cpu_ns = mean_of([](const ResultRow& row) { return row.cpu_ns_per_operation(); },
                                /*of_each=*/false);
  }
  for (const double percentile : PercentilesOf(options)) {
    confidence.percentiles.emplace_back(
        percentile, mean_of(
                        [percentile](const ResultRow& row) {
                          return static_cast<double>(row.latency.Percentile(percentile / 100));
                        },
                        /*of_each=*/false));
  }
  return confidence;
}

std::uint64_t LookUpsSaved(const LoadReport& report) {
  const std::uint64_t operations = report.operations();
  return operations - std::min<std::uint64_t>(operations, report.digest.renewals);
}

Verdict JudgeLoad(const LoadReport& report, const LoadOptions& options, const Envelope& envelope) {
  Verdict verdict;
  const std::vector<ResultRow> rows = report.Rows();
  GeneratorUse use;
  use.rate_asked = options.rate;
  use.seconds = report.seconds();
  use.warm_up_seconds = Seconds(options.warm_up_ns);
  use.repeats = report.repeats.size();
  use.poisson = options.arrivals == Arrivals::kPoisson;
  use.connections = options.connections;
  use.cpu_share =
      CpuShare(report.cpu_ns(), report.seconds(), report.processors(), envelope.machine().cores);
  ResultRow all;
  for (const ResultRow& row : rows) {
    JudgeRow(row, &verdict);
    AddRow(row, &all);
    all.seconds = row.seconds;
    use.not_begun += row.not_begun;
  }
  JudgeGenerator(all, use, &verdict);
  for (const ResultRow& row : rows) {
    if (!options.open_loop()) JudgePause(row, options.output.percentiles, &verdict);
    for (const double percentile : options.output.percentiles) {
      if (!EnoughSamples(row.latency, percentile)) JudgeSamples(row, percentile, &verdict);
    }
  }
  if (report.interrupted) verdict.Add(Doubt::kInterrupted);
  JudgeRundown(report.rundown, &verdict);
  return verdict;
}

namespace {

std::string PercentileText(const LatencyHistogram& latency, double percentile) {
  if (latency.count() == 0) return "-";
  return FormatDuration(latency.Percentile(percentile / 100)) +
         (EnoughSamples(latency, percentile) ? "" : "*");
}

void PrintPercentiles(const ResultRow& row, const LoadOptions& options, std::FILE* out) {
  if (options.output.percentiles.empty()) return;
  fmt::print(out, "\nlatency of {}:", row.operation);
  for (const double percentile : options.output.percentiles) {
    fmt::print(out, "  p{} {}", percentile, PercentileText(row.latency, percentile));
  }
  fmt::print(out, "\n");
}

void PrintPhases(const LoadReport& report, const std::vector<ResultRow>& rows,
                 const LoadOptions& options, std::FILE* out) {
  const std::vector<LoadShare> shares = options.Shares();
  for (std::size_t which = 0; which < rows.size(); ++which) {
    fmt::print(out, "\n{:<14}{:>9}{:>10}{:>10}{:>10}   {}\n", "phase", "count", "p50", "p99", "max",
               rows.size() > 1 ? rows[which].operation : "");
    const LoadPhaseList list = PhasesOf(report, rows[which], shares[which], options.open_loop());
    for (const LoadPhaseFigures& phase : list.phases) {
      if (phase.latency->count() == 0) continue;
      fmt::print(out, "{:<14}{:>9}{:>10}{:>10}{:>10}\n    {}\n", phase.words,
                 phase.latency->count(), PercentileText(*phase.latency, 50),
                 PercentileText(*phase.latency, 99), FormatDuration(phase.latency->max()),
                 phase.definition);
    }
  }
  fmt::print(out, "*: fewer than {} samples above it\n", kSamplesAboveMin);
}

std::string DurationInterval(const MeanInterval& interval) {
  const auto text = [](double ns) {
    return FormatDuration(static_cast<std::uint64_t>(std::max(ns, 0.0)));
  };
  return fmt::format("{} ({} to {})", text(interval.mean), text(interval.low), text(interval.high));
}

void PrintConfidence(const LoadReport& report, const std::vector<ResultRow>& rows,
                     const LoadOptions& options, std::FILE* out) {
  if (report.repeats.size() < 2) return;
  for (std::size_t which = 0; which < rows.size(); ++which) {
    const LoadConfidence confidence = ConfidenceOf(report, which, options);
    if (!confidence.rate.known()) continue;
    fmt::print(out,
               "\n{} repeats of {}: mean and 95 % confidence interval\n    rate {:.6g} /s "
               "({:.6g} to {:.6g})\n",
               confidence.rate.count, rows[which].operation, confidence.rate.mean,
               confidence.rate.low, confidence.rate.high);
    if (confidence.cpu_ns.known()) {
      fmt::print(out, "    client CPU per operation {}\n", DurationInterval(confidence.cpu_ns));
    }
    for (const auto& [percentile, interval] : confidence.percentiles) {
      fmt::print(out, "    p{} {}\n", percentile, DurationInterval(interval));
    }
  }
}

void PrintLoop(const LoadReport& report, const std::vector<ResultRow>& rows,
               const LoadOptions& options, std::FILE* out) {
  if (options.open_loop()) {
    std::uint64_t not_begun = 0;
    for (const ResultRow& row : rows) not_begun += row.not_begun;
    const LatencyHistogram lag = LagOf(rows);
    fmt::print(out,
               "open loop, {:.6g} /s, {} arrivals: an operation counts from the time it should "
               "have begun; {} that were due never began.\n",
               options.rate, ArrivalsName(options.arrivals), not_begun);
    if (lag.count() != 0) {
      fmt::print(out, "lag of the generator where a connection waited: p50 {}, p99 {}, max {}\n",
                 FormatDuration(lag.Percentile(0.5)), FormatDuration(lag.Percentile(0.99)),
                 FormatDuration(lag.max()));
    }
  } else {
    fmt::print(
        out,
        "closed loop: a connection that waits sends nothing, so a pause of the server is in few "
        "of the percentiles; --rate counts what was due meanwhile.\n");
  }
  for (const std::string& text : report.passed_over) {
    fmt::print(out, "address passed over for the next one: {}\n", text);
  }
  if (report.warm_up_errors == 0) return;
  fmt::print(out, "errors of the warm-up, not counted: {}\n", report.warm_up_errors);
  for (const std::string& text : report.warm_up_error_texts) {
    fmt::print(out, "    warm-up: {}\n", text);
  }
}

void PrintDigest(const LoadReport& report, std::FILE* out) {
  const LoadDigestFacts& digest = report.digest;
  if (!digest.first_authentications) return;
  fmt::print(
      out,
      "Digest: {} first authentications, one after the other, with the challenge's round "
      "trip; {} context{} for all further requests, {} challenged again meanwhile. The server "
      "proved {} times that it knows the password.\n",
      digest.first_authentications->operations, digest.contexts, digest.contexts == 1 ? "" : "s",
      digest.renewals, digest.proofs);
  fmt::print(out,
             "The maintained context saved {} look-ups of the user, and as many challenges: a "
             "server without one makes both for each request.\n",
             LookUpsSaved(report));
}

}  // namespace

void PrintLoad(const LoadReport& report, const LoadOptions& options, const Envelope& envelope,
               const Verdict& verdict) {
  std::FILE* const out = TextOutput(options.output.json);
  const std::vector<ResultRow> rows = report.Rows();
  std::vector<ResultRow> table;
  if (report.digest.first_authentications) table.push_back(*report.digest.first_authentications);
  table.insert(table.end(), rows.begin(), rows.end());
  PrintResultTable(table, "client", out);
  for (const ResultRow& row : rows) PrintPercentiles(row, options, out);
  PrintPhases(report, rows, options, out);
  PrintConfidence(report, rows, options, out);
  const auto negotiated =
      rows.empty() ? std::optional<transport::ConnectionInfo>() : rows.front().negotiated;
  if (negotiated) {
    const transport::ConnectionInfo& info = *negotiated;
    fmt::print(out, "\n{}: {}, {}{}{}\n", options.url.Place(), info.version_text(),
               info.cipher_suite_name,
               info.group == 0 ? "" : fmt::format(", {}", info.group_text()),
               info.alpn.empty() ? "" : ", ALPN " + info.alpn);
  }
  PrintDigest(report, out);
  PrintLoop(report, rows, options, out);
  PrintLanes(report.lanes, envelope.library().time_every_call, out);
  if (!envelope.machine().optimized) {
    fmt::print(out, "*** debug or sanitizer build: the figures mean NOTHING ***\n");
  }
  PrintVerdict(verdict, out);
}

}  // namespace ktlsim::command
