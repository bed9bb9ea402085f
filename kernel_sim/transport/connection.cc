#include "kernel_sim/transport/connection.h"

#include <algorithm>
#include <cstring>

namespace ktlsim::transport {

void ConnectionHandler::OnPeerClosed(Connection& connection, bool /*truncated*/) {
  connection.Close();
}

void ConnectionHandler::OnDrain(Connection& connection) { connection.Close(); }

std::size_t Connection::Send(std::span<const std::byte> plaintext) {
  std::size_t taken = 0;
  while (taken < plaintext.size()) {
    const std::span<std::byte> space = SendSpace();
    if (space.empty()) break;
    const std::size_t part = std::min(space.size(), plaintext.size() - taken);
    std::memcpy(space.data(), plaintext.data() + taken, part);
    CommitSend(part);
    taken += part;
  }
  return taken;
}

const char* ConnectionInfo::version_text() const {
  switch (version) {
    case 0x0304:
      return "TLS 1.3";
    case 0x0303:
      return "TLS 1.2";
    default:
      return "unknown";
  }
}

const char* ConnectionInfo::group_text() const {
  switch (group) {
    case 0:
      return "";
    case 23:
      return "P-256";
    case 24:
      return "P-384";
    case 25:
      return "P-521";
    case 29:
      return "X25519";
    case 30:
      return "X448";
    default:
      return "unknown";
  }
}

}  // namespace ktlsim::transport
