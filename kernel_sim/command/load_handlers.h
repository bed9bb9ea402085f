// The two kinds of busy client: one that makes handshakes, one that makes HTTP requests; and the
// server's side of the first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "io/loop.h"
#include "io/member_timer.h"
#include "kernel_sim/base/member_item.h"
#include "kernel_sim/command/driver.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::command {

// One connection at a time, on `loop`; all of it on the loop's thread, but for the Post functions.
// Its phase outlives it.
class LoadSlot : public transport::ConnectionHandler, public LoadWorker {
 public:
  struct Place {
    io::Loop& loop;
    const transport::TlsProfile& profile;
    LoadTally& tally;
    LoadDispatcher* dispatcher;  // null: closed loop
    unsigned number;             // among the phase's slots
  };

  LoadSlot(LoadPhase& phase, const Place& place);
  virtual ~LoadSlot() = default;
  LoadSlot(const LoadSlot&) = delete;
  LoadSlot& operator=(const LoadSlot&) = delete;

  // Any thread; each once and in this order. The phase has a hold for each of them.
  void PostStart();
  void PostEnd();
  void PostAbort();

  // How long the slot of this number waits before it dials again after so many failures in a row, 1
  // being the first: longer and longer, and not all slots at once.
  static std::uint64_t RedialDelayNs(unsigned failures, unsigned number);

  void OnSocketConnected(transport::Connection& connection) final;
  void OnEstablished(transport::Connection& connection) final;
  void OnEnded(transport::Connection& connection, const transport::EndReason& reason) final;
  void BeginDue(std::uint64_t due_ns) final;

 protected:
  // An operation begins: on connection(), or on one that Dial makes.
  virtual void Operate() = 0;
  virtual void Established(transport::Connection& connection) = 0;
  // OnTimer of the operation, after WaitAtMost.
  virtual void TimedOut() {}

  LoadPhase& phase() { return phase_; }
  transport::Connection* connection() { return connection_; }
  // When the operation begins to count.
  // Closed loop: the operation counts from here on only.
  void CountFromNow();

  void Dial();
  void WaitAtMost(std::uint64_t ns);
  void StopWaiting();
  void RecordBytes(std::size_t bytes);
  // The request is sent from now on; and the first byte of its response has come.
  void SendingBegins() { sending_ns_ = MonotonicClock::Now(); }
  void RecordFirstByte();
  void RecordStatus(unsigned status);
  // The operation has succeeded. With `kept`, the next one can begin on this connection now;
  // otherwise when the connection has ended, which is no error from here on.
  void Succeeded(bool kept);
  void RecordOperation();
  // Counts an error and gives the connection up.
  void Fail(transport::Connection& connection, const std::string& text);
  // From here on the end of the connection is no error.
  void ExpectEnd();
  bool operating() const { return operating_; }

 private:
  // How far the connection has come. Passed over: the address takes too long, so the next one is
  // dialled when this connection has ended.
  enum class Reached : std::uint8_t { kDialled, kPassedOver, kConnected, kEstablished };
  // Abandoned: the phase has waited long enough. Retired: the phase has been told that this is the
  // end.
  enum class Life : std::uint8_t { kRunning, kAbandoned, kRetired };

  void Start();
  void EndSoon();
  void BeginNext();
  void Begin(std::uint64_t begun_ns, std::uint64_t now_ns);
  void StopIdling();
  bool CountsConnections() const;
  void RecordPhase(OperationPhase phase, std::uint64_t since_ns, std::uint64_t now_ns);
  void OnTimer();
  void WindUp();
  void Retire();
  void Abort();
  void Abandon();
  void RedialLater();
  bool TryNextAddress(const transport::EndReason& reason);
  std::string WhyUnreachable(const transport::EndReason& reason) const;
  std::uint64_t AddressLimit() const;
  void ArmLimit();
  void OnLimit();
  void TimeOut();
  const char* WaitedFor() const;
  void RecordAge(std::uint64_t now_ns);
  std::string TextOf(const transport::EndReason& reason) const;

  // Fixed.
  LoadPhase& phase_;
  const Place place_;

  MemberItem<&LoadSlot::Start> start_item_{*this};
  MemberItem<&LoadSlot::BeginNext> next_item_{*this};
  MemberItem<&LoadSlot::EndSoon> end_item_{*this};
  MemberItem<&LoadSlot::Abort> abort_item_{*this};
  io::MemberTimer<&LoadSlot::OnTimer> timer_{*this};
  transport::Connection* connection_ = nullptr;
  std::uint64_t begun_ns_ = 0;  // of the current operation; open loop: when it was due
  // The limits of the operation and of the address that is dialled. The timer is not restarted for
  // each operation; when it fires, it looks at the current ones.
  io::MemberTimer<&LoadSlot::OnLimit> limit_timer_{*this};
  std::uint64_t tried_since_ns_ = 0;  // when the current operation was really begun
  std::uint64_t dialled_ns_ = 0;
  std::uint64_t connected_ns_ = 0;
  std::uint64_t sending_ns_ = 0;
  Reached reached_ = Reached::kDialled;
  Life life_ = Life::kRunning;
  unsigned failures_in_a_row_ = 0;
  std::size_t peer_ = 0;   // of the plan's
  std::string refusals_;   // of the addresses tried for the current operation
  std::size_t tried_ = 0;  // how many those are
  bool operating_ = false;
  bool end_expected_ = false;
  bool limited_ = false;     // the timer is WaitAtMost's, not that of a redial
  bool idle_ = false;        // the dispatcher calls BeginDue
  bool ended_idle_ = false;  // the connection ends while nothing is to be done
};

std::unique_ptr<LoadSlot> MakeLoadSlot(LoadPhase& phase, const LoadSlot::Place& place);

// The server's side of a handshake phase: closes what has been established. It has no state, so one
// serves every connection.
class CloseWhenEstablished final : public transport::ConnectionHandler {
 public:
  void OnEstablished(transport::Connection& connection) override { connection.Close(); }
  void OnPlaintext(transport::Connection& connection, std::span<std::byte> plaintext) override;
  void OnEnded(transport::Connection& connection, const transport::EndReason& reason) override;
};

}  // namespace ktlsim::command
