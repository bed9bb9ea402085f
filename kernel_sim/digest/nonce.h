// Nonces that can be judged without memory, and the opaque value that names a context.
//
// What a newcomer gets wrong: a nonce is no secret and no proof. It says when, for whom and with
// which opaque value it was made, under a code that cannot be made without the key. Whether it was
// used before is counted elsewhere (base/count_window.h has the rule), under the opaque value. A
// response does not protect its opaque value, so only the code in the nonce says that the two
// belong together: with another opaque value a replay would be counted in another place.
//
// A nonce is 92 characters of base64url (RFC 4648 5) for 69 bytes:
//
//   version 1 | node 4 | milliseconds 7 | epoch 8 | number 4 | random 12 | server 8 | opaque 9 |
//   HMAC 16
//
// One that asks for channel bindings is version 3 and begins with kUpgraded (bindings.h), so that
// nobody on the way can take that from it.
//
// Numbers have the highest byte first. `server` is a code of the server's name and realm, `opaque`
// one of the opaque value. The codes are cut from HMAC-SHA-256.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel_sim/digest/bindings.h"
#include "kernel_sim/digest/hash.h"

namespace ktlsim::digest {

inline constexpr std::size_t kNonceCharacters = 92;
inline constexpr std::size_t kNonceBytes = 69;
inline constexpr std::size_t kNonceKeyBytes = 32;

// How long a challenge may stay without an answer, and how long an established context may go on
// with one nonce.
inline constexpr std::uint64_t kUnansweredMsDefault = 300'000;
inline constexpr std::uint64_t kEstablishedMsDefault = 36'000'000;
// A node's clock may be ahead of another's by so much.
inline constexpr std::uint64_t kClockSkewMs = 5'000;

// From this count on a nonce is exhausted: a new one is due.
inline constexpr std::uint32_t kNonceCountEnd = 0xffffff00;

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

class NonceText {
 public:
  std::string_view view() const { return {characters_.data(), size_}; }

 private:
  friend class NonceMint;

  std::array<char, kUpgraded.size() + kNonceCharacters> characters_{};
  std::size_t size_ = 0;
};

enum class NonceAsks : std::uint8_t { kNothing, kBindings };

// What the place that keeps the counts wants to find in a nonce again.
struct NonceStamp {
  std::uint64_t epoch = 0;   // the life of that place: counts of another one are lost
  std::uint32_t number = 0;  // of the nonces of one context: a later one has a greater number

  friend constexpr bool operator==(const NonceStamp&, const NonceStamp&) = default;
};

enum class NonceKind : std::uint8_t {
  kGood,
  kExpired,   // ours, and older than its life, or of a clock that is ahead: `stale` if all else
              // holds
  kNoMemory,  // OpenSSL refuses: nothing is known
  kForeign,   // not made here: forged, malformed, of another server or realm, or of a key that is
              // gone
};

struct NonceJudgement {
  NonceKind kind = NonceKind::kForeign;
  std::uint32_t node = 0;     // which node made it; of no meaning with kForeign and kNoMemory
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
  // False: OpenSSL has refused when it was made, and it is of no use.
  bool works() const { return works_; }

  // `now_ms` is the time of day in milliseconds, the same on all nodes. `opaque` goes with it in
  // the challenge; all zeros: none does. False: no randomness or no memory.
  [[nodiscard]] bool Mint(std::uint64_t now_ms, const NonceStamp& stamp, const Opaque& opaque,
                          NonceText* out, NonceAsks asks = NonceAsks::kNothing) const;

  // `life_ms` is how long a nonce is good in the state in which its context is.
  NonceJudgement Judge(std::string_view nonce, std::uint64_t now_ms, std::uint64_t life_ms) const;

  // Whether the nonce is ours and was made for this opaque value. Empty: OpenSSL refuses.
  std::optional<bool> BelongsTo(std::string_view nonce, const Opaque& opaque) const;

 private:
  struct Key {
    HashValue key;
    HashValue server;  // the code of server and realm under it
  };
  using Raw = std::array<std::uint8_t, kNonceBytes>;

  static std::optional<Key> MakeKey(const Identity& identity, Bytes key);
  static bool Seal(const Key& key, const Raw& raw, HashValue* code);
  static bool CodeOf(const Key& key, const Opaque& opaque, HashValue* code);
  static std::optional<bool> IsOurs(const Key& key, const Raw& raw);
  static std::optional<bool> IsOf(const Key& key, const Raw& raw, const Opaque& opaque);

  const std::uint32_t node_;
  const std::optional<Key> current_;
  const std::optional<Key> previous_;
  const bool works_;
};

}  // namespace ktlsim::digest
