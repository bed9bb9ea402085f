// `ktlsim stress`: from options to exit code.

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "io/address.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/report.h"
#include "kernel_sim/command/stress/runner.h"

namespace ktlsim::command {
namespace {

std::atomic<bool> interrupted{false};

struct StressOptions {
  StressPlan plan;
  std::uint64_t seed = 0;  // 0: from the clock
  std::string faults = "all";
  std::string placement = "mixed";
  std::string connect;
  std::string json;
};

const std::map<std::string, StressPlacement> kPlacements = {{"inline", StressPlacement::kInline},
                                                            {"pool", StressPlacement::kPool},
                                                            {"mixed", StressPlacement::kMixed}};

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim stress: {}\n", why);
  return kExitUsage;
}

int RunStress(const StressOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGINT, [](int) { interrupted.store(true, std::memory_order_relaxed); });
  StressPlan plan = options.plan;
  plan.interrupted = &interrupted;
  plan.placement = kPlacements.at(options.placement);
  std::string error;
  const std::optional<FaultSet> faults = ParseFaults(options.faults, &error);
  if (!faults) return Fail("--faults: " + error);
  plan.faults = *faults;
  if (!options.connect.empty()) {
    const Result<io::Address> parsed = io::Address::Parse(options.connect);
    if (!parsed.ok()) return Fail("--connect: " + parsed.status().ToString());
    plan.foreign = parsed.value();
  }
  StressReport report;
  report.machine = DescribeMachine();
  report.seed = options.seed != 0 ? options.seed : MonotonicClock::Now() % 1000000 + 1;
  const auto tell = [&report, &options] {
    PrintStressReport(report, stdout);
    if (options.json.empty() || WriteStressJson(report, options.json)) return true;
    fmt::print(stderr, "ktlsim stress: --json {}: cannot be written\n", options.json);
    return false;
  };
  plan.give_up = [&tell] {
    static_cast<void>(tell());
    std::fflush(stdout);
    std::_Exit(kExitFailed);
  };
  error = StressRunner(plan, report).Run();
  const bool told = tell();
  if (!error.empty()) return Fail(error);
  return told && report.evidence.violations() == 0 ? kExitOk : kExitFailed;
}

}  // namespace

std::function<int()> AddStressCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "stress", "Everything at once, honest and hostile, and watch that nothing breaks");
  command->footer(
      "Servers, clients and direct callers of the asynchronous functions run in this process for "
      "some seconds at a time; then everything is stopped, and nothing may be left. Checked: every "
      "answer, every accepted call completes once and no refused one does, outputs are there when "
      "the status is final, memory is not touched behind a call's end, each connection has an end "
      "and a reason. The seed fixes what is chosen, not how the threads meet.\n\nFaults: " +
      FaultNames() + ".\n\nExit code 1: one of these broke; the evidence is printed.");
  auto options = std::make_shared<StressOptions>();
  StressOptions& o = *options;
  command->add_option("--seconds", o.plan.seconds, "How long")
      ->type_name("N")
      ->check(CLI::Range(0.5, 1e6))
      ->capture_default_str();
  command->add_option("--seed", o.seed, "Of all that is chosen; 0: another one each time")
      ->type_name("N");
  command->add_option("--connections", o.plan.connections, "Connections at a time, about")
      ->type_name("N")
      ->check(CLI::Range(4U, 4096U))
      ->capture_default_str();
  command->add_option("--faults", o.faults, "all, none, or some of the list below")
      ->type_name("LIST")
      ->capture_default_str();
  command
      ->add_option("--processors", o.plan.processors, "Processors of the library; 0: one per core")
      ->type_name("N")
      ->check(CLI::Range(0U, 1024U))
      ->capture_default_str();
  command
      ->add_option("--placement", o.placement,
                   "Handshakes on the processor that has the connection, on a pool of others, or "
                   "each in turn")
      ->check(CLI::IsMember({"inline", "pool", "mixed"}))
      ->capture_default_str();
  command
      ->add_option(
          "--connect", o.connect,
          "Dial this server, a `ktlsim serve --respond-bytes`, and not one in this process")
      ->type_name("A:P");
  command->add_option("--json", o.json, "Write the result there, too")
      ->type_name("FILE")
      ->check(&CheckWritable);
  return [options] { return RunStress(*options); };
}

}  // namespace ktlsim::command
