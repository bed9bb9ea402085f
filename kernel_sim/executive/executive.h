// Executive: the simulated kernel's core. Processors, admission, placement, completion, drain.
//
// It knows requests, strands and async contexts; what a request does is the SSPI layer's business.
//
// What a newcomer gets wrong: the object outlives its stops. Who found it running may submit
// however much later: the call is accepted by whatever start there is by then, or refused. So the
// object lives for as long as anybody may submit, and Stop ends what is inside of it only.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/rundown.h"
#include "kernel_sim/base/striped_counter.h"
#include "kernel_sim/executive/async_context.h"
#include "kernel_sim/executive/call_clock.h"
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
  std::uint32_t queue_depth = 4096;  // accepted and unfinished calls per processor
  unsigned notify_threads_max = 256;
  // How long a call may wait in a queue, unless its async context says otherwise; 0: for ever.
  std::uint64_t wait_limit_ns = 0;
  // Times are taken of those calls whose number has none of these bits; 0: of all.
  std::uint32_t sample_mask = 63;
  const Clock* clock = nullptr;  // that of the rings; null: the monotonic one
  bool pin = false;
  std::vector<std::string> roles;  // processor i gets roles[i mod size]; empty: "io"
  RingFactory ring_factory;
  // When set: no threads at all. Whoever schedules calls Processor::Step and
  // NotificationPool::DeliverOne; where a thread would wait, `step` is called until the wait is
  // over. False from it means that nothing can move any more.
  std::function<bool()> step;
};

// Since the last start.
struct ExecutiveStatistics {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t completed = 0;  // the next two included
  std::uint64_t cancelled = 0;
  std::uint64_t timed_out = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t callbacks = 0;
  std::uint64_t suspended = 0;
  unsigned notify_threads = 0;
  unsigned notify_threads_peak = 0;
  std::uint64_t notify_threads_refused = 0;  // by the system
};

class Executive final : public NotificationPool::Owner, public WaitLimits::Owner {
 public:
  enum class Admission : std::uint8_t { kAccepted, kQueueFull, kStopping };
  // kAlways is for teardown (Delete, FreeCredentials), whose result callers ignore by custom.
  enum class Bound : std::uint8_t { kBounded, kAlways };

  explicit Executive(AsyncContextTable& contexts);
  ~Executive();

  // Passive level, when nothing runs; again after each Stop. On failure nothing is left running,
  // and the figures of the last start stay: no memory and no threads are kResource, the rest is
  // what the ring factory answers.
  Status Start(const ExecutiveOptions& options);
  // Refuses new calls, completes what was accepted, delivers every callback, ends the threads.
  // Passive level, not from a callback or a visit.
  void Stop();

  // A prepared request whose async context BeginSubmit has claimed. kAccepted: it will complete
  // exactly once. Otherwise nothing happened and the caller abandons it. Any level, never blocks.
  Admission Submit(Request& request, Bound bound = Bound::kBounded);
  // Runs a prepared request of TakeRequest for a synchronous caller and waits for its end. Passive
  // level; the caller gives the request back. False: stopping, the request did not run.
  bool SubmitAndWait(Request& request);
  // Ends what AsyncContextTable::Recall began: the call will complete with `status`, having run
  // nothing and written nothing. Any level, never blocks.
  void EndRecall(Request& request, std::int32_t status = kCancelledStatus);
  // From Run: the context's handshake is over; under kPool its work moves to who submitted.
  void MoveHome(Request& request);

  // For its processors, on their threads and at dispatch level: a request has come to the front of
  // its lane, or its callback is to be made here.
  void Execute(Request& request);
  void DeliverOnProcessor(Request& request);

  // Keeps the processors and their rings from ending: a Stop waits for it, as for a callback.
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
    // Those with sockets.
    std::span<const std::unique_ptr<Processor>> io_processors() const {
      return executive_.router_.io_processors();
    }

   private:
    Executive& executive_;
    const bool entered_;
  };

  // Any thread, any level, at any time. After a stop: as it was at its end, until the next start.
  ExecutiveStatistics Statistics() const;
  // False: there is no such processor. `role` gets its role, as much as fits, and a zero.
  bool QueryProcessor(std::size_t index, std::span<char> role,
                      ProcessorStatistics* statistics) const;
  // Of the processors of `role`, or of all for null.
  std::uint64_t CpuNs(const char* role) const;
  // How many the last start has made; 0 before the first.
  unsigned processor_count() const { return processor_count_.load(std::memory_order_relaxed); }

  // For who knows that it runs. Empty when it does not.
  const std::vector<std::unique_ptr<Processor>>& processors() const { return processors_; }
  NotificationPool& notification_pool() { return *notification_pool_; }
  AsyncContextTable& contexts() { return contexts_; }

 private:
  // What has threads.
  struct Machine {
    std::unique_ptr<NotificationPool> pool;
    std::vector<std::unique_ptr<Processor>> processors;
    void Stop();
  };
  // May throw bad_alloc; `machine` is whole all the same.
  Status Build(const ExecutiveOptions& options, Machine* machine);
  Status BuildProcessor(unsigned index, bool io, Machine* machine);

  bool RecallExpired(Request& request) override;
  void EndExpired(Request& request) override;
  void OnCallbackDue(Request& request) override;
  void OnCallbackEnded() override;
  bool TakeTurn(Request& request);
  void SetWaitLimit(Request& request) const;
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

  // Fixed between Start and Stop: used by calls that were accepted, visits, and their threads.
  ExecutiveOptions options_;
  CallClock clock_;
  std::vector<std::unique_ptr<Processor>> processors_;  // I/O ones first, then crypto ones
  std::unique_ptr<NotificationPool> notification_pool_;

  // Shared. A call is inside from its acceptance until its callback has returned.
  Rundown calls_;
  Rundown visits_;
  std::atomic<unsigned> processor_count_{0};
  std::atomic<bool> stepped_{false};  // options_.step, for who is not inside any more
  Router router_{processors_};
  StripedCounter accepted_;

  // Held while statistics are read, and while processors_ and notification_pool_ change.
  mutable SpinLock figures_lock_;
  // Those of the last start once it has been stopped: their figures, without threads and rings.
  std::vector<std::unique_ptr<Processor>> ended_ KTLSIM_GUARDED_BY(figures_lock_);
  std::uint64_t accepted_before_ KTLSIM_GUARDED_BY(figures_lock_) = 0;  // by earlier starts
};

}  // namespace ktlsim::executive
