#include "kernel_sim/executive/executive.h"

#include <sched.h>

#include <new>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/async_word.h"
#include "kernel_sim/executive/left_identity.h"

namespace ktlsim::executive {
namespace {

std::vector<int> UsableCpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

}  // namespace

Executive::Executive(AsyncContextTable& contexts) : contexts_(contexts) {
  calls_.Close();
  visits_.Close();
}

Executive::~Executive() { KTLSIM_ASSERT(processors_.empty()); }

void Executive::Machine::Stop() {
  if (pool != nullptr) pool->Stop();
  for (auto& processor : processors) processor->Stop();
}

Status Executive::BuildProcessor(unsigned index, bool io, Machine* machine) {
  std::string role = io ? "io" : "crypto";
  if (io && !options_.roles.empty()) {
    role = options_.roles[index % options_.roles.size()];
  }
  const std::vector<int> cpus = options_.pin ? UsableCpus() : std::vector<int>{-1};
  auto processor = std::make_unique<Processor>(*this, index, role, cpus[index % cpus.size()]);
  const Status status = options_.step ? processor->StartStepped(options_.ring_factory)
                                      : processor->Start(options_.ring_factory);
  // Room was reserved for it: nothing may fail once its thread runs.
  if (status.ok()) machine->processors.push_back(std::move(processor));
  return status;
}

Status Executive::Build(const ExecutiveOptions& options, Machine* machine) {
  options_ = options;
  stepped_.store(options.step != nullptr, std::memory_order_relaxed);
  clock_ = CallClock(options.clock, options.sample_mask);
  probe_ = CallProbe(CallTrace::InUse());
  const unsigned io =
      options.processors != 0 ? options.processors : static_cast<unsigned>(UsableCpus().size());
  unsigned crypto = 0;
  if (options.placement == Placement::kPool) {
    crypto = options.crypto_processors != 0 ? options.crypto_processors : io;
  }
  machine->processors.reserve(io + crypto);
  machine->pool = std::make_unique<NotificationPool>(
      contexts_,
      NotificationPool::Options{.threads_max = options.notify_threads_max,
                                .stepped = options.step != nullptr},
      *this);
  if (const Status status = machine->pool->Start(); !status.ok()) return status;
  for (unsigned i = 0; i < io + crypto; ++i) {
    if (Status status = BuildProcessor(i, i < io, machine); !status.ok()) return status;
  }
  router_.Start(options.placement, io);
  return {};
}

Status Executive::Start(const ExecutiveOptions& options) {
  KTLSIM_ASSERT(processors_.empty());
  Machine machine;
  Status status;
  try {
    status = Build(options, &machine);
  } catch (const std::bad_alloc&) {
    status = ResourceError("memory for the processors");
  }
  if (!status.ok()) {
    machine.Stop();
    return status;
  }
  processor_count_.store(static_cast<unsigned>(machine.processors.size()),
                         std::memory_order_relaxed);
  std::vector<std::unique_ptr<Processor>> forgotten;
  {
    SpinLockHolder lock(figures_lock_);
    forgotten.swap(ended_);
    processors_.swap(machine.processors);
    notification_pool_.swap(machine.pool);
    accepted_before_ = accepted_.Sum();
  }
  visits_.Reopen();
  calls_.Reopen();
  return {};
}

template <typename Condition>
void Executive::StepUntil(Condition condition) {
  // A copy, because a step may stop this executive and start it again.
  const std::function<bool()> step = options_.step;
  while (!condition()) KTLSIM_CHECK(step());  // false: a deadlock
}

void Executive::Stop() {
  calls_.Close();
  visits_.Close();
  for (auto& processor : processors_) processor->EndSuspensions();
  if (options_.step) {
    StepUntil([this] { return calls_.inside() == 0 && visits_.inside() == 0; });
  } else {
    calls_.WaitUntilDrained();
    visits_.WaitUntilDrained();
    notification_pool_->Stop();
  }
  for (auto& processor : processors_) processor->Stop();
  SpinLockHolder lock(figures_lock_);
  ended_.swap(processors_);
}

void Executive::MoveHome(Request& request) {
  if (Strand* const strand = request.strand()) {
    router_.MoveHome(*strand, request.course().origin_);
  }
}

Executive::Admission Executive::Enter(Request& request, Bound bound) {
  if (!calls_.Enter()) return Admission::kStopping;
  Processor* const current = Processor::Current();
  Request::Course& course = request.course();
  course.origin_ = current != nullptr && &current->executive() == this ? current : nullptr;
  Processor& processor = router_.Route(request.lane(), request.strand(), course.origin_);
  if (bound == Bound::kAlways) {
    processor.AdmitAlways(request.lane());
  } else if (!processor.Admit(request.lane(), options_.queue_depth)) {
    calls_.Leave();
    return Admission::kQueueFull;
  }
  accepted_.Add();
  course.admitted_at_ = &processor;
  // Read now: once the request is accepted, a recall may change its strand.
  Strand* const strand = request.strand();
  clock_.Begin(request);
  probe_.Accepted(request, processor, clock_, [&request]() -> AsyncHandle {
    const AsyncContextSlot* const slot = request.context();
    return slot != nullptr ? HandleOf(*slot, slot->word.load(std::memory_order_relaxed)) : 0;
  });
  if (request.context() != nullptr) {
    const bool recallable = bound == Bound::kBounded;
    contexts_.Accept(*request.context(), recallable);
    if (recallable) SetWaitLimit(request);
  }
  if (strand == nullptr || strand->Enter(request) != Strand::Entry::kWaits) {
    processor.Schedule(request);
  }
  return Admission::kAccepted;
}

Executive::Admission Executive::Submit(Request& request, Bound bound) {
  KTLSIM_ASSERT(request.context() != nullptr);
  return Enter(request, bound);
}

void Executive::SetWaitLimit(Request& request) const {
  std::uint64_t limit = request.context()->wait_limit_ns;
  if (limit == kDefaultWaitLimit) limit = options_.wait_limit_ns;
  if (limit == 0 || limit == kNoWaitLimit) return;
  request.course().admitted_at_->wait_limits().Add(request, clock_.NowNs() + limit);
}

void Executive::LimitSuspension(Request& request, std::uint64_t limit_ns) const {
  Request::Deadline& deadline = request.deadline();
  if (deadline.ns() == 0 || deadline.ns() == WaitLimits::kNever) {
    deadline.set_ns(clock_.NowNs() + limit_ns);
  }
}

bool Executive::Expire(Request& request, CallRun /*cause*/) {
  return contexts_.Recall(*request.context());
}

void Executive::EndExpired(Request& request) { EndRecall(request, kQueueTimeoutStatus); }

// Until LetGo the request belongs to this call: no other thread completes it.
void Executive::EndRecall(Request& request, std::int32_t status) {
  request.set_status(status);
  Strand* const strand = request.strand();
  // Out of the strand: the call before it may stay suspended without end.
  const Strand::Removal removal =
      strand != nullptr ? strand->Remove(request) : Strand::Removal::kItsTurn;
  if (removal != Strand::Removal::kItsTurn) static_cast<void>(request.DetachStrand());
  Processor* const home = removal == Strand::Removal::kTaken ? router_.HomeOf(*strand) : nullptr;
  const bool turn_came = contexts_.LetGo(*request.context());
  if (home != nullptr) {
    home->Schedule(request);
  } else if (turn_came) {
    request.processor()->Schedule(request);
  }
}

// Before a first run. False: the call does not run. It has been completed, or the thread that
// recalls it will complete it.
bool Executive::TakeTurn(Request& request) {
  const std::uint64_t deadline_ns = request.deadline().ns();
  if (deadline_ns != 0) {
    request.course().admitted_at_->wait_limits().Remove(request);
    // The timer may be late; the limit is not.
    if (clock_.NowNs() >= deadline_ns && contexts_.Recall(*request.context())) {
      request.set_status(kQueueTimeoutStatus);
      contexts_.LetGo(*request.context());
    }
    request.deadline().set_ns(0);
  }
  switch (contexts_.Start(*request.context())) {
    case Turn::kRun:
      return true;
    case Turn::kComplete:
      clock_.Measure(request, request.processor()->counters(request.lane()).queued_ns);
      Complete(request);
      return false;
    case Turn::kLeave:
      return false;
  }
  return false;
}

bool Executive::SubmitAndWait(Request& request) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  KTLSIM_ASSERT(request.context() == nullptr);
  std::atomic<std::uint32_t>& done = request.course().done_;
  done.store(0, std::memory_order_relaxed);
  // Not bounded: a synchronous caller waits for its turn, so a thread has one such call at most.
  if (Enter(request, Bound::kAlways) != Admission::kAccepted) return false;
  if (stepped_.load(std::memory_order_relaxed)) {
    StepUntil([&done] { return done.load(std::memory_order_acquire) != 0; });
  } else {
    done.wait(0, std::memory_order_acquire);
  }
  return true;
}

// As the one who submitted it. The slot is empty again when this returns: the call may suspend, and
// another processor may run the rest of it.
RunResult Executive::RunAsSubmitter(Request& request) {
  KTLSIM_CHECK(!ThreadIdentity::IsSet());
  if (request.identity() != nullptr) ThreadIdentity::Exchange(request.identity());
  const RunResult result = request.Run();
  EmptyIdentity(request.identity().get(), "code that a call has called left an identity");
  return result;
}

void Executive::Execute(Request& request) {
  if (!request.begun()) {
    if (request.context() != nullptr && !TakeTurn(request)) return;
    clock_.Measure(request, request.processor()->counters(request.lane()).queued_ns);
    probe_.Started(request, clock_);
  }
  request.suspension().BeginRun();
  Strand* const strand = request.strand();
  switch (RunAsSubmitter(request)) {
    case RunResult::kCompleted:
      request.suspension().EndRun();
      clock_.Measure(request, request.processor()->counters(request.lane()).served_ns);
      Complete(request);
      return;
    case RunResult::kSuspended:
      request.processor()->Suspend(request);
      return;
    case RunResult::kMoved:
      request.suspension().EndRun();
      FinishStrand(strand);
      EnterStrand(request);
      return;
  }
}

// A moved call takes its turn on its new strand. It stays admitted where it was.
void Executive::EnterStrand(Request& request) {
  Strand* const strand = request.strand();
  Processor& processor = router_.Route(request.lane(), strand, request.course().origin_);
  if (strand->Enter(request) != Strand::Entry::kWaits) processor.Schedule(request);
}

// On the thread of the processor that ran it.
void Executive::CountEnd(const Request& request) {
  LaneCounters& counters = request.processor()->counters(request.lane());
  CountOne(counters.completed);
  if (request.status() == kCancelledStatus) CountOne(counters.cancelled);
  if (request.status() == kQueueTimeoutStatus) CountOne(counters.timed_out);
}

void Executive::Complete(Request& request) {
  // The outputs are written. Before the status says so, everything is released that is not the
  // caller's memory.
  request.DestroyPayload();
  request.DropIdentity();
  Strand* strand = request.DetachStrand();
  Reference<Object> keep_alive = request.DetachKeepAlive();
  if (request.ends_object()) {
    FinishStrand(std::exchange(strand, nullptr));
    keep_alive.Reset();
  }
  Request::Course& course = request.course();
  Processor* origin = course.origin_;
  CountEnd(request);
  CallRecord* const record = probe_.Published(request, clock_);
  course.admitted_at_->Retire(request.lane());
  AsyncContextSlot* slot = request.context();
  if (slot == nullptr) {
    probe_.End(record);
    FinishStrand(strand);
    keep_alive.Reset();
    course.done_.store(1, std::memory_order_release);
    course.done_.notify_one();
    calls_.Leave();
    return;
  }
  const NotifyMode mode = slot->mode;
  Processor* here = request.processor();
  const bool notifies = contexts_.Publish(*slot, request.status());
  // The runtime lets go of the caller's objects before the callback: a call that is over, as the
  // statistics have it, holds nothing.
  FinishStrand(strand);
  keep_alive.Reset();
  if (!notifies) {
    probe_.End(record);
    calls_.Leave();
    return;
  }
  CallProbe::CallbackComes(request, record);
  // The request may be reused as soon as its callback has been entered.
  if (mode == NotifyMode::kOnProcessor) {
    (origin != nullptr ? origin : here)->ScheduleCallback(request);
  } else {
    notification_pool_->Enqueue(request);
  }
}

void Executive::FinishStrand(Strand* strand) {
  if (strand == nullptr) return;
  if (Request* next = strand->Leave()) router_.HomeOf(*strand)->Schedule(*next);
}

void Executive::DeliverOnProcessor(Request& request) {
  CallRecord* const record = OnCallbackDue(request);
  const AsyncContextTable::Notification notification = contexts_.EnterCallback(*request.context());
  {
    const CallbackIdentity as_process;
    notification.Invoke();
  }
  contexts_.FinishCallback(notification);
  OnCallbackEnded(record);
}

CallRecord* Executive::OnCallbackDue(Request& request) {
  clock_.Measure(request, request.processor()->counters(request.lane()).notified_ns);
  return probe_.CallbackDue(request, clock_);
}

void Executive::OnCallbackEnded(CallRecord* record) {
  probe_.CallbackEnded(record, clock_);
  calls_.Leave();
}

ExecutiveStatistics Executive::Statistics() const {
  ExecutiveStatistics statistics;
  SpinLockHolder lock(figures_lock_);
  statistics.accepted = accepted_.Sum() - accepted_before_;
  statistics.in_flight = calls_.inside();
  for (const auto& processor : Shown()) {
    const ProcessorStatistics one = processor->Statistics();
    statistics.callbacks += one.callbacks;
    statistics.suspended += one.suspended;
    for (const LaneStatistics& lane : one.lanes) {
      statistics.refused += lane.refused;
      statistics.completed += lane.completed;
      statistics.cancelled += lane.cancelled;
      statistics.timed_out += lane.timed_out;
    }
  }
  if (notification_pool_ != nullptr) {
    statistics.callbacks += notification_pool_->delivered();
    statistics.notify_threads = notification_pool_->threads();
    statistics.notify_threads_peak = notification_pool_->threads_peak();
    statistics.notify_threads_refused = notification_pool_->refused_threads();
  }
  return statistics;
}

bool Executive::QueryProcessor(std::size_t index, std::span<char> role,
                               ProcessorStatistics* statistics, std::uint64_t* cpu_ns) const {
  SpinLockHolder lock(figures_lock_);
  const std::vector<std::unique_ptr<Processor>>& processors = Shown();
  if (index >= processors.size()) return false;
  const std::size_t length = processors[index]->role().copy(role.data(), role.size() - 1);
  role[length] = 0;
  *statistics = processors[index]->Statistics();
  *cpu_ns = processors[index]->CpuNs();
  return true;
}

std::uint64_t Executive::CpuNs(const char* role) const {
  SpinLockHolder lock(figures_lock_);
  std::uint64_t total = 0;
  for (const auto& processor : Shown()) {
    if (role == nullptr || processor->role() == role) total += processor->CpuNs();
  }
  return total;
}

}  // namespace ktlsim::executive
