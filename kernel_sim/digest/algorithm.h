// The algorithms and the qualities of protection that Digest names (RFC 7616 3.3 and 6.1,
// RFC 2831 2.1.1).
//
// Any level, any thread, no state.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "kernel_sim/digest/hash.h"

namespace ktlsim::digest {

// "-sess": the key of a context is made of the account's hash and the first nonces.
enum class Algorithm : std::uint8_t {
  kMd5,
  kMd5Sess,
  kSha256,
  kSha256Sess,
  kSha512256,
  kSha512256Sess,
};

inline constexpr std::array kAlgorithms = {
    Algorithm::kMd5,        Algorithm::kMd5Sess,   Algorithm::kSha256,
    Algorithm::kSha256Sess, Algorithm::kSha512256, Algorithm::kSha512256Sess,
};

// As the protocol writes it, such as "SHA-512-256-sess".
std::string_view NameOf(Algorithm algorithm);
HashId HashOf(Algorithm algorithm);
bool IsSession(Algorithm algorithm);
// Upper and lower case are the same. False: unknown, and *out is unchanged.
bool ParseAlgorithm(std::string_view name, Algorithm* out);

// kAuthConf is SASL's alone.
enum class Qop : std::uint8_t { kAuth, kAuthInt, kAuthConf };

std::string_view NameOf(Qop qop);
// Lower case only: the hash of a response covers what was sent. False: unknown, *out unchanged.
bool ParseQop(std::string_view name, Qop* out);

class QopSet {
 public:
  constexpr QopSet() = default;
  constexpr QopSet(std::initializer_list<Qop> qops) {
    for (const Qop qop : qops) Add(qop);
  }

  constexpr void Add(Qop qop) { bits_ |= Bit(qop); }
  constexpr bool Has(Qop qop) const { return (bits_ & Bit(qop)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(QopSet, QopSet) = default;

 private:
  static constexpr unsigned Bit(Qop qop) { return 1U << static_cast<unsigned>(qop); }

  unsigned bits_ = 0;
};

}  // namespace ktlsim::digest
