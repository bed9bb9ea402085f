// `ktlsim serve`: a TLS terminator, controlled by signals until SIGTERM or SIGINT.

#include <atomic>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/command/access_control.h"
#include "kernel_sim/command/admin.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/config_file.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/key_log_file.h"
#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/reload_reader.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/serve_options.h"
#include "kernel_sim/command/serve_report.h"
#include "kernel_sim/command/serve_signals.h"
#include "kernel_sim/command/service_manager.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/command/terminator.h"
#include "kernel_sim/command/trace_file.h"

namespace ktlsim::command {
namespace {

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim serve: {}\n", why);
  return kExitUsage;
}

std::string Load(const ServeOptions& options, ServeConfig* config) {
  return LoadConfig(
      options.config_file(), [&options](SettingScope& scope) { return options.Apply(scope); },
      config);
}

// `lanes` of the report are read here. The JSON is written first: once the table is out, the file
// can be read.
bool Tell(ServeReport report, const Envelope& envelope, const std::string& json) {
  report.lanes = ReadLanes();
  const bool written = json.empty() || WriteJsonFile(ServeJson(report, envelope), json);
  try {
    PrintServeReport(report, envelope.library().time_every_call, stdout);
  } catch (const std::exception&) {
    // No reason to stop serving.
    std::fputs("ktlsim serve: standard output is full or gone: no statistics\n", stderr);
  }
  if (written) return true;
  fmt::print(stderr,
             "ktlsim serve: --json {}: cannot be written; name a file in a folder that exists\n",
             json);
  return false;
}

int Check(ServeConfig config) {
  // Every certificate of a folder is tried, too.
  for (ListenerConfig& listener : config.listeners) {
    if (listener.folder.path.empty()) continue;
    listener.folder.acquire = AcquireWhen::kStart;
    listener.folder.kept.reset();
  }
  std::string error;
  const std::unique_ptr<KeyLogFile> key_log = KeyLogFile::Open(config.library.key_log, &error);
  if (error.empty()) error = StartLibrary(config.library);
  std::vector<std::string> warnings;
  if (key_log != nullptr) warnings.push_back(key_log->Warning());
  std::vector<std::string> found;
  if (error.empty()) error = TryConfig(config, &found);
  if (error.empty()) error = TryAdmin(config, &found);
  warnings.insert(warnings.end(), found.begin(), found.end());
  static_cast<void>(KtlsimStop());
  if (!error.empty()) return Fail(error);
  for (const std::string& warning : warnings) {
    fmt::print(stderr, "ktlsim serve: warning: {}\n", warning);
  }
  fmt::print("the configuration is good: {} listener{}\n", config.listeners.size(),
             config.listeners.size() == 1 ? "" : "s");
  return kExitOk;
}

// A shortage of memory in what a signal requests does not end the server.
void ReopenLog(serve::Log& log) {
  try {
    KeyLogFile* const key_log = KeyLogFile::InUse();
    if (const Status reopened = key_log != nullptr ? key_log->Reopen() : Status(); !reopened.ok()) {
      log.Write(serve::LogLevel::kError, "the key log cannot be opened again, the old one is kept",
                {{"reason", reopened.ToString()}});
    }
    if (const Status reopened = log.Reopen(); !reopened.ok()) {
      log.Write(serve::LogLevel::kError, "the log file cannot be opened again, the old one is kept",
                {{"reason", reopened.ToString()}});
    }
  } catch (const std::bad_alloc&) {
    log.NoteLost();
  }
}

// Never silently: if the log level excludes the warning, it goes to standard error.
void WarnOfKeyLog(KeyLogFile& key_log, serve::Log& log) {
  const std::string warning = key_log.Warning();
  if (log.Wants(serve::LogLevel::kWarning)) {
    log.Write(serve::LogLevel::kWarning, "TLS secrets are recorded", {{"reason", warning}});
  } else {
    fmt::print(stderr, "ktlsim serve: warning: {}\n", warning);
  }
  key_log.TellLosses(&log);
}

void WarnOfAdmin(const Admin& admin, serve::Log& log) {
  const std::string warning = admin.Warning();
  if (warning.empty()) return;
  log.Write(serve::LogLevel::kWarning, "the admin server can be reached from elsewhere",
            {{"reason", warning}});
}

void TellNow(const Terminator& terminator, const Envelope& envelope, const std::string& json,
             serve::Log& log) {
  try {
    Tell(terminator.Report(), envelope, json);
  } catch (const std::exception& failure) {
    log.Write(serve::LogLevel::kError, "the statistics cannot be printed",
              {{"reason", failure.what()}});
  }
}

// The reading part of a reload, on a thread of its own.
ServePlan ReadForReload(const ServeOptions& options, serve::Log& log, Terminator& terminator,
                        const std::atomic<bool>& given_up) {
  ReopenLog(log);
  ServeConfig config;
  std::string error = Load(options, &config);
  if (error.empty()) return terminator.Plan(std::move(config), &given_up);
  ServePlan plan;
  plan.error = std::move(error);
  return plan;
}

// A service manager that cannot be told is no reason to stop serving, nor is a shortage of memory
// meanwhile.
template <typename Tell>
void TellManager(ServiceManager& manager, serve::Log& log, Tell tell) {
  try {
    const Status told = tell();
    if (!manager.IsNews(told)) return;
    log.Write(serve::LogLevel::kWarning, "the service manager does not know how this server is",
              {{"reason", told.ToString()}});
  } catch (const std::bad_alloc&) {
    log.NoteLost();
  }
}

void TellReady(ServiceManager& manager, serve::Log& log, const Terminator& terminator) {
  TellManager(manager, log, [&] {
    std::vector<std::string> addresses;
    addresses.reserve(terminator.sites().size());
    for (const auto& site : terminator.sites()) addresses.push_back(site->bound());
    return manager.Ready(ListeningOn(addresses));
  });
}

// Until a signal ends it.
void Follow(ServeSignals& signals, const Envelope& envelope, const std::string& json,
            serve::Log& log, ServiceManager& manager, ReloadReader& reader,
            Terminator& terminator) {
  for (;;) {
    TellManager(manager, log, [&] { return manager.Beat(); });
    const int signal = signals.Next(manager.beat_interval_ns());
    if (ServeSignals::Ends(signal)) break;
    if (signal == SIGUSR1) {
      TellNow(terminator, envelope, json, log);
    } else if (signal == SIGHUP) {
      TellManager(manager, log, [&] { return manager.Reloading(); });
      reader.Begin();
    } else if (std::optional<ServePlan> plan = reader.Take()) {
      terminator.Reload(std::move(*plan));
      reader.GoOn();
      if (!reader.reading()) TellReady(manager, log, terminator);
    }
  }
  ServeSignals::LetGo();
}

struct Served {
  ServeReport report;
  bool recorded = true;  // all that was to be in the audit trail is there
};

// Empty: it has served; else why it could not.
std::string ServeUntilSignal(const ServeOptions& options, const ServeConfig& config,
                             const Envelope& envelope, ServeSignals& signals, serve::Log& log,
                             ServiceManager& manager, Served* served) {
  std::string error;
  std::unique_ptr<AccessControl> access;
  if (!config.access.accounts_file.empty()) {
    access = AccessControl::Start(config.access, AccessControl::Purpose::kServe, &error);
    if (access == nullptr) return error;
  }
  Terminator terminator(log, access.get());
  // Ends before the terminator does, and answers from here on, while files are read.
  std::unique_ptr<Admin> admin;
  if (!config.admin.empty()) {
    admin = Admin::Start(config, terminator, &error);
    if (admin == nullptr) return error;
    WarnOfAdmin(*admin, log);
  }
  // Ends before the terminator does, which forgets the contexts that are left: on this server only.
  std::unique_ptr<SharedStore> store;
  ServeSignals::LetGo();
  // Before the credentials are acquired, which share what TLS shares.
  if (!config.store.url.empty()) store = SharedStore::Start(config.store, log, &error);
  ServePlan plan;
  if (error.empty()) plan = terminator.Plan(config);
  ServeSignals::Hold();
  if (error.empty()) error = terminator.Start(std::move(plan));
  if (!error.empty()) return error;
  for (const auto& site : terminator.sites()) fmt::print("listening on {}\n", site->bound());
  if (admin != nullptr) {
    fmt::print("admin on http://{}/\n", admin->bound());
    admin->set_phase(ServePhase::kReady);
  }
  std::fflush(stdout);
  TellReady(manager, log, terminator);
  {
    ReloadReader reader([&](const std::atomic<bool>& given_up) {
      return ReadForReload(options, log, terminator, given_up);
    });
    Follow(signals, envelope, config.json, log, manager, reader, terminator);
    TellManager(manager, log, [&] { return manager.Stopping(config.drain_ns); });
    if (admin != nullptr) admin->set_phase(ServePhase::kDraining);
    if (reader.reading()) log.Write(serve::LogLevel::kWarning, "the reload under way is given up");
    terminator.Stop();
  }
  if (const std::string missing = access != nullptr ? access->Close() : ""; !missing.empty()) {
    log.Write(serve::LogLevel::kError, "the audit trail is not complete", {{"reason", missing}});
    served->recorded = false;
  }
  served->report = terminator.Report();
  return {};
}

int Serve(const ServeOptions& options) {
  ServeConfig config;
  std::string error = Load(options, &config);
  if (!error.empty()) return Fail(error);
  if (!config.json.empty()) error = CheckWritable(config.json);
  if (!error.empty()) return Fail("--json " + error);
  if (options.check()) return Check(std::move(config));

  ServeSignals signals;
  if (!signals.error().empty()) return Fail(signals.error());
  const std::unique_ptr<serve::Log> log = serve::Log::Open(config.log, &error);
  if (log == nullptr) {
    return Fail("--log-file: " + error);
  }
  const Envelope envelope("serve", config.library);
  const std::unique_ptr<KeyLogFile> key_log = KeyLogFile::Open(config.library.key_log, &error);
  if (!error.empty()) return Fail(error);
  if (key_log != nullptr) WarnOfKeyLog(*key_log, *log);
  ServiceEnvironment environment = ReadServiceEnvironment();
  if (!environment.error.empty()) return Fail(environment.error);
  ServiceManager manager(std::move(environment));  // outlives the library's run
  const std::unique_ptr<TraceFile> trace = TraceFile::Open(config.library.trace, &error);
  if (!error.empty()) return Fail(error);
  error = StartLibrary(config.library);
  if (!error.empty()) return Fail(error);
  Served served;
  error = ServeUntilSignal(options, config, envelope, signals, *log, manager, &served);
  static_cast<void>(KtlsimStop());
  // Also after a failure, of which the trace may show the cause.
  if (const std::string missing = trace != nullptr ? trace->Close() : ""; !missing.empty()) {
    log->Write(serve::LogLevel::kWarning, "the trace is not complete", {{"reason", missing}});
  }
  if (!error.empty()) return Fail(error);
  if (const std::string lost = key_log != nullptr ? key_log->Losses() : ""; !lost.empty()) {
    log->Write(serve::LogLevel::kError, "the key log is not complete", {{"reason", lost}});
  }

  served.report.rundown = CheckRundown();
  const bool clean = served.report.rundown->clean();
  const bool told = Tell(std::move(served.report), envelope, config.json);
  return told && clean && served.recorded ? kExitOk : kExitFailed;
}

}  // namespace

std::function<int()> AddServeCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("serve",
                                         "A TLS terminator: serves files, passes plaintext on to "
                                         "backends, responds to HTTP itself, or "
                                         "sends every byte back");
  command->group("Commands");
  command->footer(
      "A duration is a number with ns, us, ms, s, m or h.\n\nSignals: SIGTERM and SIGINT drain and "
      "print statistics, a second one ends it at once; SIGHUP reads configuration and certificates "
      "again, for new connections; SIGUSR1 prints statistics.\n\nExample: ktlsim serve --listen "
      "127.0.0.1:8443 --self-signed localhost --root /srv/www");
  auto options = std::make_shared<ServeOptions>();
  options->AddTo(*command);
  return [options] { return Serve(*options); };
}

}  // namespace ktlsim::command
