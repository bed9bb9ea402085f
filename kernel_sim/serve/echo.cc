#include "kernel_sim/serve/echo.h"

#include <new>
#include <span>
#include <vector>

namespace ktlsim::serve {
namespace {

using transport::Connection;
using transport::EndReason;

// What may wait for room: the rest of one record, and the record that OnPlaintext may still bring
// after PauseReading.
constexpr std::size_t kPendingMax = 128 * 1024;

class Echo final : public transport::ConnectionHandler {
 public:
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    std::span<const std::byte> rest = plaintext;
    if (pending_.empty()) rest = rest.subspan(connection.Send(rest));
    if (!rest.empty()) Keep(connection, rest);
  }

  void OnWritable(Connection& connection) override {
    if (pending_.empty()) return;
    sent_ += connection.Send(std::span(pending_).subspan(sent_));
    if (sent_ < pending_.size()) return;
    pending_.clear();
    sent_ = 0;
    if (peer_closed_) {
      connection.Close();
    } else {
      connection.ResumeReading();
    }
  }

  void OnPeerClosed(Connection& connection, bool truncated) override {
    peer_closed_ = true;
    if (truncated || pending_.empty()) connection.Close();
  }

  void OnEnded(Connection& /*connection*/, const EndReason& /*reason*/) override { delete this; }

 private:
  void Keep(Connection& connection, std::span<const std::byte> bytes) {
    if (pending_.empty()) connection.PauseReading();
    if (pending_.size() + bytes.size() > kPendingMax) {
      connection.Abort();
      return;
    }
    try {
      pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    } catch (const std::bad_alloc&) {
      connection.AbortFor(transport::EndKind::kNoMemory);
    }
  }

  std::vector<std::byte> pending_;
  std::size_t sent_ = 0;
  bool peer_closed_ = false;
};

}  // namespace

transport::ConnectionHandler* MakeEcho() { return new (std::nothrow) Echo(); }

}  // namespace ktlsim::serve
