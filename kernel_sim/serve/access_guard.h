// AccessGuard: what a request may do is decided by an access check: the client's token against the
// security descriptor of the path.
//
//   client certificate, or Digest user, with an account    its token
//   anybody else                                           the anonymous one, S-1-5-7
//   granted                                                served, on behalf of the client
//   denied, and the client could say with Digest who it is 401
//   denied otherwise                                       403
//   it could not be recorded, or who it is not be asked    503
//
// Each request of a client runs as that client: the thread acts under its token while the content
// works on it, also where the content goes on on another thread.
//
// What a newcomer gets wrong: to be S-1-5-7 is to be in no group, not even Everyone. A path that is
// open to all has an entry for AN beside the one for WD.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/striped_counter.h"
#include "kernel_sim/security/identity_mapper.h"
#include "kernel_sim/security/token.h"
#include "kernel_sim/serve/access_policy.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

class HttpContent;

// What a guarded request came to.
enum class AccessVerdict : std::uint8_t {
  kGranted,
  kGrantedAnonymous,
  kDenied,           // 403
  kDeniedAnonymous,  // 401, or 403 where nobody can authenticate
  kUnresolved,       // its target names nothing: 400, 404, 414
  kUnrecorded,       // 503: the audit trail is full
  kUnavailable,      // 503: no memory, or the accounts are not to be had
  kOutdated,         // the accounts have changed since its handshake: the connection was closed
};
inline constexpr std::size_t kAccessVerdicts = 8;

// "granted_anonymous"
const char* AccessVerdictName(AccessVerdict verdict);

struct AccessStatistics {
  std::array<std::uint64_t, kAccessVerdicts> requests{};

  AccessStatistics& operator+=(const AccessStatistics& other);
};

// The policy that counts now, for all connections.
class AccessPolicies {
 public:
  explicit AccessPolicies(std::shared_ptr<const AccessPolicy> policy)
      : policy_(std::move(policy)) {}

  // Passive level.
  void Use(std::shared_ptr<const AccessPolicy> policy) KTLSIM_EXCLUDES(lock_);
  std::shared_ptr<const AccessPolicy> Current() const KTLSIM_EXCLUDES(lock_);

 private:
  mutable SpinLock lock_;
  std::shared_ptr<const AccessPolicy> policy_ KTLSIM_GUARDED_BY(lock_);
};

// S-1-5-7, for impersonation. Null: no memory.
security::Token::Ref MakeAnonymousToken();

// What all guards of a server have in common.
struct AccessShare {
  audit::AuditTrail* trail = nullptr;                // null: nothing is recorded
  const security::IdentityMapper* mapper = nullptr;  // the library's; never null
  security::Token::Ref anonymous;                    // never null
  // So many are known to records, those of listeners with Digest alone too; their ids begin at 1.
  std::atomic<std::uint64_t> connections{0};
};

struct AccessGuardOptions {
  AccessShare* share = nullptr;
  const AccessPolicies* policies = nullptr;
  // A content in front of the guarded ones challenges whom they respond to with 401.
  bool challenges = false;
};

// All of `options` must outlive it.
class AccessGuard {
 public:
  explicit AccessGuard(const AccessGuardOptions& options) : options_(options) {}
  AccessGuard(const AccessGuard&) = delete;
  AccessGuard& operator=(const AccessGuard&) = delete;

  // Takes over `content`, which may be null; null: no memory. On the connection's loop.
  HttpContent* Protect(HttpContent* content, transport::Connection& connection);

  AccessStatistics Statistics() const;

  // Private to serve/.
  const AccessGuardOptions& options() const { return options_; }
  void Count(AccessVerdict verdict) { counters_[static_cast<std::size_t>(verdict)].Add(1); }

 private:
  const AccessGuardOptions options_;
  std::array<StripedCounter, kAccessVerdicts> counters_;
};

}  // namespace ktlsim::serve
