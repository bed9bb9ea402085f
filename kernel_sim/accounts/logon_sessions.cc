#include "kernel_sim/accounts/logon_sessions.h"

#include <new>
#include <utility>

#include "kernel_sim/base/fork_gate.h"

namespace ktlsim::accounts {
namespace {

constexpr std::uint32_t kLogonIds = 5;  // SECURITY_LOGON_IDS_RID

std::uint64_t NumberOf(security::Luid id) {
  return (std::uint64_t{static_cast<std::uint32_t>(id.high)} << 32U) | id.low;
}

security::Sid LogonSidOf(security::Luid id) {
  return {5, {kLogonIds, static_cast<std::uint32_t>(id.high), id.low}};
}

}  // namespace

LogonSessions::LogonSessions() : table_(std::make_shared<Table>()) {}

void LogonSessions::Table::Remove(std::uint64_t id, bool with_credentials) {
  const ForkGate::Scope inside;
  const MutexLock lock(mutex);
  live.erase(id);
  --statistics.live;
  if (with_credentials) --statistics.with_credentials;
}

std::shared_ptr<const LogonSession> LogonSessions::Start(
    SessionFacts facts, std::shared_ptr<const LockedSecrets> credentials) try {
  const ForkGate::Scope inside;
  const bool with_credentials = credentials != nullptr;
  const std::uint64_t number = NumberOf(facts.id);
  {
    const MutexLock lock(table_->mutex);
    table_->live[number];
    ++table_->statistics.live;
    if (with_credentials) ++table_->statistics.with_credentials;
  }
  // From here on the session's end takes it out of the table again.
  std::unique_ptr<LogonSession> made(
      new (std::nothrow) LogonSession(table_, std::move(facts), std::move(credentials)));
  if (made == nullptr) {
    table_->Remove(number, with_credentials);
    return nullptr;
  }
  const std::shared_ptr<const LogonSession> session(std::move(made));
  const MutexLock lock(table_->mutex);
  table_->live[number] = session;
  ++table_->statistics.started;
  return session;
} catch (const std::bad_alloc&) {
  return nullptr;
}

std::shared_ptr<const LogonSession> LogonSessions::Find(security::Luid id) const {
  const ForkGate::Scope inside;
  const MutexLock lock(table_->mutex);
  const auto found = table_->live.find(NumberOf(id));
  return found == table_->live.end() ? nullptr : found->second.lock();
}

SessionStatistics LogonSessions::statistics() const {
  const ForkGate::Scope inside;
  const MutexLock lock(table_->mutex);
  return table_->statistics;
}

LogonSession::LogonSession(std::shared_ptr<LogonSessions::Table> table, SessionFacts facts,
                           std::shared_ptr<const LockedSecrets> credentials)
    : table_(std::move(table)),
      facts_(std::move(facts)),
      logon_sid_(LogonSidOf(facts_.id)),
      credentials_(std::move(credentials)) {}

LogonSession::~LogonSession() { table_->Remove(NumberOf(facts_.id), has_credentials()); }

std::optional<security::NetworkCredentials> LogonSession::network_credentials() const {
  if (credentials_ == nullptr || credentials_->wiped()) return std::nullopt;
  const LockedSecrets::Views& texts = credentials_->texts();
  return security::NetworkCredentials{.user = texts[0], .domain = texts[1], .password = texts[2]};
}

std::string_view LogonSession::user_name() const {
  return facts_.type == LogonType::kNewCredentials ? std::string_view() : facts_.user_name;
}

}  // namespace ktlsim::accounts
