#include "io/loop_backend.h"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "io/poison.h"

namespace ktlsim::io {
namespace {

// accept(2): errors of the connection that was to be accepted; the listener is unharmed.
bool ConcernsOneConnection(int error_number) {
  switch (error_number) {
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
      return true;
    default:
      return false;
  }
}

// The request was interrupted before it did anything.
bool IsInterruption(int error_number) { return error_number == EINTR || error_number == EAGAIN; }

// The last thing done with `operation`: its handler may start it again or destroy it.
void CallFinalHandler(Operation& operation, int error_number) {
  const auto outcome = [error_number](const char* what) {
    return error_number == 0 ? Status() : IoError(error_number, what);
  };
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
      static_cast<AcceptOperation&>(operation).OnAcceptEnded(outcome("accept a connection"));
      return;
    case Operation::Kind::kConnect:
      static_cast<ConnectOperation&>(operation).OnConnected(outcome("connect"));
      return;
    case Operation::Kind::kReceive:
      static_cast<ReceiveOperation&>(operation).OnReceiveEnded(outcome("receive"));
      return;
    case Operation::Kind::kSend:
      static_cast<SendOperation&>(operation).OnSent(outcome("send"));
      return;
  }
}

}  // namespace

LoopBackend::~LoopBackend() {
  KTLSIM_ASSERT(figures_.operations.Get() == 0);
  KTLSIM_ASSERT(figures_.sockets.Get() == 0);
  KTLSIM_ASSERT(posted_.empty());
}

bool LoopBackend::MakeRoomFor(SocketId socket) {
  const auto index = static_cast<std::size_t>(socket);
  if (index < in_flight_on_.size()) return true;
  try {
    in_flight_on_.resize(2 * index + 64);
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

std::uint8_t& LoopBackend::InFlightOn(SocketId socket) {
  const auto index = static_cast<std::size_t>(socket);
  KTLSIM_CHECK(index < in_flight_on_.size());
  return in_flight_on_[index];
}

bool LoopBackend::NoteOpened(SocketId socket) {
  if (!MakeRoomFor(socket)) return false;
  KTLSIM_ASSERT(InFlightOn(socket) == 0);
  figures_.sockets.Add(1);
  return true;
}

void LoopBackend::NoteClosed(SocketId socket) {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(InFlightOn(socket) == 0);
  figures_.sockets.Subtract(1);
}

void LoopBackend::Begin(Operation& operation, SocketId socket) {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(socket >= 0);
  KTLSIM_ASSERT(!operation.in_flight_);
  // Fails only for a descriptor that another loop opened.
  KTLSIM_CHECK(MakeRoomFor(socket));
  operation.socket_ = socket;
  operation.in_flight_ = true;
  operation.cancel_requested_ = false;
  figures_.operations.Add(1);
  ++InFlightOn(socket);
}

void LoopBackend::StartAccept(AcceptOperation& operation, SocketId listener) {
  Begin(operation, listener);
  Submit(operation);
}

void LoopBackend::StartConnect(ConnectOperation& operation, SocketId socket, const Address& peer) {
  Begin(operation, socket);
  operation.peer_ = peer;
  Submit(operation);
}

void LoopBackend::StartReceive(ReceiveOperation& operation, SocketId socket) {
  Begin(operation, socket);
  operation.watch_ = kNotWatched;
  operation.looks_again_ = false;
  Submit(operation);
}

void LoopBackend::StartSend(SendOperation& operation, SocketId socket,
                            std::span<const std::byte> bytes) {
  Begin(operation, socket);
  operation.bytes_ = bytes;
  operation.sent_bytes_ = 0;
  if (bytes.empty()) {
    EndLater(operation, 0, ending_);
    return;
  }
  Poison(bytes);
  Submit(operation);
}

// All that waits for nothing but the kernel: to be found when that has lost something.
void LoopBackend::EnterKernel(Operation& operation, Place place) {
  operation.state_ = place;
  in_kernel_.PushBack(operation);
}

void LoopBackend::LeaveKernel(Operation& operation) {
  if (operation.state_ == kInKernel || operation.state_ == kAwaitsWatch) {
    in_kernel_.Remove(operation);
  } else if (operation.state_ == kParkedCancel) {
    // No longer with the kernel: its cancellation must not go out any more.
    parked_.Remove(operation);
  }
  operation.state_ = kNowhere;
}

void LoopBackend::Submit(Operation& operation) {
  operation.suspect_ = false;
  if (TrySubmit(operation)) {
    EnterKernel(operation, kInKernel);
  } else {
    Park(operation, kParked);
  }
}

void LoopBackend::SubmitCancel(Operation& operation) {
  if (TrySubmitCancel(operation)) return;
  in_kernel_.Remove(operation);
  Park(operation, kParkedCancel);
}

void LoopBackend::Park(Operation& operation, Place place) {
  figures_.parked.Add(1);
  operation.state_ = place;
  parked_.PushBack(operation);
}

// Stops at the first that finds no place, so that nobody overtakes.
void LoopBackend::SubmitParked() {
  while (Operation* operation = parked_.front()) {
    const bool cancels = operation->state_ == kParkedCancel;
    if (!(cancels ? TrySubmitCancel(*operation) : TrySubmit(*operation))) return;
    parked_.Remove(*operation);
    EnterKernel(*operation, kInKernel);
  }
}

// One operation per buffer that the kernel has: those without incoming bytes take none, and the
// next turn goes on, so nobody starves while buffers lie idle.
void LoopBackend::FeedStarved() {
  const std::size_t count = std::min<std::size_t>(starved_.size(), buffers().available());
  for (std::size_t i = 0; i < count; ++i) Submit(*starved_.PopFront());
}

bool LoopBackend::HasOwnWork() {
  return !ending_.empty() || !leaving_.empty() || !parked_.empty() || !posted_.empty() ||
         (!starved_.empty() && buffers().available() != 0);
}

void LoopBackend::Cancel(Operation& operation) {
  KTLSIM_ASSERT(IsCurrentThread());
  if (!operation.in_flight_ || operation.cancel_requested_) return;
  operation.cancel_requested_ = true;
  switch (operation.state_) {
    case kParked:
      parked_.Remove(operation);
      EndLater(operation, ECANCELED, ending_);
      return;
    case kStarved:
      starved_.Remove(operation);
      EndLater(operation, ECANCELED, ending_);
      return;
    case kInKernel:
      SubmitCancel(operation);
      return;
    case kParkedCancel:
      return;  // as good: its receive was to look again
    default:
      return;  // ending already
  }
}

// The kernel ended its part, the operation has not ended.
void LoopBackend::Restart(Operation& operation) {
  if (operation.cancel_requested_) {
    EndLater(operation, ECANCELED, ending_);
  } else {
    Submit(operation);
  }
}

void LoopBackend::EndLater(Operation& operation, int error_number, OperationList& list) {
  operation.state_ = kEnding;
  operation.result_ = error_number;
  list.PushBack(operation);
}

void LoopBackend::End(Operation& operation, int error_number) {
  KTLSIM_ASSERT(operation.in_flight_);
  // The kernel may still name it in the completion of its watch.
  if (IsWatched(operation)) return EndLater(operation, error_number, leaving_);
  figures_.operations.Subtract(1);
  --InFlightOn(operation.socket_);
  if (operation.kind() == Operation::Kind::kSend) {
    Unpoison(static_cast<SendOperation&>(operation).bytes_);
  }
  operation.in_flight_ = false;
  CallFinalHandler(operation, error_number);
}

void LoopBackend::EndFromKernel(Operation& operation, std::int32_t result) {
  const int error_number = result < 0 ? -result : 0;
  // Only a bug of ours can cause these.
  KTLSIM_ASSERT(error_number != EFAULT && error_number != EBADF);
  const bool cancelled = operation.cancel_requested_ && IsInterruption(error_number);
  End(operation, cancelled ? ECANCELED : error_number);
}

void LoopBackend::Complete(Operation& operation, const Outcome& outcome) {
  KTLSIM_ASSERT(operation.in_flight_);
  if (!outcome.more) LeaveKernel(operation);
  if (operation.suspect_) return CompleteSuspect(operation, outcome);
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
      CompleteAccept(static_cast<AcceptOperation&>(operation), outcome);
      return;
    case Operation::Kind::kConnect:
      EndFromKernel(operation, outcome.result);
      return;
    case Operation::Kind::kReceive:
      CompleteReceive(static_cast<ReceiveOperation&>(operation), outcome);
      return;
    case Operation::Kind::kSend:
      CompleteSend(static_cast<SendOperation&>(operation), outcome.result);
      return;
  }
}

void LoopBackend::CompleteAccept(AcceptOperation& operation, const Outcome& outcome) {
  if (outcome.result >= 0) {
    if (!outcome.more) Restart(operation);
    // Without memory the connection is refused, as the kernel would have done.
    if (Adopt(outcome.result)) operation.OnAccepted(outcome.result);
    return;
  }
  KTLSIM_ASSERT(!outcome.more);
  const int error_number = -outcome.result;
  const bool goes_on = ConcernsOneConnection(error_number) || IsInterruption(error_number);
  if (goes_on && !operation.cancel_requested_) {
    Submit(operation);
  } else {
    EndFromKernel(operation, outcome.result);
  }
}

void LoopBackend::CompleteReceive(ReceiveOperation& operation, const Outcome& outcome) {
  const std::int32_t result = outcome.result;
  BufferLease lease;
  if (outcome.buffer != Outcome::kNoBuffer) {
    const auto id = static_cast<std::uint16_t>(outcome.buffer);
    const std::size_t length = result > 0 ? static_cast<std::size_t>(result) : 0;
    lease = BufferLease(this, id, buffers().Lend(id, length));
    figures_.buffers_lent.Set(buffers().lent());
  }
  if (result > 0) {
    KTLSIM_ASSERT(static_cast<bool>(lease));
    if (!outcome.more) Restart(operation);
    operation.OnReceived(std::move(lease));
    return;
  }
  KTLSIM_ASSERT(!outcome.more);
  lease.Reset();
  if (result == -ENOBUFS) {
    figures_.buffers_exhausted.Add(1);
    if (!operation.cancel_requested_) {
      operation.state_ = kStarved;
      starved_.PushBack(operation);
      return;
    }
    End(operation, ECANCELED);
    return;
  }
  const bool looks_again = result == -ECANCELED && operation.looks_again_;
  if ((IsInterruption(-result) || looks_again) && !operation.cancel_requested_) {
    operation.looks_again_ = false;
    Submit(operation);
    return;
  }
  EndFromKernel(operation, result);
}

void LoopBackend::CompleteSend(SendOperation& operation, std::int32_t result) {
  if (result > 0) {
    operation.sent_bytes_ += static_cast<std::size_t>(result);
    if (operation.sent_bytes_ == operation.bytes_.size()) {
      End(operation, 0);
    } else if (operation.cancel_requested_) {
      End(operation, ECANCELED);
    } else {
      Submit(operation);
    }
    return;
  }
  if (IsInterruption(-result) && !operation.cancel_requested_) {
    Submit(operation);
    return;
  }
  // Nothing sent of something: no socket does that; going on would spin.
  EndFromKernel(operation, result == 0 ? -EPIPE : result);
}

void LoopBackend::ReturnBuffer(std::uint16_t id) {
  KTLSIM_ASSERT(IsCurrentThread());
  buffers().Return(id);
  figures_.buffers_lent.Set(buffers().lent());
}

std::size_t LoopBackend::RunEnding() {
  // Those that end from within a handler wait for the next turn.
  const std::size_t count = ending_.size();
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = *ending_.PopFront();
    End(operation, operation.result_);
  }
  return count;
}

bool LoopBackend::IsWatched(const Operation& operation) {
  if (operation.kind() != Operation::Kind::kReceive) return false;
  const std::uint8_t watch = static_cast<const ReceiveOperation&>(operation).watch_;
  return watch == kWatching || watch == kWatchCancelled;
}

bool LoopBackend::TryCancelWatch(ReceiveOperation& operation) {
  if (operation.watch_ == kWatchCancelled) return true;
  if (!TrySubmitWatchCancel(operation)) return false;
  operation.watch_ = kWatchCancelled;
  return true;
}

void LoopBackend::CancelWatches() {
  const std::size_t count = leaving_.size();
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = *leaving_.PopFront();
    if (IsWatched(operation) && TryCancelWatch(static_cast<ReceiveOperation&>(operation))) {
      EnterKernel(operation, kAwaitsWatch);
    } else {
      leaving_.PushBack(operation);
    }
  }
}

std::size_t LoopBackend::RunLeaving() {
  CancelWatches();
  const std::size_t count = leaving_.size();
  std::size_t ran = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = *leaving_.PopFront();
    if (IsWatched(operation)) {
      leaving_.PushBack(operation);
    } else {
      End(operation, operation.result_);
      ++ran;
    }
  }
  return ran;
}

void LoopBackend::CompleteWatch(ReceiveOperation& operation, std::int32_t result) {
  KTLSIM_ASSERT(operation.in_flight_);
  const bool fired = result > 0 || operation.watch_ == kWatching;
  operation.watch_ = fired ? kWatchFired : kNotWatched;
  if (operation.state_ == kAwaitsWatch) {
    LeaveKernel(operation);
    End(operation, operation.result_);
  } else if (fired && operation.state_ == kInKernel && !operation.cancel_requested_) {
    operation.looks_again_ = true;
    SubmitCancel(operation);
  }
}

void LoopBackend::SuspectAll() {
  for (OperationList* list : {&in_kernel_, &parked_, &starved_, &leaving_, &ending_}) {
    for (Operation* operation = list->front(); operation != nullptr; operation = operation->next_) {
      operation->suspect_ = true;
    }
  }
}

void LoopBackend::CompleteSuspect(Operation& operation, const Outcome& outcome) {
  if (outcome.buffer != Outcome::kNoBuffer) {
    const auto id = static_cast<std::uint16_t>(outcome.buffer);
    buffers().Lend(id, outcome.result > 0 ? static_cast<std::size_t>(outcome.result) : 0);
    buffers().Return(id);
  }
  if (operation.kind() == Operation::Kind::kAccept) {
    if (!outcome.more) Restart(operation);
    if (outcome.result >= 0 && Adopt(outcome.result)) {
      static_cast<AcceptOperation&>(operation).OnAccepted(outcome.result);
    }
    return;
  }
  if (outcome.more) return;
  const bool sends = operation.kind() == Operation::Kind::kSend;
  const bool done =
      sends ? outcome.result ==
                  static_cast<std::int64_t>(BytesOf(static_cast<SendOperation&>(operation)).size())
            : operation.kind() == Operation::Kind::kConnect && outcome.result == 0;
  EndLater(operation, done ? 0 : operation.cancel_requested_ ? ECANCELED : EIO, ending_);
}

void LoopBackend::EndSuspects() {
  // The kernel has no watch any more.
  const auto forget_watch = [](Operation& operation) {
    if (IsWatched(operation)) static_cast<ReceiveOperation&>(operation).watch_ = kNotWatched;
  };
  for (OperationList* list : {&in_kernel_, &parked_, &starved_, &leaving_, &ending_}) {
    for (Operation* operation = list->front(); operation != nullptr;) {
      Operation& one = *std::exchange(operation, operation->next_);
      if (!std::exchange(one.suspect_, false)) continue;
      forget_watch(one);
      // What was lost may have been a receive's that has gone on since.
      const bool receives = one.kind() == Operation::Kind::kReceive;
      const bool awaited_watch = one.state_ == kAwaitsWatch;
      if (receives && (one.state_ == kStarved || one.state_ == kParked)) {
        list->Remove(one);
      } else if (list == &in_kernel_ || one.state_ == kParkedCancel) {
        LeaveKernel(one);
      } else {
        continue;
      }
      if (one.kind() == Operation::Kind::kAccept) {
        Restart(one);
      } else if (awaited_watch) {
        EndLater(one, one.result_, ending_);
      } else {
        EndLater(one, one.cancel_requested_ ? ECANCELED : EIO, ending_);
      }
    }
  }
}

std::size_t LoopBackend::RunTimers(std::uint64_t now_ns) {
  const std::size_t count = timers_.Expire(now_ns);
  figures_.timers.Set(timers_.armed());
  return count;
}

std::size_t LoopBackend::RunItems(WorkItem* first) {
  std::size_t count = 0;
  for (WorkItem* item = first; item != nullptr; ++count) {
    WorkItem* next = WorkQueue::Next(*item);
    item->Run();
    item = next;
  }
  figures_.posted.Add(count);
  return count;
}

void LoopBackend::StartTimer(Timer& timer, std::uint64_t deadline_ns) {
  KTLSIM_ASSERT(IsCurrentThread());
  timers_.Start(timer, deadline_ns);
  figures_.timers.Set(timers_.armed());
}

void LoopBackend::StopTimer(Timer& timer) {
  KTLSIM_ASSERT(IsCurrentThread());
  timers_.Stop(timer);
  figures_.timers.Set(timers_.armed());
}

RingStatistics LoopBackend::Statistics() const {
  RingStatistics now;
  now.turns = figures_.turns.Get();
  now.enters = figures_.enters.Get();
  now.submitted = figures_.submitted.Get();
  now.completed = figures_.completed.Get();
  now.posted = figures_.posted.Get();
  now.submission_full = figures_.submission_full.Get();
  now.parked = figures_.parked.Get();
  now.buffers_exhausted = figures_.buffers_exhausted.Get();
  now.completion_overflow = figures_.completion_overflow.Get();
  now.completions_lost = figures_.completions_lost.Get();
  now.buffers_lent = figures_.buffers_lent.Get();
  now.operations = figures_.operations.Get();
  now.sockets = figures_.sockets.Get();
  now.timers = figures_.timers.Get();
  return now;
}

}  // namespace ktlsim::io
