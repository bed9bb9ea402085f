#include "io/stream.h"

#include <cerrno>
#include <utility>

namespace ktlsim::io {

Stream::Stream(Loop& loop, SocketId socket, StreamHandler& handler, bool multishot)
    : loop_(loop), handler_(handler), socket_(socket), receive_(*this, multishot) {
  KTLSIM_ASSERT(socket != kNoSocket);
}

Stream::~Stream() { KTLSIM_ASSERT(socket_ == kNoSocket); }

void Stream::ResumeReceiving() {
  if (closing_ || receive_ended_) return;
  receive_wanted_ = true;
  // A cancelled receive that has not ended yet is restarted when it does.
  if (!receive_.in_flight()) loop_.StartReceive(receive_, socket_);
}

void Stream::PauseReceiving() {
  receive_wanted_ = false;
  loop_.Cancel(receive_);
}

void Stream::Send(std::span<const std::byte> bytes) {
  KTLSIM_ASSERT(!closing_);
  KTLSIM_ASSERT(!send_shut_down_);
  loop_.StartSend(send_, socket_, bytes);
}

void Stream::ShutdownSend() {
  KTLSIM_ASSERT(!sending());
  if (closing_ || std::exchange(send_shut_down_, true)) return;
  loop_.ShutdownSend(socket_);
}

void Stream::Close(CloseMode mode) {
  if (mode == CloseMode::kReset) close_mode_ = mode;
  if (std::exchange(closing_, true)) return;
  receive_wanted_ = false;
  loop_.Cancel(receive_);
  loop_.Cancel(send_);
  if (!receive_.in_flight() && !send_.in_flight()) loop_.Post(farewell_);
}

void Stream::Received(BufferLease bytes) {
  if (!closing_) handler_.OnReceived(std::move(bytes));
}

void Stream::ReceiveEnded(Status reason) {
  if (closing_) {
    FinishWhenIdle();
    return;
  }
  if (reason.category() == Category::kIo && reason.code() == ECANCELED) {
    if (receive_wanted_) loop_.StartReceive(receive_, socket_);
    return;
  }
  receive_wanted_ = false;
  receive_ended_ = true;
  handler_.OnReceiveEnded(reason);
}

void Stream::Sent(Status outcome) {
  if (closing_) {
    FinishWhenIdle();
    return;
  }
  handler_.OnSent(outcome);
}

void Stream::FinishWhenIdle() {
  if (!receive_.in_flight() && !send_.in_flight()) Finish();
}

void Stream::Finish() {
  loop_.Close(std::exchange(socket_, kNoSocket), close_mode_ == CloseMode::kReset);
  handler_.OnClosed();
}

}  // namespace ktlsim::io
