// Operations: from Start... to the final handler.
#include <algorithm>
#include <cerrno>

#include "io/uring_ring.h"

namespace ktlsim::io {
namespace {

// The kernel takes at most about 2 GiB per send; less is as good.
constexpr std::size_t kSendBytesMax = std::size_t{1} << 30;

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

}  // namespace

// nullptr: no place, and the kernel would or should not take what is queued.
io_uring_sqe* UringRing::NextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    figures_.submission_full.Add(1);
    if (!options_.submit_when_full) return nullptr;
    NoteEnter(io_uring_submit(&ring_));
    sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) return nullptr;
  }
  figures_.submitted.Add(1);
  return sqe;
}

void UringRing::Begin(Operation& operation, SocketId socket) {
  KTLSIM_ASSERT(IsCurrentThread());
  KTLSIM_ASSERT(socket >= 0);
  // Fails only for a descriptor that another loop opened.
  KTLSIM_CHECK(MakeRoomFor(socket));
  MarkStarted(operation, socket);
  figures_.operations.Add(1);
  ++InFlightOn(socket);
}

void UringRing::StartAccept(AcceptOperation& operation, SocketId listener) {
  Begin(operation, listener);
  Submit(operation);
}

void UringRing::StartConnect(ConnectOperation& operation, SocketId socket, const Address& peer) {
  Begin(operation, socket);
  PeerOf(operation) = peer;
  Submit(operation);
}

void UringRing::StartReceive(ReceiveOperation& operation, SocketId socket) {
  Begin(operation, socket);
  Submit(operation);
}

void UringRing::StartSend(SendOperation& operation, SocketId socket,
                          std::span<const std::byte> bytes) {
  Begin(operation, socket);
  BytesOf(operation) = bytes;
  if (bytes.empty()) {
    EndLater(operation, 0);
  } else {
    Submit(operation);
  }
}

void UringRing::Submit(Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  if (sqe == nullptr) {
    Park(operation, kParked);
    return;
  }
  Prepare(operation, *sqe);
}

void UringRing::Prepare(Operation& operation, io_uring_sqe& sqe) {
  const SocketId socket = SocketOf(operation);
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
      io_uring_prep_multishot_accept(&sqe, socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      break;
    case Operation::Kind::kConnect: {
      const Address& peer = PeerOf(static_cast<ConnectOperation&>(operation));
      io_uring_prep_connect(&sqe, socket, peer.data(), peer.size());
      break;
    }
    case Operation::Kind::kReceive:
      io_uring_prep_recv_multishot(&sqe, socket, nullptr, 0, 0);
      sqe.flags |= IOSQE_BUFFER_SELECT;
      sqe.buf_group = BufferRing::kGroup;
      break;
    case Operation::Kind::kSend: {
      const auto bytes = BytesOf(static_cast<SendOperation&>(operation));
      // MSG_WAITALL lets the kernel continue a short send by itself.
      io_uring_prep_send(&sqe, socket, bytes.data(), std::min(bytes.size(), kSendBytesMax),
                         MSG_NOSIGNAL | MSG_WAITALL);
      break;
    }
  }
  io_uring_sqe_set_data64(&sqe, reinterpret_cast<std::uintptr_t>(&operation) | kOperationTag);
  State(operation) = kInKernel;
}

void UringRing::PrepareCancel(Operation& operation, io_uring_sqe& sqe) {
  io_uring_prep_cancel64(&sqe, reinterpret_cast<std::uintptr_t>(&operation) | kOperationTag, 0);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  // No pointer: the operation may be gone when this completes.
  io_uring_sqe_set_data64(&sqe, kCancelTag);
  State(operation) = kInKernel;
}

void UringRing::Park(Operation& operation, Place place) {
  figures_.parked.Add(1);
  State(operation) = place;
  parked_.PushBack(operation);
}

void UringRing::SubmitParked() {
  if (wake_parked_) ArmWake();
  while (!parked_.empty()) {
    io_uring_sqe* sqe = NextSqe();
    if (sqe == nullptr) return;
    Operation& operation = *parked_.PopFront();
    if (State(operation) == kParkedCancel) {
      PrepareCancel(operation, *sqe);
    } else {
      Prepare(operation, *sqe);
    }
  }
}

// One operation per buffer that the kernel has: those without incoming bytes take none, and the
// next turn goes on, so nobody starves while buffers lie idle.
void UringRing::FeedStarved() {
  for (std::size_t n = std::min<std::size_t>(starved_.size(), buffers_->available()); n > 0; --n) {
    Submit(*starved_.PopFront());
  }
}

void UringRing::Cancel(Operation& operation) {
  KTLSIM_ASSERT(IsCurrentThread());
  if (!operation.in_flight() || CancelRequested(operation)) return;
  CancelRequested(operation) = true;
  switch (State(operation)) {
    case kParked:
      parked_.Remove(operation);
      EndLater(operation, ECANCELED);
      return;
    case kStarved:
      starved_.Remove(operation);
      EndLater(operation, ECANCELED);
      return;
    case kInKernel:
      if (io_uring_sqe* sqe = NextSqe()) {
        PrepareCancel(operation, *sqe);
      } else {
        Park(operation, kParkedCancel);
      }
      return;
    default:
      return;  // ending already
  }
}

// The kernel ended its part, the operation has not ended.
void UringRing::Restart(Operation& operation) {
  if (CancelRequested(operation)) {
    EndLater(operation, ECANCELED);
  } else {
    Submit(operation);
  }
}

void UringRing::EndLater(Operation& operation, int error_number) {
  State(operation) = kEnding;
  ResultOf(operation) = error_number;
  ending_.PushBack(operation);
}

void UringRing::End(Operation& operation, int error_number) {
  figures_.operations.Subtract(1);
  --InFlightOn(SocketOf(operation));
  MarkEndedAndCall(operation, error_number);
}

void UringRing::EndFromKernel(Operation& operation, std::int32_t result) {
  const int error_number = result < 0 ? -result : 0;
  // Only a bug of ours can cause these.
  KTLSIM_ASSERT(error_number != EFAULT && error_number != EBADF);
  const bool cancelled = CancelRequested(operation) && IsInterruption(error_number);
  End(operation, cancelled ? ECANCELED : error_number);
}

void UringRing::Complete(const Completion& completion) {
  switch (completion.user_data & kTagMask) {
    case kOperationTag:
      CompleteOperation(*reinterpret_cast<Operation*>(completion.user_data), completion);
      return;
    case kWakeTag:
      if ((completion.flags & IORING_CQE_F_MORE) == 0) ArmWake();
      return;
    default:
      // A cancellation came too late (ENOENT) or the operation is just running (EALREADY). Both are
      // normal; the operation's own completion tells the rest.
      KTLSIM_ASSERT((completion.user_data & kTagMask) == kCancelTag);
      KTLSIM_ASSERT(completion.result >= 0 || completion.result == -ENOENT ||
                    completion.result == -EALREADY);
      return;
  }
}

void UringRing::CompleteOperation(Operation& operation, const Completion& completion) {
  KTLSIM_ASSERT(operation.in_flight());
  const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
  // No longer with the kernel: its cancellation must not go out any more.
  if (!more && State(operation) == kParkedCancel) parked_.Remove(operation);
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
      CompleteAccept(static_cast<AcceptOperation&>(operation), completion.result, more);
      return;
    case Operation::Kind::kConnect:
      EndFromKernel(operation, completion.result);
      return;
    case Operation::Kind::kReceive:
      CompleteReceive(static_cast<ReceiveOperation&>(operation), completion, more);
      return;
    case Operation::Kind::kSend:
      CompleteSend(static_cast<SendOperation&>(operation), completion.result);
      return;
  }
}

void UringRing::CompleteAccept(AcceptOperation& operation, std::int32_t result, bool more) {
  if (result >= 0) {
    if (!more) Restart(operation);
    // Without memory the connection is refused, as the kernel would have done.
    if (Opened(result)) operation.OnAccepted(result);
    return;
  }
  KTLSIM_ASSERT(!more);
  const bool goes_on = ConcernsOneConnection(-result) || IsInterruption(-result);
  if (goes_on && !CancelRequested(operation)) {
    Submit(operation);
  } else {
    EndFromKernel(operation, result);
  }
}

void UringRing::CompleteReceive(ReceiveOperation& operation, const Completion& completion,
                                bool more) {
  const std::int32_t result = completion.result;
  BufferLease lease;
  if ((completion.flags & IORING_CQE_F_BUFFER) != 0) {
    const auto id = static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
    const std::size_t length = result > 0 ? static_cast<std::size_t>(result) : 0;
    lease = BufferLease(this, id, buffers_->Lend(id, length));
    figures_.buffers_lent.Set(buffers_->lent());
  }
  if (result > 0) {
    KTLSIM_ASSERT(static_cast<bool>(lease));
    if (!more) Restart(operation);
    operation.OnReceived(std::move(lease));
    return;
  }
  KTLSIM_ASSERT(!more);
  lease.Reset();
  if (result == -ENOBUFS) {
    figures_.buffers_exhausted.Add(1);
    if (!CancelRequested(operation)) {
      State(operation) = kStarved;
      starved_.PushBack(operation);
      return;
    }
    End(operation, ECANCELED);
    return;
  }
  if (IsInterruption(-result) && !CancelRequested(operation)) {
    Submit(operation);
    return;
  }
  EndFromKernel(operation, result);
}

void UringRing::CompleteSend(SendOperation& operation, std::int32_t result) {
  std::span<const std::byte>& bytes = BytesOf(operation);
  if (result > 0) {
    bytes = bytes.subspan(static_cast<std::size_t>(result));
    if (bytes.empty()) {
      End(operation, 0);
    } else if (CancelRequested(operation)) {
      End(operation, ECANCELED);
    } else {
      Submit(operation);
    }
    return;
  }
  if (IsInterruption(-result) && !CancelRequested(operation)) {
    Submit(operation);
    return;
  }
  // Nothing sent of something: no socket does that; going on would spin.
  EndFromKernel(operation, result == 0 ? -EPIPE : result);
}

void UringRing::ReturnBuffer(std::uint16_t id) {
  KTLSIM_ASSERT(IsCurrentThread());
  buffers_->Return(id);
  figures_.buffers_lent.Set(buffers_->lent());
}

}  // namespace ktlsim::io
