#include "kernel_sim/audit/audit_trail.h"

#include <pthread.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/level.h"

namespace ktlsim::audit {
namespace {

// How often the process, or one that it was forked from, was forked: getpid is a system call.
std::atomic<std::uint64_t> fork_count{0};

bool CountForks() {
  static Mutex mutex;
  static bool counted = false;
  const MutexLock lock(mutex);
  if (!counted) {
    counted = pthread_atfork(nullptr, nullptr,
                             [] { fork_count.fetch_add(1, std::memory_order_relaxed); }) == 0;
  }
  return counted;
}

Status ForkedStatus() {
  return {Category::kContract, 0,
          "the audit trail's writer is in the parent process: a child opens a trail of its own"};
}

}  // namespace

std::uint64_t UnixTimeNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

Result<std::unique_ptr<AuditTrail>> AuditTrail::Open(const AuditOptions& options) try {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  if (!CountForks()) return ResourceError("no memory for the audit trail");
  std::unique_ptr<RecordQueue> queue = RecordQueue::Create(options.queue_depth);
  if (queue == nullptr) return ResourceError("no memory for the audit trail's queue");
  Result<std::unique_ptr<TrailWriter>> writer = TrailWriter::Open(options);
  if (!writer) return writer.status();
  std::unique_ptr<AuditTrail> trail(
      new AuditTrail(options, std::move(queue), std::move(writer).value()));
  trail->thread_ = std::thread(&AuditTrail::Main, trail.get());
  return trail;
} catch (const std::bad_alloc&) {
  return ResourceError("no memory for the audit trail");
} catch (const std::system_error&) {
  return ResourceError("no thread for the audit trail");
}

AuditTrail::AuditTrail(const AuditOptions& options, std::unique_ptr<RecordQueue> queue,
                       std::unique_ptr<TrailWriter> writer)
    : when_full_(options.when_full),
      linger_ns_(options.linger_ns),
      retry_ns_(options.retry_ns),
      unix_time_ns_(options.unix_time_ns),
      forks_(fork_count.load(std::memory_order_relaxed)),
      queue_(std::move(queue)),
      writer_(std::move(writer)),
      lines_(writer_->lines()) {}

AuditTrail::~AuditTrail() {
  if (is_in_child()) {
    Abandon();
    return;
  }
  // Who wants to know calls Close.
  [[maybe_unused]] const Status closed = Close();
}

bool AuditTrail::is_in_child() const {
  return fork_count.load(std::memory_order_relaxed) != forks_;
}

void AuditTrail::Abandon() {
  // The thread is not there to be joined, nor to leave the condition variables, whose destructors
  // would wait for it. What it and others changed may be half changed.
  static_cast<void>(writer_.release());
  static_cast<void>(queue_.release());
  std::construct_at(&thread_);
  std::construct_at(&changed_);
  std::construct_at(&progress_);
}

// ---- Callers

Taken AuditTrail::Write(const AuditRecord& record) {
  if (is_in_child()) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return Taken::kRefused;
  }
  const TrailState state = state_.load(std::memory_order_acquire);
  const bool takes = state == TrailState::kWriting ||
                     (state == TrailState::kFailing && when_full_ == FullPolicy::kCount);
  if (takes && queue_->Push(record, unix_time_ns_())) {
    if (asleep_.load(std::memory_order_seq_cst)) Wake();
    return Taken::kQueued;
  }
  const bool refuse = when_full_ == FullPolicy::kRefuse;
  if (IsFailedLogon(record.event, record.success)) {
    losses_.logons.fetch_add(1);
    logons_lost_.fetch_add(1, std::memory_order_relaxed);
  } else {
    (refuse ? losses_.refused : losses_.lost).fetch_add(1);
    (refuse ? refused_ : lost_).fetch_add(1, std::memory_order_relaxed);
  }
  if (asleep_.load(std::memory_order_seq_cst)) Wake();
  return refuse ? Taken::kRefused : Taken::kCounted;
}

void AuditTrail::Wake() {
  // One of those who see it asleep is enough.
  if (!asleep_.exchange(false, std::memory_order_seq_cst)) return;
  const MutexLock lock(mutex_);
  woken_ = true;
  changed_.notify_one();
}

Status AuditTrail::Flush() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  if (is_in_child()) return ForkedStatus();
  const std::uint64_t target = queue_->pushed();
  const MutexLock lock(mutex_);
  // A rotation that fails keeps nothing from being written.
  const std::uint64_t failures = write_failures_;
  woken_ = true;
  changed_.notify_one();
  while (written_ < target && write_failures_ == failures && state_.load() != TrailState::kClosed) {
    progress_.wait(mutex_);
  }
  return written_ >= target ? Status() : failure_;
}

void AuditTrail::Rotate() {
  if (is_in_child()) return;
  const MutexLock lock(mutex_);
  rotate_ = true;
  woken_ = true;
  changed_.notify_one();
}

Status AuditTrail::Close() {
  KTLSIM_ASSERT(CurrentLevel() == Level::kPassive);
  if (is_in_child()) return ForkedStatus();
  if (!thread_.joinable()) return last_;
  {
    const MutexLock lock(mutex_);
    Move(TrailEvent::kClose);
    woken_ = true;
    changed_.notify_one();
  }
  thread_.join();
  return last_;
}

TrailFigures AuditTrail::figures() const {
  return {.state = state_.load(),
          .lines = lines_.load(),
          .lost = lost_.load(),
          .refused = refused_.load(),
          .logons_lost = logons_lost_.load(),
          .failures = failures_.load()};
}

// ---- The writer

void AuditTrail::Move(TrailEvent event) {
  state_.store(kTrailTable.After(state_.load(), event), std::memory_order_release);
}

bool AuditTrail::HasWork() const {
  return writer_->pending() || queue_->Front() != nullptr || losses_.any();
}

void AuditTrail::Main() {
  pthread_setname_np(pthread_self(), "ktlsim-audit");
  while (state_.load(std::memory_order_acquire) != TrailState::kClosing) {
    if (HasWork()) WriteOnce();
    RotateIfAsked();
    if (state_.load() == TrailState::kFailing) {
      WaitAtMost(retry_ns_);
    } else if (!HasWork()) {
      if (!WaitAtMost(linger_ns_) && !HasWork()) WaitForWork();
    }
  }
  // Nothing is pushed any more. Each attempt makes the rest smaller, or ends it.
  last_ = {};
  while (last_.ok() && HasWork()) {
    WriteOnce();
  }
  if (last_.ok()) last_ = writer_->Stop();
  lines_.store(writer_->lines());
  const MutexLock lock(mutex_);
  written_ = last_.ok() ? queue_->popped() : written_;
  failure_ = last_;
  Move(TrailEvent::kEnded);
  progress_.notify_all();
}

void AuditTrail::WriteOnce() {
  last_ = writer_->Write(*queue_, losses_);
  Report(last_);
}

void AuditTrail::Report(const Status& status) {
  lines_.store(writer_->lines());
  const MutexLock lock(mutex_);
  if (status.ok()) {
    written_ = queue_->popped();
  } else {
    failures_.fetch_add(1);
    ++write_failures_;
    failure_ = status;
  }
  Move(status.ok() ? TrailEvent::kWritten : TrailEvent::kFailed);
  progress_.notify_all();
}

void AuditTrail::RotateIfAsked() {
  if (writer_->pending()) return;
  bool asked = writer_->is_full();
  {
    const MutexLock lock(mutex_);
    asked |= rotate_;
    rotate_ = false;
  }
  if (!asked) return;
  const Status rotated = writer_->Rotate();
  if (!rotated.ok()) failures_.fetch_add(1);
}

bool AuditTrail::WaitAtMost(std::uint64_t ns) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(ns);
  const MutexLock lock(mutex_);
  while (!woken_ && changed_.wait_until(mutex_, end) != std::cv_status::timeout) {
  }
  return std::exchange(woken_, false);
}

void AuditTrail::WaitForWork() {
  asleep_.store(true, std::memory_order_seq_cst);
  // Who pushed before it was asleep did not wake it.
  if (!HasWork()) {
    const MutexLock lock(mutex_);
    while (!woken_) changed_.wait(mutex_);
    woken_ = false;
  }
  asleep_.store(false, std::memory_order_seq_cst);
}

}  // namespace ktlsim::audit
