// `ktlsim load`: a load generator against any TLS server, ours or another.

#include <sys/prctl.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "kernel_sim/command/command.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/key_log_file.h"
#include "kernel_sim/command/library_settings.h"
#include "kernel_sim/command/load_report.h"
#include "kernel_sim/command/load_run.h"
#include "kernel_sim/command/load_settings.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/command/trace_file.h"

namespace ktlsim::command {
namespace {

// Timers of the generator may be late by this; the system's usual value is fifty times that.
constexpr unsigned long kTimerSlackNs = 1000;

std::atomic<bool> interrupted{false};

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim load: {}\n", why);
  return kExitUsage;
}

void Warn(const std::string& what) {
  if (!what.empty()) fmt::print(stderr, "ktlsim load: warning: {}\n", what);
}

// The exit code.
int Tell(const LoadReport& report, const LoadOptions& options, const Envelope& envelope) {
  const Verdict verdict = JudgeLoad(report, options, envelope);
  PrintLoad(report, options, envelope, verdict);
  const std::string wrong = WriteLoadFiles(report, options, envelope, verdict);
  if (!wrong.empty()) fmt::print(stderr, "ktlsim load: {}\n", wrong);
  return wrong.empty() && verdict.valid() ? kExitOk : kExitFailed;
}

int RunLoad(const LoadOptions& options, const StartupOptions& startup) {
  std::signal(SIGPIPE, SIG_IGN);
  // The library's threads inherit it. If the system refuses, the lag shows it.
  static_cast<void>(prctl(PR_SET_TIMERSLACK, kTimerSlackNs));
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) { interrupted.store(true, std::memory_order_relaxed); });
  }
  const Envelope envelope("load", startup);
  std::string wrong = CheckLoadOptions(options);
  std::unique_ptr<KeyLogFile> key_log;
  std::unique_ptr<TraceFile> trace;
  if (wrong.empty()) key_log = KeyLogFile::Open(startup.key_log, &wrong);
  if (wrong.empty()) trace = TraceFile::Open(startup.trace, &wrong);
  if (wrong.empty()) wrong = StartLibrary(startup);
  if (!wrong.empty()) return Fail(wrong);
  if (key_log != nullptr) Warn(key_log->Warning());
  LoadReport report;
  wrong = LoadRun(options, envelope, interrupted).Run(&report);
  if (trace != nullptr) Warn(trace->Close());
  if (!wrong.empty()) return Fail(wrong);
  const int code = Tell(report, options, envelope);
  if (key_log != nullptr) Warn(key_log->Losses());
  return code;
}

struct LoadCommandLine {
  CommandOptions<LoadOptions> load{LoadSettings()};
  CommandOptions<StartupOptions> placement{PlacementSettings()};
  CommandOptions<StartupOptions> key_log{KeyLogSettings()};
  CommandOptions<StartupOptions> trace{TraceSettings()};
  CommandOptions<StartupOptions> notify{NotifySettings()};
  CommandOptions<StartupOptions> library{LibrarySettings()};
  std::string server;  // without --connect

  int Run() const {
    LoadOptions options;
    StartupOptions startup;
    std::string wrong;
    if (!server.empty()) {
      wrong = ParseServerUrl(server, &options.url);
      options.server = server;
    }
    if (wrong.empty()) wrong = load.Apply(options);
    if (wrong.empty()) wrong = placement.Apply(startup);
    if (wrong.empty()) wrong = key_log.Apply(startup);
    if (wrong.empty()) wrong = trace.Apply(startup);
    if (wrong.empty()) wrong = notify.Apply(startup);
    if (wrong.empty()) wrong = library.Apply(startup);
    return wrong.empty() ? RunLoad(options, startup) : Fail(wrong);
  }
};

}  // namespace

std::function<int()> AddLoadCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("load", "Load generator for any TLS server");
  command->group("Commands");
  command->footer(
      "Without --rate the loop is closed: a connection begins its next operation when the last one "
      "has ended. With --rate it is open: operations begin by a timetable, and latency counts from "
      "the time at which an operation should have begun.\n\nExit code 1: the figures are not "
      "valid: operations "
      "failed, never began or never came back, fewer ended than were due, a signal ended it early, "
      "the generator had no time left, or something was "
      "left over.\n\nExample: ktlsim load https://localhost:8443/ --insecure -c 64 "
      "-d 30s -R 10k");
  auto options = std::make_shared<LoadCommandLine>();
  command->add_option("SERVER", options->server, "The server, as with --connect")->type_name("");
  options->load.AddTo(*command);
  options->placement.AddTo(*command);
  options->key_log.AddTo(*command);
  options->trace.AddTo(*command);
  options->notify.AddTo(*command);
  options->library.AddTo(*command);
  return [options] { return options->Run(); };
}

}  // namespace ktlsim::command
