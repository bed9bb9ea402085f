// CredentialSide: a server connection's way to its credential, where its path has a source: the
// name is read from the first bytes, the source is asked, and perhaps waited for.
//
// Its owner passes received bytes to Read and then looks at state(). Belongs to the connection's
// loop.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "io/loop.h"
#include "kernel_sim/transport/connection_state.h"
#include "kernel_sim/transport/credential_source.h"

namespace ktlsim::transport {

class CredentialSide {
 public:
  // `source`: null where the profile has the credential. It outlives this.
  explicit CredentialSide(CredentialSource* source);
  ~CredentialSide();
  CredentialSide(const CredentialSide&) = delete;
  CredentialSide& operator=(const CredentialSide&) = delete;

  CredentialState state() const { return state_; }
  bool waits() const { return state_ == CredentialState::kWaiting; }
  // The source still has the waiter, perhaps after the connection's end: this must stay.
  bool in_flight() const { return waits() || state_ == CredentialState::kGivenUp; }

  // `told(owner)` is called on `loop` when a wait has ended. False: no memory.
  using ToldRoutine = void (*)(void* owner);
  [[nodiscard]] bool Begin(io::Loop& loop, ToldRoutine told, void* owner);
  // Bytes in their order. No-op unless the name is being read.
  void Read(std::span<const std::byte> bytes);
  // In the state kNamed: asks the source.
  void Ask();
  // The first thing to call then.
  void Told();
  // The connection ends, or has waited long enough: it waits no longer.
  void GiveUp();
  // The handshake is over: the context has what it needs.
  void Release() { credential_.reset(); }

  // kReady, until Release: the source's credential; null where the profile has it.
  const CredHandle* credential() const { return credential_.get(); }
  // kRefused.
  SECURITY_STATUS status() const { return status_; }
  bool not_tls() const { return not_tls_; }

 private:
  struct Wait;

  void Move(CredentialEvent event) { state_ = kCredentialTable.After(state_, event); }
  void Take(CredentialOutcome outcome);

  CredentialSource* const source_;
  std::unique_ptr<Wait> wait_;
  CredentialRef credential_;
  SECURITY_STATUS status_ = SEC_E_OK;
  CredentialState state_;
  bool not_tls_ = false;
};

}  // namespace ktlsim::transport
