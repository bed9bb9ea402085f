#include "kernel_sim/authorization/impersonation.h"

#include <array>
#include <cerrno>

#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/base/thread_identity.h"

namespace ktlsim::authorization {

using security::Fault;
using security::ImpersonationLevel;
using security::Token;
using security::TokenType;

namespace {

constexpr security::Sid kAnonymousSid(5, {7});
constexpr security::Luid kAnonymousSession{0x3E6, 0};

// Null: no memory.
Token::Ref MakeAnonymous() {
  constexpr security::PrivilegeSet kPrivileges = {security::Privilege::kChangeNotify};
  std::array<std::byte, 128> memory{};
  security::TokenContents contents;
  contents.user = kAnonymousSid;
  contents.privileges = {
      .held = kPrivileges, .enabled = kPrivileges, .enabled_by_default = kPrivileges};
  contents.default_dacl = WriteDefaultDacl(contents.user, memory);
  contents.token_id = NextLuid();
  contents.authentication_id = kAnonymousSession;
  contents.source = {.name = {'k', 't', 'l', 's', 'i', 'm', ' ', ' '}, .id = {}};
  contents.type = TokenType::kImpersonation;
  contents.integrity = security::kUntrustedIntegrity;
  Token::Ref token;
  return Token::Create(contents, &token) == Fault::kNone ? token : nullptr;
}

}  // namespace

// Only tokens are identities.
Token::Ref ThreadToken() { return std::static_pointer_cast<Token>(ThreadIdentity::Get()); }

Fault Impersonate(const Token::Ref& token) {
  const Token::Ref& process = ProcessToken();
  if (process == nullptr) return Fault::kNoMemory;
  const security::TokenStateRef client = token->state();
  const ImpersonationLevel level = security::PermittedLevel(*client, *process->state());
  const bool as_it_is = client->type() == TokenType::kImpersonation && level == client->level();
  Token::Ref own = token;
  if (!as_it_is) {
    const Fault fault = token->Duplicate(TokenType::kImpersonation, level, NextLuid(), &own);
    if (fault != Fault::kNone) return fault;
  }
  switch (ThreadIdentity::Assume(std::move(own))) {
    case 0:
      return Fault::kNone;
    case ENOMEM:
    case EAGAIN:
      return Fault::kNoMemory;
    default:
      return Fault::kAccessDenied;
  }
}

Fault ImpersonateAnonymous() {
  const Token::Ref& process = ProcessToken();
  if (process == nullptr) return Fault::kNoMemory;
  if (process->state()->restricted()) return Fault::kAccessDenied;
  const Token::Ref anonymous = MakeAnonymous();
  return anonymous != nullptr ? Impersonate(anonymous) : Fault::kNoMemory;
}

void Revert() { ThreadIdentity::Exchange(nullptr); }

}  // namespace ktlsim::authorization
