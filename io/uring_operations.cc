// The requests that a ring submits, and what the kernel's completions belong to.
#include <linux/openat2.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "io/uring_ring.h"

namespace ktlsim::io {
namespace {

// The kernel takes at most about 2 GiB per send; less is as good.
constexpr std::size_t kSendBytesMax = std::size_t{1} << 30;

std::uint64_t UserData(const Operation& operation, std::uint64_t tag) {
  return reinterpret_cast<std::uintptr_t>(&operation) | tag;
}

}  // namespace

// nullptr: no room. The kernel did not take what is queued, or may not be asked to (UringOptions).
io_uring_sqe* UringRing::NextSqe() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  if (sqe == nullptr) {
    figures_.Add<&RingStatistics::submission_full>();
    if (!options_.submit_when_full) return nullptr;
    NoteEnter(io_uring_submit(&ring_));
    sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) return nullptr;
  }
  figures_.Add<&RingStatistics::submitted>();
  return sqe;
}

// Linux can leave a multishot receive asleep on a dead connection (6.5 to at least 6.18): when
// bytes and then RST come between its look at the empty socket and its wait, it is woken once for
// both, takes the bytes, and nothing will wake it again. (FIN shows in TCP's count of waiting
// bytes; on a Unix socket it is lost in the same way.) The kernel's mending of a sister case
// (liburing issue 1549) left this one. So a poll for the end stands beside it, and once that has
// fired the receive goes on one shot at a time, each of which looks again. A start costs up to two
// requests more; one-shot receives from the beginning would cost each record one: 15 % of the
// requests per second of `ktlsim run` (median of five pairs of runs, 32 to -1).
bool UringRing::TryWatch(ReceiveOperation& operation) {
  io_uring_sqe* sqe = NextSqe();
  if (sqe == nullptr) return false;
  OperationState& state = OperationState::Of(operation);
  io_uring_prep_poll_add(sqe, state.socket, POLLRDHUP);  // POLLERR and POLLHUP go with it
  io_uring_sqe_set_data64(sqe, UserData(operation, kWatchTag));
  state.watch.Arm();
  return true;
}

void UringRing::PrepareReceive(io_uring_sqe& sqe, const ReceiveOperation& operation) const {
  const OperationState& state = OperationState::Of(operation);
  const SocketId socket = state.socket;
  const bool end_known = state.watch.state() == WatchState::kFired;
  if (operation.multishot() && !end_known) {
    io_uring_prep_recv_multishot(&sqe, socket, nullptr, 0, 0);
  } else {
    // No length: as much as the buffer takes.
    io_uring_prep_recv(&sqe, socket, nullptr, 0, 0);
  }
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = BufferRing::kGroup;
  if (options_.receive_waits_first) sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;
}

// The kernel copies all of it when it takes the entry.
void UringRing::PrepareOpen(io_uring_sqe& sqe, OpenOperation& operation) {
  static_assert(offsetof(OpenRequest, mode) ==
                offsetof(OpenRequest, flags) + offsetof(open_how, mode));
  static_assert(offsetof(OpenRequest, resolve) ==
                offsetof(OpenRequest, flags) + offsetof(open_how, resolve));
  OpenRequest& request = OperationState::RequestOf(operation);
  io_uring_prep_openat2(&sqe, request.folder, request.path,
                        reinterpret_cast<open_how*>(&request.flags));
  sqe.personality = static_cast<Personality*>(OperationState::PersonalityOf(operation))->number;
}

int UringRing::TakePersonality(OpenOperation& operation, const UnixIdentity& as) {
  Personality* taken = nullptr;
  const int error_number = personalities_.Acquire(as, now_ns_, &taken);
  OperationState::PersonalityOf(operation) = taken;
  return error_number;
}

void UringRing::DropPersonality(OpenOperation& operation) {
  void*& taken = OperationState::PersonalityOf(operation);
  if (taken != nullptr) personalities_.Release(*static_cast<Personality*>(taken), now_ns_);
  taken = nullptr;
}

bool UringRing::TrySubmit(Operation& operation) {
  const OperationState& state = OperationState::Of(operation);
  if (operation.kind() == Operation::Kind::kReceive) {
    auto& receive = static_cast<ReceiveOperation&>(operation);
    const bool watched = state.watch.state() != WatchState::kNone;
    // Before the receive: what waits first is woken last, so the receive itself reports most ends.
    if (receive.multishot() && !watched && !TryWatch(receive)) return false;
  }
  io_uring_sqe* sqe = NextSqe();
  if (sqe == nullptr) return false;
  const SocketId socket = state.socket;
  switch (operation.kind()) {
    case Operation::Kind::kAccept:
      io_uring_prep_multishot_accept(sqe, socket, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      break;
    case Operation::Kind::kConnect: {
      const Address& peer = OperationState::PeerOf(static_cast<ConnectOperation&>(operation));
      io_uring_prep_connect(sqe, socket, peer.data(), peer.size());
      break;
    }
    case Operation::Kind::kReceive:
      PrepareReceive(*sqe, static_cast<ReceiveOperation&>(operation));
      break;
    case Operation::Kind::kSend: {
      const auto bytes = OperationState::BytesOf(static_cast<SendOperation&>(operation));
      // MSG_WAITALL lets the kernel continue a short send by itself.
      io_uring_prep_send(sqe, socket, bytes.data(), std::min(bytes.size(), kSendBytesMax),
                         MSG_NOSIGNAL | MSG_WAITALL);
      break;
    }
    case Operation::Kind::kOpen:
      PrepareOpen(*sqe, static_cast<OpenOperation&>(operation));
      break;
  }
  io_uring_sqe_set_data64(sqe, UserData(operation, kOperationTag));
  return true;
}

bool UringRing::TrySubmitCancel(Operation& operation, Request request) {
  io_uring_sqe* sqe = NextSqe();
  if (sqe == nullptr) return false;
  const std::uint64_t tag = request == Request::kOperation ? kOperationTag : kWatchTag;
  io_uring_prep_cancel64(sqe, UserData(operation, tag), 0);
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
    case kWatchTag:
      CompleteWatch(static_cast<ReceiveOperation&>(*reinterpret_cast<Operation*>(
                        completion.user_data & ~std::uint64_t{kTagMask})),
                    completion.result);
      return;
    case kWakeTag:
      if ((completion.flags & IORING_CQE_F_MORE) == 0) ArmWake();
      return;
    default:
      // A cancellation came too late (ENOENT) or the operation is just running (EALREADY). Both are
      // normal; the operation's own completion says how it ended.
      KTLSIM_ASSERT((completion.user_data & kTagMask) == kCancelTag);
      KTLSIM_ASSERT(completion.result >= 0 || completion.result == -ENOENT ||
                    completion.result == -EALREADY);
      return;
  }
}

}  // namespace ktlsim::io
