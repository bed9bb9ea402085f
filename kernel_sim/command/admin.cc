#include "kernel_sim/command/admin.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>
#include <ctime>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/command/admin_page.h"
#include "kernel_sim/command/listen_check.h"
#include "kernel_sim/command/metrics_text.h"
#include "kernel_sim/command/socket_name.h"
#include "kernel_sim/command/terminator.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {
namespace {

using serve::AdminResponse;

constexpr std::string_view kPageFields =
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Content-Security-Policy: default-src 'none'; connect-src 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n";
constexpr std::string_view kTextFields =
    "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";

// Without a host, it is for this machine only.
std::string WithHost(std::string_view text) {
  return text.starts_with(':') ? fmt::format("127.0.0.1{}", text) : std::string(text);
}

std::string AdminPlace(std::string_view text) {
  return fmt::format("--admin {}: ", Printable(text));
}

std::string FindAddress(const std::string& text, SocketName* name, io::Address* address) {
  std::string wrong = ParseSocketName(WithHost(text), SocketUse::kListen, name);
  std::vector<io::Address> addresses;
  if (wrong.empty()) wrong = LookUp(*name, &addresses);
  if (!wrong.empty()) return AdminPlace(text) + wrong;
  *address = addresses.front();
  return {};
}

bool IsLoopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("[::1]:");
}

std::uint64_t UnixNowNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kNsPerSecond +
         static_cast<std::uint64_t>(now.tv_nsec);
}

AdminResponse TextPage(unsigned status, std::string_view text) {
  return {
      .status = status, .fields = kTextFields, .body = std::make_shared<const std::string>(text)};
}

}  // namespace

std::string CheckAdminAddress(std::string_view text) {
  SocketName name;
  std::string wrong = ParseSocketName(WithHost(text), SocketUse::kListen, &name);
  if (!wrong.empty()) return wrong;
  if (name.unix_socket.family() != 0) {
    return fmt::format("\"{}\": write HOST:PORT, or :PORT for 127.0.0.1", Printable(text));
  }
  return {};
}

bool NamesThisMachine(std::string_view host, std::string_view name) {
  if (host.starts_with('[')) return true;
  std::string named(host.substr(0, host.find_first_of(": \t")));
  if (named.ends_with('.')) named.pop_back();
  in_addr address{};
  return named.empty() || EqualsIgnoringCase(named, "localhost") ||
         EqualsIgnoringCase(named, name) || inet_pton(AF_INET, named.c_str(), &address) == 1;
}

std::string TryAdmin(const ServeConfig& config, std::vector<std::string>* warnings) {
  if (config.admin.empty()) return {};
  SocketName name;
  io::Address address;
  std::string wrong = FindAddress(config.admin, &name, &address);
  if (!wrong.empty()) return wrong;
  const Status outcome = TryListen(address, /*share=*/false);
  if (outcome.ok()) return {};
  if (outcome.code() != EADDRINUSE) {
    return AdminPlace(config.admin) + outcome.ToString() + "; " + ListenRemedy(address, outcome);
  }
  warnings->push_back(AdminPlace(config.admin) +
                      "in use, by a running server or by another program; a start needs it free");
  return {};
}

Admin::Admin(const Terminator& terminator, bool every_call)
    : terminator_(terminator),
      every_call_(every_call),
      started_unix_ns_(UnixNowNs()),
      page_(std::make_shared<const std::string>(AdminPage())) {}

std::unique_ptr<Admin> Admin::Start(const ServeConfig& config, const Terminator& terminator,
                                    std::string* error) {
  SocketName name;
  io::Address address;
  *error = FindAddress(config.admin, &name, &address);
  if (!error->empty()) return nullptr;
  std::unique_ptr<Admin> admin(new Admin(terminator, config.library.time_every_call));
  admin->name_ = name.host;
  admin->only_this_machine_ = IsLoopback(address.ToString());
  auto server = serve::AdminServer::Start(address, *admin);
  if (!server.ok()) {
    *error = AdminPlace(config.admin) + server.status().ToString() + "; " +
             (server.status().code() == EADDRINUSE
                  ? "end the program that listens there, or choose another port"
                  : ListenRemedy(address, server.status()));
    return nullptr;
  }
  admin->bound_ = (*server)->bound().ToString();
  admin->server_ = std::move(*server);
  return admin;
}

std::string Admin::Warning() const {
  if (IsLoopback(bound_)) return {};
  return fmt::format(
      "whoever reaches {} sees names of listeners and all figures: there is no authentication; a "
      "firewall, or a proxy that has one, should be in front",
      bound_);
}

AdminResponse Admin::Get(std::string_view path) {
  if (path == "/metrics") return Metrics();
  if (path == "/healthz") return TextPage(200, "ok\n");
  if (path == "/readyz") return Ready();
  if (path == "/") {
    return {.status = 200,
            .content_type = "text/html; charset=utf-8",
            .fields = kPageFields,
            .body = page_};
  }
  return TextPage(404, "there is /, /metrics, /healthz and /readyz\n");
}

AdminResponse Admin::Ready() const {
  switch (phase_.load(std::memory_order_relaxed)) {
    case ServePhase::kReady:
      return TextPage(200, "ready\n");
    case ServePhase::kStarting:
      return TextPage(503, "starting\n");
    case ServePhase::kDraining:
      break;
  }
  return TextPage(503, "draining\n");
}

// This thread tells also how well the server is, so it does not wait for what a reload or the end
// has to do.
AdminResponse Admin::Metrics() {
  const std::uint64_t now_ns = MonotonicClock::Now();
  const std::uint64_t age_ns = metrics_ == nullptr ? kUsableNs : now_ns - metrics_ns_;
  std::optional<ServeReport> report;
  if (age_ns >= kFreshNs) report = terminator_.TryReport();
  if (report) {
    ServeMetrics metrics;
    metrics.phase = phase_.load(std::memory_order_relaxed);
    metrics.started_unix_ns = started_unix_ns_;
    metrics.every_call = every_call_;
    metrics.report = std::move(*report);
    metrics.handshakes = terminator_.handshake_times().Read();
    metrics.handshakes_left_out = terminator_.handshake_times().left_out();
    metrics_ = std::make_shared<const std::string>(ServeMetricsText(metrics));
    metrics_ns_ = now_ns;
  } else if (age_ns >= kUsableNs) {
    return TextPage(503, "the figures are being changed: ask again\n");
  }
  return {.status = 200,
          .content_type = MetricsText::kContentType,
          .fields = kTextFields,
          .body = metrics_};
}

}  // namespace ktlsim::command
