#include "kernel_sim/command/terminator.h"

#include <algorithm>
#include <utility>

namespace ktlsim::command {

using serve::LogLevel;

std::string TryConfig(const ServeConfig& config) {
  std::string error;
  const std::unique_ptr<serve::Log> log = serve::Log::Open(config.log, &error);
  if (log == nullptr) return "--log-file: " + error;
  serve::ConnectionLog connection_log(*log);
  for (const ListenerConfig& listener : config.listeners) {
    if (Outfit::Make(listener, nullptr, connection_log, &error) == nullptr) return error;
  }
  return {};
}

std::string Terminator::Plan(const ServeConfig& config, std::vector<Planned>* plan) {
  std::vector<Site*> replaced;
  for (const ListenerConfig& listener : config.listeners) {
    for (const std::string& address : listener.listen) {
      std::string error;
      replaced.push_back(FindSite(address, replaced));
      const Outfit* before = replaced.back() != nullptr ? replaced.back()->current() : nullptr;
      std::unique_ptr<Outfit> outfit = Outfit::Make(listener, before, connection_log_, &error);
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
  for (const auto& site : sites_) TellListening(*site);
  return {};
}

Site* Terminator::FindSite(const std::string& address, const std::vector<Site*>& taken) const {
  for (const auto& site : sites_) {
    const bool free = std::find(taken.begin(), taken.end(), site.get()) == taken.end();
    if (free && site->address() == address) return site.get();
  }
  return nullptr;
}

void Terminator::Reload(const ServeConfig& config) {
  std::vector<Planned> plan;
  std::string bad = Plan(config, &plan);
  std::vector<Site*> kept;  // one for each that is planned; null: a new one
  std::vector<std::unique_ptr<Site>> next;
  for (Planned& planned : plan) {
    if (!bad.empty()) break;
    kept.push_back(FindSite(planned.address, kept));
    if (kept.back() != nullptr) continue;
    auto site = std::make_unique<Site>(planned.address, connection_log_);
    bad = site->Start(std::move(planned.outfit), config.drain_ns);
    if (bad.empty()) next.push_back(std::move(site));
  }
  if (!bad.empty()) {
    for (const auto& site : next) site->Stop();
    NoteRefusedReload(bad);
    return;
  }
  for (const auto& site : next) TellListening(*site);
  for (std::size_t i = 0; i < plan.size(); ++i) {
    if (kept[i] == nullptr) continue;
    const std::string error = kept[i]->Replace(std::move(plan[i].outfit), config.drain_ns);
    if (!error.empty()) log_.Write(LogLevel::kError, "listener failed", {{"reason", error}});
  }
  TellWhatNeedsARestart(config);
  GoOnWith(kept, std::move(next));
  config_ = config;
  ++reloads_;
  log_.Write(LogLevel::kInfo, "reloaded", {{"listeners", std::to_string(sites_.size())}});
}

// What is neither `kept` nor `fresh` has no place in the new configuration, and drains while
// signals are heeded.
void Terminator::GoOnWith(const std::vector<Site*>& kept,
                          std::vector<std::unique_ptr<Site>> fresh) {
  std::size_t fresh_at = 0;
  std::vector<std::unique_ptr<Site>> next;
  for (Site* const wanted : kept) {
    std::unique_ptr<Site>& from =
        wanted == nullptr ? fresh[fresh_at++]
                          : *std::find_if(sites_.begin(), sites_.end(), [wanted](const auto& site) {
                              return site.get() == wanted;
                            });
    next.push_back(std::move(from));
  }
  sites_.swap(next);
  for (auto& site : next) {
    if (site == nullptr) continue;
    log_.Write(LogLevel::kInfo, "listener gone", {{"address", site->bound()}});
    site->BeginStop();
    retired_.push_back(std::move(site));
  }
  BuryRetired();
}

void Terminator::TellListening(const Site& site) {
  log_.Write(LogLevel::kInfo, "listening",
             {{"address", site.bound()}, {"mode", ServeModeName(site.mode())}});
}

void Terminator::NoteRefusedReload(const std::string& why) {
  ++reloads_refused_;
  log_.Write(LogLevel::kError, "reload refused, everything stays as it was", {{"reason", why}});
}

void Terminator::TellWhatNeedsARestart(const ServeConfig& config) {
  const auto tell = [this](const char* key) {
    log_.Write(LogLevel::kWarning, "takes effect with a restart only", {{"key", key}});
  };
  const StartupOptions& now = config.library;
  const StartupOptions& old = config_.library;
  if (now.processors != old.processors) tell("processors");
  if (now.pool != old.pool) tell("placement");
  if (now.crypto_processors != old.crypto_processors) tell("crypto-processors");
  if (now.queue_depth != old.queue_depth) tell("queue-depth");
  if (now.queue_wait_limit_ms != old.queue_wait_limit_ms) tell("queue-wait-limit");
  if (now.notify_threads_max != old.notify_threads_max) tell("notify-threads");
  if (now.pin_processors != old.pin_processors) tell("pin-processors");
  if (now.time_every_call != old.time_every_call) tell("time-every-call");
  if (config.log.file != config_.log.file) tell("log-file");
  if (config.log.level != config_.log.level) tell("log-level");
  if (config.log.json != config_.log.json) tell("log-json");
  if (config.json != config_.json) tell("json");
}

void Terminator::BuryRetired() {
  std::erase_if(retired_, [this](const std::unique_ptr<Site>& site) {
    if (!site->drained()) return false;
    site->Stop();
    past_ += site->Statistics();
    past_forward_ += site->ForwardStatistics();
    return true;
  });
}

void Terminator::Stop() {
  if (sites_.empty() && retired_.empty()) return;
  log_.Write(LogLevel::kInfo, "draining");
  for (const auto& site : sites_) site->BeginStop();
  for (const auto& site : sites_) site->Stop();
  for (const auto& site : retired_) site->Stop();
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
  for (const auto& site : retired_) {
    report.statistics += site->Statistics();
    report.forward += site->ForwardStatistics();
  }
  report.reloads = reloads_;
  report.reloads_refused = reloads_refused_;
  report.log_lines_lost = log_.lost();
  report.log_lines_left_out = connection_log_.suppressed();
  return report;
}

}  // namespace ktlsim::command
