#include "kernel_sim/command/serve_settings.h"

#include <algorithm>
#include <array>
#include <bit>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/command/admin.h"
#include "kernel_sim/command/library_settings.h"
#include "kernel_sim/command/similar.h"
#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/command/tls_words.h"
#include "kernel_sim/command/values.h"
#include "kernel_sim/context_store/redis_url.h"
#include "kernel_sim/serve/http_responder.h"

namespace ktlsim::command {
namespace {

using Form = SettingForm;

constexpr std::uint64_t kDurationMaxNs = 100 * 3600 * kNsPerSecond;

// ---- Values

template <typename Number>
std::string TakeNumber(const std::string& text, std::uint64_t min, std::uint64_t max,
                       Number* number) {
  std::uint64_t value = 0;
  std::string wrong = ParseCount(text, min, max, &value);
  if (wrong.empty()) *number = static_cast<Number>(value);
  return wrong;
}

template <typename Number>
std::string TakeSize(const std::string& text, std::uint64_t min, std::uint64_t max, Number* bytes) {
  std::uint64_t value = 0;
  std::string wrong = ParseSize(text, min, max, &value);
  if (wrong.empty()) *bytes = static_cast<Number>(value);
  return wrong;
}

std::string TakePowerOfTwo(const std::string& text, std::uint64_t min, std::uint64_t max,
                           std::size_t* count) {
  std::uint64_t value = 0;
  std::string wrong = ParseCount(text, min, max, &value);
  if (wrong.empty() && !std::has_single_bit(value)) {
    wrong = fmt::format("{} is no power of two; {} and {} are", value, std::bit_floor(value),
                        std::bit_ceil(value));
  }
  if (wrong.empty()) *count = static_cast<std::size_t>(value);
  return wrong;
}

std::string TakeRecordSize(const std::string& text, transport::RecordSizing* sizing) {
  if (text == "dynamic") {
    *sizing = transport::RecordSizing::Dynamic();
    return {};
  }
  std::uint32_t bytes = 0;
  std::string error = TakeSize(text, 64, 16384, &bytes);
  if (!error.empty()) return error + ", or \"dynamic\"";
  *sizing = transport::RecordSizing::Fixed(bytes);
  return {};
}

std::string TakeDuration(const std::string& text, std::uint64_t* ns) {
  return ParseDuration(text, 0, kDurationMaxNs, BareNumber::kRefused, ns);
}

std::string TakeText(const std::string& text, std::string* out) {
  if (text.empty()) return "a text that is not empty is needed";
  // What reads names ends there.
  if (text.find('\0') != std::string::npos) return "a text without a NUL character is needed";
  *out = text;
  return {};
}

std::string TakeMode(SettingScope& scope, const char* name, ServeMode mode) {
  for (const char* other : {"respond-bytes", "echo", "root", "upstream"}) {
    if (std::string_view(other) != name && scope.given.contains(other)) {
      return fmt::format("{} excludes {}: a listener does one thing, so give one of them", name,
                         other);
    }
  }
  scope.listener.mode = mode;
  return {};
}

// ---- One function per setting that needs more than a line

std::string ApplySni(SettingScope& scope, const std::string& value) {
  const std::size_t equals = value.find('=');
  const std::size_t comma = value.find(',', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || equals == 0 || comma == std::string::npos ||
      comma == equals + 1 || comma + 1 == value.size() || value.find('\0') != std::string::npos) {
    return fmt::format("\"{}\": write NAME=CERT,KEY, for example example.org=site.pem,site.key",
                       value);
  }
  scope.listener.sni.push_back({.name = value.substr(0, equals),
                                .cert_file = value.substr(equals + 1, comma - equals - 1),
                                .key_file = value.substr(comma + 1)});
  return {};
}

// What an outer scope has said about a folder.
void ForgetFolder(SettingScope& scope) {
  scope.listener.folder.path.clear();
  if (!scope.given.contains("acquire")) scope.listener.folder.acquire.reset();
  if (!scope.given.contains("certs-kept")) scope.listener.folder.kept.reset();
}

std::string ApplyCertDir(SettingScope& scope, const std::string& value) {
  ListenerConfig& listener = scope.listener;
  if (!scope.given.contains("cert")) listener.cert_file.clear();
  if (!scope.given.contains("key")) listener.key_file.clear();
  if (!scope.given.contains("self-signed")) listener.self_signed.clear();
  if (!scope.given.contains("sni")) listener.sni.clear();
  return TakeText(value, &listener.folder.path);
}

std::string ApplyUpstream(SettingScope& scope, const std::string& value) {
  std::string wrong = TakeMode(scope, "upstream", ServeMode::kForward);
  SocketName name;
  if (wrong.empty()) wrong = ParseSocketName(value, SocketUse::kConnect, &name);
  if (!wrong.empty()) return wrong;
  if (scope.listener.upstreams.size() == serve::kBackendsMax) {
    return fmt::format("more than {} backends", serve::kBackendsMax);
  }
  scope.listener.upstreams.push_back(value);
  return {};
}

std::string ApplyListen(SettingScope& scope, const std::string& value) {
  SocketName name;
  std::string wrong = ParseSocketName(value, SocketUse::kListen, &name);
  if (wrong.empty()) scope.listener.listen.push_back(value);
  return wrong;
}

std::string ApplyRespondBytes(SettingScope& scope, const std::string& value) {
  std::string wrong = TakeMode(scope, "respond-bytes", ServeMode::kRespond);
  return !wrong.empty()
             ? wrong
             : TakeSize(value, 0, serve::kBytesPathMax, &scope.listener.http.respond_bytes);
}

std::string ApplyRoot(SettingScope& scope, const std::string& value) {
  std::string wrong = TakeMode(scope, "root", ServeMode::kFiles);
  return !wrong.empty() ? wrong : TakeText(value, &scope.listener.root);
}

// As a line of a file of users has it, and short enough for a challenge.
std::string ApplyRealm(SettingScope& scope, const std::string& value) {
  constexpr std::size_t kRealmBytesMax = 256;
  std::string wrong = TakeText(value, &scope.listener.digest.realm);
  if (wrong.empty()) wrong = CheckOneLine(value);
  if (!wrong.empty()) return wrong;
  if (value.size() > kRealmBytesMax || value.find(':') != std::string::npos) {
    return fmt::format("\"{}\": a realm has at most {} bytes, and no colon", Printable(value),
                       kRealmBytesMax);
  }
  return {};
}

std::string ApplyDigestPath(SettingScope& scope, const std::string& value) {
  if (!value.starts_with('/') || value.find('\0') != std::string::npos) {
    return fmt::format("\"{}\": a path begins with a slash, such as /private", Printable(value));
  }
  const std::string closed = value + "/";
  if (value.find('%') != std::string::npos || closed.find("/./") != std::string::npos ||
      closed.find("/../") != std::string::npos) {
    return fmt::format("\"{}\": write the path decoded, without . and ..", Printable(value));
  }
  scope.listener.digest.paths.push_back(value);
  return {};
}

std::string ApplyContextStore(SettingScope& scope, const std::string& value) {
  StoreConfig& store = scope.config.store;
  store.url.clear();
  if (value == "memory") return {};
  context_store::RedisUrl url;
  std::string wrong = context_store::ParseRedisUrl(value, &url);
  if (!wrong.empty()) return wrong + "; or memory";
  store.url = value;
  return {};
}

std::string ApplyStoreWait(SettingScope& scope, const std::string& value) {
  std::uint64_t ns = 0;
  std::string wrong = ParseDuration(value, kNsPerMs, KTLSIM_DIGEST_WAIT_MS_MAX * kNsPerMs,
                                    BareNumber::kRefused, &ns);
  if (wrong.empty()) scope.config.store.wait_ms = static_cast<std::uint32_t>(ns / kNsPerMs);
  return wrong;
}

constexpr std::array kClientAuthWords = {Word<ClientAuth>{"none", ClientAuth::kNone},
                                         Word<ClientAuth>{"request", ClientAuth::kRequest},
                                         Word<ClientAuth>{"require", ClientAuth::kRequire}};
constexpr std::array kExpiredWords = {Word<bool>{"refuse", false}, Word<bool>{"serve", true}};
constexpr std::array kAcquireWords = {Word<AcquireWhen>{"first-use", AcquireWhen::kFirstUse},
                                      Word<AcquireWhen>{"start", AcquireWhen::kStart}};
constexpr std::array kBalanceWords = {
    Word<serve::Balance>{"round-robin", serve::Balance::kRoundRobin},
    Word<serve::Balance>{"least-connections", serve::Balance::kLeastConnections}};
constexpr std::array kFullWords = {Word<audit::FullPolicy>{"refuse", audit::FullPolicy::kRefuse},
                                   Word<audit::FullPolicy>{"count", audit::FullPolicy::kCount}};
constexpr std::array kLevelWords = {Word<serve::LogLevel>{"debug", serve::LogLevel::kDebug},
                                    Word<serve::LogLevel>{"info", serve::LogLevel::kInfo},
                                    Word<serve::LogLevel>{"warning", serve::LogLevel::kWarning},
                                    Word<serve::LogLevel>{"error", serve::LogLevel::kError},
                                    Word<serve::LogLevel>{"off", serve::LogLevel::kOff}};

using S = SettingScope&;
using V = const std::string&;

// In the order of --help.
constexpr Setting kOwnSettings[] = {
    {"listen", Form::kList, false, "H:P",
     "Where to listen; give it several times for several addresses. HOST:PORT, with every address "
     "that a name has at the start or reload; :PORT or *:PORT, every address of the machine, IPv4 "
     "and IPv6; unix:/PATH or unix:@NAME, a Unix-domain socket, whose file has the permissions "
     "that the umask leaves and is removed at the end. Port 0 lets the system choose one, which is "
     "printed",
     &ApplyListen},

    {"reuse-port", Form::kFlag, false, "",
     "Listen even where another program of the same user does, if that one shares the port "
     "(SO_REUSEPORT): connections go to either. Without it an address in use is refused. TCP only",
     [](S s, V v) {
       s.listener.reuse_port = v == "true";
       return std::string();
     }},

    {"cert", Form::kOne, false, "FILE", "Certificate chain, PEM, leaf first",
     [](S s, V v) {
       // An outer scope's setting gives way; one of this scope is a contradiction.
       if (!s.given.contains("self-signed")) s.listener.self_signed.clear();
       if (!s.given.contains("cert-dir")) ForgetFolder(s);
       return TakeText(v, &s.listener.cert_file);
     }},
    {"key", Form::kOne, false, "FILE", "Its private key, PEM, not encrypted",
     [](S s, V v) { return TakeText(v, &s.listener.key_file); }},
    {"self-signed", Form::kOne, false, "NAME",
     "Make a certificate for this DNS name or IP address instead",
     [](S s, V v) {
       if (!s.given.contains("cert")) s.listener.cert_file.clear();
       if (!s.given.contains("key")) s.listener.key_file.clear();
       if (!s.given.contains("cert-dir")) ForgetFolder(s);
       return TakeText(v, &s.listener.self_signed);
     }},
    {"cert-dir", Form::kOne, false, "DIR",
     "Certificates of a folder, by the name that a client asks for (SNI): NAME.crt and NAME.key, "
     "_.NAME.crt and _.NAME.key for *.NAME, default.crt and default.key for all others. PEM, as "
     "cert and key; NAME in lower case. Changed files are taken at their next use. Links out of "
     "the folder are refused",
     &ApplyCertDir},
    {"acquire", Form::kOne, false, "WHEN",
     "When certificates of cert-dir are read: first-use, when a client asks for the name, which "
     "waits meanwhile; start, all of them, and one that cannot be used is an error [first-use]",
     [](S s, V v) {
       AcquireWhen when{};
       std::string wrong = ParseWord(v, kAcquireWords, &when);
       if (wrong.empty()) s.listener.folder.acquire = when;
       return wrong;
     }},
    {"acquire-timeout", Form::kOne, false, "DURATION",
     "Longest wait of a client for a certificate of cert-dir [5s]",
     [](S s, V v) { return TakeDuration(v, &s.listener.limits.credential_ns); }},
    {"certs-kept", Form::kOne, false, "N",
     "Certificates of cert-dir kept at once with first-use, the most recently used ones; those not "
     "used for 10 minutes are let go. 0: all, for good [1024]",
     [](S s, V v) {
       std::uint32_t kept = 0;
       std::string wrong = TakeNumber(v, 0, 1000000, &kept);
       if (wrong.empty()) s.listener.folder.kept = kept;
       return wrong;
     }},
    {"key-type", Form::kOne, false, "TYPE",
     "Key of the self-signed certificate: ecdsa, rsa [ecdsa]",
     [](S s, V v) {
       constexpr std::array kWords = {Word<const char*>{"ecdsa", "ecdsa"},
                                      Word<const char*>{"rsa", "rsa"}};
       const char* type = "";
       std::string wrong = ParseWord(v, kWords, &type);
       if (wrong.empty()) s.listener.key_type = type;
       return wrong;
     }},
    {"sni", Form::kList, false, "NAME=CERT,KEY",
     "Another certificate, for clients that ask for this name (SNI); several times for more",
     &ApplySni},
    {"strict-sni", Form::kFlag, false, "",
     "Refuse a name that no certificate is for, with the alert unrecognized_name",
     [](S s, V v) {
       s.listener.strict_sni = v == "true";
       return std::string();
     }},
    {"client-auth", Form::kOne, false, "POLICY",
     "Certificates of clients: none, request, require [none]",
     [](S s, V v) { return ParseWord(v, kClientAuthWords, &s.listener.clients.auth); }},
    {"client-ca", Form::kOne, false, "FILE",
     "Trust anchors for clients' certificates, PEM; clients are sent the names in it, unless these "
     "take more than 16 KiB",
     [](S s, V v) { return TakeText(v, &s.listener.clients.ca_file); }},
    {"expired", Form::kOne, false, "WHAT",
     "A certificate that is out of date: refuse leaves out its listener or its name, and on SIGHUP "
     "keeps the listener as it was; serve presents it all the same. Both warn, and other listeners "
     "are not affected [refuse]",
     [](S s, V v) { return ParseWord(v, kExpiredWords, &s.listener.serve_expired); }},
    {"tls", Form::kOne, false, "VERSIONS", "Versions to offer: 1.2, 1.3, 1.2-1.3 [1.2-1.3]",
     [](S s, V v) { return ParseWord(v, kTlsWords, &s.listener.versions); }},
    {"alpn", Form::kList, false, "NAME,...",
     "Application protocols in order of preference; a client that offers others only is refused",
     [](S s, V v) { return ParseAlpn(v, &s.listener.alpn); }},
    {"tickets", Form::kOne, false, "N",
     "TLS 1.3 session tickets per handshake; 0 switches tickets of TLS 1.2 off, too [1]",
     [](S s, V v) {
       unsigned tickets = 0;
       std::string wrong = TakeNumber(v, 0, KTLSIM_TICKETS_MAX, &tickets);
       if (wrong.empty()) s.listener.tickets = tickets;
       return wrong;
     }},
    {"cipher-suites", Form::kOne, false, "LIST",
     "OpenSSL's names, with colons between them, in order of preference",
     [](S s, V v) { return TakeText(v, &s.listener.cipher_suites); }},
    {"groups", Form::kOne, false, "LIST",
     "Key exchange groups, with colons between them, in order of preference "
     "[X25519:P-256:P-384:P-521]",
     [](S s, V v) { return TakeText(v, &s.listener.groups); }},
    {"record-size", Form::kOne, false, "N|dynamic",
     "Most bytes of plaintext in a record; dynamic: what fits a segment at the start of a burst, "
     "then full size [16384]",
     [](S s, V v) { return TakeRecordSize(v, &s.listener.record_sizing); }},

    {"respond-bytes", Form::kOne, false, "N",
     "Answer each HTTP request with a body of N bytes; the path /bytes/<n> asks for n bytes, up to "
     "1 GiB",
     &ApplyRespondBytes},
    {"root", Form::kOne, false, "DIR", "Serve the files below this folder over HTTP", &ApplyRoot},
    {"upstream", Form::kList, false, "H:P",
     "Pass the plaintext on to this backend; give it several times for several backends. "
     "HOST:PORT, with every address that a name has at the start or reload as one backend each, or "
     "unix:/PATH",
     &ApplyUpstream},
    {"echo", Form::kFlag, false, "", "Send every byte back",
     [](S s, V v) { return v == "true" ? TakeMode(s, "echo", ServeMode::kEcho) : std::string(); }},

    {"digest-realm", Form::kOne, false, "NAME",
     "Over HTTP: serve the users of this realm only, who show with Digest authentication (RFC "
     "7616) "
     "who they are; once for all connections of a client",
     &ApplyRealm},
    {"digest-users", Form::kOne, false, "FILE",
     "The realm's users and the hashes of their passwords, as `ktlsim users` and Apache's htdigest "
     "write them; read again on SIGHUP",
     [](S s, V v) { return TakeText(v, &s.listener.digest.users_file); }},
    {"digest-sha256", Form::kFlag, false, "",
     "Offer SHA-256 first, for which the file has lines of their own, and MD5 second",
     [](S s, V v) {
       s.listener.digest.sha256 = v == "true";
       return std::string();
     }},
    {"digest-path", Form::kList, false, "PREFIX",
     "Protect this path and what is below it; several times for several [everything]",
     &ApplyDigestPath},

    {"acl", Form::kOne, false, "FILE",
     "Over HTTP: what a client may do is decided by the security descriptor of the path, which "
     "this "
     "TOML file has ([[path]] with prefix and sddl); read again on SIGHUP. Needs accounts, and "
     "client-auth or digest-realm or both",
     [](S s, V v) { return TakeText(v, &s.listener.clients.acl_file); }},
    {"accounts", Form::kOne, true, "FILE",
     "The directory of accounts and mapping rules by which clients of listeners with acl get their "
     "tokens, as `ktlsim accounts` keeps it; read again on SIGHUP",
     [](S s, V v) { return TakeText(v, &s.config.access.accounts_file); }},
    {"impersonate-os", Form::kFlag, true, "",
     "Open the files of root with the rights of the Unix user (unix-user) that the client's "
     "account "
     "has, and with nobody's (65534) for a client without one. Every listener with root needs acl. "
     "Needs CAP_SETUID and CAP_SETGID: run as root, or with "
     "systemd's AmbientCapabilities",
     [](S s, V v) {
       s.config.library.impersonate_os = v == "true";
       return std::string();
     }},
    {"audit", Form::kOne, true, "FILE",
     "Record there the accesses that the SACL of a path asks for, and who fails to log on with "
     "Digest, on any listener; `ktlsim audit verify` finds what was done to it",
     [](S s, V v) { return TakeText(v, &s.config.access.audit_file); }},
    {"audit-key", Form::kOne, true, "FILE",
     "The secret that a new trail begins with, 32 bytes or more; not needed, and may be gone, "
     "where one is "
     "continued",
     [](S s, V v) { return TakeText(v, &s.config.access.audit_key); }},
    {"audit-head", Form::kOne, true, "FILE",
     "The trail's sealed head [the trail's name with .head at its end]",
     [](S s, V v) { return TakeText(v, &s.config.access.audit_head); }},
    {"audit-full", Form::kOne, true, "HOW",
     "When the disk or the queue is full: refuse what cannot be recorded (503), or count it "
     "[refuse]",
     [](S s, V v) { return ParseWord(v, kFullWords, &s.config.access.audit_full); }},
    {"audit-rotate", Form::kOne, true, "N",
     "Begin a new file of the trail when it has so many bytes; the old ones are NAME.1, NAME.2 and "
     "so on; 0: never [0]",
     [](S s, V v) {
       return TakeSize(v, 0, std::uint64_t{1} << 40, &s.config.access.audit_rotate_bytes);
     }},
    {"audit-queue", Form::kOne, true, "N",
     "Records that may wait for the disk, a power of two from 2 to 1048576; each takes about 600 "
     "bytes of memory, and all long names together 1 KiB for each, or 8 MiB if that is more; half "
     "of it is the most for failed log-ons; what comes to a full queue is for audit-full [16384]",
     [](S s, V v) { return TakePowerOfTwo(v, 2, 1U << 20U, &s.config.access.audit_queue); }},

    {"balance", Form::kOne, false, "HOW",
     "Which backend is next: round-robin, least-connections [round-robin]",
     [](S s, V v) { return ParseWord(v, kBalanceWords, &s.listener.forward.balance); }},
    {"proxy-protocol", Form::kFlag, false, "",
     "Send the backend the client's identity first (PROXY protocol v2): addresses, ALPN, server "
     "name, "
     "TLS version and suite, whether a certificate was shown",
     [](S s, V v) {
       s.listener.forward.proxy_protocol = v == "true";
       return std::string();
     }},
    {"connect-timeout", Form::kOne, false, "DURATION", "Longest wait for a backend to accept [5s]",
     [](S s, V v) { return TakeDuration(v, &s.listener.forward.connect_ns); }},
    {"upstream-connections", Form::kOne, false, "N",
     "Connections to one backend at most; 0: no limit [0]",
     [](S s, V v) {
       return TakeNumber(v, 0, 1000000, &s.listener.forward.connections_per_backend_max);
     }},

    {"leg-timeout", Form::kOne, false, "DURATION", "Longest wait for one handshake message [10s]",
     [](S s, V v) { return TakeDuration(v, &s.listener.limits.leg_ns); }},
    {"handshake-timeout", Form::kOne, false, "DURATION", "Longest whole handshake [30s]",
     [](S s, V v) { return TakeDuration(v, &s.listener.limits.handshake_ns); }},
    {"idle-timeout", Form::kOne, false, "DURATION",
     "Longest time in which an established connection carries no plaintext either way [2m]",
     [](S s, V v) { return TakeDuration(v, &s.listener.limits.idle_ns); }},
    {"record-timeout", Form::kOne, false, "DURATION",
     "Longest time from the first byte of a record to its last, once established [30s]",
     [](S s, V v) { return TakeDuration(v, &s.listener.limits.record_ns); }},
    {"head-timeout", Form::kOne, false, "DURATION",
     "HTTP: longest time from the first byte of a request to the end of its head [10s]",
     [](S s, V v) { return TakeDuration(v, &s.listener.http.times.head_ns); }},
    {"request-timeout", Form::kOne, false, "DURATION",
     "HTTP: longest time from the first byte of a request to the end of its body [5m]",
     [](S s, V v) { return TakeDuration(v, &s.listener.http.times.request_ns); }},
    {"min-body-rate", Form::kOne, false, "N",
     "HTTP: bytes per second that the body of a request brings at least, in any 5 seconds; 0: no "
     "limit [240]",
     [](S s, V v) { return TakeSize(v, 0, 1U << 30, &s.listener.http.times.body_rate_min); }},
    {"close-timeout", Form::kOne, false, "DURATION",
     "Longest wait for the client's close after ours [2s]",
     [](S s, V v) { return TakeDuration(v, &s.listener.limits.close_ns); }},
    {"max-connections", Form::kOne, false, "N",
     "Connections open at once; further ones wait in the listen backlog; 0: no limit [0]",
     [](S s, V v) { return TakeNumber(v, 0, 100000000, &s.listener.max_connections); }},
    {"max-handshakes", Form::kOne, false, "N",
     "Handshakes in progress per processor (those that wait for the client's next flight do not "
     "count); further connections wait in the listen backlog; 0: no limit [512]",
     [](S s, V v) { return TakeNumber(v, 0, 1000000, &s.listener.max_handshakes); }},
    {"backlog", Form::kOne, false, "N",
     "Connections that may wait to be accepted, per processor [4096]",
     [](S s, V v) { return TakeNumber(v, 1, 1000000, &s.listener.backlog); }},

    {"context-store", Form::kOne, true, "URL",
     "Where Digest keeps who has authenticated, and TLS its sessions and ticket keys: memory, or "
     "redis://HOST:PORT, which several servers share; rediss:// (over TLS), "
     "redis+sentinel:// and unix:// too. A password in it belongs into the file of --config "
     "[memory]",
     &ApplyContextStore},
    {"context-store-ca", Form::kOne, true, "FILE",
     "The issuers that a context store over TLS may have its certificate from, PEM [the system's]",
     [](S s, V v) { return TakeText(v, &s.config.store.ca_file); }},
    {"context-store-wait", Form::kOne, true, "DURATION",
     "The longest that a request or a handshake waits for the context store [2s]", &ApplyStoreWait},
    {"node-key", Form::kOne, true, "FILE",
     "The secret of all servers of a context store, 32 bytes or more, under which what is in it is "
     "sealed",
     [](S s, V v) { return TakeText(v, &s.config.store.node_key); }},
    {"node-key-previous", Form::kOne, true, "FILE",
     "The secret before it, which is still taken, so that one server after the other gets the new "
     "one",
     [](S s, V v) { return TakeText(v, &s.config.store.previous_node_key); }},

    {"drain-timeout", Form::kOne, true, "DURATION",
     "At the end: how long connections may take to finish [5s]",
     [](S s, V v) { return TakeDuration(v, &s.config.drain_ns); }},
    {"log-level", Form::kOne, true, "LEVEL", "debug, info, warning, error, off [info]",
     [](S s, V v) { return ParseWord(v, kLevelWords, &s.config.log.level); }},
    {"log-file", Form::kOne, true, "FILE",
     "Append the log there instead of standard error, not to a FIFO; opened again on SIGHUP. Lines "
     "that cannot be written are counted",
     [](S s, V v) { return TakeText(v, &s.config.log.file); }},
    {"log-json", Form::kFlag, true, "", "Log a JSON object a line",
     [](S s, V v) {
       s.config.log.json = v == "true";
       return std::string();
     }},
    {"admin", Form::kOne, true, "A:P",
     "Serve operators there over plain HTTP: / is a live page, /metrics is for Prometheus, "
     "/healthz "
     "and /readyz say whether the server works and whether it accepts connections. :PORT is "
     "127.0.0.1 here, and there only a Host that is an address, localhost or the name given is "
     "answered. There is no authentication: name another address only behind a firewall",
     [](S s, V v) {
       std::string wrong = CheckAdminAddress(v);
       if (wrong.empty()) s.config.admin = v;
       return wrong;
     }},
    {"json", Form::kOne, true, "FILE", "Write the statistics there at the end and on SIGUSR1",
     [](S s, V v) { return TakeText(v, &s.config.json); }},
};

// What a list had before, from an outer scope.
void ClearList(const Setting& setting, ListenerConfig& listener) {
  const std::string_view name = setting.name;
  if (name == "listen") listener.listen.clear();
  if (name == "sni") listener.sni.clear();
  if (name == "alpn") listener.alpn.clear();
  if (name == "upstream") listener.upstreams.clear();
  if (name == "digest-path") listener.digest.paths.clear();
}

// A setting of the library as one of `serve`, which takes it as an option and as a key.
template <auto kTable, std::size_t kIndex>
Setting FromLibrary() {
  const CommandSetting<StartupOptions>& from = kTable()[kIndex];
  return {
      from.name,           from.form,
      /*of_process=*/true, from.value_name,
      from.help,           [](S s, V v) {
            return kTable()[kIndex].apply(s.config.library, v); }};
}

template <auto kTable, std::size_t... kIndices>
void AppendLibrary(std::vector<Setting>* settings, std::index_sequence<kIndices...>) {
  (settings->push_back(FromLibrary<kTable, kIndices>()), ...);
}

std::vector<Setting> MakeSettings() {
  std::vector<Setting> settings(std::begin(kOwnSettings), std::end(kOwnSettings));
  AppendLibrary<&PlacementSettings>(&settings, std::make_index_sequence<kPlacementSettings>());
  AppendLibrary<&KeyLogSettings>(&settings, std::make_index_sequence<kKeyLogSettings>());
  AppendLibrary<&TraceSettings>(&settings, std::make_index_sequence<kTraceSettings>());
  AppendLibrary<&NotifySettings>(&settings, std::make_index_sequence<kNotifySettings>());
  AppendLibrary<&LibrarySettings>(&settings, std::make_index_sequence<kLibrarySettings>());
  return settings;
}

}  // namespace

std::span<const Setting> ServeSettings() {
  static const std::vector<Setting> settings = MakeSettings();
  return settings;
}

const Setting* FindSetting(std::string_view name) {
  for (const Setting& setting : ServeSettings()) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

std::string SimilarSetting(std::string_view name) {
  std::vector<std::string> names;
  for (const Setting& setting : ServeSettings()) names.emplace_back(setting.name);
  return SimilarName(name, names);
}

std::string ApplySetting(const Setting& setting, SettingScope& scope, const std::string& value) {
  if (!scope.given.contains(setting.name)) {
    scope.listener.places.Forget(setting.name);
    if (setting.form == Form::kList) ClearList(setting, scope.listener);
  }
  std::string wrong = setting.apply(scope, value);
  if (wrong.empty()) scope.given.insert(setting.name);
  return wrong;
}

}  // namespace ktlsim::command
