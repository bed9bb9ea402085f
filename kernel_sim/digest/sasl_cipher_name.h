// The ciphers of auth-conf (RFC 2831 2.4), by name and by strength.
//
// Any level, no state.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ktlsim::digest {

enum class SaslCipher : std::uint8_t { kRc4, k3Des, kRc4Bits56, kRc4Bits40, kDes };

// The strongest first, as the SSPI provider ranks them: a client takes the first that both have.
inline constexpr std::array kSaslCiphers = {SaslCipher::kRc4, SaslCipher::k3Des,
                                            SaslCipher::kRc4Bits56, SaslCipher::kRc4Bits40,
                                            SaslCipher::kDes};

std::string_view NameOf(SaslCipher cipher);
// Upper and lower case are the same. False: unknown, and *out is unchanged.
bool ParseSaslCipher(std::string_view name, SaslCipher* out);

class SaslCipherSet {
 public:
  constexpr void Add(SaslCipher cipher) { bits_ |= Bit(cipher); }
  constexpr bool Has(SaslCipher cipher) const { return (bits_ & Bit(cipher)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  friend constexpr bool operator==(SaslCipherSet, SaslCipherSet) = default;

 private:
  static constexpr unsigned Bit(SaslCipher cipher) { return 1U << static_cast<unsigned>(cipher); }

  unsigned bits_ = 0;
};

}  // namespace ktlsim::digest
