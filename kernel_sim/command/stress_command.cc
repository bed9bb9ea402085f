// `ktlsim stress`: from options to exit code.

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/command_line.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/library_settings.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/command/stress/activities.h"
#include "kernel_sim/command/stress/report.h"
#include "kernel_sim/command/stress/runner.h"
#include "kernel_sim/command/stress_settings.h"

namespace ktlsim::command {
namespace {

constexpr int kTrySeconds = 5;

std::atomic<bool> interrupted{false};

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim stress: {}\n", why);
  return kExitUsage;
}

// A server that is not there would be thousands of violations. Empty: it takes connections.
std::string TryServer(const io::Address& server) {
  const int fd = socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fmt::format("--connect {}: {}", server.ToString(), strerrordesc_np(errno));
  const timeval limit{.tv_sec = kTrySeconds, .tv_usec = 0};
  static_cast<void>(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
  std::string wrong;
  if (connect(fd, server.data(), server.size()) != 0) {
    // The limit on sending bounds the connecting, too; it ends as EINPROGRESS (socket(7)).
    const int error = errno == EINPROGRESS ? ETIMEDOUT : errno;
    wrong = fmt::format("--connect {}: {}; start a `ktlsim serve --respond-bytes N` there first",
                        server.ToString(), strerrordesc_np(error));
  }
  close(fd);
  return wrong;
}

// The first address of `server` that takes connections. None: `*wrong` says why.
std::optional<io::Address> FindServer(const std::string& server, std::string* wrong) {
  SocketName name;
  std::vector<io::Address> addresses;
  *wrong = ParseSocketName(server, SocketUse::kConnect, &name);
  if (wrong->empty()) *wrong = LookUp(name, &addresses);
  if (!wrong->empty()) *wrong = "--connect: " + *wrong;
  for (const io::Address& address : addresses) {
    *wrong = TryServer(address);
    if (wrong->empty()) return address;
  }
  return std::nullopt;
}

nlohmann::json ResultOf(const StressReport& report, const StressOptions& options,
                        const Envelope& envelope) {
  const StressPlan& plan = options.plan;
  nlohmann::json json = envelope.Json(report.lanes);
  json["library"]["placement"] = WordOf(plan.placement, kStressPlacementWords);
  nlohmann::json faults = nlohmann::json::array();
  for (std::size_t i = 0; i < kStressActivities; ++i) {
    const auto activity = static_cast<StressActivity>(i);
    if (IsFault(activity) && Has(plan.faults, activity)) {
      faults.push_back(StressActivityName(activity));
    }
  }
  json["library"]["notify"] = WordOf(plan.notify_mode, kStressNotifyWords);
  json["settings"] = {
      {"seconds", plan.seconds},
      {"connections", plan.connections},
      {"faults", faults},
      {"peer", plan.foreign ? nlohmann::json(plan.foreign->ToString()) : nlohmann::json()}};
  json.update(StressJson(report));
  return json;
}

int RunStress(const StressOptions& options) {
  StressPlan plan = options.plan;
  if (!options.server.empty()) {
    std::string wrong;
    plan.foreign = FindServer(options.server, &wrong);
    if (!plan.foreign) return Fail(wrong);
  }
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) { interrupted.store(true, std::memory_order_relaxed); });
  }
  plan.interrupted = &interrupted;
  const Envelope envelope("stress", plan.library);
  StressReport report;
  report.time_every_call = plan.library.time_every_call;
  report.seed = options.seed != 0 ? options.seed : MonotonicClock::Now() % 1000000 + 1;
  report.again = GivenCommandLine();
  if (options.seed == 0) report.again += fmt::format(" --seed {}", report.seed);
  const auto tell = [&report, &options, &envelope] {
    PrintStressReport(report, TextOutput(options.json));
    if (options.json.empty()) return true;
    if (WriteJsonFile(ResultOf(report, options, envelope), options.json)) return true;
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
      "response is right, every accepted call completes once and no refused one does, outputs are "
      "there when the status is final, memory is not touched after a call's end, each connection "
      "ends with a reason. The seed fixes what is chosen, not how the threads meet.\n\nFaults: " +
      FaultNames() + ".\n\nExit code 1: one of these broke; the evidence is printed.");
  auto options = std::make_shared<StressCommandLine>();
  options->stress.AddTo(*command);
  options->library.AddTo(*command);
  return [options] { return options->Run(); };
}

}  // namespace ktlsim::command
