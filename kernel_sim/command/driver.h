// LoadPhase: keeps a number of client connections busy and counts what they do.
//
// Each slot is one connection at a time and lives on one loop: it dials, does its operations, and
// dials again when the connection has ended. The phase is started, measured for a while, and ended
// by the main thread; what happens outside the measured time is not counted, except errors.
//
// Closed loop: a slot begins its next operation when the last one has ended. Open loop (a rate):
// each slot has a timetable, and an operation counts from the time at which it should have begun,
// also when the slot was still busy; so a server that stalls cannot hide it by slowing the load
// down.
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
  kFullHandshake,     // connect until established
  kResumedHandshake,  // the same, with a session of the slot's last connection
  kExchange,          // one request after the other on a kept connection
};

struct LoadPlan {
  LoadKind kind = LoadKind::kFullHandshake;
  io::Address peer;
  unsigned slots = 1;
  // Slot i uses profile i mod size. Resumption wants one per slot: sessions belong to a credential.
  std::vector<const transport::TlsProfile*> profiles;
  std::string request;      // kExchange: sent as it is
  bool check_body = false;  // kExchange: the answer's body is that of FillHttpBody
  // A handshake is closed by the server; else by the client, which waits for a ticket before if it
  // wants one.
  bool server_closes = false;
  double rate = 0;  // operations per second of all slots together; 0: closed loop

  // Between two operations of one slot; 0: closed loop.
  std::uint64_t interval_ns() const;
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
  // Slots that still go on: none when every one has given up.
  std::size_t live_slots() const { return live_.load(std::memory_order_relaxed); }
  // Open loop, after End: operations whose time came before EndMeasuring and that never began.
  std::uint64_t not_begun() const { return not_begun_.load(std::memory_order_relaxed); }
  // What the first connection negotiated; empty when none was established.
  transport::ConnectionInfo negotiated() const;
  // After End.
  LatencyHistogram latency() const;
  // The first errors in words.
  std::vector<std::string> error_texts() const;

  // For the slots.
  const LoadPlan& plan() const { return plan_; }
  transport::ClientPath& path() { return path_; }
  bool measuring() const { return stage_.load(std::memory_order_acquire) == Stage::kMeasuring; }
  bool ending() const { return stage_.load(std::memory_order_acquire) == Stage::kEnding; }
  std::uint64_t started_ns() const { return started_ns_; }
  std::uint64_t ended_ns() const { return ended_ns_; }
  void CountError(const std::string& text);
  void CountNotBegun(std::uint64_t operations) {
    not_begun_.fetch_add(operations, std::memory_order_relaxed);
  }
  bool negotiated_known() const { return negotiated_known_.load(std::memory_order_relaxed); }
  void Negotiated(transport::ConnectionInfo info);
  void SlotRetired() { live_.fetch_sub(1, std::memory_order_relaxed); }
  // A slot holds the phase while it goes on and once for each item posted to it.
  void DropHold();

 private:
  enum class Stage : std::uint8_t { kWarmUp, kMeasuring, kMeasured, kEnding };

  transport::ClientPath& path_;
  const LoadPlan plan_;
  std::vector<std::unique_ptr<LoadTally>> tallies_;  // one per loop
  std::vector<std::unique_ptr<LoadSlot>> slots_;

  void AddHolds();

  std::atomic<Stage> stage_{Stage::kWarmUp};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> not_begun_{0};
  std::atomic<std::size_t> live_{0};
  std::atomic<bool> negotiated_known_{false};
  std::uint64_t started_ns_ = 0;  // written before the slots know of it
  std::uint64_t ended_ns_ = 0;    // written before stage_ says kMeasured

  mutable Mutex mutex_;
  ConditionVariable released_;
  std::size_t holds_ KTLSIM_GUARDED_BY(mutex_) = 0;
  transport::ConnectionInfo negotiated_ KTLSIM_GUARDED_BY(mutex_);
  std::vector<std::string> error_texts_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
