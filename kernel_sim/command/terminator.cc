#include "kernel_sim/command/terminator.h"

#include <utility>

namespace ktlsim::command {

using serve::LogLevel;

std::string TryConfig(const ServeConfig& config) {
  std::string error;
  const std::unique_ptr<serve::Log> log = serve::Log::Open(config.log, &error);
  if (log == nullptr) return "--log-file " + error + "; name a file in a folder that exists";
  serve::ConnectionLog connection_log(*log);
  for (const ListenerConfig& listener : config.listeners) {
    if (Outfit::Make(listener, connection_log, &error) == nullptr) return error;
  }
  return {};
}

std::string Terminator::Plan(const ServeConfig& config, std::vector<Planned>* plan) {
  for (const ListenerConfig& listener : config.listeners) {
    for (const std::string& address : listener.listen) {
      std::string error;
      std::unique_ptr<Outfit> outfit = Outfit::Make(listener, connection_log_, &error);
      if (outfit == nullptr) return error;
      plan->push_back({address, std::move(outfit)});
    }
  }
  return {};
}

std::string Terminator::Start(const ServeConfig& config) {
  config_ = config;
  std::vector<Planned> plan;
  std::string error = Plan(config, &plan);
  for (Planned& planned : plan) {
    if (!error.empty()) break;
    auto site = std::make_unique<Site>(planned.address, connection_log_);
    error = site->Start(std::move(planned.outfit), config.drain_ns);
    if (error.empty()) sites_.push_back(std::move(site));
  }
  if (!error.empty()) {
    Stop();
    return error;
  }
  for (const auto& site : sites_) {
    log_.Write(LogLevel::kInfo, "listening",
               {{"address", site->bound()}, {"mode", ServeModeName(site->mode())}});
  }
  return {};
}

std::unique_ptr<Site> Terminator::TakeSite(const std::string& address) {
  for (auto site = sites_.begin(); site != sites_.end(); ++site) {
    if ((*site)->address() != address) continue;
    std::unique_ptr<Site> taken = std::move(*site);
    sites_.erase(site);
    return taken;
  }
  return nullptr;
}

void Terminator::Reload(const ServeConfig& config) {
  std::vector<Planned> plan;
  const std::string bad = Plan(config, &plan);
  if (!bad.empty()) {
    NoteRefusedReload(bad);
    return;
  }
  TellWhatNeedsARestart(config);
  std::vector<std::unique_ptr<Site>> next;
  for (Planned& planned : plan) {
    std::unique_ptr<Site> site = TakeSite(planned.address);
    const bool kept = site != nullptr;
    if (!kept) site = std::make_unique<Site>(planned.address, connection_log_);
    const std::string error = kept ? site->Replace(std::move(planned.outfit), config.drain_ns)
                                   : site->Start(std::move(planned.outfit), config.drain_ns);
    if (!error.empty()) log_.Write(LogLevel::kError, "listener failed", {{"reason", error}});
    if (!kept && error.empty()) {
      log_.Write(LogLevel::kInfo, "listening",
                 {{"address", site->bound()}, {"mode", ServeModeName(site->mode())}});
    }
    if (kept || error.empty()) next.push_back(std::move(site));
  }
  sites_.swap(next);
  // What is left has no place in the new configuration. Last, because draining takes its time.
  for (const auto& site : next) {
    log_.Write(LogLevel::kInfo, "listener gone", {{"address", site->bound()}});
    Retire(*site);
  }
  config_ = config;
  ++reloads_;
  log_.Write(LogLevel::kInfo, "reloaded", {{"listeners", std::to_string(sites_.size())}});
}

void Terminator::NoteRefusedReload(const std::string& why) {
  ++reloads_refused_;
  log_.Write(LogLevel::kError, "reload refused, everything stays as it was", {{"reason", why}});
}

void Terminator::TellWhatNeedsARestart(const ServeConfig& config) {
  const auto tell = [this](const char* key) {
    log_.Write(LogLevel::kWarning, "takes effect with a restart only", {{"key", key}});
  };
  if (config.processors != config_.processors) tell("processors");
  if (config.pool != config_.pool) tell("placement");
  if (config.log.file != config_.log.file) tell("log-file");
  if (config.log.level != config_.log.level) tell("log-level");
  if (config.log.json != config_.log.json) tell("log-json");
  if (config.json != config_.json) tell("json");
}

void Terminator::Retire(Site& site) {
  site.Stop();
  past_ += site.Statistics();
  past_forward_ += site.ForwardStatistics();
}

void Terminator::Stop() {
  if (sites_.empty()) return;
  log_.Write(LogLevel::kInfo, "draining");
  for (const auto& site : sites_) site->Stop();
}

ServeReport Terminator::Report() const {
  ServeReport report;
  report.statistics = past_;
  report.forward = past_forward_;
  for (const auto& site : sites_) {
    report.sites.push_back({site->bound(), ServeModeName(site->mode()), site->Statistics()});
    report.statistics += report.sites.back().statistics;
    report.forward += site->ForwardStatistics();
  }
  report.reloads = reloads_;
  report.reloads_refused = reloads_refused_;
  report.log_lines_lost = log_.lost();
  report.log_lines_left_out = connection_log_.suppressed();
  return report;
}

}  // namespace ktlsim::command
