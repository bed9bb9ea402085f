// The ipsec-mb engine: AES-GCM by Intel's library, which brings a code path per processor.
//
// Optional at build time; aead_ipsec_mb_absent.cc stands in where the library is missing. It does
// not verify tags: this engine does, before anything is released. ChaCha20-Poly1305 stays with EVP.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "tls/record/aead.h"

namespace ktlsim::tls {

struct IpsecMbProbe {
  bool usable = false;
  // "ipsec-mb 1.3.0, AVX512 without VAES", or why it cannot be used. A literal or static.
  const char* description = "";
};

// Looks at the processor and lets the library test itself, on the first call. Any thread.
const IpsecMbProbe& ProbeIpsecMb();

// An AeadFactory. nullptr also when it cannot be used.
std::unique_ptr<Aead> CreateIpsecMbAead(AeadId aead, std::span<const std::uint8_t> key);

}  // namespace ktlsim::tls
