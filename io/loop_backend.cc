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

// In the place of a descriptor: nothing was tried.
constexpr int kRefused = -2;

// The kernel has lost a completion, and may have lost bytes of `operation`, which is in hand.
int ErrorOfSuspect(const Operation& operation) {
  const OperationPlace place = OperationState::Of(operation).place;
  return place == OperationPlace::kInHandCancelled ? ECANCELED : EIO;
}

void CallOpened(OpenOperation& operation, int error_number) {
  const int descriptor = std::exchange(OperationState::DescriptorOf(operation), -1);
  if (error_number == 0) {
    operation.OnOpened(descriptor);
  } else if (descriptor == kRefused) {
    operation.OnOpened(ResourceError("the client's Unix identity"));
  } else {
    operation.OnOpened(IoError(error_number, "open the file"));
  }
}

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
    case Operation::Kind::kOpen:
      CallOpened(static_cast<OpenOperation&>(operation), error_number);
      return;
  }
}

}  // namespace

LoopBackend::~LoopBackend() {
  KTLSIM_ASSERT(figures_.Get<&RingStatistics::operations>() == 0);
  KTLSIM_ASSERT(figures_.Get<&RingStatistics::sockets>() == 0);
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
  figures_.Add<&RingStatistics::sockets>();
  return true;
}

void LoopBackend::NoteClosed(SocketId socket) {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(InFlightOn(socket) == 0);
  figures_.Subtract<&RingStatistics::sockets>();
}

// nullptr: operations on their way from one place to another.
OperationList LoopBackend::* LoopBackend::ListOf(OperationPlace place) {
  switch (place) {
    case OperationPlace::kIdle:
    case OperationPlace::kInHand:
    case OperationPlace::kInHandCancelled:
      return nullptr;
    case OperationPlace::kInKernel:
    case OperationPlace::kLooking:
    case OperationPlace::kCancelled:
    case OperationPlace::kAwaitingWatch:
      return &LoopBackend::in_kernel_;
    case OperationPlace::kParked:
    case OperationPlace::kLookParked:
    case OperationPlace::kCancelParked:
      return &LoopBackend::parked_;
    case OperationPlace::kStarved:
      return &LoopBackend::starved_;
    case OperationPlace::kEnding:
      return &LoopBackend::ending_;
    case OperationPlace::kLeaving:
      return &LoopBackend::leaving_;
  }
  return nullptr;
}

OperationPlace LoopBackend::Move(Operation& operation, OperationEvent event) {
  OperationState& state = OperationState::Of(operation);
  OperationList LoopBackend::* const from = ListOf(state.place);
  const OperationPlace place = kOperationTable.After(state.place, event);
  OperationList LoopBackend::* const to = ListOf(place);
  state.place = place;
  if (from == to) return place;
  if (from != nullptr) (this->*from).Remove(operation);
  if (to != nullptr) (this->*to).PushBack(operation);
  return place;
}

void LoopBackend::Begin(Operation& operation, SocketId socket) {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(socket >= 0 || operation.kind() == Operation::Kind::kOpen);
  KTLSIM_ASSERT(!operation.in_flight());
  // Fails only for a descriptor that another loop opened.
  KTLSIM_CHECK(socket == kNoSocket || MakeRoomFor(socket));
  OperationState::Begin(operation, socket);
  Move(operation, OperationEvent::kStart);
  figures_.Add<&RingStatistics::operations>();
  if (socket != kNoSocket) ++InFlightOn(socket);
}

void LoopBackend::StartAccept(AcceptOperation& operation, SocketId listener) {
  Begin(operation, listener);
  Submit(operation);
}

void LoopBackend::StartConnect(ConnectOperation& operation, SocketId socket, const Address& peer) {
  Begin(operation, socket);
  OperationState::PeerOf(operation) = peer;
  Submit(operation);
}

void LoopBackend::StartReceive(ReceiveOperation& operation, SocketId socket) {
  Begin(operation, socket);
  Submit(operation);
}

void LoopBackend::StartSend(SendOperation& operation, SocketId socket,
                            std::span<const std::byte> bytes) {
  Begin(operation, socket);
  OperationState::SetBytes(operation, bytes);
  if (bytes.empty()) {
    EndLater(operation, 0);
    return;
  }
  Poison(bytes);
  Submit(operation);
}

void LoopBackend::StartOpen(OpenOperation& operation, const OpenRequest& request,
                            const UnixIdentity& as) {
  Begin(operation, kNoSocket);
  OperationState::RequestOf(operation) = request;
  OperationState::DescriptorOf(operation) = -1;
  if (const int error_number = TakePersonality(operation, as); error_number != 0) {
    if (error_number != EOPNOTSUPP) OperationState::DescriptorOf(operation) = kRefused;
    EndLater(operation, error_number);
    return;
  }
  Submit(operation);
}

void LoopBackend::Submit(Operation& operation) {
  OperationState::Of(operation).suspect = false;
  if (TrySubmit(operation)) {
    Move(operation, OperationEvent::kSubmit);
  } else {
    Park(operation);
  }
}

void LoopBackend::SubmitCancel(Operation& operation) {
  if (!TrySubmitCancels(operation)) Park(operation);
}

// Both requests at once, if there is room for both. The watch's cancellation can wait:
// CancelWatches submits it later.
bool LoopBackend::TrySubmitCancels(Operation& operation) {
  if (!TrySubmitCancel(operation, Request::kOperation)) return false;
  if (OperationState::Of(operation).watch.in_kernel()) {
    static_cast<void>(TryCancelWatch(operation));
  }
  return true;
}

void LoopBackend::Park(Operation& operation) {
  figures_.Add<&RingStatistics::parked>();
  Move(operation, OperationEvent::kPark);
}

// Stops at the first that finds no room, so that none overtakes another.
void LoopBackend::SubmitParked() {
  while (Operation* operation = parked_.front()) {
    const bool is_new = OperationState::Of(*operation).place == OperationPlace::kParked;
    if (!(is_new ? TrySubmit(*operation) : TrySubmitCancels(*operation))) return;
    Move(*operation, OperationEvent::kSubmit);
  }
}

// One operation for each buffer that the kernel has. An operation without incoming bytes takes
// none, and the next turn feeds more, so none starves while buffers lie idle.
void LoopBackend::FeedStarved() {
  const std::size_t count = std::min<std::size_t>(starved_.size(), buffers().available());
  for (std::size_t i = 0; i < count; ++i) Submit(*starved_.front());
}

bool LoopBackend::HasOwnWork() {
  return !ending_.empty() || !leaving_.empty() || !parked_.empty() || !posted_.empty() ||
         (!starved_.empty() && buffers().available() != 0);
}

void LoopBackend::Cancel(Operation& operation) {
  KTLSIM_ASSERT(IsCurrentThread());
  if (!operation.in_flight()) return;
  OperationState& state = OperationState::Of(operation);
  KTLSIM_ASSERT(state.place != OperationPlace::kInHand);
  // Not legal: cancelled before, or ending already.
  if (!kOperationTable.Legal(state.place, OperationEvent::kCancel)) return;
  const OperationPlace place = Move(operation, OperationEvent::kCancel);
  if (place == OperationPlace::kCancelled) {
    SubmitCancel(operation);
  } else if (place == OperationPlace::kEnding) {
    state.error_number = ECANCELED;
  }
  // Otherwise a cancellation is parked, which serves this purpose as well.
}

// The kernel ended its part, the operation has not ended.
void LoopBackend::Restart(Operation& operation) {
  if (OperationState::Of(operation).place == OperationPlace::kInHandCancelled) {
    EndLater(operation, ECANCELED);
  } else {
    Submit(operation);
  }
}

void LoopBackend::EndLater(Operation& operation, int error_number) {
  OperationState::Of(operation).error_number = static_cast<std::int16_t>(error_number);
  Move(operation, OperationEvent::kSettle);
}

void LoopBackend::End(Operation& operation, int error_number) {
  KTLSIM_ASSERT(operation.in_flight());
  OperationState& state = OperationState::Of(operation);
  if (state.watch.in_kernel()) {
    // The kernel may still name it in the completion of its watch.
    state.error_number = static_cast<std::int16_t>(error_number);
    Move(operation, OperationEvent::kLeave);
    return;
  }
  Move(operation, OperationEvent::kEnd);
  figures_.Subtract<&RingStatistics::operations>();
  if (state.socket != kNoSocket) --InFlightOn(state.socket);
  if (operation.kind() == Operation::Kind::kSend) {
    Unpoison(OperationState::AllBytesOf(static_cast<SendOperation&>(operation)));
  } else if (operation.kind() == Operation::Kind::kOpen) {
    DropPersonality(static_cast<OpenOperation&>(operation));
  }
  OperationState::End(operation);
  CallFinalHandler(operation, error_number);
}

void LoopBackend::EndFromKernel(Operation& operation, std::int32_t result) {
  const int error_number = result < 0 ? -result : 0;
  // Only a bug of ours can cause these.
  KTLSIM_ASSERT(error_number != EFAULT && error_number != EBADF);
  const bool cancelled = OperationState::Of(operation).place == OperationPlace::kInHandCancelled &&
                         IsInterruption(error_number);
  End(operation, cancelled ? ECANCELED : error_number);
}

void LoopBackend::Complete(Operation& operation, const Outcome& outcome) {
  KTLSIM_ASSERT(operation.in_flight());
  const OperationState& state = OperationState::Of(operation);
  const bool looked =
      state.place == OperationPlace::kLooking || state.place == OperationPlace::kLookParked;
  if (!outcome.more) Move(operation, OperationEvent::kComplete);
  if (state.suspect) return CompleteSuspect(operation, outcome);
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
      CompleteAccept(static_cast<AcceptOperation&>(operation), outcome);
      return;
    case Operation::Kind::kConnect:
      EndFromKernel(operation, outcome.result);
      return;
    case Operation::Kind::kReceive:
      CompleteReceive(static_cast<ReceiveOperation&>(operation), outcome, looked);
      return;
    case Operation::Kind::kSend:
      CompleteSend(static_cast<SendOperation&>(operation), outcome.result);
      return;
    case Operation::Kind::kOpen:
      CompleteOpen(static_cast<OpenOperation&>(operation), outcome.result);
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
  if (goes_on && OperationState::Of(operation).place == OperationPlace::kInHand) {
    Submit(operation);
  } else {
    EndFromKernel(operation, outcome.result);
  }
}

// `looked`: the ring itself had cancelled it, so that it looks at its socket again.
void LoopBackend::CompleteReceive(ReceiveOperation& operation, const Outcome& outcome,
                                  bool looked) {
  const std::int32_t result = outcome.result;
  BufferLease lease;
  if (outcome.buffer != Outcome::kNoBuffer) {
    const auto id = static_cast<std::uint16_t>(outcome.buffer);
    const std::size_t length = result > 0 ? static_cast<std::size_t>(result) : 0;
    lease = BufferLease(this, id, buffers().Lend(id, length));
    figures_.Set<&RingStatistics::buffers_lent>(buffers().lent());
  }
  if (result > 0) {
    KTLSIM_ASSERT(static_cast<bool>(lease));
    if (!outcome.more) Restart(operation);
    operation.OnReceived(std::move(lease));
    return;
  }
  KTLSIM_ASSERT(!outcome.more);
  lease.Reset();
  const bool cancelled = OperationState::Of(operation).place == OperationPlace::kInHandCancelled;
  if (result == -ENOBUFS) {
    figures_.Add<&RingStatistics::buffers_exhausted>();
    if (cancelled) return End(operation, ECANCELED);
    Move(operation, OperationEvent::kStarve);
    return;
  }
  const bool goes_on = IsInterruption(-result) || (result == -ECANCELED && looked);
  if (goes_on && !cancelled) return Submit(operation);
  EndFromKernel(operation, result);
}

void LoopBackend::CompleteSend(SendOperation& operation, std::int32_t result) {
  const bool cancelled = OperationState::Of(operation).place == OperationPlace::kInHandCancelled;
  if (result > 0) {
    OperationState::AddSent(operation, static_cast<std::size_t>(result));
    if (OperationState::BytesOf(operation).empty()) {
      End(operation, 0);
    } else if (cancelled) {
      End(operation, ECANCELED);
    } else {
      Submit(operation);
    }
    return;
  }
  if (IsInterruption(-result) && !cancelled) return Submit(operation);
  // No socket accepts none of several bytes; to go on would spin.
  EndFromKernel(operation, result == 0 ? -EPIPE : result);
}

void LoopBackend::CompleteOpen(OpenOperation& operation, std::int32_t result) {
  const bool cancelled = OperationState::Of(operation).place == OperationPlace::kInHandCancelled;
  if (result == -EINTR && !cancelled) return Submit(operation);
  if (result >= 0) OperationState::DescriptorOf(operation) = result;
  EndFromKernel(operation, result);
}

void LoopBackend::ReturnBuffer(std::uint16_t id) {
  KTLSIM_ASSERT(IsCurrentThread());
  buffers().Return(id);
  figures_.Set<&RingStatistics::buffers_lent>(buffers().lent());
}

std::size_t LoopBackend::RunEnding() {
  // Those that end from within a handler wait for the next turn.
  const std::size_t count = ending_.size();
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = *ending_.front();
    End(operation, OperationState::Of(operation).error_number);
  }
  return count;
}

// False: no room in the submission queue.
bool LoopBackend::TryCancelWatch(Operation& operation) {
  EndWatch& watch = OperationState::Of(operation).watch;
  if (watch.state() == WatchState::kCancelled) return true;
  if (!TrySubmitCancel(operation, Request::kEndWatch)) return false;
  watch.Cancel();
  return true;
}

void LoopBackend::CancelWatches() {
  const std::size_t count = leaving_.size();
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = *leaving_.front();
    if (OperationState::Of(operation).watch.in_kernel() && TryCancelWatch(operation)) {
      Move(operation, OperationEvent::kAwaitWatch);
    } else {
      leaving_.Rotate();
    }
  }
}

std::size_t LoopBackend::RunLeaving() {
  CancelWatches();
  const std::size_t count = leaving_.size();
  std::size_t ran = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Operation& operation = *leaving_.front();
    const OperationState& state = OperationState::Of(operation);
    if (state.watch.in_kernel()) {
      leaving_.Rotate();
    } else {
      End(operation, state.error_number);
      ++ran;
    }
  }
  return ran;
}

void LoopBackend::CompleteWatch(ReceiveOperation& operation, std::int32_t result) {
  KTLSIM_ASSERT(operation.in_flight());
  OperationState& state = OperationState::Of(operation);
  const bool fired = state.watch.Complete(result);
  if (state.place == OperationPlace::kAwaitingWatch) {
    End(operation, state.error_number);
  } else if (fired && state.place == OperationPlace::kInKernel) {
    Move(operation, OperationEvent::kLook);
    SubmitCancel(operation);
  }
}

void LoopBackend::SuspectAll() {
  for (OperationList* list : {&in_kernel_, &parked_, &starved_, &leaving_, &ending_}) {
    for (Operation* operation = list->front(); operation != nullptr;
         operation = OperationList::Next(*operation)) {
      OperationState::Of(*operation).suspect = true;
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
  bool done = operation.kind() == Operation::Kind::kConnect && outcome.result == 0;
  if (operation.kind() == Operation::Kind::kSend) {
    const auto rest = OperationState::BytesOf(static_cast<SendOperation&>(operation));
    done = outcome.result == static_cast<std::int64_t>(rest.size());
  }
  if (operation.kind() == Operation::Kind::kOpen && outcome.result >= 0) {
    OperationState::DescriptorOf(static_cast<OpenOperation&>(operation)) = outcome.result;
    done = true;
  }
  EndLater(operation, done ? 0 : ErrorOfSuspect(operation));
}

void LoopBackend::EndSuspects() {
  for (OperationList* list : {&in_kernel_, &parked_, &starved_, &leaving_, &ending_}) {
    for (Operation* operation = list->front(); operation != nullptr;) {
      Operation& one = *std::exchange(operation, OperationList::Next(*operation));
      OperationState& state = OperationState::Of(one);
      if (!state.suspect) continue;
      state.suspect = false;
      state.watch.LetGo();
      EndSuspect(one);
    }
  }
}

// The kernel no longer has it, and will not report how it ended.
void LoopBackend::EndSuspect(Operation& operation) {
  switch (OperationState::Of(operation).place) {
    case OperationPlace::kIdle:
    case OperationPlace::kInHand:
    case OperationPlace::kInHandCancelled:
    case OperationPlace::kEnding:
    case OperationPlace::kLeaving:
      return;
    case OperationPlace::kParked:
    case OperationPlace::kStarved:
      // What was lost may have been a receive's that has gone on since.
      if (operation.kind() == Operation::Kind::kReceive) EndLater(operation, EIO);
      return;
    case OperationPlace::kAwaitingWatch:
      EndLater(operation, OperationState::Of(operation).error_number);
      return;
    case OperationPlace::kInKernel:
    case OperationPlace::kLooking:
    case OperationPlace::kLookParked:
    case OperationPlace::kCancelled:
    case OperationPlace::kCancelParked:
      Move(operation, OperationEvent::kComplete);
      if (operation.kind() == Operation::Kind::kAccept) {
        Restart(operation);
      } else {
        EndLater(operation, ErrorOfSuspect(operation));
      }
      return;
  }
}

std::size_t LoopBackend::RunTimers(std::uint64_t now_ns) {
  const std::size_t count = timers_.Expire(now_ns);
  figures_.Set<&RingStatistics::timers>(timers_.armed());
  return count;
}

std::size_t LoopBackend::RunItems(WorkItem* first) {
  std::size_t count = 0;
  for (WorkItem* item = first; item != nullptr; ++count) {
    WorkItem* next = WorkQueue::Next(*item);
    item->Run();
    item = next;
  }
  figures_.Add<&RingStatistics::posted>(count);
  return count;
}

void LoopBackend::StartTimer(Timer& timer, std::uint64_t deadline_ns) {
  KTLSIM_ASSERT(IsCurrentThread());
  timers_.Start(timer, deadline_ns);
  figures_.Set<&RingStatistics::timers>(timers_.armed());
}

void LoopBackend::StopTimer(Timer& timer) {
  KTLSIM_ASSERT(IsCurrentThread());
  timers_.Stop(timer);
  figures_.Set<&RingStatistics::timers>(timers_.armed());
}

}  // namespace ktlsim::io
