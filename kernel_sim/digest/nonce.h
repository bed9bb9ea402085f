// Nonces that can be judged without memory, and the opaque value that names a context.
//
// What a newcomer gets wrong: a nonce is no secret and no proof. It says when and for whom it was
// made, under a code that cannot be made without the key. Whether it was used before is counted
// elsewhere (base/count_window.h has the rule).
//
// A nonce is 80 characters of base64url (RFC 4648 5) for 60 bytes:
//
//   version 1 | node 4 | milliseconds 7 | epoch 8 | number 4 | random 12 | server 8 | HMAC 16
//
// Numbers have the highest byte first. `server` is a code of the server's name and realm. The codes
// are cut from HMAC-SHA-256.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel_sim/digest/hash.h"

namespace ktlsim::digest {

inline constexpr std::size_t kNonceCharacters = 80;
inline constexpr std::size_t kNonceBytes = 60;
inline constexpr std::size_t kNonceKeyBytes = 32;

// How long a challenge may stay without an answer, and how long an established context may go on
// with one nonce.
inline constexpr std::uint64_t kUnansweredMsDefault = 300'000;
inline constexpr std::uint64_t kEstablishedMsDefault = 36'000'000;
// A node's clock may be ahead of another's by so much.
inline constexpr std::uint64_t kClockSkewMs = 5'000;

// From this count on a nonce is exhausted: a new one is due.
inline constexpr std::uint32_t kNonceCountEnd = 0xffffff00;

class NonceText {
 public:
  std::string_view view() const { return {characters_.data(), characters_.size()}; }

 private:
  friend class NonceMint;

  std::array<char, kNonceCharacters> characters_{};
};

// What the place that keeps the counts wants to find in a nonce again.
struct NonceStamp {
  std::uint64_t epoch = 0;   // the life of that place: counts of another one are lost
  std::uint32_t number = 0;  // of the nonces of one context: a later one has a greater number

  friend constexpr bool operator==(const NonceStamp&, const NonceStamp&) = default;
};

enum class NonceKind : std::uint8_t {
  kGood,
  kExpired,  // ours, and older than its life, or of a clock that is ahead: `stale` if all else
             // holds
  kForeign,  // not made here: forged, malformed, of another server or realm, or of a key that is
             // gone
};

struct NonceJudgement {
  NonceKind kind = NonceKind::kForeign;
  std::uint32_t node = 0;     // which node made it; of no meaning with kForeign
  std::uint64_t made_ms = 0;  // when; the same
  NonceStamp stamp;           // the same
};

// Makes and judges the nonces of one server and realm. All nodes of a server share the key. Any
// thread at once, any level.
class NonceMint {
 public:
  struct Identity {
    std::string_view server;
    std::string_view realm;
    std::uint32_t node = 0;
  };

  // `key` has kNonceKeyBytes bytes and is copied. `previous_key`, if there is one, still judges
  // while keys are changed, and makes no nonce.
  NonceMint(const Identity& identity, Bytes key, Bytes previous_key = {});

  // `now_ms` is the time of day in milliseconds, the same on all nodes. False: no randomness or no
  // memory.
  [[nodiscard]] bool Mint(std::uint64_t now_ms, const NonceStamp& stamp, NonceText* out) const;

  // `life_ms` is how long a nonce is good in the state in which its context is. An error of OpenSSL
  // reads as kForeign.
  NonceJudgement Judge(std::string_view nonce, std::uint64_t now_ms, std::uint64_t life_ms) const;

 private:
  struct Key {
    HashValue key;
    HashValue server;  // the code of server and realm under it
  };
  using Raw = std::array<std::uint8_t, kNonceBytes>;

  static std::optional<Key> MakeKey(const Identity& identity, Bytes key);
  static bool Seal(const Key& key, const Raw& raw, HashValue* code);
  static bool IsOurs(const Key& key, const Raw& raw);

  const std::uint32_t node_;
  const std::optional<Key> current_;
  const std::optional<Key> previous_;
};

// What a challenge and all requests of one context carry: 128 random bits as 32 hexadecimal digits.
class Opaque {
 public:
  static constexpr std::size_t kBytes = 16;
  static constexpr std::size_t kDigits = 2 * kBytes;

  // All zeros, which is never drawn.
  Opaque() = default;
  // Empty: OpenSSL has no randomness.
  static std::optional<Opaque> Draw();
  // Empty: not exactly the digits of one.
  static std::optional<Opaque> Parse(std::string_view text);

  Bytes bytes() const { return bytes_; }
  std::array<char, kDigits> text() const;
  // In a time that does not depend on where they differ.
  friend bool operator==(const Opaque& a, const Opaque& b);

 private:
  explicit Opaque(const std::array<std::uint8_t, kBytes>& bytes) : bytes_(bytes) {}

  std::array<std::uint8_t, kBytes> bytes_{};
};

}  // namespace ktlsim::digest
