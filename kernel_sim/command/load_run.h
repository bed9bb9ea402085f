// LoadRun: `ktlsim load` from its options to its report: the library is started, and is stopped at
// the end.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/digest_login.h"
#include "kernel_sim/command/driver.h"
#include "kernel_sim/command/envelope.h"
#include "kernel_sim/command/load_report.h"
#include "kernel_sim/command/load_settings.h"
#include "kernel_sim/command/progress.h"
#include "kernel_sim/transport/client_path.h"

namespace ktlsim::command {

class LoadRun {
 public:
  // `interrupted` ends it early. All three outlive it.
  LoadRun(const LoadOptions& options, const Envelope& envelope,
          const std::atomic<bool>& interrupted);

  // Passive level, once. Empty: `*report` is filled; else why nothing could be measured.
  std::string Run(LoadReport* report);

 private:
  // One kind of operation: what is planned for it, and its phase while it runs.
  struct Kind {
    LoadShare share;
    LoadPlan plan;
    std::unique_ptr<LoadPhase> phase;
  };

  std::string Prepare(LoadReport* report);
  std::string LookUpServer(LoadReport* report);
  std::string PrepareKinds();
  std::string PlanFor(const LoadShare& share, unsigned slots, LoadPlan* plan);
  std::string AddProfiles(const LoadShare& share, LoadPlan* plan);
  std::string AddProfile(bool resumption);
  std::string LogIn(LoadReport* report);
  LoadRepeat Measure(unsigned number);
  void Tell(LoadRepeat* repeat) const;
  void TellCommon(LoadReport* report) const;
  void Watch(std::uint64_t duration_ns);
  void Drain();
  void Stop(LoadReport* report);
  bool NobodyThere() const;
  bool Interrupted() const { return interrupted_.load(std::memory_order_relaxed); }
  std::uint64_t Operations() const;
  std::string OperationName(const LoadShare& share) const;
  std::string AllNames() const;

  const LoadOptions& options_;
  const Envelope& envelope_;
  const std::atomic<bool>& interrupted_;
  const std::uint32_t seed_;
  Progress progress_;
  std::vector<io::Address> peers_;
  Certificate client_certificate_;
  std::vector<Credential> credentials_;
  std::vector<std::unique_ptr<transport::TlsProfile>> profiles_;
  transport::ClientPath client_;
  std::vector<Kind> kinds_;
  std::unique_ptr<DigestLogin> login_;
  std::uint64_t began_ns_ = 0;
};

// So many of `slots` connections for each of the shares, at least one each.
std::vector<unsigned> SlotsFor(const std::vector<LoadShare>& shares, unsigned slots);

}  // namespace ktlsim::command
