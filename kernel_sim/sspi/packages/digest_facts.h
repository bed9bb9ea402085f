// DigestFacts: what an established context of the server is made of, as it stands in the context
// store, so that any node which has the store can go on with it.
//
// It holds H(A1): whoever has it can sign requests of this user and realm. Wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::sspi {

// A nonce of a context. The text is compared with that of a request: a nonce of another context is
// none of this one's, even if it is the same user's.
struct DigestNonce {
  std::string text;
  std::uint32_t number = 0;  // of the nonces of one context; 0: there is none
  std::uint64_t epoch = 0;   // of the store that counts its uses

  bool Is(std::string_view nonce) const { return number != 0 && nonce == text; }
};

struct DigestFacts {
  std::string server;
  std::string realm;
  std::string username;      // as it was sent
  std::string service_name;  // that the client named with channel bindings; empty: none
  digest::Algorithm algorithm = digest::Algorithm::kMd5;
  digest::Qop qop = digest::Qop::kAuth;
  bool in_order = false;  // the server asked for sequence detection
  digest::HashValue session_hash;
  DigestNonce nonce;
  DigestNonce previous;
  std::uint64_t previous_until_ms = 0;  // time of day
};

// May throw std::bad_alloc.
std::vector<std::byte> WriteDigestFacts(const DigestFacts& facts);
// False: not written by this version; *facts is of no use.
bool ReadDigestFacts(std::span<const std::byte> bytes, DigestFacts* facts);

}  // namespace ktlsim::sspi
