// Admin: `ktlsim serve --admin`: what operators and Prometheus see of a server, over HTTP.
//
//   /         a live page: rates, latencies, lanes (admin_page.h)
//   /metrics  everything, for Prometheus (serve_metrics.h)
//   /healthz  200 while the process works
//   /readyz   200 while connections are accepted, 503 before that and from the beginning of the
//             drain on
//
// There is no authentication. So an address without a host is 127.0.0.1 here, and not every
// address, as it is for listeners. And a loopback address answers only those who name this machine:
// a web page's own name can be made to lead here (DNS rebinding), and then the page could read all.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/command/serve_metrics.h"
#include "kernel_sim/serve/admin_server.h"

namespace ktlsim::command {

class Terminator;

// Empty: `text` is a place for an admin server; else what is wrong and what would be right.
std::string CheckAdminAddress(std::string_view text);
// Whether `host`, the value of a field Host of good form, names the machine that one is on: empty,
// `localhost`, an address, or `name` (a name or an address, perhaps empty); any port.
bool NamesThisMachine(std::string_view host, std::string_view name);
// Looks whether it could listen as `config` has it; an address in use is a warning only. Empty: all
// is well; else what is wrong and the remedy. Passive level.
std::string TryAdmin(const ServeConfig& config, std::vector<std::string>* warnings);

class Admin final : private serve::AdminPages {
 public:
  // `terminator` outlives it. Null: *error says what is wrong and the remedy. Passive level; the
  // library is started.
  static std::unique_ptr<Admin> Start(const ServeConfig& config, const Terminator& terminator,
                                      std::string* error);
  virtual ~Admin() = default;

  // Any thread.
  void set_phase(ServePhase phase) { phase_.store(phase, std::memory_order_relaxed); }
  const std::string& bound() const { return bound_; }
  // Empty: only this machine reaches it; else what that means, in words.
  std::string Warning() const;

 private:
  // However often it is asked for: of which age metrics may be.
  static constexpr std::uint64_t kFreshNs = 100 * kNsPerMs;
  // The same while a reload or the end changes what they are made of.
  static constexpr std::uint64_t kUsableNs = 5 * kNsPerSecond;

  explicit Admin(const Terminator& terminator, bool every_call);
  serve::AdminResponse Get(std::string_view path) override;
  bool Admits(std::string_view host) override {
    return !only_this_machine_ || NamesThisMachine(host, name_);
  }
  serve::AdminResponse Metrics();
  serve::AdminResponse Ready() const;

  const Terminator& terminator_;
  const bool every_call_;
  const std::uint64_t started_unix_ns_;
  // Set before the server answers.
  std::string name_;  // as it is configured
  bool only_this_machine_ = true;
  std::string bound_;
  std::atomic<ServePhase> phase_{ServePhase::kStarting};
  // The server's thread.
  std::shared_ptr<const std::string> page_;
  std::shared_ptr<const std::string> metrics_;
  std::uint64_t metrics_ns_ = 0;
  std::unique_ptr<serve::AdminServer> server_;  // ends first
};

}  // namespace ktlsim::command
