// `ktlsim load`: a load generator against any TLS server, ours or another.

#include <netdb.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/driver.h"
#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/machine.h"
#include "kernel_sim/command/progress.h"
#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/rundown_check.h"
#include "kernel_sim/command/startup.h"
#include "ktlsim/processor.h"

namespace ktlsim::command {
namespace {

constexpr std::uint64_t kEndLimitNs = 10 * kNsPerSecond;
constexpr std::uint64_t kCloseLimitNs = kNsPerSecond;

struct LoadOptions {
  std::string connect;
  std::string mode = "request";
  bool resume = false;
  double seconds = 5;
  double warm_up = 0.5;
  unsigned connections = 64;
  double rate = 0;
  std::string path = "/";
  std::string tls;  // empty: both, the newest wins
  std::string suites;
  std::string groups;
  std::vector<std::string> alpn;
  std::string sni;
  std::string ca;
  bool insecure = false;
  std::string cert;
  std::string key;
  unsigned processors = 0;
  std::string json;

  bool handshake() const { return mode == "handshake"; }
  TlsVersions versions() const {
    if (tls == "1.2") return TlsVersions::k12;
    return tls == "1.3" ? TlsVersions::k13 : TlsVersions::k12And13;
  }
};

std::atomic<bool> interrupted{false};

// "HOST:PORT", "[::1]:PORT"; a name is looked up. `*host` is the name without the port.
std::optional<io::Address> Resolve(const std::string& text, std::string* host, std::string* error) {
  const std::size_t colon = text.rfind(':');
  *host = text.substr(0, colon == std::string::npos ? text.size() : colon);
  if (Result<io::Address> address = io::Address::Parse(text); address.ok()) return address.value();
  if (colon == std::string::npos || host->empty()) {
    *error = fmt::format("--connect {}: HOST:PORT is wanted, such as localhost:8443", text);
    return {};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host->c_str(), text.c_str() + colon + 1, &hints, &found);
  if (code != 0) {
    *error = fmt::format("--connect {}: {}", text, gai_strerror(code));
    return {};
  }
  const io::Address address(found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return address;
}

bool IsAddressLiteral(const std::string& host) {
  return host.starts_with('[') || host.find_first_not_of("0123456789.") == std::string::npos;
}

class LoadRun {
 public:
  explicit LoadRun(const LoadOptions& options) : options_(options) {}

  // The exit code.
  int Run();

 private:
  std::string Prepare();
  std::string AddProfile();
  std::string MakeRequest() const;
  ResultRow Measure();
  void Watch(double seconds);
  std::string OperationName() const;
  void Print(const ResultRow& row, const RundownCheck& rundown) const;
  bool WriteJson(const ResultRow& row, const RundownCheck& rundown) const;

  const LoadOptions& options_;
  std::string host_;
  Progress progress_;
  Certificate client_certificate_;
  std::vector<Credential> credentials_;
  std::vector<std::unique_ptr<transport::TlsProfile>> profiles_;
  transport::ClientPath client_;
  std::unique_ptr<LoadPhase> load_;
};

std::string LoadRun::AddProfile() {
  ClientCredentialOptions wanted;
  wanted.versions = options_.versions();
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
  tls.target_name = options_.sni.empty() ? host_ : options_.sni;
  tls.alpn = options_.alpn;
  tls.limits.close_ns = kCloseLimitNs;
  auto profile = transport::TlsProfile::Create(transport::TlsProfile::Side::kClient, tls);
  if (!profile.ok()) return profile.status().ToString();
  credentials_.push_back(std::move(*credential));
  profiles_.push_back(std::make_unique<transport::TlsProfile>(std::move(*profile)));
  return {};
}

std::string LoadRun::MakeRequest() const {
  return fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: ktlsim\r\n\r\n", options_.path,
                     options_.sni.empty() ? options_.connect : options_.sni);
}

std::string LoadRun::Prepare() {
  std::string error;
  LoadPlan plan;
  const std::optional<io::Address> peer = Resolve(options_.connect, &host_, &error);
  if (!peer) return error;
  plan.peer = *peer;
  // A certificate is for names; who connects to a bare address means this machine.
  if (IsAddressLiteral(host_)) host_ = "localhost";
  if (!options_.cert.empty()) {
    std::optional<Certificate> loaded = LoadCertificate(options_.cert, options_.key, &error);
    if (!loaded) return error;
    client_certificate_ = std::move(*loaded);
  }
  plan.slots = options_.connections;
  plan.rate = options_.rate;
  plan.request = MakeRequest();
  plan.kind = !options_.handshake() ? LoadKind::kExchange
              : options_.resume     ? LoadKind::kResumedHandshake
                                    : LoadKind::kFullHandshake;
  const unsigned profiles = plan.kind == LoadKind::kResumedHandshake ? plan.slots : 1;
  for (unsigned i = 0; i < profiles; ++i) {
    error = AddProfile();
    if (!error.empty()) return error;
    plan.profiles.push_back(profiles_.back().get());
  }
  if (const Status status = client_.Start({}); !status.ok()) {
    return "the client path: " + status.ToString();
  }
  load_ = std::make_unique<LoadPhase>(client_, std::move(plan));
  return {};
}

void LoadRun::Watch(double seconds) {
  const std::uint64_t end = MonotonicClock::Now() +
                            static_cast<std::uint64_t>(seconds * static_cast<double>(kNsPerSecond));
  for (std::uint64_t now = MonotonicClock::Now(); now < end; now = MonotonicClock::Now()) {
    if (interrupted.load(std::memory_order_relaxed) || load_->live_slots() == 0) return;
    std::this_thread::sleep_for(std::chrono::nanoseconds(std::min(end - now, kNsPerSecond / 10)));
    progress_.Update(OperationName(), load_->operations(),
                     static_cast<double>(end - std::min(end, MonotonicClock::Now())) / 1e9);
  }
}

std::string LoadRun::OperationName() const {
  if (options_.handshake()) return options_.resume ? "resumed handshake" : "full handshake";
  return options_.mode;
}

ResultRow LoadRun::Measure() {
  progress_.Begin(OperationName(), options_.seconds);
  load_->Start();
  Watch(options_.warm_up);
  const std::uint64_t cpu_before = KtlsimProcessorCpuNs(nullptr);
  const std::uint64_t begin = MonotonicClock::Now();
  load_->BeginMeasuring();
  Watch(options_.seconds);
  load_->EndMeasuring();
  ResultRow row;
  row.seconds = static_cast<double>(MonotonicClock::Now() - begin) / 1e9;
  row.cpu_ns = KtlsimProcessorCpuNs(nullptr) - cpu_before;
  load_->End(kEndLimitNs);
  progress_.End();
  row.operation = OperationName();
  row.bulk = options_.mode == "bulk";
  row.operations = load_->operations();
  row.bytes = load_->bytes();
  row.latency = load_->latency();
  row.errors = load_->errors();
  row.error_texts = load_->error_texts();
  if (row.operations == 0 && row.errors == 0) {
    row.errors = 1;
    row.error_texts.emplace_back(
        options_.handshake() && options_.resume
            ? "not one session was resumed in the time: does the server send tickets?"
            : "not one operation was completed in the time");
  }
  return row;
}

void LoadRun::Print(const ResultRow& row, const RundownCheck& rundown) const {
  PrintResultTable({row}, "client", stdout);
  const transport::ConnectionInfo info = load_->negotiated();
  if (info.version != 0) {
    fmt::print("\n{}: {}, {}{}\n", options_.connect, info.version_text(), info.cipher_suite_name,
               info.alpn.empty() ? "" : ", ALPN " + info.alpn);
  }
  if (options_.rate > 0) {
    fmt::print("open loop, {:.6g} /s: an operation counts from the time it should have begun.\n",
               options_.rate);
    if (load_->not_begun() != 0) {
      fmt::print(
          "{} operations that were due never began: the server, or {} connections, cannot keep "
          "this "
          "rate.\n",
          load_->not_begun(), options_.connections);
    }
  }
  const Machine machine = DescribeMachine();
  if (!machine.optimized) {
    fmt::print("*** debug or sanitizer build: the figures mean NOTHING ***\n");
  }
  if (row.errors != 0) fmt::print("FAILED: {} errors\n", row.errors);
  if (!rundown.clean()) {
    fmt::print("FAILED: left behind after the end: {}\n", rundown.Leftovers());
  }
}

bool LoadRun::WriteJson(const ResultRow& row, const RundownCheck& rundown) const {
  if (options_.json.empty()) return true;
  const transport::ConnectionInfo info = load_->negotiated();
  const nlohmann::json json = {{"machine", MachineJson(DescribeMachine())},
                               {"peer", options_.connect},
                               {"mode", options_.mode},
                               {"resume", options_.resume},
                               {"connections", options_.connections},
                               {"rate_asked_per_s", options_.rate},
                               {"not_begun", load_->not_begun()},
                               {"version", info.version_text()},
                               {"cipher_suite", info.cipher_suite_name},
                               {"alpn", info.alpn},
                               {"operations", nlohmann::json::array({ResultJson(row, "client")})},
                               {"errors", row.errors},
                               {"rundown_clean", rundown.clean()}};
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
    static_cast<void>(KtlsimStop());
    fmt::print(stderr, "ktlsim load: {}\n", error);
    return kExitUsage;
  }
  const ResultRow row = Measure();
  client_.Stop();
  credentials_.clear();
  static_cast<void>(KtlsimStop());
  client_certificate_ = {};
  const RundownCheck rundown = CheckRundown();
  Print(row, rundown);
  if (!WriteJson(row, rundown)) return kExitFailed;
  return row.errors == 0 && rundown.clean() ? kExitOk : kExitFailed;
}

int RunLoad(const LoadOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int signal : {SIGINT, SIGTERM}) {
    std::signal(signal, [](int) { interrupted.store(true, std::memory_order_relaxed); });
  }
  std::string wrong;
  if (options.cert.empty() != options.key.empty()) wrong = "--cert and --key go together";
  if (options.resume && !options.handshake()) {
    wrong = "--resume is for --mode handshake: requests stay on their connections";
  }
  if (!wrong.empty()) {
    fmt::print(stderr, "ktlsim load: {}\n", wrong);
    return kExitUsage;
  }
  const std::string error =
      StartLibrary({.processors = options.processors, .pool = false, .roles = ""});
  if (!error.empty()) {
    fmt::print(stderr, "ktlsim load: {}\n", error);
    return kExitUsage;
  }
  return LoadRun(options).Run();
}

void AddTlsOptions(CLI::App* command, LoadOptions& o) {
  command->add_option("--tls", o.tls, "This version only; without: whatever both sides can")
      ->check(CLI::IsMember({"1.2", "1.3"}));
  command
      ->add_option("--cipher-suites", o.suites,
                   "Cipher suites in OpenSSL's names, with colons between them")
      ->type_name("LIST");
  command
      ->add_option("--groups", o.groups,
                   "Key exchange groups, with colons between them [X25519:P-256]")
      ->type_name("LIST");
  command->add_option("--alpn", o.alpn, "Protocols to offer, in order: http/1.1,...")
      ->type_name("LIST")
      ->delimiter(',');
  command
      ->add_option("--sni", o.sni,
                   "The server's name, for SNI, the Host field and the certificate check; "
                   "without: the name in --connect, or localhost for an address")
      ->type_name("NAME");
  command
      ->add_option("--ca", o.ca,
                   "PEM file with what the server's certificate must lead to; "
                   "without: the system's")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_flag("--insecure", o.insecure, "Take any certificate");
  command->add_option("--cert", o.cert, "Client certificate, PEM, with its chain")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
  command->add_option("--key", o.key, "Its private key, PEM")
      ->type_name("FILE")
      ->check(CLI::ExistingFile);
}

}  // namespace

std::function<int()> AddLoadCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("load", "Load generator against any TLS server");
  command->footer(
      "Closed loop without --rate: a connection begins its next operation when the last one has "
      "ended. With --rate, operations begin by a timetable, and latency counts from the time at "
      "which "
      "one should have begun. Exit code 1: an operation failed, or something was left behind.");
  auto options = std::make_shared<LoadOptions>();
  LoadOptions& o = *options;
  command->add_option("--connect", o.connect, "The server")->type_name("HOST:PORT")->required();
  command
      ->add_option(
          "--mode", o.mode,
          "handshake: connect, handshake, close. request: HTTP/1.1 GETs on kept connections. "
          "bulk: the same, told in bytes")
      ->check(CLI::IsMember({"handshake", "request", "bulk"}))
      ->capture_default_str();
  command->add_flag("--resume", o.resume, "Mode handshake: resume the last session each time");
  command->add_option("--path", o.path, "What is asked for in the modes request and bulk")
      ->type_name("PATH")
      ->check([](const std::string& path) {
        const bool good =
            path.starts_with('/') &&
            std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < '\x7f'; });
        return good ? std::string() : "a path begins with / and has no blanks: escape them as %20";
      })
      ->capture_default_str();
  command->add_option("--seconds", o.seconds, "Measured time")
      ->type_name("N")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  command->add_option("--warm-up", o.warm_up, "Seconds before it, that do not count")
      ->type_name("N")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command->add_option("--connections", o.connections, "Connections at a time")
      ->type_name("N")
      ->check(CLI::Range(1U, 100000U))
      ->capture_default_str();
  command->add_option("--rate", o.rate, "Open loop: operations per second, all together")
      ->type_name("N")
      ->check(CLI::Range(0.01, 1e7));
  AddTlsOptions(command, o);
  command
      ->add_option("--processors", o.processors,
                   "Processors to make the load with; 0: one per core")
      ->type_name("N")
      ->check(CLI::Range(0U, 1024U))
      ->capture_default_str();
  command->add_option("--json", o.json, "Write the result there, too")
      ->type_name("FILE")
      ->check(&CheckWritable);
  return [options] { return RunLoad(*options); };
}

}  // namespace ktlsim::command
