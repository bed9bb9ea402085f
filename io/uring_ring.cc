// The life of a ring and its turn: submit, wait, collect, run.
#include "io/uring_ring.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <new>
#include <utility>

#include "io/uring_probe.h"
#include "kernel_sim/base/level.h"
#include "kernel_sim/base/trace.h"

namespace ktlsim::io {
namespace {

constexpr unsigned kRefusalsAtOnce = 16;
constexpr long kRefusalPauseNs = 5 * static_cast<long>(kNsPerMs);
constexpr unsigned kRefusalsPerLine = 200;  // about a second
constexpr unsigned kRefusalsMax = 2000;
constexpr int kInterruptionsMax = 100;

// For a call that no bug of ours makes fail and that the ring cannot do without: says which call
// failed, why, and what to do about it.
[[noreturn]] void CannotGoOn(const char* call, int error_number, const char* remedy) {
  char text[128] = {};
  std::fprintf(stderr, "ktlsim: %s: %s: %s\n", call, strerror_r(error_number, text, sizeof(text)),
               remedy);
  DumpTrace(stderr);
  std::abort();
}

// 0 or the errno value. The counter cannot reach its limit of 2^64 - 2.
int WriteOne(int eventfd) {
  const std::uint64_t one = 1;
  for (int i = 0; i < kInterruptionsMax; ++i) {
    if (write(eventfd, &one, sizeof(one)) == sizeof(one)) return 0;
    if (errno != EINTR) break;
  }
  // A sandbox that forbids write may allow writev.
  iovec piece{.iov_base = const_cast<std::uint64_t*>(&one), .iov_len = sizeof(one)};
  const int error_number = errno;
  return writev(eventfd, &piece, 1) == sizeof(one) ? 0 : error_number;
}

}  // namespace

UringRing::UringRing(const UringOptions& options)
    : LoopBackend(MonotonicClock::Now()), options_(options) {}

Status UringRing::Open() {
  io_uring_params params{};
  params.flags = kRingSetupFlags;
  params.cq_entries = std::max(options_.completion_entries, 4 * options_.submission_entries);
  if (int error = io_uring_queue_init_params(options_.submission_entries, &ring_, &params);
      error != 0) {
    return ExplainSetupFailure(-error);
  }
  ring_open_ = true;
  // Saves a descriptor look-up per enter; works without, too.
  (void)io_uring_register_ring_fd(&ring_);
  batch_.resize(params.cq_entries);

  Result<std::unique_ptr<BufferRing>> buffers =
      BufferRing::Create(ring_, options_.receive_buffers, options_.receive_buffer_bytes);
  if (!buffers) {
    const Status status = buffers.status();
    // The kernel did not take them, for a reason that all of io_uring has.
    if (status.category() == Category::kIo) return ExplainSetupFailure(status.code());
    SetProbeText(status.ToString());
    return status;
  }
  buffers_ = std::move(*buffers);

  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) {
    const Status status = IoError(errno, "create the wake-up descriptor");
    SetProbeText(status.ToString());
    return status;
  }
  ArmWake();
  return {};
}

UringRing::~UringRing() {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(!in_turn_);
  // A poster may still be writing wake_fd_ although its item has run.
  while (wakes_sent_.load(std::memory_order_acquire) != wakes_owed_) std::this_thread::yield();
  buffers_.reset();
  if (ring_open_) io_uring_queue_exit(&ring_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

std::size_t UringRing::Turn(std::uint64_t wait_ns) {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(!in_turn_);
  in_turn_ = true;
  figures_.Add<&RingStatistics::turns>();
  FeedStarved();

  const bool slept = Enter(wait_ns);
  // At once: from here on a poster need not wake us.
  WorkItem* early = slept ? posted_.TakeAll() : nullptr;
  if (early != nullptr) ++wakes_owed_;
  now_ns_ = MonotonicClock::Now();
  Collect();
  const bool lost = HasLostCompletion();
  if (lost) SuspectAll();
  // The queue is empty now: parked operations get their place before handlers can start more.
  if (wake_parked_) ArmWake();
  CancelWatches();
  SubmitParked();

  ScopedLevel level(Level::kDispatch);
  std::size_t ran = RunEnding();
  ran += RunCompletions();
  if (lost) ran += Recover();
  ran += RunLeaving();
  ran += RunTimers(now_ns_);
  ran += RunItems(early);
  ran += RunItems(posted_.TakeAll());
  in_turn_ = false;
  return ran;
}

bool UringRing::HasWork() { return HasOwnWork() || wake_parked_ || io_uring_cq_ready(&ring_) != 0; }

// True: the sleep was announced to posters.
bool UringRing::Enter(std::uint64_t wait_ns) {
  bool wait = wait_ns != 0 && !HasWork();
  if (wait && timers_.armed() != 0) {
    const std::uint64_t now = MonotonicClock::Now();
    const std::uint64_t deadline = timers_.NextDeadlineNs();
    wait_ns = std::min(wait_ns, deadline > now ? deadline - now : 0);
    wait = wait_ns != 0;
  }
  if (!wait || !posted_.PrepareToSleep()) {
    EnterWithoutWaiting();
    return false;
  }
  EnterAndWait(wait_ns);
  return true;
}

unsigned UringRing::KernelFlags() const {
  return std::atomic_ref<unsigned>(*ring_.sq.kflags).load(std::memory_order_relaxed);
}

// With DEFER_TASKRUN completions appear only inside an enter that asks for events. The flag says
// whether there are any, so that an idle turn costs no system call.
void UringRing::EnterWithoutWaiting() {
  const bool pending = (KernelFlags() & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  if (!pending && io_uring_sq_ready(&ring_) == 0) return;
  NoteEnter(io_uring_submit_and_get_events(&ring_));
}

void UringRing::EnterAndWait(std::uint64_t wait_ns) {
  __kernel_timespec timeout{};
  timeout.tv_sec = static_cast<std::int64_t>(wait_ns / kNsPerSecond);
  timeout.tv_nsec = static_cast<long long>(wait_ns % kNsPerSecond);
  io_uring_cqe* first = nullptr;
  NoteEnter(io_uring_submit_and_wait_timeout(
      &ring_, &first, 1, wait_ns == kWaitForever ? nullptr : &timeout, nullptr));
}

void UringRing::NoteEnter(int result) {
  figures_.Add<&RingStatistics::enters>();
  if ((KernelFlags() & IORING_SQ_CQ_OVERFLOW) != 0)
    figures_.Add<&RingStatistics::completion_overflow>();
  if (result >= 0 || result == -ETIME) {  // ETIME: the wait ended
    refusals_ = 0;
    return;
  }
  switch (-result) {
    case EINTR:   // a signal
    case EAGAIN:  // no memory for a request: what was not taken stays queued
    case ENOMEM:
    case EBUSY:  // completions overflowed: they are collected first
    case EBADR:  // the kernel had no memory to keep an overflowing completion
      completion_lost_ |= result == -EBADR;
      NoteRefusal(-result);
      return;
    default:
      CannotGoOn("io_uring_enter", -result,
                 "the ring was set up and cannot be used any more; if a sandbox (seccomp) begins "
                 "after the start, it must allow this call");
  }
}

// A short refusal is tried again at once. A longer one pauses, to spare the processor, and warns
// once a second. After ten seconds the process ends: without this call nothing moves here, not even
// an orderly end.
void UringRing::NoteRefusal(int error_number) {
  ++refusals_;
  if (refusals_ < kRefusalsAtOnce) return;
  if (refusals_ == kRefusalsMax) {
    CannotGoOn("io_uring_enter", error_number,
               "it has failed for ten seconds, and nothing moves without it; if memory is short, "
               "the process needs more, or less to do");
  }
  if (refusals_ % kRefusalsPerLine == 0) {
    char text[128] = {};
    std::fprintf(stderr, "ktlsim: warning: io_uring_enter fails again and again: %s; waiting\n",
                 strerror_r(error_number, text, sizeof(text)));
  }
  const timespec pause{.tv_sec = 0, .tv_nsec = kRefusalPauseNs};
  nanosleep(&pause, nullptr);
}

void UringRing::Collect() {
  unsigned head = 0;
  io_uring_cqe* cqe = nullptr;
  batch_size_ = 0;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    if (batch_size_ == batch_.size()) break;
    batch_[batch_size_++] = {cqe->user_data, cqe->res, cqe->flags};
  }
  io_uring_cq_advance(&ring_, static_cast<unsigned>(batch_size_));
  figures_.Add<&RingStatistics::completed>(batch_size_);
}

std::size_t UringRing::RunCompletions() {
  for (std::size_t i = 0; i < batch_size_; ++i) Dispatch(batch_[i]);
  return batch_size_;
}

// The kernel counts before it posts anything later, and returns EBADR from the next enter that can.
bool UringRing::HasLostCompletion() {
  const unsigned lost =
      std::atomic_ref<unsigned>(*ring_.cq.koverflow).load(std::memory_order_relaxed);
  const bool more = std::exchange(completions_lost_seen_, lost) != lost;
  return std::exchange(completion_lost_, false) || more;
}

// The kernel had no memory to keep a completion that did not fit. It may have been any operation's:
// one may wait without end, and bytes may be missing. So everything is cancelled now, and an
// operation without a completion after that is the one whose completion was lost. Connections end
// with EIO, listeners and the wake-up go on.
std::size_t UringRing::Recover() {
  Trace("ring.completion_lost", 0);
  figures_.Add<&RingStatistics::completions_lost>();
  for (int i = 0; io_uring_sq_ready(&ring_) != 0; ++i) {
    const int result = io_uring_submit(&ring_);
    if (result < 0 && i >= kInterruptionsMax) {
      CannotGoOn("io_uring_enter", -result, "a completion was lost, and nothing can be cancelled");
    }
  }
  SuspectAll();
  wake_armed_ = false;
  CancelEverything();
  std::size_t ran = 0;
  do {
    static_cast<void>(io_uring_get_events(&ring_));
    Collect();
    ran += RunCompletions();
  } while (batch_size_ != 0);
  if (!wake_armed_) ArmWake();
  if (const Status status = buffers_->Renew(); !status.ok()) {
    CannotGoOn("io_uring_register", status.code(), "the receive buffers cannot be provided again");
  }
  EndSuspects();
  return ran;
}

// Cancels everything, then waits until the kernel has let go of all of it.
void UringRing::CancelEverything() {
  io_uring_sync_cancel_reg everything{};
  everything.fd = -1;
  everything.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
  everything.timeout = {.tv_sec = -1, .tv_nsec = -1};
  const int result = io_uring_register_sync_cancel(&ring_, &everything);
  if (result < 0 && result != -ENOENT) {
    CannotGoOn("io_uring_register", -result, "a completion was lost, and nothing can be cancelled");
  }
}

void UringRing::Post(WorkItem& item) {
  if (posted_.Push(item) && !IsCurrentThread()) Wake();
}

void UringRing::Wake() {
  if (const int error_number = WriteOne(wake_fd_); error_number != 0) {
    CannotGoOn("write to an eventfd", error_number,
               "a sleeping thread cannot be woken; a sandbox (seccomp) must allow write");
  }
  // The last touch of the ring; release pairs with the destructor's acquire.
  wakes_sent_.fetch_add(1, std::memory_order_release);
}

// Multishot and edge triggered: each write posts one completion, and the counter is never read. If
// the kernel ends the poll, arming it again reports at once what was missed.
void UringRing::ArmWake() {
  io_uring_sqe* sqe = NextSqe();
  wake_parked_ = sqe == nullptr;
  if (wake_parked_) return;
  wake_armed_ = true;
  io_uring_prep_poll_multishot(sqe, wake_fd_, POLLIN);
  io_uring_sqe_set_data64(sqe, kWakeTag);
}

RingStatistics UringRing::Statistics() const {
  RingStatistics now = LoopBackend::Statistics();
  now.wakes_sent = wakes_sent_.load(std::memory_order_relaxed);
  return now;
}

Result<std::unique_ptr<Ring>> CreateUring(const UringOptions& options) {
  const bool buffers_fit = std::has_single_bit(options.receive_buffers) &&
                           options.receive_buffers <= 32768 && options.receive_buffer_bytes >= 1 &&
                           options.receive_buffer_bytes <= (std::size_t{1} << 30);
  if (!buffers_fit || options.submission_entries == 0) {
    SetProbeText("the ring's options are out of range (uring.h)");
    return Status(Category::kContract, 0, "create a ring with these options");
  }
  if (Result<UringFeatures> probed = ProbeUring(); !probed) return probed.status();
  try {
    auto ring = std::make_unique<UringRing>(options);
    if (Status status = ring->Open(); !status.ok()) return status;
    return std::unique_ptr<Ring>(std::move(ring));
  } catch (const std::bad_alloc&) {
    SetProbeText("no memory for the ring's own tables");
    return ResourceError("create a ring");
  }
}

}  // namespace ktlsim::io
