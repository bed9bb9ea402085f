#include "kernel_sim/serve/echo.h"

#include <new>
#include <span>

#include "kernel_sim/serve/held_plaintext.h"

namespace ktlsim::serve {
namespace {

using transport::Connection;
using transport::EndReason;

class Echo final : public transport::ConnectionHandler {
 public:
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    std::span<const std::byte> rest = plaintext;
    if (pending_.empty()) rest = rest.subspan(connection.Send(rest));
    if (!rest.empty()) pending_.Keep(connection, rest);
  }

  void OnWritable(Connection& connection) override {
    if (pending_.empty()) return;
    pending_.bytes().Consume(connection.Send(pending_.bytes().bytes()));
    if (!pending_.empty()) return;
    if (peer_closed_) {
      connection.Close();
    } else {
      pending_.ResumeReading(connection);
    }
  }

  void OnPeerClosed(Connection& connection, bool truncated) override {
    peer_closed_ = true;
    if (truncated || pending_.empty()) connection.Close();
  }

  void OnEnded(Connection& /*connection*/, const EndReason& /*reason*/) override { delete this; }

 private:
  // Waits for room.
  HeldPlaintext<GrowingBytes> pending_{GrowingBytes::kBytesMax};
  bool peer_closed_ = false;
};

}  // namespace

transport::ConnectionHandler* MakeEcho() { return new (std::nothrow) Echo(); }

}  // namespace ktlsim::serve
