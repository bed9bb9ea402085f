// How a server of Digest is set up, and how each flag that a caller can pass is treated.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernel_sim/digest/accounts.h"
#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/sspi/packages/package_host.h"

namespace ktlsim::sspi {

// Immutable: contexts keep the settings of their last call.
struct DigestServerSettings {
  std::string server;
  std::string realm;
  // As they are offered, the preferred one first; MD5 or MD5-sess is the last.
  std::vector<digest::Algorithm> algorithms = {digest::Algorithm::kMd5};
  bool userhash = false;
  std::uint32_t window = 64;
  std::uint64_t unanswered_ms = 300'000;
  std::uint64_t established_ms = 36'000'000;
  std::uint64_t idle_ms = 3'600'000;
  std::uint32_t wait_ms = 2000;
  std::shared_ptr<const digest::Accounts> accounts;  // may be null
  KtlsimCred_DigestVerifier verifier{};              // goes before `accounts`
};

// `value` in the place of all that `settings` has but the verifier. Reads the file of users.
// Passive level. The statuses of the attribute; reasons are noted with `host`.
SECURITY_STATUS ReadDigestServer(PackageHost& host, const KtlsimCred_DigestServer& value,
                                 DigestServerSettings* settings);

// What the flags of a call come to.
struct DigestRequest {
  bool http = false;
  digest::Qop qop = digest::Qop::kAuth;
  bool in_order = false;  // SEQUENCE_DETECT
  bool allocates = false;
};

// SEC_E_OK; SEC_E_SECURITY_QOS_FAILED: a flag that cannot be met; SEC_E_UNSUPPORTED_FUNCTION:
// delegation and prompts. *reason: why, a literal.
SECURITY_STATUS ReadInitializeFlags(std::uint64_t flags, DigestRequest* request,
                                    const char** reason);
SECURITY_STATUS ReadAcceptFlags(std::uint64_t flags, DigestRequest* request, const char** reason);
// The ISC_RET_ or ASC_RET_ flags for a context with this quality.
ULONG InitializeAttributesOf(digest::Qop qop, const DigestRequest& request);
ULONG AcceptAttributesOf(digest::Qop qop, const DigestRequest& request);

}  // namespace ktlsim::sspi
