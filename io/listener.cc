#include "io/listener.h"

#include <cerrno>
#include <utility>

namespace ktlsim::io {

Listener::~Listener() { KTLSIM_ASSERT(socket_ == kNoSocket); }

Status Listener::Open(const Address& address, const ListenOptions& options) {
  KTLSIM_ASSERT(socket_ == kNoSocket);
  Result<SocketId> socket = loop_.Listen(address, options);
  if (!socket) return socket.status();
  if (options.same_as == kNoSocket && address.is_unix()) file_ = SocketFile(address);
  socket_ = *socket;
  closing_ = false;
  Resume();
  return {};
}

void Listener::Pause() {
  wanted_ = false;
  loop_.StopTimer(retry_);
  loop_.Cancel(accept_);
}

void Listener::Resume() {
  if (closing_) return;
  wanted_ = true;
  if (!retry_.armed()) StartWhenWanted();
}

void Listener::Close() {
  KTLSIM_ASSERT(socket_ != kNoSocket);
  if (std::exchange(closing_, true)) return;
  file_.Remove();
  Pause();
  if (!accept_.in_flight()) loop_.Post(farewell_);
}

void Listener::StartWhenWanted() {
  // A cancelled accept that has not ended yet is restarted when it does.
  if (wanted_ && !accept_.in_flight()) loop_.StartAccept(accept_, socket_);
}

void Listener::Accepted(SocketId socket) {
  if (closing_) {
    loop_.Close(socket, /*reset=*/true);
  } else {
    handler_.OnAccepted(socket);
  }
}

void Listener::AcceptEnded(Status reason) {
  if (closing_) {
    Finish();
    return;
  }
  if (reason.code() == ECANCELED) {
    StartWhenWanted();
    return;
  }
  // EMFILE, ENFILE, ENOBUFS, ENOMEM and other errors that may pass.
  last_failure_ = reason;
  ++retries_;
  handler_.OnAcceptFailed(reason);
  if (wanted_) loop_.StartTimer(retry_, loop_.NowNs() + kRetryAfterNs);
}

void Listener::Finish() {
  loop_.Close(std::exchange(socket_, kNoSocket));
  handler_.OnListenerClosed();
}

}  // namespace ktlsim::io
