#include "kernel_sim/executive/processor.h"

#include <sched.h>

#include <exception>
#include <new>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/memory_watch.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/base/trace.h"
#include "kernel_sim/executive/executive.h"
#include "kernel_sim/executive/left_identity.h"
#include "kernel_sim/executive/thread_error.h"

namespace ktlsim::executive {
namespace {

thread_local Processor* current_processor = nullptr;

}  // namespace

Processor* Processor::Current() { return current_processor; }

Processor::Processor(Executive& executive, unsigned index, std::string role, int pinned_cpu)
    : executive_(executive),
      index_(index),
      role_(std::move(role)),
      pinned_cpu_(pinned_cpu),
      wait_limits_(executive) {}

Processor::~Processor() { KTLSIM_ASSERT(!thread_.joinable()); }

Status Processor::Start(const RingFactory& factory) {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  try {
    thread_ = std::thread([this, factory] { Main(factory); });
  } catch (const std::exception& error) {
    return ThreadError(error, "start a processor's thread");
  }
  started_.wait(0);
  if (started_.load() == 2) {
    thread_.join();
    return start_failure_;
  }
  return {};
}

// Nothing may be thrown here: nothing on the processor's thread would catch it.
Result<std::unique_ptr<io::Ring>> Processor::MakeRing(const RingFactory& factory) {
  try {
    const MemoryWatch watch;
    Result<std::unique_ptr<io::Ring>> ring = factory();
    const bool memory = watch.ran_out() || ring.status().code() == ENOMEM;
    if (!ring.ok() && memory) return ResourceError("memory for a ring");
    return ring;
  } catch (const std::bad_alloc&) {
    return ResourceError("memory for a ring");
  }
}

Status Processor::StartStepped(const RingFactory& factory) {
  Result<std::unique_ptr<io::Ring>> ring = MakeRing(factory);
  if (!ring.ok()) return ring.status();
  UseRing(std::move(*ring));
  return {};
}

void Processor::UseRing(std::unique_ptr<io::Ring> ring) {
  ring_ = std::move(ring);
  wait_limits_.Attach(*ring_);
  suspension_limits_.Attach(*ring_);
  SpinLockHolder lock(figures_lock_);
  figures_ring_ = ring_.get();
}

void Processor::LeaveRing() {
  wait_limits_.Detach();
  suspension_limits_.Detach();
  {
    SpinLockHolder lock(figures_lock_);
    ring_ended_ = ring_->Statistics();
    figures_ring_ = nullptr;
  }
  ring_.reset();
}

void Processor::Step() {
  Processor* const outer = std::exchange(current_processor, this);
  // The thread is this processor's for one step only.
  const ThreadIdentity::Scope own;
  Turn(0);
  RunLanes(1);
  current_processor = outer;
}

void Processor::Stop() {
  if (!thread_.joinable()) {
    KTLSIM_ASSERT(!HasWork());
    if (ring_ != nullptr) LeaveRing();
    return;
  }
  // The stop is itself the last posted item, so the thread leaves none unread when it ends.
  struct Farewell : WorkItem {
    explicit Farewell(Processor& who)
        : WorkItem([](WorkItem& item) { static_cast<Farewell&>(item).processor.stopping_ = true; }),
          processor(who) {}
    Processor& processor;
  } farewell(*this);
  ring_->Post(farewell);
  thread_.join();
}

void Processor::Main(const RingFactory& factory) {
  current_processor = this;
  ThreadIdentity::KeepProcessRights();
  pthread_setname_np(pthread_self(), ("ktlsim-" + role_.substr(0, 8)).c_str());
  SetTraceProcessor(static_cast<std::uint32_t>(index_));
  if (pinned_cpu_ >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<unsigned>(pinned_cpu_), &cpus);
    // A refused pin costs speed, not correctness.
    static_cast<void>(pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus));
  }
  Result<std::unique_ptr<io::Ring>> ring = MakeRing(factory);
  if (!ring.ok() || pthread_getcpuclockid(pthread_self(), &cpu_clock_) != 0) {
    start_failure_ = ring.ok() ? ResourceError("thread clock") : ring.status();
    started_.store(2);
    started_.notify_one();
    return;
  }
  UseRing(std::move(*ring));
  started_.store(1);
  started_.notify_one();
  while (!stopping_) {
    Turn(HasWork() ? 0 : io::kWaitForever);
    RunLanes(kRecordBudget);
  }
  KTLSIM_ASSERT(!HasWork());
  LeaveRing();
  cpu_ended_ns_.store(CpuNs(), std::memory_order_release);
  current_processor = nullptr;
}

// Handlers of connections run in it, which may impersonate, but not beyond their end. That is
// looked at once a turn: until then the next handlers of the turn run as whom a handler has left.
void Processor::Turn(std::uint64_t wait_ns) {
  ring_->Turn(wait_ns);
  EmptyIdentity(nullptr, "a handler on a processor left an identity");
}

bool Processor::HasWork() const {
  return !lanes_[0].empty() || !lanes_[1].empty() || !notifications_.empty();
}

void Processor::RunLanes(int record_budget) {
  ScopedLevel dispatch(Level::kDispatch);
  DeliverNotifications();
  Request::Queue& records = lanes_[static_cast<std::size_t>(Lane::kRecord)];
  Request::Queue& handshakes = lanes_[static_cast<std::size_t>(Lane::kHandshake)];
  for (int budget = record_budget; budget > 0; --budget) {
    Request* request = records.PopFront();
    if (request == nullptr) break;
    executive_.Execute(*request);
    DeliverNotifications();
  }
  if (Request* request = handshakes.PopFront()) {
    executive_.Execute(*request);
    DeliverNotifications();
  }
}

void Processor::DeliverNotifications() {
  while (Request* request = notifications_.PopFront()) {
    CountOne(callbacks_);
    executive_.DeliverOnProcessor(*request);
  }
}

void Processor::Accept(Request& request) {
  if (request.destination().phase_ == Request::Destination::Phase::kToNotify) {
    notifications_.PushBack(request);
  } else {
    lanes_[static_cast<std::size_t>(request.lane())].PushBack(request);
  }
}

void Processor::Send(Request& request, Request::Destination::Phase phase) {
  Request::Destination& destination = request.destination();
  destination.phase_ = phase;
  destination.processor_ = this;
  if (current_processor == this) {
    Accept(request);
  } else {
    ring_->Post(request);
  }
}

void Processor::Arrive(WorkItem& item) {
  auto& request = static_cast<Request&>(item);
  request.processor()->Accept(request);
}

void Processor::Suspend(Request& request) {
  suspended_.fetch_add(1, std::memory_order_relaxed);
  SuspensionCell& suspension = request.suspension();
  const std::uint64_t generation = suspension.generation();
  const std::uint64_t deadline = request.deadline().ns();
  const bool waits = suspension_limits_.Add(request, deadline != 0 ? deadline : WaitLimits::kNever);
  // Suspend gives the request to whoever takes it next, unless its token was used already.
  if (suspension.Suspend()) {
    BringBack(request);
  } else if (!waits && suspension.Resume(generation, CallRun::kStopping)) {
    BringBack(request);
  }
}

bool Processor::Expire(Request& request, CallRun cause) {
  return request.suspension().Resume(request.suspension().generation(), cause);
}

void Processor::BringBack(Request& request) {
  suspension_limits_.Remove(request);
  suspended_.fetch_sub(1, std::memory_order_relaxed);
  Schedule(request);
}

bool Processor::Admit(Lane lane, std::uint32_t depth_max) {
  if (Total(depth_.fetch_add(OneIn(lane), std::memory_order_relaxed)) < depth_max) return true;
  Retire(lane);
  counters(lane).refused.fetch_add(1, std::memory_order_relaxed);
  return false;
}

ProcessorStatistics Processor::Statistics() const {
  ProcessorStatistics statistics;
  const std::uint64_t depth = depth_.load(std::memory_order_relaxed);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    statistics.lanes[lane] = counters_[lane].Read();
    statistics.lanes[lane].depth = static_cast<std::uint32_t>(depth >> (32 * lane));
  }
  statistics.suspended = suspended_.load(std::memory_order_relaxed);
  statistics.callbacks = callbacks_.load(std::memory_order_relaxed);
  SpinLockHolder lock(figures_lock_);
  statistics.ring = figures_ring_ != nullptr ? figures_ring_->Statistics() : ring_ended_;
  return statistics;
}

std::uint64_t Processor::CpuNs() const {
  // A thread's clock ends with the thread.
  if (const std::uint64_t ended = cpu_ended_ns_.load(std::memory_order_acquire)) return ended;
  timespec time{};
  if (clock_gettime(cpu_clock_, &time) != 0) return cpu_ended_ns_.load(std::memory_order_acquire);
  return static_cast<std::uint64_t>(time.tv_sec) * kNsPerSecond +
         static_cast<std::uint64_t>(time.tv_nsec);
}

}  // namespace ktlsim::executive
