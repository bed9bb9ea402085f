#include "kernel_sim/command/stress/report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/alert_counts.h"
#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::command {
namespace {

struct Row {
  const char* name;
  std::uint64_t right;
  std::uint64_t refused;
  std::uint64_t cut;
  std::uint64_t total() const { return right + refused + cut; }
};

Row RowOf(const StressReport& report, std::size_t index) {
  const auto activity = static_cast<StressActivity>(index);
  return {StressActivityName(activity), report.tally.Get(activity, StressOutcome::kRight),
          report.tally.Get(activity, StressOutcome::kRefused),
          report.tally.Get(activity, StressOutcome::kCut)};
}

constexpr const char* kHowToRead =
    "right: all of it was as it should be. refused: ended with a documented refusal. cut: ended "
    "early\nfor a reason of our own: a restart, a deleted context, a cancelled call.\n";

void PrintEnds(const StressReport& report, std::FILE* out) {
  fmt::print(out, "\nserver connections: {}, resumed {}; how they ended:\n", report.servers.opened,
             report.servers.resumed);
  for (std::size_t i = 0; i < transport::kEndKinds; ++i) {
    const auto kind = static_cast<transport::EndKind>(i);
    const std::uint64_t count = report.servers.ended_by_kind(kind);
    if (count != 0) fmt::print(out, "  {:<26}{:>12}\n", transport::EndKindName(kind), count);
  }
  PrintAlerts(report.servers, out);
}

}  // namespace

Verdict JudgeStress(const StressReport& report) {
  Verdict verdict;
  std::uint64_t right = 0;
  for (std::size_t i = 0; i < kStressActivities; ++i) right += RowOf(report, i).right;
  const std::uint64_t violations = report.evidence.violations();
  if (violations != 0) verdict.Add(Doubt::kCheckFailed, fmt::format("{} violations", violations));
  if (right == 0) verdict.Add(Doubt::kNothingDone, "no activity came to its right end");
  return verdict;
}

void PrintStressReport(const StressReport& report, std::FILE* out) {
  fmt::print(out, "\n{:<24}{:>12}{:>12}{:>12}\n", "activity", "right", "refused", "cut");
  for (std::size_t i = 0; i < kStressActivities; ++i) {
    const Row row = RowOf(report, i);
    if (row.total() == 0) continue;
    fmt::print(out, "{:<24}{:>12}{:>12}{:>12}\n", row.name, row.right, row.refused, row.cut);
  }
  fmt::print(out, "{}", kHowToRead);
  PrintEnds(report, out);
  const CallLedger::Counts& calls = report.calls;
  fmt::print(out,
             "\nasynchronous calls: {} accepted, {} completed ({} cancelled, {} over their limit), "
             "{} refused\n",
             calls.accepted, calls.completed, calls.cancelled, calls.timed_out, calls.refused);
  const std::uint64_t slowest = report.tally.slowest_canary_ns();
  fmt::print(out, "slowest canary: {}; {} took longer than {}\n",
             slowest != 0 ? FormatDuration(slowest) : "-", report.tally.slow_canaries(),
             FormatDuration(StressTally::kSlowCanaryNs));
  PrintLanes(report.lanes, report.time_every_call, out);
  const std::uint64_t violations = report.evidence.violations();
  fmt::print(out, "{:.3g} s, seed {}: {} violations\n", report.seconds, report.seed, violations);
  for (const std::string& text : report.evidence.texts()) {
    fmt::print(out, "    FAILED: {}\n", text);
  }
  if (violations != 0) {
    fmt::print(
        out,
        "to run it again: {}\n"
        "    The seed fixes what is chosen. How the threads meet, and so the counts, differs "
        "each time;\n"
        "    a fault that depends on it may take several runs.\n",
        report.again);
  }
  PrintVerdict(JudgeStress(report), out);
}

nlohmann::json StressJson(const StressReport& report) {
  nlohmann::json activities = nlohmann::json::object();
  for (std::size_t i = 0; i < kStressActivities; ++i) {
    const Row row = RowOf(report, i);
    activities[row.name] = {{"right", row.right}, {"refused", row.refused}, {"cut", row.cut}};
  }
  nlohmann::json ends = nlohmann::json::object();
  for (std::size_t i = 0; i < transport::kEndKinds; ++i) {
    const auto kind = static_cast<transport::EndKind>(i);
    ends[transport::EndKindName(kind)] = report.servers.ended_by_kind(kind);
  }
  const std::uint64_t slowest = report.tally.slowest_canary_ns();
  nlohmann::json json = {
      {"seed", report.seed},
      {"again", report.again},
      {"seconds", report.seconds},
      {"activities", activities},
      {"server_connections", report.servers.opened},
      {"server_ends", ends},
      {"server_alerts_sent", AlertsJson(report.servers.alerts_sent)},
      {"server_alerts_received", AlertsJson(report.servers.alerts_received)},
      {"own_calls",
       {{"accepted", report.calls.accepted},
        {"completed", report.calls.completed},
        {"cancelled", report.calls.cancelled},
        {"timed_out", report.calls.timed_out},
        {"refused", report.calls.refused}}},
      {"canary",
       {{"slowest_ns", slowest != 0 ? nlohmann::json(slowest) : nlohmann::json()},
        {"slow", report.tally.slow_canaries()}}},
      {"violations", report.evidence.violations()},
      {"evidence", report.evidence.texts()}};
  AddVerdict(JudgeStress(report), &json);
  return json;
}

}  // namespace ktlsim::command
