// LoadPhase: keeps a number of client connections busy, closed-loop, and counts what they do.
//
// Each slot is one connection at a time and lives on one loop: it dials, does its operations, and
// dials again when the connection has ended. The phase is started, measured for a while, and ended
// by the main thread; what happens outside the measured time is not counted, except errors.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/address.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/latency_histogram.h"
#include "kernel_sim/transport/client_path.h"

namespace ktlsim::command {

enum class LoadKind : std::uint8_t {
  kFullHandshake,     // connect until established; the server closes
  kResumedHandshake,  // the same, with a session of the slot's last connection
  kExchange,          // one request after the other on a kept connection
};

struct LoadPlan {
  LoadKind kind = LoadKind::kFullHandshake;
  io::Address peer;
  unsigned slots = 1;
  // Slot i uses profile i mod size. Resumption wants one per slot: sessions belong to a credential.
  std::vector<const transport::TlsProfile*> profiles;
  std::string request;  // kExchange: sent as it is; the answer is a body of FillHttpBody
};

class LoadSlot;

// What one loop counts. The atomics have one writer, the loop's thread.
struct LoadTally {
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> bytes{0};
  LatencyHistogram latency;  // the main thread's after End
};

class LoadPhase {
 public:
  // `path` is started and outlives the phase; so do the profiles.
  LoadPhase(transport::ClientPath& path, LoadPlan plan);
  ~LoadPhase();
  LoadPhase(const LoadPhase&) = delete;
  LoadPhase& operator=(const LoadPhase&) = delete;

  // Main thread, passive level, once each and in this order.
  void Start();
  void BeginMeasuring();
  void EndMeasuring();
  // Lets every slot finish its operation and waits until their connections have ended. What does
  // not end within `limit_ns` is aborted and counted as an error.
  void End(std::uint64_t limit_ns);

  // Any thread, any time.
  std::uint64_t operations() const;
  std::uint64_t bytes() const;
  std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }
  // After End.
  LatencyHistogram latency() const;
  // The first errors in words.
  std::vector<std::string> error_texts() const;

  // For the slots.
  const LoadPlan& plan() const { return plan_; }
  transport::ClientPath& path() { return path_; }
  bool measuring() const { return stage_.load(std::memory_order_acquire) == Stage::kMeasuring; }
  bool ending() const { return stage_.load(std::memory_order_acquire) == Stage::kEnding; }
  void CountError(const std::string& text);
  void SlotRetired();

 private:
  enum class Stage : std::uint8_t { kWarmUp, kMeasuring, kMeasured, kEnding };

  transport::ClientPath& path_;
  const LoadPlan plan_;
  std::vector<std::unique_ptr<LoadTally>> tallies_;  // one per loop
  std::vector<std::unique_ptr<LoadSlot>> slots_;

  std::atomic<Stage> stage_{Stage::kWarmUp};
  std::atomic<std::uint64_t> errors_{0};

  mutable Mutex mutex_;
  ConditionVariable retired_;
  std::size_t live_slots_ KTLSIM_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> error_texts_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
