// `ktlsim stress`: from options to exit code.

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/library_settings.h"
#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/report.h"
#include "kernel_sim/command/stress/runner.h"
#include "kernel_sim/command/stress_settings.h"

namespace ktlsim::command {
namespace {

std::atomic<bool> interrupted{false};

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim stress: {}\n", why);
  return kExitUsage;
}

int RunStress(const StressOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) { interrupted.store(true, std::memory_order_relaxed); });
  }
  StressPlan plan = options.plan;
  plan.interrupted = &interrupted;
  StressReport report;
  report.machine = DescribeMachine();
  report.seed = options.seed != 0 ? options.seed : MonotonicClock::Now() % 1000000 + 1;
  const auto tell = [&report, &options] {
    PrintStressReport(report, TextOutput(options.json));
    if (options.json.empty() || WriteStressJson(report, options.json)) return true;
    fmt::print(stderr, "ktlsim stress: --json {}: cannot be written\n", options.json);
    return false;
  };
  plan.give_up = [&tell] {
    static_cast<void>(tell());
    std::fflush(stdout);
    std::_Exit(kExitFailed);
  };
  const std::string error = StressRunner(plan, report).Run();
  const bool told = tell();
  if (!error.empty()) return Fail(error);
  return told && JudgeStress(report).valid() ? kExitOk : kExitFailed;
}

struct StressCommandLine {
  CommandOptions<StressOptions> stress{StressSettings()};
  CommandOptions<StartupOptions> library{LibrarySettings()};

  int Run() const {
    StressOptions options;
    options.plan.faults = AllFaults();
    std::string wrong = stress.Apply(options);
    if (wrong.empty()) wrong = library.Apply(options.plan.library);
    return wrong.empty() ? RunStress(options) : Fail(wrong);
  }
};

}  // namespace

std::function<int()> AddStressCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "stress", "Everything at once, honest and hostile, with checks that nothing breaks");
  command->group("Commands");
  command->footer(
      "Servers, clients and direct callers of the asynchronous functions run in this process for "
      "some seconds at a time; then everything is stopped, and nothing may be left. Checked: every "
      "answer, every accepted call completes once and no refused one does, outputs are there when "
      "the status is final, memory is not touched behind a call's end, each connection has an end "
      "and a reason. The seed fixes what is chosen, not how the threads meet.\n\nFaults: " +
      FaultNames() + ".\n\nExit code 1: one of these broke; the evidence is printed.");
  auto options = std::make_shared<StressCommandLine>();
  options->stress.AddTo(*command);
  options->library.AddTo(*command);
  return [options] { return options->Run(); };
}

}  // namespace ktlsim::command
