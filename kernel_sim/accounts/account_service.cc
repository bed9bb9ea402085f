#include "kernel_sim/accounts/account_service.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

namespace ktlsim::accounts {
namespace {

using security::MappingOutcome;

LogonFault FaultOf(Admission admission) {
  if (admission == Admission::kStopped) return LogonFault::kNoLogonServers;
  return admission == Admission::kFull ? LogonFault::kNoSystemResources : LogonFault::kNoMemory;
}

LogonFault FaultOf(PasswordVerdict verdict) {
  switch (verdict) {
    case PasswordVerdict::kRight:
      return LogonFault::kNone;
    case PasswordVerdict::kWrong:
      return LogonFault::kLogonFailure;
    case PasswordVerdict::kNoMemory:
      return LogonFault::kNoMemory;
    case PasswordVerdict::kStopped:
      break;
  }
  return LogonFault::kNoLogonServers;
}

// What the account may not, once it is clear that its owner asks.
LogonFault JudgeAccount(const Account& account, LogonType type, std::int64_t now) {
  if (account.disabled) return LogonFault::kAccountDisabled;
  if (account.locked) return LogonFault::kAccountLockedOut;
  if (now >= account.expires) return LogonFault::kAccountExpired;
  if (!account.logon_types.Has(type)) return LogonFault::kLogonTypeNotGranted;
  if (account.password_must_change) return LogonFault::kPasswordMustChange;
  if (now >= account.password_expires) return LogonFault::kPasswordExpired;
  return LogonFault::kNone;
}

// The line whose algorithm is the strongest that the account has.
std::optional<DigestLine> BestLine(const Account& account) {
  const auto best = std::ranges::max_element(account.digest, {}, &DigestLine::hash_id);
  if (best == account.digest.end()) return std::nullopt;
  return *best;
}

PasswordQuestion QuestionOf(const LogonRequest& request, const Directory& directory,
                            const Account* account) {
  PasswordQuestion question;
  // One pace for one account, however it is named.
  question.name = directory.NameForPace(request.user, request.domain);
  question.password = SecretText(request.password);
  if (account != nullptr) {
    question.hash = account->password;
    question.line = BestLine(*account);
    question.by_digest = !question.hash && question.line;
    question.known = question.hash || question.line;
  }
  if (!question.hash) {
    if (const PasswordHash* const decoy = directory.DecoyFor(question.name)) question.hash = *decoy;
  }
  return question;
}

bool IsTooLong(const LogonRequest& request) {
  return request.user.size() > kLogonNameBytesMax || request.domain.size() > kLogonNameBytesMax ||
         request.password.size() > kPasswordBytesMax;
}

}  // namespace

AccountService::AccountService(ServiceSurroundings surroundings, const ServiceLimits& limits)
    : surroundings_(std::move(surroundings)),
      verifier_(*surroundings_.clock, limits.password_queue, limits.pace) {}

// ---- Logging on

LogonFault AccountService::LogOn(const LogonRequest& request, const security::Token* caller,
                                 security::Token::Ref* token) try {
  if (IsTooLong(request)) return LogonFault::kInvalidParameter;
  if (request.type == LogonType::kNewCredentials) return MoveCaller(request, caller, token);
  // Before the directory is taken: whoever takes it away ends logons after that.
  const std::uint64_t ends = ends_.load(std::memory_order_acquire);
  const DirectorySnapshot snapshot = store_.snapshot();
  if (snapshot.directory == nullptr) return LogonFault::kNoLogonServers;
  const Account* const account = snapshot.directory->FindForLogon(request.user, request.domain);
  LogonFault fault = Verify(request, *snapshot.directory, account);
  // Right is a password only for an account.
  if (fault == LogonFault::kNone) {
    fault = JudgeAccount(*account, request.type, surroundings_.wall_seconds());
  }
  // Whether the password was right is nobody's business any more.
  if (ends_.load(std::memory_order_acquire) != ends) return LogonFault::kNoLogonServers;
  if (fault != LogonFault::kNone) return fault;
  security::Token::Ref granted;
  fault = GrantToken(request, *snapshot.directory, *account, &granted);
  if (fault != LogonFault::kNone) return fault;
  // Once more: the accounts may have gone while it was made, and then it is none's.
  if (ends_.load(std::memory_order_acquire) != ends) return LogonFault::kNoLogonServers;
  *token = std::move(granted);
  return LogonFault::kNone;
} catch (const std::bad_alloc&) {
  return LogonFault::kNoMemory;
}

void AccountService::EndLogons() {
  ends_.fetch_add(1, std::memory_order_acq_rel);
  verifier_.Stop();
}

LogonFault AccountService::Verify(const LogonRequest& request, const Directory& directory,
                                  const Account* account) {
  Admission refusal = Admission::kAccepted;
  const std::optional<PasswordVerdict> verdict =
      verifier_.Ask(QuestionOf(request, directory, account), &refusal);
  return verdict ? FaultOf(*verdict) : FaultOf(refusal);
}

LogonFault AccountService::GrantToken(const LogonRequest& request, const Directory& directory,
                                      const Account& account, security::Token::Ref* token) {
  std::shared_ptr<const LockedSecrets> credentials;
  // Without a domain they are good for whichever realm asks: the directory's domain is none's name
  // of a realm.
  const LogonFault fault = KeepCredentials(request, account.name, "", &credentials);
  if (fault != LogonFault::kNone) return fault;
  const std::shared_ptr<const LogonSession> session =
      sessions_.Start({.id = surroundings_.new_luid(),
                       .type = request.type,
                       .user = account.sid,
                       .user_name = account.name,
                       .domain = directory.domain(),
                       .logged_on = surroundings_.wall_seconds(),
                       .unix_identity = account.unix_identity},
                      std::move(credentials));
  if (session == nullptr) return LogonFault::kNoMemory;
  const bool network = request.type == LogonType::kNetwork;
  const security::Fault made = MakeSessionToken(
      {.account = account,
       .type = network ? security::TokenType::kImpersonation : security::TokenType::kPrimary,
       .token_id = surroundings_.new_luid(),
       .session = session},
      token);
  return made == security::Fault::kNone ? LogonFault::kNone : LogonFault::kNoMemory;
}

LogonFault AccountService::KeepCredentials(const LogonRequest& request, std::string_view user,
                                           std::string_view domain,
                                           std::shared_ptr<const LockedSecrets>* credentials) {
  // A network log-on is the end of the way: its server may not go on as the client.
  if (request.type == LogonType::kNetwork) return LogonFault::kNone;
  *credentials = LockedSecrets::Make({user, domain, request.password});
  return *credentials != nullptr ? LogonFault::kNone : LogonFault::kNoSystemResources;
}

// Here the caller stays who it is.
static std::optional<UnixIdentity> UnixIdentityOf(const security::TokenState& caller) {
  const auto& session = caller.identity().logon_session;
  const UnixIdentity* const unix_identity = session != nullptr ? session->unix_identity() : nullptr;
  return unix_identity != nullptr ? std::optional(*unix_identity) : std::nullopt;
}

LogonFault AccountService::MoveCaller(const LogonRequest& request, const security::Token* caller,
                                      security::Token::Ref* token) {
  if (caller == nullptr) return LogonFault::kInvalidParameter;
  std::shared_ptr<const LockedSecrets> credentials;
  const LogonFault fault = KeepCredentials(request, request.user, request.domain, &credentials);
  if (fault != LogonFault::kNone) return fault;
  const security::TokenStateRef state = caller->state();
  const std::shared_ptr<const LogonSession> session =
      sessions_.Start({.id = surroundings_.new_luid(),
                       .type = request.type,
                       .user = security::Sid(state->user()),
                       .user_name = std::string(request.user),
                       .domain = std::string(request.domain),
                       .logged_on = surroundings_.wall_seconds(),
                       .unix_identity = UnixIdentityOf(*state)},
                      std::move(credentials));
  if (session == nullptr) return LogonFault::kNoMemory;
  const security::Fault moved =
      caller->MoveToSession({.authentication_id = session->facts().id,
                             .origin = state->identity().authentication_id,
                             .logon_session = session},
                            surroundings_.new_luid(), token);
  if (moved == security::Fault::kNone) return LogonFault::kNone;
  // An anonymous caller, or one that may only be identified, is nobody to go on as.
  return moved == security::Fault::kNoMemory ? LogonFault::kNoMemory : LogonFault::kLogonFailure;
}

// ---- Mapping

MappingOutcome AccountService::MapTls(const security::TlsClient& client,
                                      security::ImpersonationLevel level,
                                      security::Token::Ref* token) try {
  const DirectorySnapshot snapshot = store_.snapshot();
  if (snapshot.directory == nullptr) return Count(MappingOutcome::kFailure);
  CertificateFacts facts;
  switch (ReadCertificate(client.leaf, &facts)) {
    case CertificateRead::kDone:
      break;
    case CertificateRead::kUnreadable:
      counters_.unreadable.Add(1);
      return Count(MappingOutcome::kNoMatch);
    case CertificateRead::kNoMemory:
      return Count(MappingOutcome::kNoMemory);
  }
  const Match match =
      snapshot.directory->MapCertificate(facts, client.issuers, surroundings_.wall_seconds());
  return Count(Grant(*snapshot.directory, match, Authority::kTls, level, token));
} catch (const std::bad_alloc&) {
  return Count(MappingOutcome::kNoMemory);
}

MappingOutcome AccountService::MapDigest(const security::DigestClient& client,
                                         security::ImpersonationLevel level,
                                         security::Token::Ref* token) try {
  const DirectorySnapshot snapshot = store_.snapshot();
  if (snapshot.directory == nullptr) return Count(MappingOutcome::kFailure);
  const Match match =
      snapshot.directory->MapDigest(client.user, client.realm, surroundings_.wall_seconds());
  return Count(Grant(*snapshot.directory, match, Authority::kDigest, level, token));
} catch (const std::bad_alloc&) {
  return Count(MappingOutcome::kNoMemory);
}

MappingOutcome AccountService::Grant(const Directory& directory, const Match& match,
                                     Authority authority, security::ImpersonationLevel level,
                                     security::Token::Ref* token) {
  if (match.account == nullptr) return match.outcome;
  const std::shared_ptr<const LogonSession> session =
      sessions_.Start({.id = surroundings_.new_luid(),
                       .type = LogonType::kNetwork,
                       .user = match.account->sid,
                       .user_name = match.account->name,
                       .domain = directory.domain(),
                       .logged_on = surroundings_.wall_seconds(),
                       .unix_identity = match.account->unix_identity},
                      nullptr);
  if (session == nullptr) return MappingOutcome::kNoMemory;
  const security::Fault made = MakeSessionToken({.account = *match.account,
                                                 .more_groups = match.groups,
                                                 .more_privileges = match.privileges,
                                                 .authority = authority,
                                                 .type = security::TokenType::kImpersonation,
                                                 .level = level,
                                                 .token_id = surroundings_.new_luid(),
                                                 .session = session},
                                                token);
  if (made == security::Fault::kNone) return MappingOutcome::kToken;
  return made == security::Fault::kNoMemory ? MappingOutcome::kNoMemory : MappingOutcome::kFailure;
}

MappingOutcome AccountService::Count(MappingOutcome outcome) {
  switch (outcome) {
    case MappingOutcome::kToken:
      counters_.mapped.Add(1);
      break;
    case MappingOutcome::kNoMatch:
      counters_.no_match.Add(1);
      break;
    case MappingOutcome::kTwoMatches:
      counters_.two_matches.Add(1);
      break;
    case MappingOutcome::kDisabled:
      counters_.disabled.Add(1);
      break;
    case MappingOutcome::kNoMemory:
    case MappingOutcome::kFailure:
      counters_.failed.Add(1);
      break;
  }
  return outcome;
}

MappingStatistics AccountService::mapping_statistics() const {
  return {.mapped = counters_.mapped.Sum(),
          .no_match = counters_.no_match.Sum(),
          .two_matches = counters_.two_matches.Sum(),
          .disabled = counters_.disabled.Sum(),
          .failed = counters_.failed.Sum(),
          .unreadable = counters_.unreadable.Sum()};
}

std::shared_ptr<security::IdentityMapping> DirectoryMapper::Map(
    const security::ClientFacts& facts) noexcept try {
  security::Token::Ref token;
  const auto* const tls = std::get_if<security::TlsClient>(&facts.client);
  const auto* const by_digest = std::get_if<security::DigestClient>(&facts.client);
  const MappingOutcome outcome = tls != nullptr
                                     ? service_->MapTls(*tls, facts.level, &token)
                                     : service_->MapDigest(*by_digest, facts.level, &token);
  return std::make_shared<security::FinishedMapping>(outcome, std::move(token));
} catch (const std::bad_alloc&) {
  return nullptr;
}

std::uint64_t DirectoryMapper::generation() const noexcept {
  return service_->store().snapshot().generation;
}

}  // namespace ktlsim::accounts
