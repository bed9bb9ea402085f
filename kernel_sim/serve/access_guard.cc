#include "kernel_sim/serve/access_guard.h"

#include <utility>

#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/security/well_known_sids.h"
#include "kernel_sim/serve/access_content.h"

namespace ktlsim::serve {

const char* AccessVerdictName(AccessVerdict verdict) {
  switch (verdict) {
    case AccessVerdict::kGranted:
      return "granted";
    case AccessVerdict::kGrantedAnonymous:
      return "granted_anonymous";
    case AccessVerdict::kDenied:
      return "denied";
    case AccessVerdict::kDeniedAnonymous:
      return "denied_anonymous";
    case AccessVerdict::kUnresolved:
      return "unresolved";
    case AccessVerdict::kUnrecorded:
      return "unrecorded";
    case AccessVerdict::kUnavailable:
      return "unavailable";
    case AccessVerdict::kOutdated:
      return "outdated";
  }
  return "?";
}

AccessStatistics& AccessStatistics::operator+=(const AccessStatistics& other) {
  for (std::size_t i = 0; i < kAccessVerdicts; ++i) requests[i] += other.requests[i];
  return *this;
}

void AccessPolicies::Use(std::shared_ptr<const AccessPolicy> policy) {
  const SpinLockHolder lock(lock_);
  policy_.swap(policy);  // the earlier one is destroyed without the lock
}

std::shared_ptr<const AccessPolicy> AccessPolicies::Current() const {
  const SpinLockHolder lock(lock_);
  return policy_;
}

security::Token::Ref MakeAnonymousToken() {
  constexpr security::Sid kAnonymousSid(5, {7});
  constexpr security::Luid kAnonymousSession{0x3E6, 0};
  security::TokenContents contents;
  contents.user = kAnonymousSid;
  contents.token_id = authorization::NextLuid();
  contents.authentication_id = kAnonymousSession;
  contents.source = {.name = {'k', 't', 'l', 's', 'i', 'm', ' ', ' '}, .id = {}};
  contents.type = security::TokenType::kImpersonation;
  contents.integrity = security::kUntrustedIntegrity;
  security::Token::Ref token;
  return security::Token::Create(contents, &token) == security::Fault::kNone ? token : nullptr;
}

HttpContent* AccessGuard::Protect(HttpContent* content, transport::Connection& connection) {
  return content != nullptr ? MakeAccessContent(*this, *content, connection) : nullptr;
}

AccessStatistics AccessGuard::Statistics() const {
  AccessStatistics statistics;
  for (std::size_t i = 0; i < kAccessVerdicts; ++i) statistics.requests[i] = counters_[i].Sum();
  return statistics;
}

}  // namespace ktlsim::serve
