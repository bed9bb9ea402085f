#include "kernel_sim/sspi/client_identity.h"

#include <new>
#include <utility>

namespace ktlsim::sspi {

using security::MappingOutcome;
using security::Token;

namespace {

// An identification token suffices for what is asked of it, so that a mapper may give less.
bool MayBeGiven(const Token::Ref& token, security::ImpersonationLevel level) {
  if (token == nullptr) return false;
  const security::TokenStateRef state = token->state();
  return state->type() == security::TokenType::kImpersonation && state->level() <= level;
}

// The others say that nothing could be found out.
bool IsVerdict(MappingOutcome outcome) {
  return outcome != MappingOutcome::kNoMemory && outcome != MappingOutcome::kFailure;
}

}  // namespace

SECURITY_STATUS StatusOfMapping(MappingOutcome outcome) {
  switch (outcome) {
    case MappingOutcome::kToken:
      return SEC_E_OK;
    case MappingOutcome::kNoMatch:
      return SEC_E_NO_IMPERSONATION;
    case MappingOutcome::kTwoMatches:
      return SEC_E_MULTIPLE_ACCOUNTS;
    case MappingOutcome::kDisabled:
      return SEC_E_LOGON_DENIED;
    case MappingOutcome::kNoMemory:
      return SEC_E_INSUFFICIENT_MEMORY;
    case MappingOutcome::kFailure:
      return SEC_E_NO_AUTHENTICATING_AUTHORITY;
  }
  return SEC_E_NO_IMPERSONATION;
}

ClientIdentity::~ClientIdentity() {
  if (lent_ != nullptr) authorization::CloseLent(lent_);
}

bool ClientIdentity::IsOf(const MappedBy& by) const {
  const SpinLockHolder holder(lock_);
  if (no_memory_) return false;
  if (mapped_ == nullptr) return by.mapper == 0;
  return mapped_->by == by && IsVerdict(mapped_->outcome);
}

std::shared_ptr<const ClientIdentity::Mapped> ClientIdentity::MakeMapped(const MappedBy& by,
                                                                         MappingOutcome outcome,
                                                                         Token::Ref token) noexcept
    try {
  const bool wrong = outcome == MappingOutcome::kToken && !MayBeGiven(token, by.level);
  auto mapped = std::make_shared<Mapped>();
  mapped->by = by;
  mapped->outcome = wrong ? MappingOutcome::kFailure : outcome;
  if (mapped->outcome == MappingOutcome::kToken) mapped->token = std::move(token);
  return mapped;
} catch (const std::bad_alloc&) {
  return nullptr;
}

void ClientIdentity::Set(const MappedBy& by, MappingOutcome outcome, Token::Ref token) noexcept {
  std::shared_ptr<const Mapped> next = MakeMapped(by, outcome, std::move(token));
  const SpinLockHolder holder(lock_);
  no_memory_ = next == nullptr;
  mapped_.swap(next);  // the earlier one is destroyed without the lock
}

void ClientIdentity::Forget() {
  std::shared_ptr<const Mapped> earlier;
  const SpinLockHolder holder(lock_);
  no_memory_ = false;
  mapped_.swap(earlier);
}

SECURITY_STATUS ClientIdentity::GetToken(Token::Ref* token) const {
  std::shared_ptr<const Mapped> mapped;
  {
    const SpinLockHolder holder(lock_);
    if (no_memory_) return SEC_E_INSUFFICIENT_MEMORY;
    mapped = mapped_;
  }
  if (mapped == nullptr) return SEC_E_NO_IMPERSONATION;
  *token = mapped->token;
  return StatusOfMapping(mapped->outcome);
}

SECURITY_STATUS ClientIdentity::LendHandle(void** handle) {
  for (;;) {
    Token::Ref token;
    const SECURITY_STATUS status = GetToken(&token);
    if (status != SEC_E_OK) return status;
    if (TakeLent(token.get(), nullptr, handle)) return SEC_E_OK;
    authorization::HandleValue opened = nullptr;
    if (authorization::OpenToken(token, authorization::kTokenAllAccess, &opened,
                                 authorization::HandleOwner::kLender) != security::Fault::kNone) {
      return SEC_E_INSUFFICIENT_MEMORY;
    }
    const bool lent = TakeLent(token.get(), &opened, handle);
    if (opened != nullptr) authorization::CloseLent(opened);
    if (lent) return SEC_E_OK;
  }
}

// Whoever comes late with a token that is no longer the client's must not close the handle of the
// present one, which another thread has just been lent.
bool ClientIdentity::TakeLent(const Token* token, authorization::HandleValue* opened,
                              void** handle) {
  const SpinLockHolder holder(lock_);
  if (mapped_ == nullptr || mapped_->token.get() != token) return false;
  if (lent_token_ != token) {
    if (opened == nullptr) return false;
    std::swap(lent_, *opened);
    lent_token_ = token;
  }
  *handle = lent_;
  return true;
}

}  // namespace ktlsim::sspi
