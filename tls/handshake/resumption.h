// Whether a session may be resumed: the one place that judges everything that a resumption does not
// verify again, because no certificate is sent. Private to this module.
//
// A session remembers where it comes from, in OpenSSL's "ticket application data": sealed inside a
// ticket, plain in a store. A resumed session hands it on to the tickets that renew it, so a chain
// of renewals ends when its first session would have ended.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include <openssl/ssl.h>

#include "tls/identity/issuer_keys.h"

namespace ktlsim::tls {

class EndpointCore;

struct SessionOrigin {
  static constexpr std::int64_t kNoEnd = std::numeric_limits<std::int64_t>::max();
  // Milliseconds since 1970: the full handshake.
  std::int64_t made_at_ms = 0;
  // Seconds since 1970: the first certificate of the peer's chain to expire. kNoEnd: the peer sent
  // none, or its certificate is not judged. 0, long ago: what the session would have to know of the
  // chain is not known.
  std::int64_t not_after_s = kNoEnd;
  // Of a server's session: who stands above the client's certificate, which is in the session.
  IssuerKeys issuers;
};

enum class ResumptionVerdict : std::uint8_t {
  kGood,
  kUnknownOrigin,  // not made by this module
  kTooOld,         // the credential's lifespan is over, or the clock stands before the session
  kExpired,        // a certificate of the peer's chain has expired
  kSuiteRefused,   // its cipher suite is not among those in use (any more)
};

// Judges everything except role, policy, trusted certificates, own certificate and name: these are
// in the session's id context (endpoint_core.h), which OpenSSL compares. Revocation belongs here
// once it is checked at all. Both roles, tickets and stores; `ssl` is the connection that would
// resume.
ResumptionVerdict JudgeResumption(const EndpointCore& core, const SSL* ssl,
                                  const SSL_SESSION& session);

// Gives `session` of the connection `ssl` an origin, if it has none, and the rest of its life as
// its timeout, which a ticket carries to the client. False: out of memory.
[[nodiscard]] bool DateSession(const EndpointCore& core, SSL* ssl, SSL_SESSION* session);

// The keys above the peer's leaf: those of the chain that was verified, or, when the session was
// resumed, of the one that was verified then. Empty: nothing was verified. None: the library
// failed.
std::optional<IssuerKeys> IssuersOf(const SSL* ssl);

std::optional<SessionOrigin> OriginOf(const SSL_SESSION& session);
// Seconds since 1970 from which on the session is not resumed.
std::int64_t EndOf(const EndpointCore& core, const SessionOrigin& origin);

}  // namespace ktlsim::tls
