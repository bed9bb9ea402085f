// What the kernel is asked, and what its completions belong to.
#include <algorithm>
#include <cerrno>

#include "io/uring_ring.h"

namespace ktlsim::io {
namespace {

// The kernel takes at most about 2 GiB per send; less is as good.
constexpr std::size_t kSendBytesMax = std::size_t{1} << 30;

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

bool UringRing::TrySubmit(Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  if (sqe == nullptr) return false;
  const SocketId socket = SocketOf(operation);
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
      io_uring_prep_multishot_accept(sqe, socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      break;
    case Operation::Kind::kConnect: {
      const Address& peer = PeerOf(static_cast<ConnectOperation&>(operation));
      io_uring_prep_connect(sqe, socket, peer.data(), peer.size());
      break;
    }
    case Operation::Kind::kReceive:
      if (static_cast<ReceiveOperation&>(operation).multishot()) {
        io_uring_prep_recv_multishot(sqe, socket, nullptr, 0, 0);
      } else {
        // No length: as much as the buffer takes.
        io_uring_prep_recv(sqe, socket, nullptr, 0, 0);
      }
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = BufferRing::kGroup;
      break;
    case Operation::Kind::kSend: {
      const auto bytes = BytesOf(static_cast<SendOperation&>(operation));
      // MSG_WAITALL lets the kernel continue a short send by itself.
      io_uring_prep_send(sqe, socket, bytes.data(), std::min(bytes.size(), kSendBytesMax),
                         MSG_NOSIGNAL | MSG_WAITALL);
      break;
    }
  }
  io_uring_sqe_set_data64(sqe, reinterpret_cast<std::uintptr_t>(&operation) | kOperationTag);
  return true;
}

bool UringRing::TrySubmitCancel(Operation& operation) {
  io_uring_sqe* sqe = NextSqe();
  if (sqe == nullptr) return false;
  io_uring_prep_cancel64(sqe, reinterpret_cast<std::uintptr_t>(&operation) | kOperationTag, 0);
  sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
  // No pointer: the operation may be gone when this completes.
  io_uring_sqe_set_data64(sqe, kCancelTag);
  return true;
}

void UringRing::Dispatch(const Completion& completion) {
  switch (completion.user_data & kTagMask) {
    case kOperationTag: {
      Outcome outcome{.result = completion.result,
                      .more = (completion.flags & IORING_CQE_F_MORE) != 0};
      if ((completion.flags & IORING_CQE_F_BUFFER) != 0) {
        outcome.buffer = static_cast<std::int32_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
      }
      Complete(*reinterpret_cast<Operation*>(completion.user_data), outcome);
      return;
    }
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

}  // namespace ktlsim::io
