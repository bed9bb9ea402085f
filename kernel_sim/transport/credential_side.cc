#include "kernel_sim/transport/credential_side.h"

#include <ktlsim/sspi_ext.h>

#include <new>
#include <utility>

#include "kernel_sim/base/member_item.h"
#include "kernel_sim/transport/client_hello_reader.h"

namespace ktlsim::transport {

// Exists from the first byte until there is a credential, and not while a connection idles.
struct CredentialSide::Wait final : CredentialWaiter {
  Wait(io::Loop& its_loop, ToldRoutine routine, void* its_owner)
      : loop(its_loop), told(routine), owner(its_owner) {}

  // The connection does not go, and this neither, until the loop has come to `back`.
  void OnCredential() override { loop.Post(back); }
  void Return() { told(owner); }

  io::Loop& loop;
  const ToldRoutine told;
  void* const owner;
  MemberItem<&Wait::Return> back{*this};
  ClientHelloReader hello;
};

CredentialSide::CredentialSide(CredentialSource* source)
    : source_(source),
      state_(source != nullptr ? CredentialState::kReading : CredentialState::kReady) {}

CredentialSide::~CredentialSide() = default;

bool CredentialSide::Begin(io::Loop& loop, ToldRoutine told, void* owner) {
  if (source_ == nullptr) return true;
  wait_.reset(new (std::nothrow) Wait(loop, told, owner));
  return wait_ != nullptr;
}

void CredentialSide::Read(std::span<const std::byte> bytes) {
  if (state_ != CredentialState::kReading) return;
  switch (wait_->hello.Read(bytes)) {
    case ClientHelloReader::Outcome::kNeedMore:
      return;
    case ClientHelloReader::Outcome::kName:
      Move(CredentialEvent::kName);
      return;
    case ClientHelloReader::Outcome::kNotTls:
      not_tls_ = true;
      break;
    case ClientHelloReader::Outcome::kBroken:
      break;
  }
  Take({.credential = nullptr, .status = SEC_E_INVALID_TOKEN});
}

void CredentialSide::Ask() {
  if (source_->Take(wait_->hello.name(), *wait_) == CredentialSource::When::kLater) {
    Move(CredentialEvent::kWait);
  } else {
    Take(std::move(wait_->outcome));
  }
}

void CredentialSide::Told() {
  CredentialOutcome outcome = std::move(wait_->outcome);
  if (state_ == CredentialState::kGivenUp) outcome = {.credential = nullptr, .status = status_};
  Take(std::move(outcome));
}

void CredentialSide::GiveUp() {
  if (!waits()) return;
  if (source_->Withdraw(*wait_)) {
    Take({.credential = nullptr, .status = KTLSIM_E_QUEUE_TIMEOUT});
  } else {
    status_ = KTLSIM_E_QUEUE_TIMEOUT;
    Move(CredentialEvent::kGiveUp);
  }
}

void CredentialSide::Take(CredentialOutcome outcome) {
  wait_.reset();
  status_ = outcome.status;
  credential_ = std::move(outcome.credential);
  Move(credential_ != nullptr ? CredentialEvent::kGet : CredentialEvent::kRefuse);
}

}  // namespace ktlsim::transport
