// LogonSession: one log-on of one client, with what it may need to go on to another server as that
// client. LogonSessions: those that live, by their number.
//
// A session lives as long as a token refers to it: tokens, their copies and what was restricted
// from them hold it by TokenIdentity::logon_session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "kernel_sim/accounts/account.h"
#include "kernel_sim/accounts/locked_memory.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/security/luid.h"
#include "kernel_sim/security/sid.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::accounts {

struct SessionFacts {
  security::Luid id = {};
  LogonType type = LogonType::kNetwork;
  security::Sid user = {};
  std::string user_name = {};  // kNewCredentials: for other servers, and not that of `user`
  std::string domain = {};
  std::int64_t logged_on = 0;  // seconds since 1970
  std::optional<UnixIdentity> unix_identity = std::nullopt;
};

struct SessionStatistics {
  std::uint64_t started = 0;
  std::uint64_t live = 0;
  std::uint64_t with_credentials = 0;  // of those that live
};

class LogonSession;

class LogonSessions {
 public:
  LogonSessions();

  // A session of these facts, which no other session has the number of. Null: no memory. Any
  // thread, any level.
  std::shared_ptr<const LogonSession> Start(SessionFacts facts,
                                            std::shared_ptr<const LockedSecrets> credentials);
  // Null: it does not live.
  std::shared_ptr<const LogonSession> Find(security::Luid id) const;
  SessionStatistics statistics() const;

 private:
  friend class LogonSession;

  // A session may outlive this object.
  struct Table {
    void Remove(std::uint64_t id, bool with_credentials);

    Mutex mutex;
    std::unordered_map<std::uint64_t, std::weak_ptr<const LogonSession>> live
        KTLSIM_GUARDED_BY(mutex);
    SessionStatistics statistics KTLSIM_GUARDED_BY(mutex);
  };

  const std::shared_ptr<Table> table_;
};

// Immutable. Any thread.
class LogonSession final : public security::TokenSession {
 public:
  ~LogonSession() override;
  LogonSession(const LogonSession&) = delete;
  LogonSession& operator=(const LogonSession&) = delete;

  const SessionFacts& facts() const { return facts_; }
  // S-1-5-5-X-Y, which no other session has.
  const security::Sid& logon_sid() const { return logon_sid_; }
  bool has_credentials() const { return credentials_ != nullptr; }
  // None in a forked child, too: they stay with the process that has verified them.
  std::optional<security::NetworkCredentials> network_credentials() const override;
  const UnixIdentity* unix_identity() const override {
    return facts_.unix_identity ? &*facts_.unix_identity : nullptr;
  }
  // Of kNewCredentials: "", since nobody has verified the name.
  std::string_view user_name() const override;

 private:
  friend class LogonSessions;
  LogonSession(std::shared_ptr<LogonSessions::Table> table, SessionFacts facts,
               std::shared_ptr<const LockedSecrets> credentials);

  const std::shared_ptr<LogonSessions::Table> table_;
  const SessionFacts facts_;
  const security::Sid logon_sid_;
  const std::shared_ptr<const LockedSecrets> credentials_;  // user, domain, password; null: none
};

}  // namespace ktlsim::accounts
