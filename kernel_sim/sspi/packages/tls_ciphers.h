// Which cipher suites the two credential structures leave. Settings that cannot be expressed here
// are refused.
#pragma once

#include <schannel.h>
#include <sspi.h>

#include <span>

#include "kernel_sim/sspi/packages/package_host.h"
#include "tls/handshake/endpoint.h"

namespace ktlsim::sspi {

class CipherChoice {
 public:
  // Refusals are noted with `host`.
  explicit CipherChoice(PackageHost& host) : host_(host) {}

  // SCHANNEL_CRED's dwMinimumCipherStrength and dwMaximumCipherStrength; 0: no bound. -1 stands for
  // suites without encryption: as the minimum it permits them as well, as the maximum only them.
  void KeepStrengths(DWORD bits_min, DWORD bits_max);
  // SCHANNEL_CRED's palgSupportedAlgs: where the list names algorithms of a class, only these are
  // left. SEC_E_UNSUPPORTED_FUNCTION: it names signature algorithms.
  SECURITY_STATUS KeepAlgorithms(std::span<const ALG_ID> algorithms);
  // One entry of TLS_PARAMETERS::pDisabledCrypto. SEC_E_INVALID_PARAMETER: it is malformed;
  // SEC_E_UNSUPPORTED_FUNCTION: what it disables cannot be disabled by itself here.
  SECURITY_STATUS Disable(const CRYPTO_SETTINGS& setting);

  // SEC_E_ALGORITHM_MISMATCH: none is left.
  SECURITY_STATUS WriteTo(tls::EndpointOptions* options) const;

 private:
  SECURITY_STATUS Refuse(SECURITY_STATUS status, const char* reason) const;
  SECURITY_STATUS DisableCipher(const CRYPTO_SETTINGS& setting);
  SECURITY_STATUS DisableDigest(const CRYPTO_SETTINGS& setting);

  PackageHost& host_;
  // The hash of AES-128 and ChaCha20 is SHA-256, that of AES-256 is SHA-384. All of them are
  // authenticated encryption after ECDHE.
  bool aes128_ = true;
  bool aes256_ = true;
  bool chacha_ = true;
  bool none_ = false;
};

}  // namespace ktlsim::sspi
