// What Digest computes: H(A1), H(A2), `response` and `rspauth` (RFC 7616 3.4, RFC 2831 2.1.2.1).
//
// What a newcomer gets wrong: in the "-sess" algorithms HTTP puts the account's hash into A1 as
// hexadecimal digits, as every HTTP client does, SASL as its raw bytes (RFC 2831 says so).
//
// Any level; no state but the Hasher's, whose algorithm is the one that computes. False: OpenSSL
// had no memory, and *out is empty. Texts are hashed as they are given, unescaped, in the charset
// that was agreed on.
#pragma once

#include <string_view>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::digest {

// H(username ":" realm): what stands in the place of a username with `userhash` (RFC 7616 3.4.4).
[[nodiscard]] bool ComputeUserHash(Hasher& hasher, std::string_view username,
                                   std::string_view realm, HashValue* out);

// H(username ":" realm ":" password): what a file of accounts has in the place of a password.
[[nodiscard]] bool ComputeAccountHash(Hasher& hasher, std::string_view username,
                                      std::string_view realm, std::string_view password,
                                      HashValue* out);

// H(A1) of HTTP. For an algorithm without "-sess" it is the account's hash itself. `nonce` and
// `cnonce` are those of the context's first response.
[[nodiscard]] bool ComputeSessionHash(Hasher& hasher, Algorithm algorithm,
                                      const HashValue& account_hash, std::string_view nonce,
                                      std::string_view cnonce, HashValue* out);

// H(A1) of SASL, always md5-sess. An empty `authzid` is none.
[[nodiscard]] bool ComputeSaslSessionHash(Hasher& hasher, const HashValue& account_hash,
                                          std::string_view nonce, std::string_view cnonce,
                                          std::string_view authzid, HashValue* out);

// What A2 is made of. `entity_hash` is the hexadecimal hash of the body, used by kAuthInt alone.
struct RequestFacts {
  std::string_view method;
  std::string_view uri;
  std::string_view entity_hash;
};

// SASL's A2 has this method for the client's response (RFC 2831 2.1.2.1).
inline constexpr std::string_view kSaslMethod = "AUTHENTICATE";
// Its messages are protected one by one, so that its A2 has this in the place of the body's hash.
inline constexpr std::string_view kSaslEntityHash = "00000000000000000000000000000000";

// What a response is made of besides the key and the request. `nc` is the eight digits as sent.
struct NonceFacts {
  std::string_view nonce;
  std::string_view nc;
  std::string_view cnonce;
  Qop qop = Qop::kAuth;
};

// The `response` for `session_hash`, the H(A1).
[[nodiscard]] bool ComputeResponse(Hasher& hasher, const HashValue& session_hash,
                                   const NonceFacts& nonce, const RequestFacts& request,
                                   HashValue* out);

// `rspauth`, with which the server proves that it knows the key, too. `request` is that of the
// response; for kAuthInt its `entity_hash` is that of the server's body. The method is not used.
[[nodiscard]] bool ComputeRspauth(Hasher& hasher, const HashValue& session_hash,
                                  const NonceFacts& nonce, const RequestFacts& request,
                                  HashValue* out);

}  // namespace ktlsim::digest
