// Terminator: all the listeners of `ktlsim serve`, from their start over reloads to their end.
//
// Passive level, one thread, except where it says otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/access_control.h"
#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/command/serve_report.h"
#include "kernel_sim/command/site.h"
#include "kernel_sim/serve/connection_log.h"
#include "kernel_sim/serve/log.h"

namespace ktlsim::command {

// Everything that a configuration names, made and checked; nothing of it listens yet.
struct ServePlan {
  // One for each address. Null: left out, because its certificate is out of date.
  struct Place {
    Site::Id id;
    std::unique_ptr<Outfit> outfit;
  };

  // What an address shows until the plan is carried out.
  struct Predecessor {
    Site::Id id;
    std::shared_ptr<const Identity> identity;
  };

  ServeConfig config;
  LoadedAccounts accounts;
  std::vector<Place> places;
  std::vector<std::string> warnings;
  std::string error;  // empty: all is well; else what is wrong and the remedy
};

// Makes everything that `config` names, and destroys it again; an address that is in use is only a
// warning, since the server may be running. Empty: all is well; else what is wrong and the remedy.
// The library is started.
std::string TryConfig(const ServeConfig& config, std::vector<std::string>* warnings);

class Terminator {
 public:
  // Both must outlive it. `access` is null where no listener has an access control list.
  explicit Terminator(serve::Log& log, AccessControl* access = nullptr)
      : log_(log), connection_log_(log), access_(access) {}
  // Stops.
  ~Terminator() { Stop(); }
  Terminator(const Terminator&) = delete;
  Terminator& operator=(const Terminator&) = delete;

  // Reads files, which may take long. Any thread, also at the same time as the other functions; the
  // plan must be used up before the terminator ends. Once `given_up` is set, the plan is left
  // unfinished, with an error.
  ServePlan Plan(ServeConfig config, const std::atomic<bool>* given_up = nullptr);
  // Listens everywhere. Empty: done; else why not, and nothing runs.
  std::string Start(ServePlan plan);
  // Switches to `plan` without losing a connection: listeners that stay use it for their new
  // connections, new ones start, removed ones drain, those that were left out stay as they are. If
  // anything is bad, or memory is short, nothing changes. The log reports both.
  void Reload(ServePlan plan);
  // Stops accepting everywhere, then waits until connections have finished or the limit is over.
  // Once only; later calls do nothing.
  void Stop();

  // Any thread, at any time. Throws bad_alloc.
  ServeReport Report() const KTLSIM_EXCLUDES(figures_mutex_);
  // The same without waiting. Empty: what it is made of is being changed, by a reload or the end.
  std::optional<ServeReport> TryReport() const KTLSIM_EXCLUDES(figures_mutex_);
  // Of the listeners, where an admin server is configured. Any thread.
  const transport::HandshakeTimesOfLoops& handshake_times() const { return handshake_times_; }
  const std::vector<std::unique_ptr<Site>>& sites() const { return sites_; }

 private:
  // A reload on its way, made ready in all that may fail.
  struct Change {
    std::vector<Site*> kept;                   // in the order of the plan; null: a fresh one
    std::vector<std::unique_ptr<Site>> fresh;  // listening
    std::vector<std::unique_ptr<Site>> sites;  // empty, with room for all
    std::vector<ServePlan::Predecessor> predecessors;
    // The users of each listener, and those that are to count.
    std::vector<std::pair<std::shared_ptr<RealmUsers>, std::shared_ptr<const DigestRealm>>> users;
    // The same for access control lists.
    std::vector<std::pair<std::shared_ptr<serve::AccessPolicies>,
                          std::shared_ptr<const serve::AccessPolicy>>>
        policies;
  };

  // figures_mutex_ is held.
  ServeReport MakeReport() const;
  std::string StartSites(ServePlan& plan);
  void TakeUsers(const Change& change);
  void TakeAccess(const LoadedAccounts& accounts, const Change& change);
  std::string Prepare(ServePlan& plan, Change* change);
  std::string PreparePlace(ServePlan::Place& place, std::uint64_t drain_ns, Change* change);
  void TakeBack(Change& change);
  void NoteRefusedReload(const std::string& why);
  void Warn(const ServePlan& plan);
  // Or null.
  Site* FindSite(const Site::Id& id) const;
  // Whether one of our listeners, or of `fresh`, listens on `address`.
  bool IsOurs(const std::string& address, const std::vector<std::unique_ptr<Site>>& fresh) const;
  void GoOnWith(Change& change);
  void BuryRetired();
  void SetPredecessors(std::vector<ServePlan::Predecessor>& predecessors);
  void TellListening(const Site& site);
  void TellWhatNeedsARestart(const ServeConfig& config);

  std::unique_ptr<Site> NewSite(const Site::Id& id);
  std::string PrepareAll(ServePlan& plan, Change* change);

  serve::Log& log_;
  serve::ConnectionLog connection_log_;
  AccessControl* const access_;
  serve::DigestContexts digest_contexts_;  // deleted when no listener is left
  Realms realms_;
  ServeConfig config_;
  ULONG notify_mode_ = KTLSIM_NOTIFY_ON_PROCESSOR;  // that of the start
  Mutex mutex_;
  std::vector<ServePlan::Predecessor> predecessors_ KTLSIM_GUARDED_BY(mutex_);
  transport::HandshakeTimesOfLoops handshake_times_;  // outlives the sites
  // Held for every change of what follows, the sites' own state included, and by other threads that
  // read it. Never while connections are waited for.
  mutable Mutex figures_mutex_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<std::unique_ptr<Site>> retired_;  // draining
  transport::TransportStatistics past_;         // of sites that are gone
  ServiceStatistics past_services_;
  std::uint64_t reloads_ = 0;
  std::uint64_t reloads_refused_ = 0;
  bool stopped_ = false;
};

}  // namespace ktlsim::command
