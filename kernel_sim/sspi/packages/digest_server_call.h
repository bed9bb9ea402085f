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

class DigestServerCall final : public PackageCallState {
 public:
  ~DigestServerCall() override {
    if (store != nullptr) store->Abandon(wait);
  }

  // As the caller passed it. The texts are copied: input and output may share memory.
  std::string token;
  std::string method;
  std::string uri;  // may be empty: not given
  std::string entity_hash;
  std::string realm;
  DigestRequest request;

  // Of `token`.
  digest::Response response;
  std::optional<digest::Opaque> opaque;

  DigestStep step = DigestStep::kRead;
  DigestPurpose purpose = DigestPurpose::kRechallenge;
  SecHandle target{};  // the context that the call was sent to

  // The operation that it waits for.
  std::shared_ptr<DigestStore> store;
  DigestStore::Wait wait;
  DigestVerification verification;
  bool asked = false;  // the verifier

  // What the store had under the opaque value.
  std::optional<context_store::StoreResult> fetched;
  DigestFacts facts;  // with kOk and kStale

  // What the verifier said.
  digest::HashValue session_hash;
};

// Whether the operation that `state` waits for is over, with *result; kTimedOut when the call may
// wait no longer.
bool IsOver(PackageCall& call, DigestServerCall& state, context_store::StoreResult* result);

}  // namespace ktlsim::sspi
