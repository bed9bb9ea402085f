// Terminator: all the listeners of `ktlsim serve`, from their start over reloads to their end.
//
// Passive level, one thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernel_sim/command/serve_config.h"
#include "kernel_sim/command/serve_report.h"
#include "kernel_sim/command/site.h"
#include "kernel_sim/serve/connection_log.h"
#include "kernel_sim/serve/log.h"

namespace ktlsim::command {

// Makes everything that `config` names, and lets it go again. Empty: all is well; else what is
// wrong and the remedy. The library is started.
std::string TryConfig(const ServeConfig& config);

class Terminator {
 public:
  // `log` must outlive it.
  explicit Terminator(serve::Log& log) : log_(log), connection_log_(log) {}
  // Stopped.
  ~Terminator() = default;
  Terminator(const Terminator&) = delete;
  Terminator& operator=(const Terminator&) = delete;

  // Listens everywhere. Empty: done; else why not, and nothing runs.
  std::string Start(const ServeConfig& config);
  // Goes over to `config` without losing a connection: listeners that stay get it for their new
  // connections, new ones start, those that are gone drain. If anything it names is bad, all stays
  // as it was; either way the log tells.
  void Reload(const ServeConfig& config);
  void NoteRefusedReload(const std::string& why);
  // Stops accepting everywhere, then waits until connections have finished or the limit is over.
  void Stop();

  ServeReport Report() const;
  const std::vector<std::unique_ptr<Site>>& sites() const { return sites_; }

 private:
  // One for each address.
  struct Planned {
    std::string address;
    std::unique_ptr<Outfit> outfit;
  };

  std::string Plan(const ServeConfig& config, std::vector<Planned>* plan);
  // Of those at `address` one that is not in `taken`, or null.
  Site* FindSite(const std::string& address, const std::vector<Site*>& taken) const;
  void GoOnWith(const std::vector<Site*>& kept, std::vector<std::unique_ptr<Site>> fresh);
  void BuryRetired();
  void TellListening(const Site& site);
  void TellWhatNeedsARestart(const ServeConfig& config);

  serve::Log& log_;
  serve::ConnectionLog connection_log_;
  ServeConfig config_;
  std::vector<std::unique_ptr<Site>> sites_;
  std::vector<std::unique_ptr<Site>> retired_;  // draining
  transport::TransportStatistics past_;         // of sites that are gone
  serve::ForwardStatistics past_forward_;
  std::uint64_t reloads_ = 0;
  std::uint64_t reloads_refused_ = 0;
};

}  // namespace ktlsim::command
