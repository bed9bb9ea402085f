// AccountService: logging on, and tokens for clients that TLS or Digest has authenticated, against
// one directory.
//
// What a newcomer gets wrong: nothing of a log-on ends early. Whoever asks for a name that nobody
// has waits as long, and is told the same, as with a wrong password.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "kernel_sim/accounts/directory_store.h"
#include "kernel_sim/accounts/logon_fault.h"
#include "kernel_sim/accounts/logon_sessions.h"
#include "kernel_sim/accounts/password_verifier.h"
#include "kernel_sim/accounts/session_token.h"
#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/striped_counter.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::accounts {

// What the service needs from its surroundings. All are called on any thread.
struct ServiceSurroundings {
  const Clock* clock = nullptr;  // for delays; lives as long as the service
  std::function<std::int64_t()> wall_seconds;
  std::function<security::Luid()> new_luid;
};

struct ServiceLimits {
  std::size_t password_queue = 64;
  PaceLimits pace = {};
};

// The domain "" is none given; then the user may be a user principal name.
struct LogonRequest {
  std::string_view user;
  std::string_view domain;
  std::string_view password;
  LogonType type = LogonType::kInteractive;
};

inline constexpr std::size_t kLogonNameBytesMax = 1024;

struct MappingStatistics {
  std::uint64_t mapped = 0;
  std::uint64_t no_match = 0;
  std::uint64_t two_matches = 0;
  std::uint64_t disabled = 0;
  std::uint64_t failed = 0;
  std::uint64_t unreadable = 0;  // certificates, of those without a match
};

class AccountService {
 public:
  AccountService(ServiceSurroundings surroundings, const ServiceLimits& limits);

  DirectoryStore& store() { return store_; }
  const DirectoryStore& store() const { return store_; }
  const LogonSessions& sessions() const { return sessions_; }

  // Logs somebody on and waits for it. kNone: *token is the token of a new session; of an
  // impersonation for kNetwork, else a primary one. Passive level, not on a helper thread.
  //
  // kNewCredentials: a copy of `caller`, which the other types do not need, in a new session with
  // these names and this password, which nobody verifies.
  LogonFault LogOn(const LogonRequest& request, const security::Token* caller,
                   security::Token::Ref* token);

  // A client's token, in a new session. Any thread, any level; does not wait.
  security::MappingOutcome MapTls(const security::TlsClient& client,
                                  security::ImpersonationLevel level, security::Token::Ref* token);
  security::MappingOutcome MapDigest(const security::DigestClient& client,
                                     security::ImpersonationLevel level,
                                     security::Token::Ref* token);

  // Logons in progress, and those that are asked for until AdmitLogons, end with kNoLogonServers;
  // what is being verified is waited for, and comes to the same. kNewCredentials has nothing to
  // wait for and goes on. Tokens and sessions stay, and so does mapping. Passive level.
  void EndLogons();
  void AdmitLogons() { verifier_.Resume(); }

  VerifierStatistics password_statistics() const { return verifier_.statistics(); }
  MappingStatistics mapping_statistics() const;

 private:
  struct MappingCounters {
    StripedCounter mapped;
    StripedCounter no_match;
    StripedCounter two_matches;
    StripedCounter disabled;
    StripedCounter failed;
    StripedCounter unreadable;
  };

  LogonFault Verify(const LogonRequest& request, const Directory& directory,
                    const Account* account);
  LogonFault GrantToken(const LogonRequest& request, const Directory& directory,
                        const Account& account, security::Token::Ref* token);
  LogonFault KeepCredentials(const LogonRequest& request, std::string_view user,
                             std::string_view domain,
                             std::shared_ptr<const LockedSecrets>* credentials);
  LogonFault MoveCaller(const LogonRequest& request, const security::Token* caller,
                        security::Token::Ref* token);
  security::MappingOutcome Grant(const Directory& directory, const Match& match,
                                 Authority authority, security::ImpersonationLevel level,
                                 security::Token::Ref* token);
  security::MappingOutcome Count(security::MappingOutcome outcome);

  const ServiceSurroundings surroundings_;
  DirectoryStore store_;
  LogonSessions sessions_;
  MappingCounters counters_;
  // How often logons were ended: one in progress sees whether that has come between.
  std::atomic<std::uint64_t> ends_{0};
  PasswordVerifier verifier_;
};

// Maps clients by the directory of a service.
class DirectoryMapper final : public security::IdentityMapper {
 public:
  explicit DirectoryMapper(std::shared_ptr<AccountService> service)
      : service_(std::move(service)) {}

  std::shared_ptr<security::IdentityMapping> Map(
      const security::ClientFacts& facts) noexcept override;
  std::uint64_t generation() const noexcept override;

 private:
  const std::shared_ptr<AccountService> service_;
};

}  // namespace ktlsim::accounts
