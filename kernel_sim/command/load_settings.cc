#include "kernel_sim/command/load_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/characters.h"
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

constexpr std::array kModeWords = {
    Word<LoadMode>{"handshake", LoadMode::kHandshake},
    Word<LoadMode>{"request", LoadMode::kRequest}, Word<LoadMode>{"bulk", LoadMode::kBulk},
    Word<LoadMode>{"upload", LoadMode::kUpload}, Word<LoadMode>{"churn", LoadMode::kChurn}};

struct ShareKind {
  LoadMode mode;
  bool resume;
};
constexpr std::array kShareWords = {Word<ShareKind>{"full", {LoadMode::kHandshake, false}},
                                    Word<ShareKind>{"resumed", {LoadMode::kHandshake, true}},
                                    Word<ShareKind>{"request", {LoadMode::kRequest, false}},
                                    Word<ShareKind>{"bulk", {LoadMode::kBulk, false}},
                                    Word<ShareKind>{"upload", {LoadMode::kUpload, false}},
                                    Word<ShareKind>{"churn", {LoadMode::kChurn, false}},
                                    Word<ShareKind>{"churn-resumed", {LoadMode::kChurn, true}}};
constexpr std::array kArrivalWords = {Word<Arrivals>{"constant", Arrivals::kConstant},
                                      Word<Arrivals>{"poisson", Arrivals::kPoisson}};
constexpr std::size_t kPercentilesMax = 20;
constexpr std::uint64_t kRepeatsMax = 1000;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{1} << 26;
constexpr double kShareMin = 0.001;
constexpr double kShareMax = 1e6;

// The parts of a list with commas between them.
std::vector<std::string_view> PartsOf(std::string_view list) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string TakeShare(std::string_view part, LoadShare* share) {
  const std::size_t equals = part.find('=');
  if (equals == std::string_view::npos) {
    return fmt::format("\"{}\" is not NAME=SHARE, like full=20", Printable(part));
  }
  ShareKind kind{};
  std::string wrong = ParseWord(part.substr(0, equals), kShareWords, &kind);
  const std::string_view rest = part.substr(equals + 1);
  const std::size_t at = rest.find('@');
  if (wrong.empty()) {
    wrong = ParseRate(rest.substr(0, at), kShareMin, kShareMax, &share->weight);
  }
  if (wrong.empty() && at != std::string_view::npos) {
    share->path = rest.substr(at + 1);
    wrong = CheckRequestPath(share->path);
  }
  share->mode = kind.mode;
  share->resume = kind.resume;
  return wrong;
}

std::string TakeMix(LoadOptions& s, const std::string& v) {
  std::vector<LoadShare> mix;
  for (const std::string_view part : PartsOf(v)) {
    LoadShare share;
    std::string wrong = TakeShare(part, &share);
    if (!wrong.empty()) return wrong;
    for (const LoadShare& other : mix) {
      if (std::string_view(other.word()) == share.word()) {
        return fmt::format("\"{}\" stands there twice", share.word());
      }
    }
    mix.push_back(std::move(share));
  }
  s.mix = std::move(mix);
  return {};
}

std::string TakePercentiles(LoadOptions& s, const std::string& v) {
  std::vector<double> percentiles;
  for (const std::string_view part : PartsOf(v)) {
    double percentile = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), percentile);
    if (error != std::errc() || end != part.data() + part.size() || !(percentile > 0) ||
        percentile > 100) {
      return fmt::format("\"{}\" is not a percentile: numbers above 0 up to 100, like 50,99,99.99",
                         Printable(part));
    }
    percentiles.push_back(percentile);
  }
  if (percentiles.size() > kPercentilesMax) {
    return fmt::format("at most {} percentiles", kPercentilesMax);
  }
  s.output.percentiles = std::move(percentiles);
  return {};
}

bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";  // RFC 9110 5.6.2
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kMarks.find(c) != std::string_view::npos;
  });
}

std::string TakeMethod(LoadOptions& s, const std::string& v) {
  if (!IsToken(v)) return fmt::format("\"{}\" is not a method, like POST", Printable(v));
  if (v == "CONNECT") return "CONNECT asks for a tunnel; there is nobody to talk through it";
  s.request.method = v;
  return {};
}

// Fields that the request has by itself, and whose values decide where it ends.
bool IsOurField(std::string_view name) {
  constexpr std::array<std::string_view, 3> kOurs = {"content-length", "transfer-encoding",
                                                     "connection"};
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return std::find(kOurs.begin(), kOurs.end(), lower) != kOurs.end();
}

std::string TakeHeader(LoadOptions& s, const std::string& v) {
  const std::size_t colon = v.find(':');
  if (colon == std::string::npos || !IsToken(std::string_view(v).substr(0, colon))) {
    return fmt::format("\"{}\" is not a header field, like \"Accept: text/html\"", Printable(v));
  }
  std::string wrong = CheckOneLine(v);
  if (wrong.empty() && IsOurField(std::string_view(v).substr(0, colon))) {
    wrong = "Content-Length, Transfer-Encoding and Connection are written by ktlsim itself";
  }
  if (wrong.empty()) s.request.headers.push_back(v);
  return wrong;
}

std::string TakeLabel(LoadOptions& s, const std::string& v) {
  const std::size_t equals = v.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return fmt::format("\"{}\" is not NAME=VALUE, like server=nginx", Printable(v));
  }
  s.output.labels.push_back(v);
  return {};
}

std::string TakeFile(const std::string& v, std::string* file) {
  std::string wrong = CheckWritable(v);
  if (wrong.empty()) *file = v;
  return wrong;
}

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
     "are kept. bulk: large responses, reported as throughput. upload: large requests, likewise. "
     "churn: connect, one request, close [request]",
     [](S s, V v) {
       LoadMode mode{};
       std::string wrong = ParseWord(v, kModeWords, &mode);
       if (wrong.empty()) s.mode = mode;
       return wrong;
     }},
    {"mix", "", Form::kOne, "LIST",
     "Several kinds of operations at once, like request=70,resumed=25,full=5: shares of the "
     "connections and of the rate. Kinds: full and resumed (handshakes), request, bulk, upload, "
     "churn, churn-resumed. A kind can have its own path: bulk=5@/large",
     &TakeMix},
    {"resume", "", Form::kFlag, "",
     "Modes handshake and churn: each handshake resumes the session of the connection before",
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
    {"method", "X", Form::kOne, "METHOD",
     "Method of the requests [GET; POST for uploads and where there is a body]", &TakeMethod},
    {"header", "H", Form::kList, "FIELD",
     "A header field of the requests, like \"Accept: text/html\"; Host replaces that of the URL",
     &TakeHeader},
    {"body", "", Form::kOne, "TEXT", "Body of the requests, or @FILE for one in a file",
     [](S s, V v) { return TakeText(v, &s.request.body); }},
    {"body-bytes", "", Form::kOne, "SIZE",
     "Length of a made-up body instead, up to 64M [uploads: 1M]",
     [](S s, V v) { return ParseSize(v, 1, kBodyBytesMax, &s.request.body_bytes); }},
    {"success", "", Form::kOne, "LIST",
     "Statuses that are no errors, like 2xx or 200,404 [2xx,3xx]",
     [](S s, V v) { return ParseStatuses(v, &s.success); }},
    {"seconds", "d", Form::kOne, "DURATION", "Measured time: 5 or 5s, 500ms, 2m [5s]",
     [](S s, V v) {
       return ParseDuration(v, kDurationMinNs, kDurationMaxNs, BareNumber::kSeconds,
                            &s.duration_ns);
     }},
    {"repeat", "", Form::kOne, "N",
     "Measure so many times, each after a warm-up and with new connections: the result has the "
     "mean "
     "and its 95 % confidence interval [1]",
     [](S s, V v) {
       std::uint64_t repeats = 0;
       std::string wrong = ParseCount(v, 1, kRepeatsMax, &repeats);
       if (wrong.empty()) s.repeats = static_cast<unsigned>(repeats);
       return wrong;
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
    {"arrivals", "", Form::kOne, "HOW",
     "Open loop: constant, the same time between any two operations; or poisson, independent "
     "arrivals at that mean rate [constant]",
     [](S s, V v) { return ParseWord(v, kArrivalWords, &s.arrivals); }},
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
    {"percentiles", "p", Form::kOne, "LIST",
     "Percentiles of the latency to report, like 50,99,99.99. One with fewer than ten operations "
     "above it makes the run not valid",
     &TakePercentiles},
    {"label", "", Form::kList, "NAME=VALUE",
     "Kept in the result, for what is known of the server, like server=nginx", &TakeLabel},
    {"json", "", Form::kOne, "FILE", "Write the result there as JSON; - is standard output",
     [](S s, V v) { return TakeFile(v, &s.output.json); }},
    {"hgrm", "", Form::kOne, "FILE",
     "Write the latency's percentile distribution there, as HdrHistogram's text, in microseconds",
     [](S s, V v) { return TakeFile(v, &s.output.hgrm); }},
    {"hlog", "", Form::kOne, "FILE",
     "Write the latencies of each interval there, as HdrHistogram's log (V2, compressed)",
     [](S s, V v) { return TakeFile(v, &s.output.hlog); }},
};

}  // namespace

const char* LoadModeName(LoadMode mode) { return WordOf(mode, kModeWords); }
const char* ArrivalsName(Arrivals arrivals) { return WordOf(arrivals, kArrivalWords); }

const char* LoadShare::word() const {
  for (const Word<ShareKind>& word : kShareWords) {
    if (word.value.mode == mode && word.value.resume == resume) return word.word;
  }
  return "?";
}

std::vector<LoadShare> LoadOptions::Shares() const {
  if (!mix.empty()) return mix;
  return {{.mode = mode.value_or(LoadMode::kRequest), .resume = resume}};
}

std::span<const CommandSetting<LoadOptions>> LoadSettings() { return kSettings; }

namespace {

std::string CheckDigest(const LoadOptions& options) {
  if (options.digest_user.empty()) {
    return options.digest_password_file.empty() ? "" : "--digest-password-file needs --digest USER";
  }
  for (const LoadShare& share : options.Shares()) {
    if (share.mode != LoadMode::kRequest && share.mode != LoadMode::kBulk) {
      return "--digest is for --mode request and bulk: a handshake has no request to sign, and the "
             "contexts stay with their connections";
    }
    if (!share.path.empty()) return "--digest signs requests for one path: leave out @PATH";
  }
  if (!options.request.method.empty() && options.request.method != "GET") {
    return "--digest signs GET only: leave out --method";
  }
  if (!options.digest_password.empty() && !options.digest_password_file.empty()) {
    return "--digest USER:PASSWORD and --digest-password-file exclude each other: give one";
  }
  return {};
}

std::string CheckRequest(const LoadOptions& options) {
  const LoadRequestOptions& request = options.request;
  if (!request.body.empty() && request.body_bytes != 0) {
    return "--body and --body-bytes exclude each other: give one";
  }
  const bool body = !request.body.empty() || request.body_bytes != 0;
  for (const LoadShare& share : options.Shares()) {
    if (!share.handshake()) {
      std::string wrong =
          CheckHttpAlpn(options.alpn, std::string("--mode ") + LoadModeName(share.mode));
      if (!wrong.empty()) return wrong + "; --mode handshake offers any name";
    }
    const bool uploads = share.mode == LoadMode::kUpload || body;
    if (uploads && (request.method == "HEAD" || request.method == "TRACE")) {
      return "a body and --method " + request.method + " exclude each other";
    }
  }
  if (body && !options.digest_user.empty()) {
    return "--digest signs requests without a body: leave out --body and --body-bytes";
  }
  return {};
}

}  // namespace

std::string CheckLoadOptions(const LoadOptions& options) {
  if (options.server.empty()) {
    return "a server is needed: ktlsim load https://localhost:8443/ or --connect HOST:PORT";
  }
  if (options.cert.empty() != options.key.empty()) {
    return "--cert and --key belong together: give both or none";
  }
  if (!options.mix.empty() && (options.mode || options.resume)) {
    return "--mix says what is done: leave out --mode and --resume";
  }
  const LoadMode mode = options.mode.value_or(LoadMode::kRequest);
  if (options.resume && mode != LoadMode::kHandshake && mode != LoadMode::kChurn) {
    return "--resume is for --mode handshake and churn: other requests stay on their connections";
  }
  if (options.mix.size() > options.connections) {
    return fmt::format("--mix has {} kinds, and --connections is {}: each kind needs one",
                       options.mix.size(), options.connections);
  }
  if (options.arrivals != Arrivals::kConstant && !options.open_loop()) {
    return "--arrivals is for an open loop: give --rate";
  }
  std::string wrong = CheckDigest(options);
  if (wrong.empty()) wrong = CheckRequest(options);
  return wrong;
}

}  // namespace ktlsim::command
