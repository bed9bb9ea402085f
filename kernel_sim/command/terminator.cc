#include "kernel_sim/command/terminator.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include "io/address.h"
#include "kernel_sim/command/listen_check.h"
#include "kernel_sim/sspi/packages/tls_package.h"

namespace ktlsim::command {

using serve::LogLevel;

namespace {

constexpr const char* kOutOfMemory = "out of memory";

const Identity* Find(const std::vector<ServePlan::Predecessor>& predecessors, const Site::Id& id) {
  const auto found = std::ranges::find(predecessors, id, &ServePlan::Predecessor::id);
  return found != predecessors.end() ? found->identity.get() : nullptr;
}

ServePlan MakePlan(ServeConfig config, const std::vector<ServePlan::Predecessor>& predecessors,
                   OutfitShare shared, const std::atomic<bool>* given_up) {
  ServePlan plan;
  plan.config = std::move(config);
  plan.error = ResolveNames(&plan.config);
  const std::string& accounts = plan.config.access.accounts_file;
  if (plan.error.empty() && !accounts.empty()) plan.error = LoadAccounts(accounts, &plan.accounts);
  if (!plan.error.empty()) return plan;
  shared.directory = plan.accounts.directory.get();
  bool any = false;
  std::map<std::string, std::size_t> occurrences;
  for (const ListenerConfig& listener : plan.config.listeners) {
    for (const ListenerConfig::Door& door : listener.doors) {
      if (given_up != nullptr && given_up->load(std::memory_order_relaxed)) {
        plan.error = "given up";
        return plan;
      }
      std::string error;
      CredentialFindings findings;
      const std::string address = door.address.ToString();
      const Site::Id id{address, occurrences[address]++};
      std::unique_ptr<Outfit> outfit =
          Outfit::Make(listener, Find(predecessors, id), shared, &error, &findings);
      if (outfit == nullptr && !findings.out_of_date) {
        plan.error = error;
        return plan;
      }
      if (outfit == nullptr) plan.warnings.push_back(error + "; the listener is left out");
      for (std::string& warning : findings.warnings) plan.warnings.push_back(std::move(warning));
      any = any || outfit != nullptr;
      plan.places.push_back({id, std::move(outfit)});
    }
  }
  if (!any) plan.error = plan.warnings.empty() ? "there is no listener" : plan.warnings.front();
  return plan;
}

// Accounts are read again.
bool AuditsAlike(AccessConfig a, const AccessConfig& b) {
  a.accounts_file = b.accounts_file;
  return a == b;
}

std::string TryAddresses(const ServeConfig& config, std::vector<std::string>* warnings) {
  for (const ListenerConfig& listener : config.listeners) {
    for (const ListenerConfig::Door& door : listener.doors) {
      const Status outcome = TryListen(door.address, listener.reuse_port);
      if (outcome.ok()) continue;
      const std::string place = PlaceOf(listener, door);
      if (outcome.code() != EADDRINUSE) {
        return place + outcome.ToString() + "; " + ListenRemedy(door.address, outcome);
      }
      warnings->push_back(place +
                          "in use, by a running server or by another program; a start needs it "
                          "free" +
                          (door.address.is_unix() ? "" : ", or shared by both (--reuse-port)"));
    }
  }
  return {};
}

}  // namespace

std::string TryConfig(const ServeConfig& config, std::vector<std::string>* warnings) {
  std::string error;
  const std::unique_ptr<serve::Log> log = serve::Log::Open(config.log, &error);
  if (log == nullptr) return "--log-file: " + error;
  serve::ConnectionLog connection_log(*log);
  serve::DigestContexts digest_contexts;
  Realms realms;
  std::unique_ptr<AccessControl> access;
  if (!config.access.accounts_file.empty()) {
    access = AccessControl::Start(config.access, AccessControl::Purpose::kCheck, &error);
    if (access == nullptr) return error;
  }
  ServePlan plan = MakePlan(config, {},
                            {.log = connection_log,
                             .contexts = digest_contexts,
                             .realms = realms,
                             .access = access.get()},
                            nullptr);
  *warnings = std::move(plan.warnings);
  return !plan.error.empty() ? plan.error : TryAddresses(plan.config, warnings);
}

ServePlan Terminator::Plan(ServeConfig config, const std::atomic<bool>* given_up) {
  try {
    std::vector<ServePlan::Predecessor> predecessors;
    {
      MutexLock lock(mutex_);
      predecessors = predecessors_;
    }
    const OutfitShare shared{.log = connection_log_,
                             .contexts = digest_contexts_,
                             .realms = realms_,
                             .store_wait_ms = config.store.wait_ms,
                             .access = access_};
    return MakePlan(std::move(config), predecessors, shared, given_up);
  } catch (const std::bad_alloc&) {
    ServePlan plan;
    plan.error = kOutOfMemory;
    return plan;
  }
}

std::string Terminator::Start(ServePlan plan) {
  std::string error = std::move(plan.error);
  try {
    if (error.empty()) error = StartSites(plan);
  } catch (const std::bad_alloc&) {
    error = kOutOfMemory;
  }
  if (!error.empty()) {
    Stop();
    return error;
  }
  Warn(plan);
  for (const auto& site : sites_) TellListening(*site);
  return {};
}

std::unique_ptr<Site> Terminator::NewSite(const Site::Id& id) {
  return std::make_unique<Site>(id, connection_log_, notify_mode_,
                                config_.admin.empty() ? nullptr : &handshake_times_);
}

std::string Terminator::StartSites(ServePlan& plan) {
  config_ = plan.config;
  notify_mode_ = config_.library.notify_mode;
  if (access_ != nullptr) access_->Use(plan.accounts);
  std::vector<ServePlan::Predecessor> predecessors;
  for (ServePlan::Place& place : plan.places) {
    if (place.outfit == nullptr) continue;
    std::unique_ptr<Site> site = NewSite(place.id);
    std::string error =
        site->Start(std::move(place.outfit), config_.drain_ns, IsOurs(place.id.address, {}));
    if (!error.empty()) return error;
    predecessors.push_back({site->id(), site->identity()});
    MutexLock lock(figures_mutex_);
    sites_.push_back(std::move(site));
  }
  SetPredecessors(predecessors);
  return {};
}

void Terminator::SetPredecessors(std::vector<ServePlan::Predecessor>& predecessors) {
  MutexLock lock(mutex_);
  predecessors_.swap(predecessors);
}

Site* Terminator::FindSite(const Site::Id& id) const {
  for (const auto& site : sites_) {
    if (site->id() == id) return site.get();
  }
  return nullptr;
}

bool Terminator::IsOurs(const std::string& address,
                        const std::vector<std::unique_ptr<Site>>& fresh) const {
  const io::Address wanted = io::Address::Parse(address).value();
  const auto meets = [&wanted](const std::unique_ptr<Site>& site) {
    return AddressesMeet(wanted, io::Address::Parse(site->bound()).value());
  };
  return std::ranges::any_of(sites_, meets) || std::ranges::any_of(retired_, meets) ||
         std::ranges::any_of(fresh, meets);
}

void Terminator::Reload(ServePlan plan) {
  Change change;
  std::string bad = std::move(plan.error);
  try {
    if (bad.empty()) bad = PrepareAll(plan, &change);
  } catch (const std::bad_alloc&) {
    bad = kOutOfMemory;
  }
  if (!bad.empty()) {
    TakeBack(change);
    NoteRefusedReload(bad);
    return;
  }
  Warn(plan);
  for (const auto& site : change.fresh) TellListening(*site);
  TakeAccess(plan.accounts, change);
  {
    MutexLock lock(figures_mutex_);
    for (Site* const site : change.kept) {
      if (site != nullptr && site->prepared()) site->Commit();
    }
    ++reloads_;
  }
  TellWhatNeedsARestart(plan.config);
  GoOnWith(change);
  TakeUsers(change);
  SetPredecessors(change.predecessors);
  config_ = std::move(plan.config);
  log_.Write(LogLevel::kInfo, "reloaded", {{"listeners", std::to_string(sites_.size())}});
}

// On all connections, also the older ones. A context goes on with the key that its user had. So
// when a user has gone, or has another password, all contexts end: who is still a user is
// challenged once more, and does not notice.
void Terminator::TakeUsers(const Change& change) {
  bool lost = false;
  for (const auto& [users, realm] : change.users) lost = users->Use(realm) || lost;
  if (!lost) return;
  digest_contexts_.DeleteAll();
  log_.Write(LogLevel::kInfo, "users have gone or changed: all clients authenticate again");
}

// The policy first: a path that is closed to somebody is so before the accounts change.
void Terminator::TakeAccess(const LoadedAccounts& accounts, const Change& change) {
  for (const auto& [policies, policy] : change.policies) policies->Use(policy);
  if (access_ != nullptr) access_->Use(accounts);
}

std::string Terminator::PrepareAll(ServePlan& plan, Change* change) {
  MutexLock lock(figures_mutex_);
  return Prepare(plan, change);
}

// Everything that can fail, including for lack of memory.
std::string Terminator::Prepare(ServePlan& plan, Change* change) {
  change->kept.reserve(plan.places.size());
  change->fresh.reserve(plan.places.size());
  change->sites.reserve(plan.places.size());
  change->predecessors.reserve(plan.places.size());
  change->users.reserve(plan.places.size());
  change->policies.reserve(plan.places.size());
  retired_.reserve(retired_.size() + sites_.size());
  for (ServePlan::Place& place : plan.places) {
    std::string error = PreparePlace(place, plan.config.drain_ns, change);
    if (!error.empty()) return error;
  }
  return {};
}

std::string Terminator::PreparePlace(ServePlan::Place& place, std::uint64_t drain_ns,
                                     Change* change) {
  Site* const site = FindSite(place.id);
  if (place.outfit != nullptr) {
    if (place.outfit->realm() != nullptr) {
      change->users.emplace_back(place.outfit->users(), place.outfit->realm());
    }
    if (place.outfit->policy() != nullptr) {
      change->policies.emplace_back(place.outfit->policies(), place.outfit->policy());
    }
    change->predecessors.push_back({place.id, place.outfit->identity()});
  } else if (site != nullptr) {
    change->predecessors.push_back({place.id, site->identity()});
  }
  if (site != nullptr) {
    change->kept.push_back(site);
    return place.outfit != nullptr ? site->Prepare(std::move(place.outfit), drain_ns)
                                   : std::string();
  }
  if (place.outfit == nullptr) return {};
  std::unique_ptr<Site> fresh = NewSite(place.id);
  std::string error =
      fresh->Start(std::move(place.outfit), drain_ns, IsOurs(place.id.address, change->fresh));
  if (!error.empty()) return error;
  change->kept.push_back(nullptr);
  change->fresh.push_back(std::move(fresh));
  return {};
}

void Terminator::TakeBack(Change& change) {
  for (const auto& site : change.fresh) site->Stop();
  MutexLock lock(figures_mutex_);
  for (Site* const site : change.kept) {
    if (site != nullptr) site->Forget();
  }
}

void Terminator::Warn(const ServePlan& plan) {
  for (const std::string& warning : plan.warnings) {
    log_.Write(LogLevel::kWarning, "a certificate needs attention", {{"reason", warning}});
  }
}

// A site that is neither kept nor fresh is not in the new configuration, and drains while signals
// are handled.
void Terminator::GoOnWith(Change& change) {
  MutexLock lock(figures_mutex_);
  std::size_t fresh_at = 0;
  for (Site* const wanted : change.kept) {
    std::unique_ptr<Site>& from =
        wanted == nullptr ? change.fresh[fresh_at++]
                          : *std::find_if(sites_.begin(), sites_.end(), [wanted](const auto& site) {
                              return site.get() == wanted;
                            });
    change.sites.push_back(std::move(from));
  }
  sites_.swap(change.sites);
  for (auto& site : change.sites) {
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
  {
    MutexLock lock(figures_mutex_);
    ++reloads_refused_;
  }
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
  if (now.notify_mode != old.notify_mode) tell("notify");
  if (now.notify_threads_max != old.notify_threads_max) tell("notify-threads");
  if (now.pin_processors != old.pin_processors) tell("pin-processors");
  if (now.time_every_call != old.time_every_call) tell("time-every-call");
  if (now.impersonate_os != old.impersonate_os) tell("impersonate-os");
  if (now.key_log != old.key_log) tell("key-log");
  if (now.trace != old.trace) tell("trace");
  if (config.store != config_.store) tell("context-store");
  if (!AuditsAlike(config.access, config_.access)) tell("audit");
  if (config.log.file != config_.log.file) tell("log-file");
  if (config.log.level != config_.log.level) tell("log-level");
  if (config.log.json != config_.log.json) tell("log-json");
  if (config.json != config_.json) tell("json");
  if (config.admin != config_.admin) tell("admin");
}

void Terminator::BuryRetired() {
  std::erase_if(retired_, [this](const std::unique_ptr<Site>& site) {
    if (!site->drained()) return false;
    site->Stop();
    past_ += site->Statistics();
    past_services_ += site->Services();
    return true;
  });
}

void Terminator::Stop() {
  if ((sites_.empty() && retired_.empty()) || std::exchange(stopped_, true)) return;
  log_.Write(LogLevel::kInfo, "draining");
  for (const auto& site : sites_) site->BeginStop();
  for (const auto& site : sites_) site->AwaitConnections();
  for (const auto& site : retired_) site->AwaitConnections();
  MutexLock lock(figures_mutex_);
  for (const auto& site : sites_) site->Stop();
  for (const auto& site : retired_) site->Stop();
}

ServeReport Terminator::Report() const {
  MutexLock lock(figures_mutex_);
  return MakeReport();
}

std::optional<ServeReport> Terminator::TryReport() const {
  const std::unique_lock lock(figures_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return std::nullopt;
  return MakeReport();
}

ServeReport Terminator::MakeReport() const {
  ServeReport report;
  report.statistics = past_;
  report.services = past_services_;
  for (const auto& site : sites_) {
    report.sites.push_back({site->bound(), ServeModeName(site->mode()), site->facts(),
                            site->Statistics(), site->Certificates()});
    report.statistics += report.sites.back().statistics;
    report.services += site->Services();
  }
  for (const auto& site : retired_) {
    report.statistics += site->Statistics();
    report.services += site->Services();
  }
  if (access_ != nullptr) report.access = access_->Report();
  report.tls_store = sspi::TlsPackage::Instance().StoreStatistics();
  report.reloads = reloads_;
  report.reloads_refused = reloads_refused_;
  report.log_lines_lost = log_.lost();
  report.log_lines_left_out = connection_log_.suppressed();
  return report;
}

}  // namespace ktlsim::command
