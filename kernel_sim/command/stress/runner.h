// StressRunner: rounds, each between one KtlsimStart and its KtlsimStop, until the time is over.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/address.h"
#include "io/seeded_random.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/progress.h"
#include "kernel_sim/command/startup.h"
#include "kernel_sim/command/stress/api_worker.h"
#include "kernel_sim/command/stress/counters.h"
#include "kernel_sim/command/stress/paths.h"
#include "kernel_sim/command/stress/report.h"
#include "kernel_sim/command/stress/round.h"
#include "kernel_sim/command/values.h"

namespace ktlsim::command {

enum class StressPlacement : std::uint8_t {
  kInline,
  kPool,
  kMixed,  // each in turn
};
// "inline", "pool", "mixed".
inline constexpr std::array kStressPlacementWords = {
    Word<StressPlacement>{"inline", StressPlacement::kInline},
    Word<StressPlacement>{"pool", StressPlacement::kPool},
    Word<StressPlacement>{"mixed", StressPlacement::kMixed}};

// Which threads run callbacks; mixed: drawn for each call.
inline constexpr std::array kStressNotifyWords = {
    Word<std::optional<ULONG>>{"on-processor", KTLSIM_NOTIFY_ON_PROCESSOR},
    Word<std::optional<ULONG>>{"pool", KTLSIM_NOTIFY_POOL},
    Word<std::optional<ULONG>>{"mixed", std::nullopt}};

struct StressPlan {
  double seconds = 30;
  unsigned connections = 64;
  FaultSet faults;
  StartupOptions library;  // some of it changes from round to round
  StressPlacement placement = StressPlacement::kMixed;
  std::optional<ULONG> notify_mode;    // KTLSIM_NOTIFY_*; none: mixed
  std::optional<io::Address> foreign;  // dial this server and none of our own
  const std::atomic<bool>* interrupted = nullptr;
  // A call or a conversation was lost, so nothing can be waited for or taken down. Prints the
  // report and ends the process. Any thread.
  std::function<void()> give_up;
};

// Main thread, passive level; the library is not started before and is stopped afterwards.
class StressRunner {
 public:
  // The report has the seed; the rest is filled in. Both outlive the runner.
  StressRunner(const StressPlan& plan, StressReport& report)
      : plan_(plan), report_(report), seeds_(report.seed) {}

  // Empty, or what kept it from running. Violations are in the report.
  std::string Run();

 private:
  std::string RunRound(ApiMix mix, double seconds);
  bool Restarts() const;
  bool RestartsNamed() const;  // and not with all there is
  ApiMix NextMix() const;
  StartupOptions StartupFor(ApiMix mix);
  std::string StartLibraryFor(const StartupOptions& startup);
  void StartWorkers(StressRound& round, ApiMix mix);
  void StartRestarts(StressRound& round, const StartupOptions& startup);
  void JoinWorkers(StressRound& round);
  void Watch(StressPaths& paths, std::uint64_t end);
  static void WaitForCalls(StressRound& round);
  void StopLibrary(StressRound& round);
  bool interrupted() const { return plan_.interrupted->load(std::memory_order_relaxed); }

  const StressPlan& plan_;
  StressReport& report_;
  io::SeededRandom seeds_;
  Progress progress_;
  Certificate certificate_;
  std::vector<std::thread> workers_;
  CallCounters ended_starts_;  // of the round; written by a worker while there are any
  unsigned rounds_ = 0;
  std::uint64_t end_ = 0;
};

}  // namespace ktlsim::command
