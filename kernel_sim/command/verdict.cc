#include "kernel_sim/command/verdict.h"

#include <algorithm>

#include <fmt/format.h>

#include "kernel_sim/command/durations.h"

namespace ktlsim::command {
namespace {

struct DoubtWords {
  const char* name;
  const char* text;
};

// In the order of the enumeration.
constexpr DoubtWords kWords[kDoubts] = {
    {"nothing_done", "not one operation was completed in the measured time"},
    {"operations_failed", "operations failed, and are in no percentile unless they timed out"},
    {"unfinished",
     "operations never came back; the percentiles have them with the time they took so far"},
    {"rate_not_held", "the rate was not held"},
    {"generator_busy", "the generator had no time left, so the figures are its own"},
    {"generator_late", "the generator was late by itself, and the latencies have that in them"},
    {"too_few_samples", "too few operations for a percentile"},
    {"pause_hidden",
     "the closed loop hid a pause: operations that would have waited were not begun"},
    {"check_failed", "a check failed"},
    {"left_behind", "something was left over after the end"},
    {"not_together", "results of different times do not add up to one rate"},
    {"interrupted", "a signal ended it early"},
};

// Late by less than this is a timetable's own unevenness.
constexpr double kNotBegunShareMax = 0.01;
// More than that of its processors' time, and a generator cannot send faster.
constexpr double kBusyShare = 0.95;

// The generator's own lag may be this share of the latency that is reported: the error of a figure
// that people read two digits of. Below the floor, it is what timers and schedulers are wherever
// generator and server share processors (wrk2 promises no more than 1 ms, either).
constexpr double kLagShareMax = 0.1;
constexpr std::uint64_t kLagFloorNs = 1'000'000;
// A pause is longer than this, and makes the percentile so many times longer.
constexpr std::uint64_t kPauseMinNs = 50'000'000;
constexpr std::uint64_t kPauseTimes = 2;

const DoubtWords& WordsOf(Doubt doubt) { return kWords[static_cast<std::size_t>(doubt)]; }

std::string Suspect(const GeneratorUse& use) {
  const double percent = 100 * use.cpu_share;
  if (use.cpu_share >= kBusyShare) {
    return fmt::format("the generator used {:.0f} % of its processors' time: it is the bottleneck",
                       percent);
  }
  return fmt::format(
      "the server, {} connections, or the generator ({:.0f} % of its processors' time) cannot keep "
      "this rate",
      use.connections, percent);
}

}  // namespace

const char* DoubtName(Doubt doubt) { return WordsOf(doubt).name; }
const char* DoubtText(Doubt doubt) { return WordsOf(doubt).text; }

void Verdict::Add(Doubt doubt, const std::string& detail) {
  reasons_.push_back(
      {doubt, detail.empty() ? DoubtText(doubt) : fmt::format("{}: {}", DoubtText(doubt), detail)});
}

void PrintVerdict(const Verdict& verdict, std::FILE* out) {
  if (verdict.valid()) fmt::print(out, "verdict: valid\n");
  for (const Verdict::Reason& reason : verdict.reasons()) {
    fmt::print(out, "verdict: NOT VALID: {}\n", reason.text);
  }
}

void JudgeRow(const ResultRow& row, Verdict* verdict) {
  if (row.errors != 0) {
    verdict->Add(Doubt::kOperationsFailed, fmt::format("{}, {} errors", row.operation, row.errors));
  }
  if (row.unfinished != 0) {
    verdict->Add(Doubt::kUnfinished,
                 fmt::format("{}, {}, the oldest after {}", row.operation, row.unfinished,
                             FormatDuration(row.oldest_unfinished_ns)));
  }
  if (row.operations == 0) {
    verdict->Add(Doubt::kNothingDone, row.hint.empty() ? row.operation : row.hint);
  }
}

void JudgeRundown(const RundownCheck& rundown, Verdict* verdict) {
  if (!rundown.clean()) verdict->Add(Doubt::kLeftBehind, rundown.Leftovers());
}

double CpuShare(std::uint64_t cpu_ns, double seconds, unsigned threads, unsigned cores) {
  const double available = seconds * 1e9 * std::min(threads, cores);
  return available > 0 ? static_cast<double>(cpu_ns) / available : 0;
}

namespace {

void JudgeRate(const ResultRow& row, const GeneratorUse& use, Verdict* verdict) {
  const double due = use.rate_asked * use.seconds;
  // Each connection may be in one operation that the next one waits for.
  const double tolerated = std::max(due * kNotBegunShareMax, static_cast<double>(use.connections));
  if (static_cast<double>(use.not_begun) <= tolerated) return;
  verdict->Add(Doubt::kRateNotHeld,
               fmt::format("{:.6g} /s of {:.6g} /s, {} operations that were due never began; {}",
                           row.rate(), use.rate_asked, use.not_begun, Suspect(use)));
}

void JudgeLag(const ResultRow& row, Verdict* verdict) {
  if (row.lag.count() == 0 || row.latency.count() == 0) return;
  const std::uint64_t lag = row.lag.Percentile(0.99);
  const std::uint64_t latency = row.latency.Percentile(0.99);
  if (lag <= kLagFloorNs) return;
  if (static_cast<double>(lag) <= kLagShareMax * static_cast<double>(latency)) return;
  verdict->Add(
      Doubt::kGeneratorLate,
      fmt::format("p99 of its lag {}, above {} and above {:.0f} % of the latency's p99, {}; "
                  "give it processors of its own",
                  FormatDuration(lag), FormatDuration(kLagFloorNs), 100 * kLagShareMax,
                  FormatDuration(latency)));
}

}  // namespace

void JudgeGenerator(const ResultRow& row, const GeneratorUse& use, Verdict* verdict) {
  if (use.rate_asked <= 0) {
    if (use.cpu_share >= kBusyShare) {
      verdict->Add(Doubt::kGeneratorBusy,
                   fmt::format("{:.0f} % of its processors' time", 100 * use.cpu_share));
    }
    return;
  }
  JudgeRate(row, use, verdict);
  JudgeLag(row, verdict);
}

void JudgePause(const ResultRow& row, const std::vector<double>& percentiles, Verdict* verdict) {
  if (row.latency.max() < kPauseMinNs) return;
  double highest = percentiles.empty() ? 99 : 0;
  for (const double percentile : percentiles) {
    if (percentile < 100) highest = std::max(highest, percentile);
  }
  const std::uint64_t told = row.latency.Percentile(highest / 100);
  const std::uint64_t usual = std::max<std::uint64_t>(1, row.latency.Percentile(0.5));
  const std::uint64_t corrected = row.latency.Corrected(usual).Percentile(highest / 100);
  if (corrected < kPauseMinNs || corrected / kPauseTimes < told) return;
  verdict->Add(Doubt::kPauseHidden,
               fmt::format("{}, the longest operation took {}; p{} is {}, and about {} for clients "
                           "that do not wait; use --rate",
                           row.operation, FormatDuration(row.latency.max()), highest,
                           FormatDuration(told), FormatDuration(corrected)));
}

void JudgeSamples(const ResultRow& row, double percentile, Verdict* verdict) {
  verdict->Add(Doubt::kTooFewSamples, fmt::format("{}, p{} of {} operations; measure longer",
                                                  row.operation, percentile, row.latency.count()));
}

}  // namespace ktlsim::command
