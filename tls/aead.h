// Aead: one key of an AEAD algorithm, ready to seal or to open, in place.
//
// The interface is what a record layer needs and no more, so that engines can differ; this module
// brings the EVP engine, which is always there. An object serves one direction: it is made for
// sealing or for opening.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "tls/types.h"

namespace ktlsim::tls {

enum class AeadDirection : std::uint8_t { kSeal, kOpen };

class Aead {
 public:
  virtual ~Aead() = default;

  // Encrypts `data` and then `tail` in place (either may be empty; they need not touch) and writes
  // the tag. False: the library failed; what was to be encrypted is then undefined.
  [[nodiscard]] virtual bool Seal(std::span<const std::uint8_t, kAeadNonceBytes> nonce,
                                  std::span<const std::uint8_t> aad, std::span<std::byte> data,
                                  std::span<std::byte> tail,
                                  std::span<std::byte, kAeadTagBytes> tag) = 0;

  // Decrypts `data` in place. False: the tag does not fit, and `data` has been wiped.
  [[nodiscard]] virtual bool Open(std::span<const std::uint8_t, kAeadNonceBytes> nonce,
                                  std::span<const std::uint8_t> aad, std::span<std::byte> data,
                                  std::span<const std::byte, kAeadTagBytes> tag) = 0;

  // Replaces the key, for a key update. Same algorithm, same length.
  [[nodiscard]] virtual bool SetKey(std::span<const std::uint8_t> key) = 0;
};

// The EVP engine. nullptr: out of memory, or a key of the wrong length. One context, made here and
// used for every record: nothing is allocated per record.
std::unique_ptr<Aead> CreateEvpAead(AeadId aead, AeadDirection direction,
                                    std::span<const std::uint8_t> key);

// Makes the Aead of one direction. A pointer, because it is chosen once at start.
using AeadFactory = std::unique_ptr<Aead> (*)(AeadId aead, AeadDirection direction,
                                              std::span<const std::uint8_t> key);

}  // namespace ktlsim::tls
