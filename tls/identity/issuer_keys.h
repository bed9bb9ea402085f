// IssuerKeys: who stands above a certificate in the chain that was verified, by the hashes of their
// public keys. Names and key identifiers in certificates are whatever their issuer has written
// there; the hash of a key belongs to its owner alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <openssl/x509.h>

namespace ktlsim::tls {

class IssuerKeys {
 public:
  // SHA-256 of a SubjectPublicKeyInfo in DER.
  using Key = std::array<std::uint8_t, 32>;
  // A longer chain's farther ones are left out. Those of a session make its ticket longer.
  static constexpr std::size_t kMax = 8;

  // The issuer of the certificate first, the trust anchor last.
  std::span<const Key> all() const { return std::span(keys_).first(count_); }
  // Nothing happens when there are kMax already.
  void Add(const Key& key) {
    if (count_ < kMax) keys_[count_++] = key;
  }

 private:
  std::array<Key, kMax> keys_{};
  std::size_t count_ = 0;
};

// Of a chain with its leaf first; null is empty. None: the library fails, most likely for memory.
std::optional<IssuerKeys> IssuerKeysOf(const STACK_OF(X509) * chain);

}  // namespace ktlsim::tls
