// What a context of Digest tells its caller.
//
// Any level, no state.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <string_view>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/hash.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

struct DigestAttributes {
  std::string_view username;  // UTF-8
  ULONG flags = 0;            // ISC_RET_ or ASC_RET_
  digest::Algorithm algorithm = digest::Algorithm::kMd5;
  const digest::HashValue* session_hash = nullptr;  // null: it is not kept here any more
  std::int64_t since = 0;                           // established, in seconds since 1970
  SecPkgContext_Sizes sizes = {4096, 4096, 0, 0};   // of HTTP
  std::string_view cipher;                          // empty: none
  std::string_view target;  // the service that the client means, UTF-8; empty: it says nothing
};

// SEC_E_OK; SEC_E_UNSUPPORTED_FUNCTION; SEC_E_NO_AUTHENTICATING_AUTHORITY: the key is gone;
// SEC_E_INSUFFICIENT_MEMORY. May throw std::bad_alloc.
SECURITY_STATUS QueryDigest(const DigestAttributes& attributes, const AttributeQuery& query);
// Bytes of the structure of `attribute`; 0: there is none.
ULONG DigestAttributeBytes(ULONG attribute);

}  // namespace ktlsim::sspi
