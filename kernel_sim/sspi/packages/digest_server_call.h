// DigestServerCall: one call of a server of HTTP Digest, from its buffers to its end, over all its
// suspensions. AcceptSecurityContext, CompleteAuthToken and VerifySignature have one each.
//
// Under the strand of the context that the call is at; it may move to another one.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel_sim/digest/nonce.h"
#include "kernel_sim/digest/response.h"
#include "kernel_sim/sspi/packages/digest_facts.h"
#include "kernel_sim/sspi/packages/digest_settings.h"
#include "kernel_sim/sspi/packages/digest_status.h"
#include "kernel_sim/sspi/packages/digest_store.h"
#include "kernel_sim/sspi/packages/digest_verifier.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

// What comes next.
enum class DigestStep : std::uint8_t {
  kRead,      // the buffers
  kFind,      // the context that the opaque value names
  kFetch,     // that context in the store
  kHere,      // judge the response under the strand of its context
  kTaken,     // the store has a context under this opaque value: go on with that one
  kStranger,  // judge it without a context
  kVerify,    // with the verifier
  kPut,       // the context in the store
  kAdvance,   // the count of its nonce in the store
};

// What a right response leads to, once the verifier has said that it is right.
enum class DigestPurpose : std::uint8_t {
  kRechallenge,  // to a challenge with `stale`
  kAccept,       // to an established context
};

inline bool IsNoHandle(const SecHandle& handle) {
  return handle.dwLower == 0 && handle.dwUpper == 0;
}

inline LegResult DigestDenied() { return EndLeg(SEC_E_LOGON_DENIED); }
inline LegResult DigestSuspended(std::uint32_t limit_ms) {
  LegResult result;
  result.suspended = true;
  result.limit_ms = limit_ms;
  return result;
}
inline LegResult DigestGoesOnAt(const SecHandle& handle) {
  LegResult result;
  result.continue_on = handle;
  return result;
}

class DigestServerCall final : public PackageCallState {
 public:
  explicit DigestServerCall(PackageHost& the_host) : host(the_host) {}
  ~DigestServerCall() override {
    if (store != nullptr) store->Abandon(wait);
    if (!IsNoHandle(beside)) host.EndContext(beside);
  }

  PackageHost& host;

  // As the caller passed it. The texts are copied: input and output may share memory.
  std::string token;
  std::string method;
  std::string uri;  // may be empty: not given
  std::string entity_hash;
  std::string realm;
  std::string channel;  // that it comes over; empty: the caller names none
  DigestRequest request;

  // Of `token`.
  digest::Response response;
  std::optional<digest::Opaque> opaque;

  DigestStep step = DigestStep::kRead;
  DigestPurpose purpose = DigestPurpose::kRechallenge;
  SecHandle target{};  // the context that the call was sent to
  // A context that was made by this call and is nobody's before the call has succeeded.
  SecHandle beside{};
  bool local = false;        // the context at `target` is one that this node counts
  bool takes_over = false;   // another node's context
  bool counts_here = false;  // the next nonce is one that only this node counts

  // The operation that it waits for.
  std::shared_ptr<DigestStore> store;
  DigestStore::Wait wait;
  DigestVerification verification;
  bool asked = false;  // the verifier

  // What the store had under the opaque value.
  std::optional<context_store::StoreResult> fetched;
  DigestFacts facts;                // with kOk and kStale
  std::uint32_t stored_number = 0;  // of the newest nonce in `facts` when they were found

  // What the verifier said.
  digest::HashValue session_hash;
};

// Whether the operation that `state` waits for is over, with *result; kTimedOut when the call may
// wait no longer.
bool IsOver(PackageCall& call, DigestServerCall& state, context_store::StoreResult* result);

}  // namespace ktlsim::sspi
