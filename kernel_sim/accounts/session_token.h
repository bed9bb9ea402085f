// The token of a client: of an account and the session that it has begun.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "kernel_sim/accounts/account.h"
#include "kernel_sim/accounts/logon_sessions.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::accounts {

// Who has found out who the client is.
enum class Authority : std::uint8_t { kLogon, kTls, kDigest };

struct SessionTokenRequest {
  const Account& account;
  std::span<const security::Sid> more_groups = {};
  security::PrivilegeSet more_privileges = {};
  Authority authority = Authority::kLogon;
  security::TokenType type = security::TokenType::kPrimary;
  security::ImpersonationLevel level = security::ImpersonationLevel::kImpersonation;
  security::Luid token_id = {};
  std::shared_ptr<const LogonSession> session;  // never null
};

// README.md has the table of what it contains. The faults are those of Token::Create. Any thread,
// any level.
security::Fault MakeSessionToken(const SessionTokenRequest& request, security::Token::Ref* token);

}  // namespace ktlsim::accounts
