// Executive: the simulated kernel's core. Processors, admission, placement, completion, drain.
//
// It knows requests, strands and async contexts; what a request does is the SSPI layer's business.
//
// What a newcomer gets wrong: the object outlives its stops. A caller that found it running may
// submit much later. If it has been started again by then, the call is accepted; otherwise it is
// refused. So the object must live as long as any caller may submit, and Stop ends only what is
// inside it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/rundown.h"
#include "kernel_sim/base/striped_counter.h"
#include "kernel_sim/executive/async_context.h"
#include "kernel_sim/executive/call_clock.h"
#include "kernel_sim/executive/call_probe.h"
#include "kernel_sim/executive/notification_pool.h"
#include "kernel_sim/executive/processor.h"
#include "kernel_sim/executive/request.h"
#include "kernel_sim/executive/router.h"
#include "kernel_sim/executive/strand.h"
#include "kernel_sim/executive/wait_limits.h"

namespace ktlsim::executive {

struct ExecutiveOptions {
  unsigned processors = 0;  // 0: one per core this process may use
  Placement placement = Placement::kInline;
  unsigned crypto_processors = 0;    // kPool only; 0: as many as processors
  std::uint32_t queue_depth = 4096;  // the most accepted and unfinished calls per processor
  unsigned notify_threads_max = 256;
  // How long a call may wait in a queue, unless its async context says otherwise; 0: no limit.
  std::uint64_t wait_limit_ns = 0;
  // Calls whose number has none of these bits are measured; with 0 all are (call_clock.h).
  std::uint32_t sample_mask = 63;
  const Clock* clock = nullptr;  // the clock of the rings; null: the monotonic one
  bool pin = false;
  std::vector<std::string> roles;  // processor i gets roles[i mod size]; empty: "io"
  RingFactory ring_factory;
  // When set, there are no threads at all. A scheduler calls Processor::Step and
  // NotificationPool::DeliverOne. Where a thread would wait, `step` is called until the wait is
  // over; it returns false when nothing can move any more.
  std::function<bool()> step;
};

// Counted since the last start.
struct ExecutiveStatistics {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t completed = 0;  // includes the next two
  std::uint64_t cancelled = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t callbacks = 0;
  std::uint64_t suspended = 0;
  unsigned notify_threads = 0;
  unsigned notify_threads_peak = 0;
  std::uint64_t notify_threads_refused = 0;  // the system did not make them
};

class Executive final : public NotificationPool::Owner, public WaitLimits::Owner {
 public:
  enum class Admission : std::uint8_t { kAccepted, kQueueFull, kStopping };
  // kAlways is for teardown (Delete, FreeCredentials), whose result callers usually ignore.
  enum class Bound : std::uint8_t { kBounded, kAlways };

  explicit Executive(AsyncContextTable& contexts);
  ~Executive();

  // Passive level, when nothing runs; again after each Stop. After a failure nothing is left
  // running, and the figures of the last start remain. kResource: no memory or no threads. Other
  // failures are those of the ring factory.
  Status Start(const ExecutiveOptions& options);
  // Refuses new calls, completes the accepted ones, delivers every callback, ends the threads. A
  // suspended call runs once more (CallRun::kStopping) and must end then. Passive level, not from a
  // callback or a visit.
  void Stop();

  // Submits a prepared request whose async context BeginSubmit has claimed. kAccepted: it will
  // complete exactly once. Otherwise nothing has happened, and the caller abandons it. Any level,
  // never blocks.
  Admission Submit(Request& request, Bound bound = Bound::kBounded);
  // Runs a prepared request of TakeRequest for a synchronous caller and waits for its end. The
  // caller gives the request back. False: the executive is stopping, and the request did not run.
  // Passive level.
  bool SubmitAndWait(Request& request);
  // Ends what AsyncContextTable::Recall began: the call completes with `status`. It has not run and
  // has written no output. Any level, never blocks.
  void EndRecall(Request& request, std::int32_t status = kCancelledStatus);
  // Called from Run: the context's handshake is over. Under kPool its work moves to the processor
  // that submitted the request.
  void MoveHome(Request& request);
  // Called from Run, which then returns kSuspended: after `limit_ns`, counted from the first such
  // call since its deadline was 0, the request runs again in any case (CallRun::kTimedOut).
  void LimitSuspension(Request& request, std::uint64_t limit_ns) const;

  // For its processors, on their threads, at dispatch level. Execute runs a request that has come
  // to the front of its lane; DeliverOnProcessor calls the callback of a published one.
  void Execute(Request& request);
  void DeliverOnProcessor(Request& request);

  // Keeps the processors and their rings alive: a Stop waits for it, as it does for a callback.
  // False: nothing runs, or a Stop is under way.
  class Visit {
   public:
    explicit Visit(Executive& executive)
        : executive_(executive), entered_(executive.visits_.Enter()) {}
    ~Visit() {
      if (entered_) executive_.visits_.Leave();
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

    explicit operator bool() const { return entered_; }
    // The processors with sockets.
    std::span<const std::unique_ptr<Processor>> io_processors() const {
      return executive_.router_.io_processors();
    }

   private:
    Executive& executive_;
    const bool entered_;
  };

  // Any thread, any level, at any time. After a stop it returns the final figures until the next
  // start.
  ExecutiveStatistics Statistics() const;
  // False: there is no such processor. `role` receives as much of its role as fits, and a zero.
  bool QueryProcessor(std::size_t index, std::span<char> role, ProcessorStatistics* statistics,
                      std::uint64_t* cpu_ns) const;
  // The CPU time of the processors of `role`; null: of all.
  std::uint64_t CpuNs(const char* role) const;
  // How many processors the last start has made; 0 before the first.
  unsigned processor_count() const { return processor_count_.load(std::memory_order_relaxed); }

  // Only while it runs, which the caller must know. `processors` is empty when nothing runs.
  const std::vector<std::unique_ptr<Processor>>& processors() const { return processors_; }
  NotificationPool& notification_pool() { return *notification_pool_; }
  AsyncContextTable& contexts() { return contexts_; }

 private:
  // The parts that have threads.
  struct Machine {
    std::unique_ptr<NotificationPool> pool;
    std::vector<std::unique_ptr<Processor>> processors;
    void Stop();
  };
  // May throw bad_alloc; `machine` can be stopped all the same.
  Status Build(const ExecutiveOptions& options, Machine* machine);
  Status BuildProcessor(unsigned index, bool io, Machine* machine);

  // Of queued requests.
  bool Expire(Request& request, CallRun cause) override;
  void EndExpired(Request& request) override;
  CallRecord* OnCallbackDue(Request& request) override;
  void OnCallbackEnded(CallRecord* record) override;
  bool TakeTurn(Request& request);
  static RunResult RunAsSubmitter(Request& request);
  void SetWaitLimit(Request& request) const;
  void EnterStrand(Request& request);
  static void CountEnd(const Request& request);
  void Complete(Request& request);
  void FinishStrand(Strand* strand);
  Admission Enter(Request& request, Bound bound);
  template <typename Condition>
  void StepUntil(Condition condition);
  const std::vector<std::unique_ptr<Processor>>& Shown() const KTLSIM_REQUIRES(figures_lock_) {
    return processors_.empty() ? ended_ : processors_;
  }

  AsyncContextTable& contexts_;

  // Fixed between Start and Stop: used by accepted calls, by visits, and by the threads.
  ExecutiveOptions options_;
  CallClock clock_;
  CallProbe probe_;
  std::vector<std::unique_ptr<Processor>> processors_;  // I/O ones first, then crypto ones
  std::unique_ptr<NotificationPool> notification_pool_;

  // Shared. A call is inside from its acceptance until its callback has returned.
  Rundown calls_;
  Rundown visits_;
  std::atomic<unsigned> processor_count_{0};
  std::atomic<bool> stepped_{false};  // options_.step is set; may be read after a stop
  Router router_{processors_};
  StripedCounter accepted_;

  // Held while statistics are read, and while processors_ and notification_pool_ change.
  mutable SpinLock figures_lock_;
  // The processors of the last start after its stop, without threads and rings: their figures.
  std::vector<std::unique_ptr<Processor>> ended_ KTLSIM_GUARDED_BY(figures_lock_);
  std::uint64_t accepted_before_ KTLSIM_GUARDED_BY(figures_lock_) = 0;  // by earlier starts
};

}  // namespace ktlsim::executive
