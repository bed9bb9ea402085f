// Aead: one expanded key of an AEAD algorithm, ready to seal and to open, in place.
//
// The interface is what a record layer needs and no more, so that engines can differ: EVP
// (aead_evp.cc), which is always there, and ipsec-mb (aead_ipsec_mb.h). aead_engine.h says which
// one a process uses. What a newcomer gets wrong: an Aead is bulky, a kilobyte and more. A
// connection owns none; it finds one through its thread's cache (aead_key_cache.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tls/types.h"

namespace ktlsim::tls {

// Not thread-safe.
class Aead {
 public:
  virtual ~Aead() = default;

  // Encrypts `data` and then `tail` in place (either may be empty; they need not touch, but it is
  // faster when `tail` follows `data`) and writes the tag. False: the library failed; the contents
  // of `data` and `tail` are then undefined.
  [[nodiscard]] virtual bool Seal(std::span<const std::uint8_t, kAeadNonceBytes> nonce,
                                  std::span<const std::uint8_t> aad, std::span<std::byte> data,
                                  std::span<std::byte> tail,
                                  std::span<std::byte, kAeadTagBytes> tag) = 0;

  // Decrypts `data` in place. False: the tag does not fit, and `data` has been wiped. The tags are
  // compared in constant time.
  [[nodiscard]] virtual bool Open(std::span<const std::uint8_t, kAeadNonceBytes> nonce,
                                  std::span<const std::uint8_t> aad, std::span<std::byte> data,
                                  std::span<const std::byte, kAeadTagBytes> tag) = 0;

  // Replaces the key: same algorithm, same length. The old one is overwritten. False: the library
  // failed, or the length is wrong; no key is set then.
  [[nodiscard]] virtual bool SetKey(std::span<const std::uint8_t> key) = 0;

  // Wipes the key: nothing can be sealed or opened before the next SetKey.
  virtual void ClearKey() = 0;
};

// Makes the Aead of one key. A pointer, because the engine is chosen once at start. nullptr: out of
// memory, or a key of the wrong length.
using AeadFactory = std::unique_ptr<Aead> (*)(AeadId aead, std::span<const std::uint8_t> key);

// The EVP engine. One OpenSSL context per object: nothing is allocated per record.
std::unique_ptr<Aead> CreateEvpAead(AeadId aead, std::span<const std::uint8_t> key);

}  // namespace ktlsim::tls
