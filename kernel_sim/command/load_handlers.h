// The two kinds of busy client: one that makes handshakes, one that makes HTTP requests; and the
// server's side of the first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/loop.h"
#include "kernel_sim/base/work_item.h"
#include "kernel_sim/command/driver.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::command {

// One connection at a time, on `loop`. Its phase outlives it.
class LoadSlot : public transport::ConnectionHandler {
 public:
  LoadSlot(LoadPhase& phase, io::Loop& loop, const transport::TlsProfile& profile,
           LoadTally& tally);
  virtual ~LoadSlot() = default;
  LoadSlot(const LoadSlot&) = delete;
  LoadSlot& operator=(const LoadSlot&) = delete;

  // Any thread; each once, and PostDial first.
  void PostDial();
  void PostAbort();

  void OnEnded(transport::Connection& connection, const transport::EndReason& reason) final;

 protected:
  virtual void OnDialled() = 0;

  LoadPhase& phase() { return phase_; }
  transport::Connection* connection() { return connection_; }
  std::uint64_t dialled_ns() const { return dialled_ns_; }
  void RecordOperation(std::uint64_t started_ns);
  void RecordBytes(std::size_t bytes);
  // Counts an error and gives the connection up.
  void Fail(transport::Connection& connection, const std::string& text);
  // From here on it is right for the connection to end.
  void ExpectEnd() { end_expected_ = true; }

 private:
  struct Item : WorkItem {
    Item(LoadSlot* owner, Routine routine) : WorkItem(routine), slot(owner) {}
    LoadSlot* slot;
  };

  void Dial();
  void Retire();

  // Fixed.
  LoadPhase& phase_;
  io::Loop& loop_;
  const transport::TlsProfile& profile_;
  LoadTally& tally_;

  Item dial_item_;
  Item abort_item_;
  transport::Connection* connection_ = nullptr;
  std::uint64_t dialled_ns_ = 0;
  unsigned failures_in_a_row_ = 0;
  bool end_expected_ = false;
};

std::unique_ptr<LoadSlot> MakeLoadSlot(LoadPhase& phase, io::Loop& loop,
                                       const transport::TlsProfile& profile, LoadTally& tally);

// The server's side of a handshake phase: closes what has been established. It has no state, so one
// serves every connection.
class CloseWhenEstablished final : public transport::ConnectionHandler {
 public:
  void OnEstablished(transport::Connection& connection) override { connection.Close(); }
  void OnPlaintext(transport::Connection& connection, std::span<std::byte> plaintext) override;
  void OnEnded(transport::Connection& connection, const transport::EndReason& reason) override;
};

}  // namespace ktlsim::command
