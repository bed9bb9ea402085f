// What bounds a slot's operation and the dialling of one address.
#include <cstddef>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/durations.h"
#include "kernel_sim/command/load_handlers.h"

namespace ktlsim::command {

using transport::Connection;
using transport::EndReason;

// A server's addresses are dialled one after the other, within one operation, before it has failed.
bool LoadSlot::TryNextAddress(const EndReason& reason) {
  if (!operating_ ||
      (reason.kind != transport::EndKind::kConnectFailed && reached_ != Reached::kPassedOver)) {
    return false;
  }
  const std::vector<io::Address>& peers = phase_.plan().peers;
  const std::string refusal = WhyUnreachable(reason);
  if (!refusals_.empty()) refusals_ += "; ";
  refusals_ += refusal;
  peer_ = (peer_ + 1) % peers.size();
  if (++tried_ < peers.size()) {
    phase_.NotePassedOver(refusal);
    place_.loop.Post(next_item_);
    return true;
  }
  phase_.CountError(std::exchange(refusals_, {}));
  tried_ = 0;
  return false;
}

std::string LoadSlot::WhyUnreachable(const EndReason& reason) const {
  const std::string peer = phase_.plan().peers[peer_].ToString() + ": ";
  if (reached_ != Reached::kPassedOver) return peer + reason.ToString();
  return peer + "accepts nothing within " + FormatDuration(phase_.plan().next_address_ns);
}

// When the address that is dialled is given up for the next one. 0: it is not.
std::uint64_t LoadSlot::AddressLimit() const {
  const bool others_left = tried_ + 1 < phase_.plan().peers.size();
  return others_left && reached_ == Reached::kDialled ? dialled_ns_ + phase_.plan().next_address_ns
                                                      : 0;
}

void LoadSlot::ArmLimit() {
  const std::uint64_t timeout_ns = phase_.plan().timeout_ns;
  std::uint64_t limit_ns = timeout_ns == 0 ? 0 : tried_since_ns_ + timeout_ns;
  if (const std::uint64_t address_ns = AddressLimit();
      address_ns != 0 && (limit_ns == 0 || address_ns < limit_ns)) {
    limit_ns = address_ns;
  }
  if (limit_ns != 0) place_.loop.StartTimer(limit_timer_, limit_ns);
}

void LoadSlot::OnLimit() {
  // Between two operations, or two addresses: the next one arms it.
  if (!operating_ || connection_ == nullptr) return;
  const std::uint64_t now = MonotonicClock::Now();
  const std::uint64_t timeout_ns = phase_.plan().timeout_ns;
  if (timeout_ns != 0 && now >= tried_since_ns_ + timeout_ns) return TimeOut();
  if (const std::uint64_t address_ns = AddressLimit(); address_ns != 0 && now >= address_ns) {
    reached_ = Reached::kPassedOver;
    connection_->Abort();
    return;
  }
  ArmLimit();
}

void LoadSlot::TimeOut() {
  RecordAge(MonotonicClock::Now());
  Fail(*connection_, fmt::format("timed out after {}: {}", FormatDuration(phase_.plan().timeout_ns),
                                 WaitedFor()));
}

const char* LoadSlot::WaitedFor() const {
  switch (reached_) {
    case Reached::kDialled:
    case Reached::kPassedOver:
      return "the connection was not accepted";
    case Reached::kConnected:
      return "the handshake was not over";
    case Reached::kEstablished:
      return "no whole response came";
  }
  return "";
}

// For an operation that failed because of its age.
void LoadSlot::RecordAge(std::uint64_t now_ns) {
  const bool counts = phase_.measuring() || (phase_.measured() && begun_ns_ < phase_.ended_ns());
  if (counts) place_.tally.latency.Record(now_ns - begun_ns_);
}

void LoadSlot::OnSocketConnected(Connection& /*connection*/) {
  reached_ = Reached::kConnected;
  connected_ns_ = MonotonicClock::Now();
  RecordPhase(OperationPhase::kTcpConnect, dialled_ns_, connected_ns_);
}

}  // namespace ktlsim::command
