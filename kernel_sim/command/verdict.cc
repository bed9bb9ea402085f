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
    {"check_failed", "a check failed"},
    {"left_behind", "something was left over after the end"},
    {"interrupted", "a signal ended it early"},
};

// Late by less than this is a timetable's own unevenness.
constexpr double kNotBegunShareMax = 0.01;
// More than that of its processors' time, and a generator cannot send faster.
constexpr double kBusyShare = 0.95;

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

void JudgeGenerator(const ResultRow& row, const GeneratorUse& use, Verdict* verdict) {
  if (use.rate_asked <= 0) {
    if (use.cpu_share >= kBusyShare) {
      verdict->Add(Doubt::kGeneratorBusy,
                   fmt::format("{:.0f} % of its processors' time", 100 * use.cpu_share));
    }
    return;
  }
  const double due = use.rate_asked * use.seconds;
  // Each connection may be in one operation that the next one waits for.
  const double tolerated = std::max(due * kNotBegunShareMax, static_cast<double>(use.connections));
  if (static_cast<double>(use.not_begun) <= tolerated) return;
  verdict->Add(Doubt::kRateNotHeld,
               fmt::format("{:.6g} /s of {:.6g} /s, {} operations that were due never began; {}",
                           row.rate(), use.rate_asked, use.not_begun, Suspect(use)));
}

}  // namespace ktlsim::command
