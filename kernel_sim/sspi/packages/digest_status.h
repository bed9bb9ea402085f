// The one place where what happens in Digest becomes a SECURITY_STATUS.
//
// Any level, no state.
#pragma once

#include <sspi.h>

#include "kernel_sim/context_store/context_store.h"
#include "kernel_sim/digest/client_cache.h"
#include "kernel_sim/digest/fault.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

// An NTSTATUS among the statuses, as the documentation of AcceptSecurityContext (Digest) has it: it
// was called on a context that is established.
inline constexpr auto kLogonFailure = static_cast<SECURITY_STATUS>(0xC000006D);

// A leg that ends so. `reason`: why, a literal; null: the status says all there is.
inline LegResult EndLeg(SECURITY_STATUS status, const char* reason = nullptr) {
  LegResult result;
  result.status = status;
  result.reason = reason;
  return result;
}

// A challenge or a response that cannot be taken. In a challenge, an algorithm or a quality that is
// not known here is no fault of the message.
SECURITY_STATUS StatusOfChallengeFault(digest::Fault fault);
SECURITY_STATUS StatusOfResponseFault(digest::Fault fault);
// In words, a literal.
const char* ReasonOf(digest::Fault fault);

// What a use of a nonce came to, once the response had proved right. Everything that is not known
// asks for full authentication: never is it a success.
SECURITY_STATUS StatusOfUse(context_store::StoreResult result);
// In words, a literal; null: the status says all there is.
const char* ReasonOf(context_store::StoreResult result);

SECURITY_STATUS StatusOfCache(digest::ClientCache::Outcome outcome);

}  // namespace ktlsim::sspi
