// `ktlsim load`: a load generator against any TLS server, ours or another.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/digest_login.h"
#include "kernel_sim/command/driver.h"
#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/failure_hints.h"
#include "kernel_sim/command/first_authentication.h"
#include "kernel_sim/command/key_log_file.h"
#include "kernel_sim/command/lane_report.h"
#include "kernel_sim/command/library_settings.h"
#include "kernel_sim/command/load_settings.h"
#include "kernel_sim/command/one_exchange.h"
#include "kernel_sim/command/password_input.h"
#include "kernel_sim/command/progress.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/command/trace_file.h"
#include "kernel_sim/command/tls_words.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/command/verdict.h"
#include "ktlsim/processor.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kCloseLimitNs = kNsPerSecond;
// A server that could not be reached until the end of the warm-up, and for this long, will not
// come.
constexpr std::uint64_t kNobodyThereNs = 2 * kNsPerSecond;

std::atomic<bool> interrupted{false};

class LoadRun {
 public:
  LoadRun(const LoadOptions& options, const Envelope& envelope)
      : options_(options), envelope_(envelope) {}

  // The exit code.
  int Run();

 private:
  std::string Prepare();
  std::string AddProfile();
  std::string ServerName() const;
  std::string Target() const;
  std::string MakeRequest(std::string_view end) const;
  std::string LogIn(const std::vector<io::Address>& peers);
  ResultRow Measure();
  void Watch(std::uint64_t duration_ns);
  bool NobodyThere() const;
  void Drain();
  Verdict Judge(const ResultRow& row, const RundownCheck& rundown, const LaneReport& lanes) const;
  std::string OperationName() const;
  void Print(const ResultRow& row, const LaneReport& lanes, const Verdict& verdict) const;
  void PrintLoop(std::FILE* out) const;
  nlohmann::json SettingsJson(const ResultRow& row) const;
  std::uint64_t LookUpsSaved(const ResultRow& row) const;
  bool WriteJson(const ResultRow& row, const RundownCheck& rundown, const LaneReport& lanes,
                 const Verdict& verdict) const;

  const LoadOptions& options_;
  const Envelope& envelope_;
  Progress progress_;
  Certificate client_certificate_;
  std::vector<Credential> credentials_;
  std::vector<std::unique_ptr<transport::TlsProfile>> profiles_;
  transport::ClientPath client_;
  std::unique_ptr<LoadPhase> load_;
  std::unique_ptr<DigestLogin> login_;
  std::optional<ResultRow> first_authentications_;  // with --digest
  std::size_t contexts_ = 0;
  unsigned renewals_ = 0;
  std::uint64_t proofs_ = 0;  // of the server, by signed requests
  std::uint64_t began_ns_ = 0;
  std::uint64_t measured_from_ns_ = 0;
  std::uint64_t measured_until_ns_ = 0;
  std::optional<CertificateFacts> server_certificate_;
  std::optional<CertificateFacts> client_certificate_facts_;
};

std::string LoadRun::AddProfile() {
  ClientCredentialOptions wanted;
  wanted.versions = options_.versions;
  wanted.resumption = options_.resume;
  wanted.cipher_suites = options_.suites;
  wanted.groups = options_.groups;
  wanted.trust_file = options_.ca;
  wanted.verify = !options_.insecure;
  wanted.certificate = client_certificate_.get();
  std::string error;
  std::optional<Credential> credential = MakeClientCredential(wanted, &error);
  if (!credential) return error;
  transport::TlsOptions tls;
  tls.credential = credential->handle();
  tls.target_name = ServerName();
  tls.alpn = options_.alpn;
  tls.limits.close_ns = kCloseLimitNs;
  // Only the limit of the whole operation counts; a connection may be idle between two operations.
  tls.limits.leg_ns = 0;
  tls.limits.handshake_ns = 0;
  tls.limits.idle_ns = 0;
  auto profile = transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, tls);
  if (!profile.ok()) return profile.status().ToString();
  credentials_.push_back(std::move(*credential));
  profiles_.push_back(std::make_unique<transport::TlsProfile>(std::move(*profile)));
  return {};
}

// A certificate is for names; a bare address stands for this machine.
std::string LoadRun::ServerName() const {
  if (!options_.sni.empty()) return options_.sni;
  return options_.url.IsAddress() ? "localhost" : options_.url.host;
}

std::string LoadRun::Target() const {
  const std::string& path = !options_.path.empty() ? options_.path : options_.url.path;
  return path.empty() ? "/" : path;
}

std::string LoadRun::MakeRequest(std::string_view end) const {
  return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: ktlsim\r\n{}", Target(),
                     !options_.sni.empty()              ? options_.sni
                     : options_.url.unix_socket.empty() ? options_.url.Authority()
                                                        : options_.url.host,
                     end);
}

// So many first authentications are measured, one after the other.
constexpr std::size_t kFirstAuthentications = 100;

// The contexts that all further requests are signed with, and what it took to get them.
std::string LoadRun::LogIn(const std::vector<io::Address>& peers) {
  Password password;
  std::string wrong = !options_.digest_password_file.empty()
                          ? ReadPasswordFile(options_.digest_password_file, &password)
                      : !options_.digest_password.empty()
                          ? password.Set(options_.digest_password)
                          : ReadPassword(options_.digest_user, Asked::kOnce, &password);
  if (!wrong.empty()) return "--digest: " + wrong;
  const std::size_t contexts = (options_.connections + DigestLogin::kConnectionsPerContext - 1) /
                               DigestLogin::kConnectionsPerContext;
  contexts_ = contexts;
  login_ = DigestLogin::Make(options_.digest_user, password, contexts, &wrong);
  if (login_ == nullptr) return wrong;
  OneExchange exchange(client_, peers, *profiles_.front());
  FirstAuthentication authentication(
      exchange, *login_,
      {.target = Target(), .head = MakeRequest(""), .user = options_.digest_user});
  wrong = exchange.Connect();
  ResultRow row;
  row.operation = "first authentication";
  const std::uint64_t begin = MonotonicClock::Now();
  const std::size_t times = std::max(kFirstAuthentications, contexts);
  for (std::size_t i = 0; i < times && wrong.empty(); ++i) {
    if (interrupted.load(std::memory_order_relaxed)) return "interrupted";
    wrong = authentication.Make(i % contexts, &row);
  }
  row.seconds = static_cast<double>(MonotonicClock::Now() - begin) / 1e9;
  first_authentications_ = std::move(row);
  return wrong;
}

std::string LoadRun::Prepare() {
  std::string error;
  LoadPlan plan;
  SocketName server;
  error = ParseSocketName(options_.url.Place(), SocketUse::kConnect, &server);
  if (error.empty()) error = LookUp(server, &plan.peers);
  if (!error.empty()) return error;
  if (!options_.cert.empty()) {
    std::optional<Certificate> loaded = LoadCertificate(options_.cert, options_.key, &error);
    if (!loaded) return error;
    client_certificate_ = std::move(*loaded);
  }
  plan.slots = options_.connections;
  plan.rate = options_.rate;
  plan.timeout_ns = options_.timeout_ns;
  plan.request = MakeRequest(options_.digest_user.empty() ? "\r\n" : "");
  plan.target = Target();
  plan.success = options_.success;
  plan.hint = &ClientHint;
  plan.kind = !options_.handshake() ? LoadKind::kExchange
              : options_.resume     ? LoadKind::kResumedHandshake
                                    : LoadKind::kFullHandshake;
  const unsigned profiles = plan.kind == LoadKind::kResumedHandshake ? plan.slots : 1;
  for (unsigned i = 0; i < profiles; ++i) {
    error = AddProfile();
    if (!error.empty()) return error;
    plan.profiles.push_back(profiles_.back().get());
  }
  if (const Status status =
          client_.Start({.role = "", .notify_mode = envelope_.library().notify_mode});
      !status.ok()) {
    return "the client path: " + status.ToString();
  }
  if (!options_.digest_user.empty()) {
    error = LogIn(plan.peers);
    if (!error.empty()) return error;
    plan.login = login_.get();
  }
  load_ = std::make_unique<LoadPhase>(client_, std::move(plan));
  return {};
}

void LoadRun::Watch(std::uint64_t duration_ns) {
  const std::uint64_t end = MonotonicClock::Now() + duration_ns;
  for (std::uint64_t now = MonotonicClock::Now(); now < end; now = MonotonicClock::Now()) {
    if (interrupted.load(std::memory_order_relaxed) || NobodyThere()) return;
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(end - now, kNsPerSecond / 10)));
    load_->TendLogin();
    progress_.Update(OperationName(), load_->operations(),
                     static_cast<double>(end - std::min(end, MonotonicClock::Now())) / 1e9);
  }
}

bool LoadRun::NobodyThere() const {
  const std::uint64_t patience = std::max(options_.warm_up_ns, kNobodyThereNs);
  return load_->nobody_there() && MonotonicClock::Now() - began_ns_ > patience;
}

// An interruption ends this wait, too.
void LoadRun::Drain() {
  load_->End(options_.drain_ns, [this](std::size_t connections, std::uint64_t left_ns) {
    load_->TendLogin();
    progress_.Wait(OperationName(), connections, static_cast<double>(left_ns) / 1e9);
    return !interrupted.load(std::memory_order_relaxed);
  });
}

std::string LoadRun::OperationName() const {
  if (options_.handshake()) return options_.resume ? "resumed handshake" : "full handshake";
  if (first_authentications_) return fmt::format("signed {}", LoadModeName(options_.mode));
  return LoadModeName(options_.mode);
}

ResultRow LoadRun::Measure() {
  progress_.Begin(OperationName(), static_cast<double>(options_.duration_ns) / kNsPerSecond);
  began_ns_ = MonotonicClock::Now();
  load_->Start();
  Watch(options_.warm_up_ns);
  const std::uint64_t cpu_before = KtlsimProcessorCpuNs(nullptr);
  measured_from_ns_ = MonotonicClock::Now();
  load_->BeginMeasuring();
  Watch(options_.duration_ns);
  load_->EndMeasuring();
  measured_until_ns_ = MonotonicClock::Now();
  ResultRow row;
  row.seconds = static_cast<double>(measured_until_ns_ - measured_from_ns_) / 1e9;
  row.cpu_ns = KtlsimProcessorCpuNs(nullptr) - cpu_before;
  Drain();
  progress_.End();
  row.operation = OperationName();
  row.bulk = options_.mode == LoadMode::kBulk;
  load_->Tell(&row);
  if (options_.handshake() && options_.resume && row.errors == 0) {
    row.hint = "not one session was resumed: does the server send tickets?";
  }
  return row;
}

Verdict LoadRun::Judge(const ResultRow& row, const RundownCheck& rundown,
                       const LaneReport& lanes) const {
  Verdict verdict;
  JudgeRow(row, &verdict);
  GeneratorUse use;
  use.rate_asked = options_.rate;
  use.seconds = row.seconds;
  use.not_begun = load_->not_begun();
  use.connections = options_.connections;
  use.cpu_share =
      CpuShare(row.cpu_ns.value_or(0), row.seconds,
               lanes.io_processors() + lanes.crypto_processors(), envelope_.machine().cores);
  JudgeGenerator(row, use, &verdict);
  JudgeRundown(rundown, &verdict);
  return verdict;
}

void LoadRun::PrintLoop(std::FILE* out) const {
  if (options_.rate > 0) {
    fmt::print(
        out,
        "open loop, {:.6g} /s: an operation counts from the time it should have begun; {} that "
        "were due never began.\n",
        options_.rate, load_->not_begun());
  } else {
    fmt::print(
        out,
        "closed loop: a connection that waits sends nothing, so a pause of the server is in few "
        "of the percentiles; --rate counts what was due meanwhile.\n");
  }
  for (const std::string& text : load_->passed_over()) {
    fmt::print(out, "address passed over for the next one: {}\n", text);
  }
  if (load_->warm_up_errors() == 0) return;
  fmt::print(out, "errors of the warm-up, not counted: {}\n", load_->warm_up_errors());
  for (const std::string& text : load_->warm_up_error_texts()) {
    fmt::print(out, "    warm-up: {}\n", text);
  }
}

void LoadRun::Print(const ResultRow& row, const LaneReport& lanes, const Verdict& verdict) const {
  std::FILE* const out = TextOutput(options_.json);
  std::vector<ResultRow> rows;
  if (first_authentications_) rows.push_back(*first_authentications_);
  rows.push_back(row);
  PrintResultTable(rows, "client", out);
  const transport::ConnectionInfo info = load_->negotiated();
  if (info.version != 0) {
    fmt::print(out, "\n{}: {}, {}{}{}\n", options_.url.Place(), info.version_text(),
               info.cipher_suite_name,
               info.group == 0 ? "" : fmt::format(", {}", info.group_text()),
               info.alpn.empty() ? "" : ", ALPN " + info.alpn);
  }
  if (first_authentications_) {
    fmt::print(
        out,
        "Digest: {} first authentications, one after the other, with the challenge's round "
        "trip; {} context{} for all further requests, {} challenged again meanwhile. The server "
        "proved {} times that it knows the password.\n",
        first_authentications_->operations, contexts_, contexts_ == 1 ? "" : "s", renewals_,
        proofs_);
    fmt::print(
        out,
        "The maintained context saved {} look-ups of the user, and as many challenges: a server "
        "without one makes both for each request.\n",
        LookUpsSaved(row));
  }
  PrintLoop(out);
  PrintLanes(lanes, envelope_.library().time_every_call, out);
  if (!envelope_.machine().optimized) {
    fmt::print(out, "*** debug or sanitizer build: the figures mean NOTHING ***\n");
  }
  PrintVerdict(verdict, out);
}

// Each signed request that was served needed neither, unless it was challenged for a new nonce.
std::uint64_t LoadRun::LookUpsSaved(const ResultRow& row) const {
  return row.operations - std::min<std::uint64_t>(row.operations, renewals_);
}

nlohmann::json LoadRun::SettingsJson(const ResultRow& row) const {
  const bool open = options_.rate > 0;
  return {
      {"mode", LoadModeName(options_.mode)},
      {"resume", options_.resume},
      {"seconds", Seconds(options_.duration_ns)},
      {"warm_up_s", Seconds(options_.warm_up_ns)},
      {"drain_s", Seconds(options_.drain_ns)},
      {"timeout_s",
       options_.timeout_ns != 0 ? nlohmann::json(Seconds(options_.timeout_ns)) : nlohmann::json()},
      {"connections", options_.connections},
      {"rate_asked_per_s", open ? nlohmann::json(options_.rate) : nlohmann::json()},
      {"tls_versions", WordOf(options_.versions, kTlsWords)},
      {"cipher_suites", TextOrNull(options_.suites)},
      {"groups", TextOrNull(options_.groups)},
      {"alpn", options_.alpn},
      {"server_name", ServerName()},
      {"verify", !options_.insecure},
      {"digest_user", TextOrNull(options_.digest_user)},
      {"digest_contexts", first_authentications_ ? nlohmann::json(contexts_) : nlohmann::json()},
      {"digest_renewals", first_authentications_ ? nlohmann::json(renewals_) : nlohmann::json()},
      {"digest_proofs", first_authentications_ ? nlohmann::json(proofs_) : nlohmann::json()},
      {"digest_look_ups_saved",
       first_authentications_ ? nlohmann::json(LookUpsSaved(row)) : nlohmann::json()}};
}

bool LoadRun::WriteJson(const ResultRow& row, const RundownCheck& rundown, const LaneReport& lanes,
                        const Verdict& verdict) const {
  if (options_.json.empty()) return true;
  nlohmann::json json = envelope_.Json(lanes);
  json["settings"] = SettingsJson(row);
  json["measured_monotonic_ns"] = {{"from", measured_from_ns_}, {"until", measured_until_ns_}};
  json["peer"] = options_.url.Place();
  json["server_certificate"] = CertificateJson(server_certificate_);
  json["client_certificate"] = CertificateJson(client_certificate_facts_);
  json["operations"] = nlohmann::json::array();
  if (first_authentications_) {
    json["operations"].push_back(ResultJson(*first_authentications_, "client"));
  }
  json["operations"].push_back(ResultJson(row, "client"));
  json["not_begun"] = options_.rate > 0 ? nlohmann::json(load_->not_begun()) : nlohmann::json();
  json["errors"] = row.errors;
  json["warm_up_errors"] = load_->warm_up_errors();
  json["warm_up_error_texts"] = load_->warm_up_error_texts();
  json["addresses_passed_over"] = load_->passed_over();
  AddRundown(rundown, &json);
  AddVerdict(verdict, &json);
  if (WriteJsonFile(json, options_.json)) return true;
  fmt::print(stderr,
             "ktlsim load: --json {}: cannot be written; name a file in a folder that exists\n",
             options_.json);
  return false;
}

int LoadRun::Run() {
  const std::string error = Prepare();
  if (!error.empty()) {
    client_.Stop();
    credentials_.clear();
    login_.reset();
    static_cast<void>(KtlsimStop());
    fmt::print(stderr, "ktlsim load: {}\n", error);
    return kExitUsage;
  }
  const ResultRow row = Measure();
  server_certificate_ = load_->server_certificate();
  client_certificate_facts_ = DescribeCertificate(client_certificate_.get());
  client_.Stop();
  credentials_.clear();
  if (login_ != nullptr) {
    renewals_ = login_->renewals();
    proofs_ = login_->proofs().right();
  }
  login_.reset();
  static_cast<void>(KtlsimStop());
  client_certificate_ = {};
  const RundownCheck rundown = CheckRundown();
  const LaneReport lanes = ReadLanes();
  const Verdict verdict = Judge(row, rundown, lanes);
  Print(row, lanes, verdict);
  if (!WriteJson(row, rundown, lanes, verdict)) return kExitFailed;
  return verdict.valid() ? kExitOk : kExitFailed;
}

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim load: {}\n", why);
  return kExitUsage;
}

void Warn(const std::string& what) {
  if (!what.empty()) fmt::print(stderr, "ktlsim load: warning: {}\n", what);
}

int RunLoad(const LoadOptions& options, const StartupOptions& startup) {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) { interrupted.store(true, std::memory_order_relaxed); });
  }
  const Envelope envelope("load", startup);
  std::string wrong = CheckLoadOptions(options);
  std::unique_ptr<KeyLogFile> key_log;
  if (wrong.empty()) key_log = KeyLogFile::Open(startup.key_log, &wrong);
  std::unique_ptr<TraceFile> trace;
  if (wrong.empty()) trace = TraceFile::Open(startup.trace, &wrong);
  if (wrong.empty()) wrong = StartLibrary(startup);
  if (!wrong.empty()) return Fail(wrong);
  if (key_log != nullptr) Warn(key_log->Warning());
  const int code = LoadRun(options, envelope).Run();
  if (key_log != nullptr) Warn(key_log->Losses());
  if (trace != nullptr) Warn(trace->Close());
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
      "failed, never began or never came back, the generator had no time left, or something was "
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
