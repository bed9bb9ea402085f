// `ktlsim serve`: a TLS terminator until SIGTERM or SIGINT.

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "io/address.h"
#include "kernel_sim/command/command.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/serve_report.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/serve/echo.h"
#include "kernel_sim/serve/file_service.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/transport/server_path.h"

namespace ktlsim::command {
namespace {

struct ServeOptions {
  std::string listen;
  std::string cert_file;
  std::string key_file;
  std::string self_signed;
  std::string key_type = "ecdsa";
  std::optional<std::uint64_t> respond_bytes;
  bool echo = false;
  std::string root;
  std::string tls = "1.2-1.3";
  std::vector<std::string> alpn;
  std::optional<unsigned> tickets;
  std::string cipher_suites;
  unsigned processors = 0;
  std::string placement = "inline";
  std::string leg_timeout;
  std::string handshake_timeout;
  std::string idle_timeout;
  std::uint32_t max_connections = 0;
  std::string json;
};

int Fail(const std::string& why) {
  fmt::print(stderr, "ktlsim serve: {}\n", why);
  return kExitUsage;
}

TlsVersions VersionsOf(const std::string& text) {
  if (text == "1.2") return TlsVersions::k12;
  if (text == "1.3") return TlsVersions::k13;
  return TlsVersions::k12And13;
}

std::string CheckDuration(const std::string& text) {
  if (ParseDurationNs(text)) return {};
  return fmt::format("\"{}\" is no duration; write one like 500ms or 10s, or 0 for none", text);
}

std::string CheckAddress(const std::string& text) {
  const Result<io::Address> address = io::Address::Parse(text);
  if (address.ok()) return {};
  return fmt::format("\"{}\": {}; write ADDRESS:PORT, for example 127.0.0.1:8443 or [::1]:0", text,
                     address.status().ToString());
}

void AddOptions(CLI::App& app, ServeOptions& o) {
  app.add_option("--listen", o.listen,
                 "Address and port to listen on; port 0 lets the system choose one, which is "
                 "printed")
      ->required()
      ->type_name("A:P")
      ->check(CLI::Validator(CheckAddress, ""));
  CLI::Option* cert = app.add_option("--cert", o.cert_file, "Certificate chain, PEM, leaf first")
                          ->type_name("FILE");
  CLI::Option* key =
      app.add_option("--key", o.key_file, "Its private key, PEM, not encrypted")->type_name("FILE");
  CLI::Option* self = app.add_option("--self-signed", o.self_signed,
                                     "Make a certificate for this DNS name or IP address instead")
                          ->type_name("NAME");
  cert->needs(key);
  key->needs(cert);
  self->excludes(cert);
  app.add_option("--key-type", o.key_type, "Key of the self-signed certificate")
      ->check(CLI::IsMember({"ecdsa", "rsa"}))
      ->capture_default_str()
      ->needs(self);
  CLI::Option* respond =
      app.add_option("--respond-bytes", o.respond_bytes,
                     "Answer each HTTP request with a body of N bytes; the path /bytes/<n> asks "
                     "for n bytes, up to 1 GiB")
          ->type_name("N")
          ->check(CLI::Range(std::uint64_t{0}, serve::kBytesPathMax));
  CLI::Option* echo =
      app.add_flag("--echo", o.echo, "Send every byte back instead")->excludes(respond);
  app.add_option("--root", o.root, "Serve the files below this folder over HTTP instead")
      ->type_name("DIR")
      ->excludes(respond)
      ->excludes(echo);
  app.add_option("--tls", o.tls, "Versions to offer")
      ->check(CLI::IsMember({"1.2", "1.3", "1.2-1.3"}))
      ->capture_default_str();
  app.add_option("--alpn", o.alpn,
                 "Application protocols in order of preference; a client that offers others only "
                 "is refused")
      ->type_name("NAME,...")
      ->delimiter(',');
  app.add_option("--tickets", o.tickets,
                 "TLS 1.3 session tickets per handshake; 0 switches tickets of TLS 1.2 off, too")
      ->type_name("N")
      ->check(CLI::Range(0U, unsigned{KTLSIM_TICKETS_MAX}));
  app.add_option("--cipher-suites", o.cipher_suites,
                 "OpenSSL's names, with colons between them, in order of preference")
      ->type_name("LIST");
  app.add_option("--processors", o.processors, "Processors; 0: one per core")
      ->type_name("N")
      ->check(CLI::Range(0U, 1024U))
      ->capture_default_str();
  app.add_option("--placement", o.placement,
                 "Handshakes on the processor that has the connection, or on a pool of others")
      ->check(CLI::IsMember({"inline", "pool"}))
      ->capture_default_str();
  const CLI::Validator duration(CheckDuration, "");
  app.add_option("--leg-timeout", o.leg_timeout, "Longest wait for one handshake message [10s]")
      ->type_name("DURATION")
      ->check(duration);
  app.add_option("--handshake-timeout", o.handshake_timeout, "Longest whole handshake [30s]")
      ->type_name("DURATION")
      ->check(duration);
  app.add_option("--idle-timeout", o.idle_timeout,
                 "Longest silence on an established connection [2m]")
      ->type_name("DURATION")
      ->check(duration);
  app.add_option("--max-connections", o.max_connections, "More wait in the backlog; 0: no limit")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--json", o.json, "Write the statistics there at the end")->type_name("FILE");
}

std::optional<Certificate> CertificateFor(const ServeOptions& o, std::string* error) {
  if (!o.self_signed.empty()) {
    return CreateSelfSigned(
        o.self_signed, o.key_type == "rsa" ? KTLSIM_KEY_RSA_2048 : KTLSIM_KEY_ECDSA_P256, error);
  }
  auto certificate = LoadCertificate(o.cert_file, o.key_file, error);
  if (!certificate) *error = "--cert, --key: " + *error;
  return certificate;
}

transport::ServerOptions PathOptions(const ServeOptions& o, const Credential& credential) {
  transport::ServerOptions path;
  path.tls.credential = credential.handle();
  path.tls.alpn = o.alpn;
  path.address = io::Address::Parse(o.listen).value();
  path.max_connections = o.max_connections;
  transport::Limits& limits = path.tls.limits;
  limits.leg_ns = ParseDurationNs(o.leg_timeout).value_or(limits.leg_ns);
  limits.handshake_ns = ParseDurationNs(o.handshake_timeout).value_or(limits.handshake_ns);
  limits.idle_ns = ParseDurationNs(o.idle_timeout).value_or(limits.idle_ns);
  return path;
}

transport::HandlerFactory Factory(const ServeOptions& o, const serve::HttpOptions& http,
                                  serve::Service* files) {
  if (files != nullptr) {
    return [files](transport::Connection& connection) { return files->NewHandler(connection); };
  }
  if (o.echo) return [](transport::Connection&) { return serve::MakeEcho(); };
  return [&http](transport::Connection&) { return serve::MakeHttpResponder(http); };
}

// The signals that end the command. They are blocked before any thread starts, so that only
// Wait takes them.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
  }

  // Afterwards a second signal has its default effect: it ends the process at once.
  void Wait() {
    int signal = 0;
    sigwait(&set_, &signal);
    pthread_sigmask(SIG_UNBLOCK, &set_, nullptr);
  }

 private:
  sigset_t set_;
};

int ServeUntilSignal(const ServeOptions& o, const Credential& credential, EndSignals& signals,
                     ServeReport* report) {
  serve::HttpOptions http;
  http.respond_bytes = o.respond_bytes.value_or(http.respond_bytes);
  std::unique_ptr<serve::Service> files;
  if (!o.root.empty()) {
    Result<std::unique_ptr<serve::Service>> made = serve::MakeFileService(o.root, http);
    if (!made) {
      return Fail(fmt::format("--root {}: {}; name a folder that can be read", o.root,
                              made.status().ToString()));
    }
    files = std::move(*made);
  }
  transport::ServerPath path;
  const Result<io::Address> bound =
      path.Start(PathOptions(o, credential), Factory(o, http, files.get()));
  if (!bound.ok()) {
    return Fail(fmt::format("--listen {}: {}; choose an address of this machine and a free port",
                            o.listen, bound.status().ToString()));
  }
  report->address = bound.value().ToString();
  fmt::print("listening on {}\n", report->address);
  std::fflush(stdout);
  signals.Wait();
  path.Stop();
  if (files != nullptr) files->Stop();
  report->statistics = path.Statistics();
  return kExitOk;
}

int Serve(const ServeOptions& o) {
  if (o.self_signed.empty() && o.cert_file.empty()) {
    return Fail("a certificate is missing: give --cert and --key, or --self-signed NAME");
  }
  if (!o.respond_bytes && !o.echo && o.root.empty()) {
    return Fail("say what to answer: --respond-bytes N, --echo or --root DIR");
  }
  EndSignals signals;
  std::string error =
      StartLibrary({.processors = o.processors, .pool = o.placement == "pool", .roles = ""});
  if (!error.empty()) return Fail(error);

  ServeReport report;
  int code = kExitUsage;
  {
    std::optional<Credential> credential;
    if (const auto certificate = CertificateFor(o, &error)) {
      credential = MakeServerCredential(
          *certificate,
          {.versions = VersionsOf(o.tls), .tickets = o.tickets, .cipher_suites = o.cipher_suites},
          &error);
    }
    code = credential ? ServeUntilSignal(o, *credential, signals, &report) : Fail(error);
  }
  static_cast<void>(KtlsimStop());
  if (code != kExitOk) return code;

  report.rundown = CheckRundown();
  PrintServeReport(report, stdout);
  if (!o.json.empty() && !WriteServeJson(report, o.json)) {
    fmt::print(stderr,
               "ktlsim serve: --json {}: cannot be written; name a file in a folder that "
               "exists\n",
               o.json);
    return kExitFailed;
  }
  return report.rundown.clean() ? kExitOk : kExitFailed;
}

}  // namespace

std::function<int()> AddServeCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "serve", "A TLS terminator: answers HTTP itself, or sends every byte back");
  command->footer(
      "Drains and prints statistics on SIGTERM and SIGINT; a second one ends it at "
      "once.\n\nExample: ktlsim serve --listen 127.0.0.1:8443 --self-signed localhost "
      "--respond-bytes 1024");
  auto options = std::make_shared<ServeOptions>();
  AddOptions(*command, *options);
  return [options] { return Serve(*options); };
}

}  // namespace ktlsim::command
