#include "io/connector.h"

#include <utility>

namespace ktlsim::io {

Connector::~Connector() { KTLSIM_ASSERT(!connecting_); }

void Connector::Connect(const Address& peer) {
  KTLSIM_ASSERT(!connecting_);
  connecting_ = true;
  Result<SocketId> socket = loop_.OpenStream(peer.family());
  if (!socket) {
    refusal_ = socket.status();
    loop_.Post(refusing_);
    return;
  }
  socket_ = *socket;
  loop_.StartConnect(attempt_, socket_, peer);
}

void Connector::Ended(Status outcome) {
  connecting_ = false;
  const SocketId socket = std::exchange(socket_, kNoSocket);
  if (outcome.ok()) {
    handler_.OnConnected(outcome, socket);
    return;
  }
  if (socket != kNoSocket) loop_.Close(socket);
  handler_.OnConnected(outcome, kNoSocket);
}

}  // namespace ktlsim::io
