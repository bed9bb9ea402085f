#include "kernel_sim/command/verdict.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include <fmt/format.h>

#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/load_phases.h"

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

// What is missing of the rate may be this share of the measured time, or of a short one so long:
// that is a timetable's own unevenness.
constexpr double kMissingShareMax = 0.01;
constexpr double kMissingMinSeconds = 0.02;
// Poisson arrivals are so many standard deviations from what is expected, at most.
constexpr double kPoissonDeviations = 3;
// A latency that nearly all operations have: a longer one may be that of a queue that grows.
constexpr double kOrdinaryShare = 0.1;
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

// How many operations may be in flight more at the end than at the beginning.
double MissingMax(const ResultRow& row, const GeneratorUse& use) {
  const auto repeats = static_cast<double>(use.repeats);
  // Without a warm-up that is long enough, the first operations have no predecessors that end in
  // their stead.
  const double filling =
      static_cast<double>(row.latency.Percentile(kOrdinaryShare)) / 1e9 - use.warm_up_seconds;
  const double seconds =
      std::max({use.seconds * kMissingShareMax, kMissingMinSeconds * repeats, filling * repeats});
  const double scatter = kPoissonDeviations * std::sqrt(use.rate_asked * use.seconds);
  return std::max(use.rate_asked * seconds, use.poisson ? scatter : 0);
}

void JudgeRate(const ResultRow& row, const GeneratorUse& use, Verdict* verdict) {
  // A queue that grows shows in either: fewer ended than were due, and more were left at the end.
  // Where the latency is long and steady, only the second is so; where few arrived by chance, only
  // the first.
  const double ended = static_cast<double>(row.operations) + static_cast<double>(row.errors);
  const double fewer = use.rate_asked * use.seconds - ended;
  const auto left = static_cast<double>(use.not_begun + row.late + row.unfinished);
  if (std::min(fewer, left) <= MissingMax(row, use)) return;
  verdict->Add(
      Doubt::kRateNotHeld,
      fmt::format("{:.6g} /s of {:.6g} /s, of the operations that were due {} never began, "
                  "{} ended too late and {} never; {}",
                  row.rate(), use.rate_asked, use.not_begun, row.late, row.unfinished,
                  Suspect(use)));
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
  if (use.cpu_share >= kBusyShare) {
    verdict->Add(Doubt::kGeneratorBusy,
                 fmt::format("{:.0f} % of its processors' time", 100 * use.cpu_share));
  }
  if (use.rate_asked <= 0) return;
  JudgeRate(row, use, verdict);
  JudgeLag(row, verdict);
}

void JudgePause(const ResultRow& row, const std::vector<double>& percentiles, Verdict* verdict) {
  if (row.latency.max() < kPauseMinNs) return;
  const std::uint64_t usual = std::max<std::uint64_t>(1, row.latency.Percentile(0.5));
  const LatencyHistogram corrected = row.latency.Corrected(usual);
  // p99 is in every table. Of the others, one that rests on the longest operations only would show
  // any pause, and hide it in the ones below.
  std::vector<double> judged = {99};
  for (const double percentile : percentiles) {
    if (percentile < 100 && EnoughSamples(row.latency, percentile)) judged.push_back(percentile);
  }
  std::sort(judged.begin(), judged.end(), std::greater<>());
  for (const double percentile : judged) {
    const std::uint64_t told = row.latency.Percentile(percentile / 100);
    const std::uint64_t would_be = corrected.Percentile(percentile / 100);
    if (would_be < kPauseMinNs || would_be / kPauseTimes < told) continue;
    return verdict->Add(
        Doubt::kPauseHidden,
        fmt::format(
            "{}, the longest operation took {}; p{} is {}, and about {} for clients that do "
            "not wait; use --rate",
            row.operation, FormatDuration(row.latency.max()), percentile, FormatDuration(told),
            FormatDuration(would_be)));
  }
}

void JudgeSamples(const ResultRow& row, double percentile, Verdict* verdict) {
  verdict->Add(Doubt::kTooFewSamples, fmt::format("{}, p{} of {} operations; measure longer",
                                                  row.operation, percentile, row.latency.count()));
}

}  // namespace ktlsim::command
