#include "kernel_sim/command/load_settings.h"

#include <array>

#include <fmt/format.h>

#include "kernel_sim/command/result_json.h"
#include "kernel_sim/command/tls_words.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

using Form = SettingForm;
using S = LoadOptions&;
using V = const std::string&;

constexpr std::uint64_t kDurationMinNs = kNsPerSecond / 10;
constexpr std::uint64_t kDurationMaxNs = 24 * 3600 * kNsPerSecond;
constexpr std::uint64_t kWarmUpMaxNs = 3600 * kNsPerSecond;
constexpr std::uint64_t kConnectionsMax = 100000;
constexpr double kRateMin = 0.01;
constexpr double kRateMax = 1e7;

constexpr std::array kModeWords = {Word<LoadMode>{"handshake", LoadMode::kHandshake},
                                   Word<LoadMode>{"request", LoadMode::kRequest},
                                   Word<LoadMode>{"bulk", LoadMode::kBulk}};

std::string TakeText(V text, std::string* out) {
  if (text.empty()) return "a text that is not empty is needed";
  *out = text;
  return {};
}

std::string TakeServer(S s, V v) {
  std::string wrong = ParseServerUrl(v, &s.url);
  if (wrong.empty()) s.server = v;
  return wrong;
}

std::string TakeDigestUser(S s, V v) {
  const std::size_t colon = v.find(':');
  if (colon == 0 || v.empty()) return "a user's name is needed: USER, or USER:PASSWORD";
  s.digest_user = v.substr(0, colon);
  s.digest_password = colon == std::string::npos ? "" : v.substr(colon + 1);
  return {};
}

std::string TakeConnections(S s, V v) {
  std::uint64_t connections = 0;
  std::string wrong = ParseCount(v, 1, kConnectionsMax, &connections);
  if (wrong.empty()) s.connections = static_cast<unsigned>(connections);
  return wrong;
}

// In the order of --help.
constexpr CommandSetting<LoadOptions> kSettings[] = {
    {"connect", "", Form::kOne, "SERVER",
     "The server: a URL such as https://localhost:8443/path, HOST:PORT, or unix:/PATH; it can also "
     "stand without --connect. A name's next address is dialled when one refuses, or has not "
     "accepted after 1.5 s",
     &TakeServer},
    {"mode", "", Form::kOne, "MODE",
     "handshake: connect, make the handshake, close. request: HTTP/1.1 GETs on connections that "
     "are kept. bulk: large responses, reported as throughput [request]",
     [](S s, V v) { return ParseWord(v, kModeWords, &s.mode); }},
    {"resume", "", Form::kFlag, "",
     "Mode handshake: each handshake resumes the session of the connection before",
     [](S s, V v) {
       s.resume = v == "true";
       return std::string();
     }},
    {"path", "", Form::kOne, "PATH", "Path of the requests [that of the URL, or /]",
     [](S s, V v) {
       std::string wrong = CheckRequestPath(v);
       if (wrong.empty()) s.path = v;
       return wrong;
     }},
    {"success", "", Form::kOne, "LIST",
     "Statuses that are no errors, like 2xx or 200,404 [2xx,3xx]",
     [](S s, V v) { return ParseStatuses(v, &s.success); }},
    {"seconds", "d", Form::kOne, "DURATION", "Measured time: 5 or 5s, 500ms, 2m [5s]",
     [](S s, V v) {
       return ParseDuration(v, kDurationMinNs, kDurationMaxNs, BareNumber::kSeconds,
                            &s.duration_ns);
     }},
    {"warm-up", "", Form::kOne, "DURATION",
     "Time before it that is not measured; its errors are counted apart [500ms]",
     [](S s, V v) {
       return ParseDuration(v, 0, kWarmUpMaxNs, BareNumber::kSeconds, &s.warm_up_ns);
     }},
    {"drain", "", Form::kOne, "DURATION",
     "How long operations in flight may still take afterwards; those that do not end count with "
     "their age [10s]",
     [](S s, V v) { return ParseDuration(v, 0, kWarmUpMaxNs, BareNumber::kSeconds, &s.drain_ns); }},
    {"timeout", "", Form::kOne, "DURATION",
     "How long an operation may take, its connection included; then it is an error that counts "
     "with its age, and the connection is given up. 0: no limit [10s]",
     [](S s, V v) {
       return ParseDuration(v, 0, kDurationMaxNs, BareNumber::kSeconds, &s.timeout_ns);
     }},
    {"connections", "c", Form::kOne, "N", "Connections open at once [64]", &TakeConnections},
    {"rate", "R", Form::kOne, "RATE",
     "Open loop: operations per second over all connections, like 500 or 10k [closed loop]",
     [](S s, V v) { return ParseRate(v, kRateMin, kRateMax, &s.rate); }},
    {"tls", "", Form::kOne, "VERSIONS", "Versions to offer: 1.2, 1.3, 1.2-1.3 [1.2-1.3]",
     [](S s, V v) { return ParseWord(v, kTlsWords, &s.versions); }},
    {"cipher-suites", "", Form::kOne, "LIST",
     "OpenSSL's names, with colons between them, in order of preference",
     [](S s, V v) { return TakeText(v, &s.suites); }},
    {"groups", "", Form::kOne, "LIST",
     "Key exchange groups, with colons between them, in order of preference",
     [](S s, V v) { return TakeText(v, &s.groups); }},
    {"alpn", "", Form::kList, "NAME,...", "Application protocols to offer, in order of preference",
     [](S s, V v) { return ParseAlpn(v, &s.alpn); }},
    {"sni", "", Form::kOne, "NAME",
     "The server's name in the SNI extension, the Host field and the certificate check [the host "
     "of "
     "the URL, or localhost for an address]",
     [](S s, V v) {
       std::string wrong = CheckHostName(v);
       if (wrong.empty()) s.sni = v;
       return wrong;
     }},
    {"ca", "", Form::kOne, "FILE",
     "Trust anchors for the server's certificate, PEM [those of the system]",
     [](S s, V v) { return TakeText(v, &s.ca); }},
    {"insecure", "", Form::kFlag, "", "Accept any certificate of the server",
     [](S s, V v) {
       s.insecure = v == "true";
       return std::string();
     }},
    {"cert", "", Form::kOne, "FILE", "Client certificate chain, PEM, leaf first",
     [](S s, V v) { return TakeText(v, &s.cert); }},
    {"key", "", Form::kOne, "FILE", "Its private key, PEM, not encrypted",
     [](S s, V v) { return TakeText(v, &s.key); }},
    {"digest", "", Form::kOne, "USER[:PASSWORD]",
     "Authenticate with Digest (RFC 7616) first, some times for the figures and then once for each "
     "32 connections, and sign each request. Without a password it is typed, or is the first line "
     "of standard input; in the command line everybody on the machine can read it",
     &TakeDigestUser},
    {"digest-password-file", "", Form::kOne, "FILE", "The password is the first line of this file",
     [](S s, V v) { return TakeText(v, &s.digest_password_file); }},
    {"json", "", Form::kOne, "FILE", "Write the result there as JSON; - is standard output",
     [](S s, V v) {
       std::string wrong = CheckWritable(v);
       if (wrong.empty()) s.json = v;
       return wrong;
     }},
};

}  // namespace

const char* LoadModeName(LoadMode mode) { return WordOf(mode, kModeWords); }

std::span<const CommandSetting<LoadOptions>> LoadSettings() { return kSettings; }

std::string CheckLoadOptions(const LoadOptions& options) {
  if (options.server.empty()) {
    return "a server is needed: ktlsim load https://localhost:8443/ or --connect HOST:PORT";
  }
  if (options.cert.empty() != options.key.empty()) {
    return "--cert and --key belong together: give both or none";
  }
  if (!options.digest_user.empty() && options.handshake()) {
    return "--digest is for --mode request and bulk: a handshake has no request to sign";
  }
  if (options.digest_user.empty() && !options.digest_password_file.empty()) {
    return "--digest-password-file needs --digest USER";
  }
  if (!options.digest_password.empty() && !options.digest_password_file.empty()) {
    return "--digest USER:PASSWORD and --digest-password-file exclude each other: give one";
  }
  if (options.resume && !options.handshake()) {
    return "--resume is for --mode handshake: requests stay on their connections";
  }
  if (!options.handshake()) {
    std::string wrong =
        CheckHttpAlpn(options.alpn, std::string("--mode ") + LoadModeName(options.mode));
    if (!wrong.empty()) return wrong + "; --mode handshake offers any name";
  }
  return {};
}

}  // namespace ktlsim::command
