// DigestGuard: what is served over HTTP is served to the users of a Digest realm only.
//
// It uses the WDigest package as any program can: AcceptSecurityContext for a request, and
// CompleteAuthToken for one of a client that has a context already, whichever connection it had it
// on. Nothing waits on a processor, also when the context store or the users' file does.
//
//   request without Authorization          401, and a challenge
//   first response to a challenge          full authentication: the file of users
//   further requests, on any connection    maintained context: its key, and a count that is new
//   what is served                         with Authentication-Info, by which a client sees that
//                                          the server knows its password
//   response to an old nonce               401 with stale=true: the client goes on by itself
//   wrong response, unknown user           401; the connection is closed after 16 in a row
//   a header that cannot be understood     400
//   the users or the library not there     503
#pragma once

#include <sspi.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/base/rundown.h"
#include "kernel_sim/serve/digest_contexts.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

class HttpContent;

// So many responses of a connection that are refused or replayed, with none between them that lets
// it in, and it is closed: who guesses on needs a new handshake.
inline constexpr unsigned kDigestRefusalsMax = 16;

// What a protected request came to.
enum class DigestOutcome : std::uint8_t {
  kAuthenticated,  // with the file of users
  kMaintained,     // with the key of its context
  kChallenged,     // it said nobody
  kStale,          // the response was right, and the nonce was old
  kReplayed,       // the response was right, and its count was not new
  kRefused,        // the response was wrong
  kMalformed,      // 400
  kUnavailable,    // 503
};
inline constexpr std::size_t kDigestOutcomes = 8;

// "maintained"
const char* DigestOutcomeName(DigestOutcome outcome);

struct DigestStatistics {
  std::array<std::uint64_t, kDigestOutcomes> requests{};

  std::uint64_t Of(DigestOutcome outcome) const {
    return requests[static_cast<std::size_t>(outcome)];
  }
  DigestStatistics& operator+=(const DigestStatistics& other);
};

// Called on any loop's thread at dispatch level for what is not everyday: kReplayed, kRefused,
// kMalformed, kUnavailable.
class DigestWatcher {
 public:
  // `target` as the client wrote it; `status` of the call that decided.
  virtual void OnDigest(DigestOutcome outcome, const transport::Connection& connection,
                        std::string_view target, SECURITY_STATUS status) = 0;

 protected:
  ~DigestWatcher() = default;
};

// Where the realm's users are. Any thread, up to dispatch level.
class DigestCredentials {
 public:
  // An inbound credential of WDigest with its settings. It may be another one each time; an older
  // one may have been freed.
  virtual CredHandle Current() = 0;

 protected:
  ~DigestCredentials() = default;
};

struct DigestGuardOptions {
  DigestCredentials* credentials = nullptr;
  // What is protected: whole path segments, decoded ("/private" is also "/private/x", and not
  // "/privateer"). Empty: everything.
  std::vector<std::string> paths;
  // A request without a response to a challenge is not challenged unless the content responds with
  // 401: for an AccessGuard, which knows other clients than those of Digest.
  bool unless_asked = false;
  DigestContexts* contexts = nullptr;
  DigestWatcher* watcher = nullptr;  // or null
  // Where responses that are wrong or replayed are recorded. What cannot be recorded and has to be
  // is refused with 503, and nobody can guess on unnoticed. Null: they are not.
  audit::AuditTrail* trail = nullptr;
  // Numbers connections for records where no content does that: so many have a number. Null: none.
  std::atomic<std::uint64_t>* connections = nullptr;
};

// All of `options` must outlive it.
class DigestGuard {
 public:
  explicit DigestGuard(const DigestGuardOptions& options);
  // Must be stopped, if it ever protected anything.
  ~DigestGuard() = default;
  DigestGuard(const DigestGuard&) = delete;
  DigestGuard& operator=(const DigestGuard&) = delete;

  // Takes over `content`, which may be null; null: no memory. On the connection's loop.
  HttpContent* Protect(HttpContent* content, transport::Connection& connection);

  // Whether the target of a request is protected. One that cannot be resolved is. May throw
  // std::bad_alloc.
  bool Covers(std::string_view target) const;

  // Waits until every call has ended. Passive level, when all connections have ended.
  void Stop();

  DigestStatistics Statistics() const;

  // Private to serve/.
  const DigestGuardOptions& options() const { return options_; }
  Rundown& contents() { return contents_; }
  void Count(DigestOutcome outcome, const transport::Connection* connection,
             std::string_view target, SECURITY_STATUS status);

 private:
  const DigestGuardOptions options_;
  std::vector<std::string> paths_;  // as ResolveTarget writes them
  Rundown contents_;
  std::array<std::atomic<std::uint64_t>, kDigestOutcomes> requests_{};
};

// The token of an Authorization field of the scheme Digest. False: the field is empty, or of
// another scheme. Any level.
bool DigestTokenOf(std::string_view authorization, std::string_view* token);

}  // namespace ktlsim::serve
