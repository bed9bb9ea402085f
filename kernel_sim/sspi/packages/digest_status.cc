#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {

using context_store::StoreResult;
using digest::Fault;

SECURITY_STATUS StatusOfChallengeFault(Fault fault) {
  const bool unknown = fault == Fault::kUnknownAlgorithm || fault == Fault::kUnknownQop;
  return unknown ? SEC_E_QOP_NOT_SUPPORTED : StatusOfResponseFault(fault);
}

SECURITY_STATUS StatusOfResponseFault(Fault fault) {
  if (fault == Fault::kNone) return SEC_E_OK;
  return fault == Fault::kNoMemory ? SEC_E_INSUFFICIENT_MEMORY : SEC_E_INVALID_TOKEN;
}

const char* ReasonOf(Fault fault) { return digest::ToText(fault).data(); }

SECURITY_STATUS StatusOfUse(StoreResult result) {
  if (result == StoreResult::kOk) return SEC_E_OK;
  if (result == StoreResult::kOutOfSequence) return SEC_E_OUT_OF_SEQUENCE;
  if (result == StoreResult::kNotFound) return SEC_E_INVALID_HANDLE;
  return SEC_E_NO_AUTHENTICATING_AUTHORITY;
}

const char* ReasonOf(StoreResult result) {
  if (result == StoreResult::kOk || result == StoreResult::kOutOfSequence) return nullptr;
  if (result == StoreResult::kNotFound) {
    return "the context has ended: it was deleted, it expired, or it made room for others";
  }
  if (result == StoreResult::kStale) {
    return "the counts of this nonce are gone: challenge the client again";
  }
  return "the context store gives no information: challenge the client again";
}

SECURITY_STATUS StatusOfCache(digest::ClientCache::Outcome outcome) {
  switch (outcome) {
    case digest::ClientCache::Outcome::kOk:
      return SEC_E_OK;
    case digest::ClientCache::Outcome::kNotFound:
    case digest::ClientCache::Outcome::kExhausted:
      return SEC_E_NO_AUTHENTICATING_AUTHORITY;
  }
  return SEC_E_INTERNAL_ERROR;
}

}  // namespace ktlsim::sspi
