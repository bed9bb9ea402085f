// DeterministicTls: while it lives, all randomness of TLS in this process comes from a seed, and
// the time of day comes from the clock that it is given. Two runs then put the same bytes on the
// wire.
//
// The randomness of OpenSSL goes through its random method: keys, nonces of signatures, session
// IDs, ticket keys and what they protect. For the time of day this program defines time(), which
// OpenSSL calls for sessions, tickets and certificates, and clock_gettime(), which we call for the
// age of sessions. All of this concerns the whole process: one thread at a time, tests only. The
// executable must link deterministic_tls.cc.
//
// That is enough for an ECDSA signature: its nonce is derived from the key, the digest and the
// random bytes. It is not enough for an RSA key, whose blinding outlives a run. Use
// DeterministicCertificate.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <cstdint>

#include <openssl/types.h>

#include "kernel_sim/base/clock.h"

namespace ktlsim::test {

class DeterministicTls {
 public:
  // `clock` is virtual; it counts from kEpochSeconds.
  DeterministicTls(std::uint64_t seed, const Clock& clock);
  ~DeterministicTls();
  DeterministicTls(const DeterministicTls&) = delete;
  DeterministicTls& operator=(const DeterministicTls&) = delete;

  // In 2033, where DeterministicCertificate is valid.
  static constexpr std::int64_t kEpochSeconds = 2'000'000'000;

 private:
  const RAND_METHOD* const previous_;
};

// For "localhost", P-256, the same in every process: signatures and lengths repeat. Lives for the
// whole test program.
PCCERT_CONTEXT DeterministicCertificate();

}  // namespace ktlsim::test
