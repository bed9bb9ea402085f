// Processor: one thread and one ring. It reaps completions, runs its two lanes, submits.
//
// Record work runs before handshake work, with a budget so that neither starves: a handshake takes
// hundreds of microseconds, a small record less than one, and in a common queue the established
// connections would wait for every handshake. Between two handshakes the processor turns its ring
// again.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "io/ring.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/executive/call_statistics.h"
#include "kernel_sim/executive/request.h"
#include "kernel_sim/executive/wait_limits.h"

namespace ktlsim::executive {

class Executive;

using RingFactory = std::function<Result<std::unique_ptr<io::Ring>>()>;

inline constexpr std::size_t kLanes = 2;

struct ProcessorStatistics {
  LaneStatistics lanes[kLanes];  // by Lane
  std::uint64_t suspended = 0;   // right now
  std::uint64_t callbacks = 0;   // delivered on this processor
  io::RingStatistics ring;
};

class Processor final : private WaitLimits::Owner {
 public:
  // `role` appears in reports and in the thread's name: "io", "crypto", "server", ...
  Processor(Executive& executive, unsigned index, std::string role, int pinned_cpu);
  ~Processor();
  Processor(const Processor&) = delete;
  Processor& operator=(const Processor&) = delete;

  // Starts the thread, which makes its ring. Passive level.
  Status Start(const RingFactory& factory);
  // Starts it without a thread of its own: a thread that calls Step is the processor during that
  // call. The ring is made here and belongs to the calling thread.
  Status StartStepped(const RingFactory& factory);
  // One turn of the ring without waiting, then at most one job of each lane and the callbacks that
  // are due.
  void Step();
  // True while jobs or callbacks wait here.
  bool HasWork() const;
  // Nothing may be in flight. Passive level.
  void Stop();

  // The processor whose thread this is, or null.
  static Processor* Current();

  unsigned index() const { return index_; }
  const std::string& role() const { return role_; }
  Executive& executive() const { return executive_; }
  io::Ring& ring() const { return *ring_; }
  ProcessorStatistics Statistics() const;
  // CPU time of the processor's thread, also after it has ended.
  std::uint64_t CpuNs() const;

  // Brings `request` to its lane here. Any thread, any level.
  void Schedule(Request& request) { Send(request, Request::Destination::Phase::kToLane); }
  // Delivers the callback of a published request here, after the current job. Any thread, any
  // level.
  void ScheduleCallback(Request& request) { Send(request, Request::Destination::Phase::kToNotify); }
  // The run of `request` has ended here, and the call has not. It waits for its token, until its
  // deadline (0: without one), or for EndSuspensions. On the processor's thread.
  void Suspend(Request& request);
  // Schedules a suspended request again. For the one that has taken it (SuspensionCell::Resume).
  // Any thread, any level.
  void BringBack(Request& request);
  // Brings back all suspended requests, and from now on every one that is suspended here, as
  // CallRun::kStopping. Any thread.
  void EndSuspensions() { suspension_limits_.ExpireAll(); }
  // The work item routine of every request: it has reached its destination's thread.
  static void Arrive(WorkItem& item);

  // Admission. The accepted calls of both lanes are counted here until they complete. False: there
  // are `depth_max` already; the refusal is counted. Any thread.
  bool Admit(Lane lane, std::uint32_t depth_max);
  void AdmitAlways(Lane lane) { depth_.fetch_add(OneIn(lane), std::memory_order_relaxed); }
  void Retire(Lane lane) { depth_.fetch_sub(OneIn(lane), std::memory_order_relaxed); }
  std::uint32_t depth() const { return Total(depth_.load(std::memory_order_relaxed)); }

  LaneCounters& counters(Lane lane) { return counters_[static_cast<std::size_t>(lane)]; }
  // The limits of the calls that are counted here.
  WaitLimits& wait_limits() { return wait_limits_; }

 private:
  static constexpr int kRecordBudget = 64;

  // Of suspended requests.
  bool Expire(Request& request, CallRun cause) override;
  void EndExpired(Request& request) override { BringBack(request); }

  static Result<std::unique_ptr<io::Ring>> MakeRing(const RingFactory& factory);
  void UseRing(std::unique_ptr<io::Ring> ring);
  void LeaveRing();
  void Main(const RingFactory& factory);
  void Turn(std::uint64_t wait_ns);
  void RunLanes(int record_budget);
  void DeliverNotifications();
  void Send(Request& request, Request::Destination::Phase phase);
  void Accept(Request& request);  // on this thread: into a lane or the notifications
  // Two counts in one word: records in the lower half, handshakes in the upper one.
  static constexpr std::uint64_t OneIn(Lane lane) {
    return lane == Lane::kRecord ? 1 : std::uint64_t{1} << 32;
  }
  static constexpr std::uint32_t Total(std::uint64_t depth) {
    return static_cast<std::uint32_t>(depth) + static_cast<std::uint32_t>(depth >> 32);
  }

  // Fixed after construction.
  Executive& executive_;
  const unsigned index_;
  const std::string role_;
  const int pinned_cpu_;

  // Owned by the processor's thread.
  Request::Queue lanes_[kLanes];
  Request::Queue notifications_;
  bool stopping_ = false;

  // Shared.
  std::unique_ptr<io::Ring> ring_;  // set before Start returns, destroyed by the thread
  // For readers of figures, who may come when the thread ends.
  mutable SpinLock figures_lock_;
  const io::Ring* figures_ring_ KTLSIM_GUARDED_BY(figures_lock_) = nullptr;
  io::RingStatistics ring_ended_ KTLSIM_GUARDED_BY(figures_lock_);  // of a ring that is gone
  std::thread thread_;
  std::atomic<int> started_{0};  // 0 not yet, 1 yes, 2 failed
  Status start_failure_;
  std::atomic<std::uint64_t> depth_{0};
  clockid_t cpu_clock_{};
  std::atomic<std::uint64_t> cpu_ended_ns_{0};  // 0: its thread has not ended
  LaneCounters counters_[kLanes];
  WaitLimits wait_limits_;
  WaitLimits suspension_limits_{*this};
  std::atomic<std::uint64_t> suspended_{0};
  std::atomic<std::uint64_t> callbacks_{0};
};

}  // namespace ktlsim::executive
