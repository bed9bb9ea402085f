// `ktlsim run`: server path and client path in one process, over loopback, on disjoint processors.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/driver.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/first_authentication.h"
#include "kernel_sim/command/key_log_file.h"
#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/library_settings.h"
#include "kernel_sim/command/load_handlers.h"
#include "kernel_sim/command/one_exchange.h"
#include "kernel_sim/command/progress.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/run_digest.h"
#include "kernel_sim/command/run_report.h"
#include "kernel_sim/command/run_settings.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/command/trace_file.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/transport/server_path.h"
#include "ktlsim/processor.h"

namespace ktlsim::command {
namespace {

constexpr const char* kServerName = "localhost";
constexpr std::uint64_t kBulkBytes = 16 * 1024 * 1024;
constexpr unsigned kMoreMoments = 100;  // tenths of a second
constexpr std::uint64_t kEndLimitNs = 10 * kNsPerSecond;

constexpr const char* kTarget = "/";

volatile std::sig_atomic_t interrupted = 0;

bool Interrupted() { return interrupted != 0; }

// Without the empty line at its end.
std::string RequestHead(const std::string& target) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\n", target, kServerName);
}

// The first signal prints what there is; a second one ends the program at once.
void HeedSignals() {
  for (const int number : {SIGINT, SIGTERM}) {
    std::signal(number, [](int raised) {
      interrupted = 1;
      std::signal(raised, SIG_DFL);
    });
  }
}

// The server paths, the client path and what they use. Made in order, ended in reverse.
class Testbed {
 public:
  // Empty: it runs. Else why not.
  std::string Start(const RunOptions& options, ULONG notify_mode);
  // Afterwards only Certificates are left.
  void Stop();

  std::optional<Credential> ClientCredential(TlsVersions versions, bool resumption,
                                             std::string* error) const {
    ClientCredentialOptions options;
    options.versions = versions;
    options.resumption = resumption;
    options.trust_pem = certificate_.Pem();
    return MakeClientCredential(options, error);
  }

  transport::ClientPath& client() { return client_; }
  std::optional<CertificateFacts> certificate() const {
    return DescribeCertificate(certificate_.get());
  }
  const io::Address& handshake_address() const { return handshake_address_; }
  const io::Address& http_address() const { return http_address_; }
  const io::Address& digest_address() const { return digest_address_; }
  RunDigest& digest() { return digest_; }

 private:
  std::string StartServer(transport::ServerPath& path, const CredHandle& credential,
                          transport::HandlerFactory factory, io::Address* bound);

  ULONG notify_mode_ = KTLSIM_NOTIFY_ON_PROCESSOR;
  Certificate certificate_;
  std::optional<Credential> server_credential_;
  serve::HttpOptions http_;
  serve::HttpOptions guarded_http_;
  CloseWhenEstablished closer_;
  RunDigest digest_;
  transport::ServerPath handshake_server_;
  transport::ServerPath http_server_;
  transport::ServerPath digest_server_;
  transport::ClientPath client_;
  io::Address handshake_address_;
  io::Address http_address_;
  io::Address digest_address_;
};

std::string Testbed::Start(const RunOptions& options, ULONG notify_mode) {
  notify_mode_ = notify_mode;
  std::string error;
  std::optional<Certificate> certificate =
      CreateSelfSigned(kServerName, KTLSIM_KEY_ECDSA_P256, &error);
  if (!certificate) return error;
  certificate_ = std::move(*certificate);
  server_credential_ = MakeServerCredential(certificate_, {}, &error);
  if (!server_credential_) return error;
  error = digest_.Start(options.connections);
  if (!error.empty()) return "Digest: " + error;
  http_.respond_bytes = options.respond_bytes;
  guarded_http_.respond_bytes = options.respond_bytes;
  guarded_http_.guard = &digest_.guard();
  error = StartServer(
      handshake_server_, server_credential_->handle(),
      [this](transport::Connection&) { return &closer_; }, &handshake_address_);
  if (!error.empty()) return error;
  error = StartServer(
      http_server_, server_credential_->handle(),
      [this](transport::Connection& connection) {
        return serve::MakeHttpResponder(http_, connection);
      },
      &http_address_);
  if (!error.empty()) return error;
  error = StartServer(
      digest_server_, server_credential_->handle(),
      [this](transport::Connection& connection) {
        return serve::MakeHttpResponder(guarded_http_, connection);
      },
      &digest_address_);
  if (!error.empty()) return error;
  const Status status = client_.Start({.role = "client", .notify_mode = notify_mode});
  return status.ok() ? "" : "the client path: " + status.ToString();
}

std::string Testbed::StartServer(transport::ServerPath& path, const CredHandle& credential,
                                 transport::HandlerFactory factory, io::Address* bound) {
  transport::ServerOptions options;
  options.tls.credential = credential;
  options.role = "server";
  options.notify_mode = notify_mode_;
  const Result<io::Address> address = path.Start(options, std::move(factory));
  if (!address.ok()) return "the server path: " + address.status().ToString();
  *bound = address.value();
  return {};
}

void Testbed::Stop() {
  client_.Stop();
  digest_server_.Stop();
  http_server_.Stop();
  handshake_server_.Stop();
  digest_.Stop();
  server_credential_.reset();
}

// Of a request phase: whether it is for users only, and what one operation is then.
enum class Authentication : std::uint8_t { kNone, kFirst, kMaintained };

struct PhaseSpec {
  std::string operation;
  LoadKind kind = LoadKind::kFullHandshake;
  TlsVersions versions = TlsVersions::k13;
  bool bulk = false;
  bool alone = false;  // one in flight: the latency of one operation without waiting for others
  Authentication authentication = Authentication::kNone;
};

// A phase with the credentials and profiles of its connections. Kept until everything has stopped.
struct Phase {
  std::vector<Credential> credentials;
  std::vector<std::unique_ptr<transport::TlsProfile>> profiles;
  std::unique_ptr<LoadPhase> load;
};

class Runner {
 public:
  Runner(const RunOptions& options, const StartupOptions& startup)
      : options_(options), notify_mode_(startup.notify_mode), pool_(startup.pool) {}

  // Empty on success, else what stopped it.
  std::string Run(RunReport* report);

 private:
  std::vector<PhaseSpec> Specs() const;
  std::string Prepare(const PhaseSpec& spec, Phase* phase);
  std::string AddProfile(const PhaseSpec& spec, Phase* phase);
  ResultRow MeasurePhase(const PhaseSpec& spec, Phase& phase);
  ResultRow Measure(const PhaseSpec& spec, LoadPhase& load);
  ResultRow MeasureFirst(const PhaseSpec& spec, Phase& phase);
  void Watch(const PhaseSpec& spec, LoadPhase& load, std::uint64_t duration_ns);
  // What waits for another nonce goes on with it.

  const RunOptions& options_;
  const ULONG notify_mode_;
  const bool pool_;  // handshakes run on processors that both sides share
  Progress progress_;
  Testbed testbed_;
  std::vector<Phase> phases_;
};

std::vector<PhaseSpec> Runner::Specs() const {
  std::vector<PhaseSpec> specs;
  const bool only_12 = options_.versions == TlsVersions::k12;
  const TlsVersions newest = only_12 ? TlsVersions::k12 : TlsVersions::k13;
  const char* const newest_name = only_12 ? "1.2" : "1.3";
  specs.push_back({.operation = fmt::format("one handshake {}", newest_name),
                   .kind = LoadKind::kFullHandshake,
                   .versions = newest,
                   .alone = true});
  specs.push_back({.operation = fmt::format("one request {}", newest_name),
                   .kind = LoadKind::kExchange,
                   .versions = newest,
                   .alone = true});
  for (const TlsVersions versions : {TlsVersions::k13, TlsVersions::k12}) {
    if (options_.versions != TlsVersions::k12And13 && options_.versions != versions) continue;
    const char* const version = versions == TlsVersions::k13 ? "1.3" : "1.2";
    specs.push_back(
        {fmt::format("full handshake {}", version), LoadKind::kFullHandshake, versions});
    specs.push_back(
        {fmt::format("resumed handshake {}", version), LoadKind::kResumedHandshake, versions});
  }
  specs.push_back(
      {.operation = fmt::format("request {}, {} B", newest_name, options_.respond_bytes),
       .kind = LoadKind::kExchange,
       .versions = newest});
  specs.push_back({.operation = fmt::format("first authentication {}", newest_name),
                   .kind = LoadKind::kExchange,
                   .versions = newest,
                   .alone = true,
                   .authentication = Authentication::kFirst});
  specs.push_back({.operation = fmt::format("signed request {}", newest_name),
                   .kind = LoadKind::kExchange,
                   .versions = newest,
                   .authentication = Authentication::kMaintained});
  specs.push_back({.operation = fmt::format("bulk {}, 16 MiB each", newest_name),
                   .kind = LoadKind::kExchange,
                   .versions = newest,
                   .bulk = true});
  return specs;
}

std::string Runner::AddProfile(const PhaseSpec& spec, Phase* phase) {
  std::string error;
  auto credential =
      testbed_.ClientCredential(spec.versions, spec.kind == LoadKind::kResumedHandshake, &error);
  if (!credential) return error;
  transport::TlsOptions tls;
  tls.credential = credential->handle();
  tls.target_name = kServerName;
  auto profile = transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, tls);
  if (!profile.ok()) return profile.status().ToString();
  phase->credentials.push_back(std::move(*credential));
  phase->profiles.push_back(std::make_unique<transport::TlsProfile>(std::move(*profile)));
  return {};
}

std::string Runner::Prepare(const PhaseSpec& spec, Phase* phase) {
  LoadPlan plan;
  plan.kind = spec.kind;
  plan.server_closes = true;
  plan.check_body = true;
  const bool exchange = spec.kind == LoadKind::kExchange;
  const bool users_only = spec.authentication != Authentication::kNone;
  plan.peers = {users_only ? testbed_.digest_address()
                : exchange ? testbed_.http_address()
                           : testbed_.handshake_address()};
  plan.slots = spec.alone  ? 1
               : !exchange ? options_.handshakes_in_flight()
               : spec.bulk ? options_.bulk_connections()
                           : options_.connections;
  plan.request = RequestHead(spec.bulk ? fmt::format("/bytes/{}", kBulkBytes) : kTarget);
  if (users_only) {
    plan.login = &testbed_.digest().login();
    plan.target = kTarget;
  } else {
    plan.request += "\r\n";
  }
  const unsigned profiles = spec.kind == LoadKind::kResumedHandshake ? plan.slots : 1;
  for (unsigned i = 0; i < profiles; ++i) {
    const std::string error = AddProfile(spec, phase);
    if (!error.empty()) return error;
    plan.profiles.push_back(phase->profiles.back().get());
  }
  phase->load = std::make_unique<LoadPhase>(testbed_.client(), std::move(plan));
  return {};
}

void Runner::Watch(const PhaseSpec& spec, LoadPhase& load, std::uint64_t duration_ns) {
  const std::uint64_t end = MonotonicClock::Now() + duration_ns;
  for (std::uint64_t now = MonotonicClock::Now(); now < end && !Interrupted();
       now = MonotonicClock::Now()) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(end - now, kNsPerSecond / 10)));
    load.TendLogin();
    progress_.Update(spec.operation, load.operations(),
                     static_cast<double>(end - std::min(end, MonotonicClock::Now())) / 1e9);
  }
}

// Each of these leaves a context on the server, until the end.
constexpr std::uint64_t kFirstAuthenticationsMax = 10'000;

// One after the other, because the library is called at passive level.
ResultRow Runner::MeasureFirst(const PhaseSpec& spec, Phase& phase) {
  DigestLogin& login = testbed_.digest().login();
  OneExchange exchange(testbed_.client(), {testbed_.digest_address()}, *phase.profiles.front());
  FirstAuthentication authentication(
      exchange, login, {.target = kTarget, .head = RequestHead(kTarget), .user = RunDigest::kUser});
  progress_.Begin(spec.operation, static_cast<double>(options_.duration_ns) / kNsPerSecond);
  ResultRow warm_up;
  ResultRow row;
  row.operation = spec.operation;
  std::string wrong = exchange.Connect();
  const auto repeat = [&](std::uint64_t duration_ns, ResultRow* counted) {
    const std::uint64_t end = MonotonicClock::Now() + duration_ns;
    while (wrong.empty() && !Interrupted() && counted->operations < kFirstAuthenticationsMax &&
           (MonotonicClock::Now() < end || counted->operations < login.contexts())) {
      wrong = authentication.Make(counted->operations % login.contexts(), counted);
    }
  };
  repeat(options_.warm_up_ns(), &warm_up);
  const std::uint64_t cpu_before = KtlsimProcessorCpuNs("server");
  const std::uint64_t begin = MonotonicClock::Now();
  repeat(options_.duration_ns, &row);
  row.seconds = static_cast<double>(MonotonicClock::Now() - begin) / 1e9;
  row.cpu_ns = KtlsimProcessorCpuNs("server") - cpu_before;
  progress_.End();
  if (!wrong.empty()) {
    ++row.errors;
    row.error_texts.push_back(wrong);
  }
  return row;
}

ResultRow Runner::MeasurePhase(const PhaseSpec& spec, Phase& phase) {
  return spec.authentication == Authentication::kFirst ? MeasureFirst(spec, phase)
                                                       : Measure(spec, *phase.load);
}

ResultRow Runner::Measure(const PhaseSpec& spec, LoadPhase& load) {
  progress_.Begin(spec.operation, static_cast<double>(options_.duration_ns) / kNsPerSecond);
  load.Start();
  Watch(spec, load, options_.warm_up_ns());
  const std::uint64_t cpu_before = KtlsimProcessorCpuNs("server");
  const std::uint64_t begin = MonotonicClock::Now();
  load.BeginMeasuring();
  Watch(spec, load, options_.duration_ns);
  // In a short time on a busy machine no operation may end: the time is extended until one has.
  for (unsigned i = 0; i < kMoreMoments && load.operations() == 0 && load.errors() == 0; ++i) {
    Watch(spec, load, kNsPerSecond / 10);
  }
  load.EndMeasuring();
  ResultRow row;
  row.seconds = static_cast<double>(MonotonicClock::Now() - begin) / 1e9;
  // The crypto processors of a pool work for both sides.
  if (!pool_ || spec.kind == LoadKind::kExchange) {
    row.cpu_ns = KtlsimProcessorCpuNs("server") - cpu_before;
  }
  load.End(kEndLimitNs, [&](std::size_t, std::uint64_t) {
    load.TendLogin();
    return true;
  });
  progress_.End();
  row.operation = spec.operation;
  row.bulk = spec.bulk;
  load.Tell(&row);
  // Both sides are ours, so an error of the warm-up counts like any other.
  row.errors += load.warm_up_errors();
  for (const std::string& text : load.warm_up_error_texts()) row.error_texts.push_back(text);
  return row;
}

std::string Runner::Run(RunReport* report) {
  std::string error = testbed_.Start(options_, notify_mode_);
  report->certificate = testbed_.certificate();
  for (const PhaseSpec& spec : error.empty() ? Specs() : std::vector<PhaseSpec>()) {
    phases_.emplace_back();
    error = Prepare(spec, &phases_.back());
    if (!error.empty()) break;
    ResultRow row = MeasurePhase(spec, phases_.back());
    report->interrupted = Interrupted();
    // A phase that was cut short gives no figures.
    if (report->interrupted) break;
    report->rows.push_back(std::move(row));
  }
  testbed_.Stop();
  report->digest = testbed_.digest().facts();
  for (Phase& phase : phases_) phase.credentials.clear();
  static_cast<void>(KtlsimStop());
  report->rundown = CheckRundown();
  report->lanes = ReadLanes();
  return error;
}

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim run: {}\n", why);
  return kExitUsage;
}

void Warn(const std::string& what) {
  if (!what.empty()) fmt::print(stderr, "ktlsim run: warning: {}\n", what);
}

int RunAll(const RunOptions& options, StartupOptions startup) {
  std::signal(SIGPIPE, SIG_IGN);
  HeedSignals();
  const Envelope envelope("run", startup);
  RunReport report;
  report.machine = envelope.machine();
  report.placement = startup.pool ? "pool" : "inline";
  report.time_every_call = startup.time_every_call;
  // Each role has a processor, also on a machine with one core.
  startup.processors =
      std::max(2U, startup.processors != 0 ? startup.processors : report.machine.cores);
  startup.roles = "server,client";
  std::string error;
  const std::unique_ptr<KeyLogFile> key_log = KeyLogFile::Open(startup.key_log, &error);
  std::unique_ptr<TraceFile> trace;
  if (error.empty()) trace = TraceFile::Open(startup.trace, &error);
  if (error.empty()) error = StartLibrary(startup);
  if (!error.empty()) return Fail(error);
  if (key_log != nullptr) Warn(key_log->Warning());
  if (!report.machine.optimized) {
    fmt::print(stderr, "*** debug or sanitizer build: the figures will mean NOTHING ***\n");
  }
  Runner runner(options, startup);
  error = runner.Run(&report);
  if (key_log != nullptr) Warn(key_log->Losses());
  if (trace != nullptr) Warn(trace->Close());
  report.stopped = error;
  PrintRunReport(report, TextOutput(options.json));
  if (!error.empty()) fmt::print(stderr, "ktlsim run: {}\n", error);
  if (!options.json.empty() && !WriteJsonFile(RunJson(report, envelope, options), options.json)) {
    fmt::print(stderr,
               "ktlsim run: --json {}: cannot be written; name a file in a folder that "
               "exists\n",
               options.json);
    return kExitFailed;
  }
  return report.Judge().valid() ? kExitOk : kExitFailed;
}

struct RunCommandLine {
  CommandOptions<RunOptions> run{RunSettings()};
  CommandOptions<StartupOptions> placement{PlacementSettings()};
  CommandOptions<StartupOptions> key_log{KeyLogSettings()};
  CommandOptions<StartupOptions> trace{TraceSettings()};
  CommandOptions<StartupOptions> notify{NotifySettings()};
  CommandOptions<StartupOptions> library{LibrarySettings()};

  int Run() const {
    RunOptions options;
    StartupOptions startup;
    std::string wrong = run.Apply(options);
    if (wrong.empty()) wrong = placement.Apply(startup);
    if (wrong.empty()) wrong = key_log.Apply(startup);
    if (wrong.empty()) wrong = trace.Apply(startup);
    if (wrong.empty()) wrong = notify.Apply(startup);
    if (wrong.empty()) wrong = library.Apply(startup);
    return wrong.empty() ? RunAll(options, startup) : Fail(wrong);
  }
};

}  // namespace

std::function<int()> AddRunCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "run", "Benchmark of server and client in this process over loopback; needs no arguments");
  command->group("Commands");
  command->footer(
      "Server and client have processors of their own, assigned by turns. Each phase is a closed "
      "loop: a connection begins its next operation when the last one has ended. The client "
      "verifies the server's certificate, which is made in memory and is its one trust "
      "anchor. A first authentication (Digest) is a challenge and the response to it, one after "
      "the "
      "other; a signed request is one of a context that is maintained from then on, over all "
      "connections.\n\nExit code 1: an operation failed, or something was left over at the end, so "
      "the figures are not valid.");
  auto options = std::make_shared<RunCommandLine>();
  options->run.AddTo(*command);
  options->placement.AddTo(*command);
  options->key_log.AddTo(*command);
  options->trace.AddTo(*command);
  options->notify.AddTo(*command);
  options->library.AddTo(*command);
  return [options] { return options->Run(); };
}

}  // namespace ktlsim::command
