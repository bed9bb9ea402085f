// LoadPhase: keeps a number of client connections busy and counts what they do.
//
// Each slot is one connection at a time and lives on one loop: it dials, does its operations, and
// dials again when the connection has ended, after a while if it has failed. The main thread starts
// the phase, measures for a while, and ends it. Operations that end in the measured time are
// counted. The latencies are those of all operations that have begun by its end, even if they end
// later or never; in an open loop also
// of those that were due and never began, with how long they had waited. Errors of the warm-up are
// counted apart.
//
// Closed loop: a slot begins its next operation when the last one has ended. Open loop (a rate):
// the slots of a loop share a timetable, and an operation counts from the time at which it should
// have begun, also when every slot was still busy; so a server that stalls cannot hide it by
// slowing the load down.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/address.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/command/certificate_facts.h"
#include "kernel_sim/command/credentials.h"
#include "kernel_sim/command/latency_histogram.h"
#include "kernel_sim/command/load_timetable.h"
#include "kernel_sim/command/result_table.h"
#include "kernel_sim/command/status_set.h"
#include "kernel_sim/command/time_series.h"
#include "kernel_sim/transport/client_path.h"

namespace ktlsim::command {

enum class LoadKind : std::uint8_t {
  kFullHandshake,     // connect until established
  kResumedHandshake,  // the same, with a session of the slot's last connection
  kExchange,          // one request after the other on a kept connection
  kChurn,             // connect, one request, close
};

class DigestLogin;

struct LoadPlan {
  LoadKind kind = LoadKind::kFullHandshake;
  std::vector<io::Address> peers;  // of one server: the next is dialled when one cannot be reached
  unsigned slots = 1;
  // Slot i uses profile i mod size. Resumption wants one per slot: sessions belong to a credential.
  std::vector<const transport::TlsProfile*> profiles;
  std::string request;  // kExchange, kChurn: sent as it is
  // kExchange: each request is signed, and `request` is its beginning, without the empty line;
  // null: nothing is signed.
  DigestLogin* login = nullptr;
  std::string target;                        // that is signed
  StatusSet success = StatusSet::Default();  // kExchange: other statuses are errors
  bool check_body = false;  // kExchange: the response's body is that of FillHttpBody
  bool no_body = false;     // the responses have none, whatever they announce: HEAD
  bool count_sent = false;  // bytes are those that were sent, not those that came
  // True: the server closes after a handshake. False: the client closes, and first waits for a
  // ticket if it wants one.
  bool server_closes = false;
  double rate = 0;  // operations per second of all slots together; 0: closed loop
  Arrivals arrivals = Arrivals::kConstant;
  std::uint64_t seed = 1;  // of the timetables: each loop has its own, with a number added to this
  // Of the time between two operations, by how much all timetables are shifted: 0 to 1.
  double offset = 0;
  std::uint64_t measured_ns =
      0;  // how long will be measured, for the time series; 0: there is none
  // How long an operation may take from its beginning, its connection included; then it is an
  // error, and the connection is given up. 0: no limit.
  std::uint64_t timeout_ns = 0;
  // How long one of several addresses may take to accept, while others are left to be tried. RFC
  // 8305 dials the next one beside it after a quarter of a second; here it is given up, after as
  // long as TCP needs to try twice (RFC 6298 2.1).
  std::uint64_t next_address_ns = 1500 * kNsPerMs;
  // What the user can do about a failed connection, for the error's text; null: nothing.
  const char* (*hint)(const transport::EndReason& reason) = nullptr;

  bool exchanges() const { return kind == LoadKind::kExchange || kind == LoadKind::kChurn; }
};

class LoadSlot;

// What one loop counts. The atomics have one writer, the loop's thread.
struct LoadTally {
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> bytes{0};
  std::array<std::atomic<std::uint64_t>, kStatusClasses> statuses{};
  // Owned by the main thread after End.
  LatencyHistogram latency;
  std::array<LatencyHistogram, kOperationPhases> phases;
  TimeSeries series;
  std::uint64_t late = 0;
  std::uint64_t unfinished = 0;
  std::uint64_t oldest_unfinished_ns = 0;
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
  // No further operation begins. End does this by itself.
  void BeginEnding();
  // Lets every slot finish its operation and waits until their connections have ended. A connection
  // that does not end within `limit_ns` is aborted, and its operation counts as unfinished.
  // `waiting` is called now and then with how many slots are waited for, and how long at most;
  // false from it ends the wait.
  using Waiting = std::function<bool(std::size_t slots, std::uint64_t left_ns)>;
  void End(std::uint64_t limit_ns, const Waiting& waiting = {});

  // With a login, now and then: what waits for another nonce goes on with it, and wrong proofs of
  // the server are counted, the last ones by End. Passive level.
  void TendLogin();

  // Any thread, any time.
  std::uint64_t operations() const;
  std::uint64_t bytes() const;
  std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }
  std::uint64_t warm_up_errors() const { return warm_up_errors_.load(std::memory_order_relaxed); }
  // Slots that have not come to their end.
  std::size_t live_slots() const { return live_.load(std::memory_order_relaxed); }
  // True: since Start there were errors and no completed handshake.
  bool nobody_there() const { return !negotiated_known() && errors() + warm_up_errors() != 0; }
  // Open loop, after End: operations whose time came before EndMeasuring and that never began.
  std::uint64_t not_begun() const;
  // What the first connection negotiated; empty when none was established.
  transport::ConnectionInfo negotiated() const;
  // The certificate that its server showed; none when none was established.
  std::optional<CertificateFacts> server_certificate() const;
  // After End: what was counted.
  void Tell(ResultRow* row) const;
  // The first errors in words.
  std::vector<std::string> error_texts() const;
  std::vector<std::string> warm_up_error_texts() const;
  // Addresses that could not be reached, and why, while another one was dialled instead.
  std::vector<std::string> passed_over() const;

  // For the slots.
  const LoadPlan& plan() const { return plan_; }
  transport::ClientPath& path() { return path_; }
  bool measuring() const { return stage_.load(std::memory_order_acquire) == Stage::kMeasuring; }
  bool measured() const { return stage_.load(std::memory_order_acquire) >= Stage::kMeasured; }
  bool ending() const { return stage_.load(std::memory_order_acquire) == Stage::kEnding; }
  // Since measuring began; while or after it is measured.
  std::uint64_t MeasuredFor(std::uint64_t now_ns) const {
    const std::uint64_t since = measuring_since_ns_.load(std::memory_order_relaxed);
    return now_ns > since ? now_ns - since : 0;
  }
  // When measuring ended; before that, never.
  std::uint64_t ended_ns() const { return ended_ns_.load(std::memory_order_acquire); }
  void CountError(const std::string& text);
  void NotePassedOver(const std::string& text);
  bool negotiated_known() const { return negotiated_known_.load(std::memory_order_relaxed); }
  void Negotiated(transport::Connection& connection);
  void SlotRetired() { live_.fetch_sub(1, std::memory_order_relaxed); }
  // A slot holds the phase while it goes on and once for each item posted to it.
  void DropHold();

 private:
  enum class Stage : std::uint8_t { kWarmUp, kMeasuring, kMeasured, kEnding };
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  transport::ClientPath& path_;
  const LoadPlan plan_;
  std::vector<std::unique_ptr<LoadTally>> tallies_;  // one per loop
  // Open loop: one per loop, the last ones missing where there are fewer slots than loops.
  std::vector<std::unique_ptr<LoadDispatcher>> dispatchers_;
  std::vector<std::unique_ptr<LoadSlot>> slots_;

  void CountWrongProofs();
  void WaitForSlots(std::uint64_t limit_ns, const Waiting& waiting);
  void AddHolds();
  void MakeTallies();

  std::atomic<Stage> stage_{Stage::kWarmUp};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<std::uint64_t> warm_up_errors_{0};
  std::atomic<std::size_t> live_{0};
  std::atomic<bool> negotiated_known_{false};
  std::atomic<std::uint64_t> measuring_since_ns_{0};
  std::atomic<std::uint64_t> ended_ns_{kNever};

  mutable Mutex mutex_;
  ConditionVariable released_;
  std::size_t holds_ KTLSIM_GUARDED_BY(mutex_) = 0;
  transport::ConnectionInfo negotiated_ KTLSIM_GUARDED_BY(mutex_);
  Certificate server_certificate_ KTLSIM_GUARDED_BY(mutex_);
  std::vector<std::string> error_texts_ KTLSIM_GUARDED_BY(mutex_);
  std::vector<std::string> warm_up_error_texts_ KTLSIM_GUARDED_BY(mutex_);
  std::vector<std::string> passed_over_ KTLSIM_GUARDED_BY(mutex_);
  TimeSeries errors_over_time_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
