// Hashes and message authentication codes of Digest (RFC 7616 3.2, RFC 2104), over pieces of text.
//
// What a newcomer gets wrong: an OpenSSL context is allocated for each Hasher, so a verification
// makes one and computes all its hashes with it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include <openssl/types.h>

namespace ktlsim::digest {

using Bytes = std::span<const std::uint8_t>;

enum class HashId : std::uint8_t { kMd5, kSha256, kSha512256 };

inline constexpr std::size_t kHashBytesMax = 32;

constexpr std::size_t HashBytes(HashId id) { return id == HashId::kMd5 ? 16 : 32; }

// A hash. It may be a key, so it is wiped when it is destroyed.
class HashValue {
 public:
  HashValue() = default;
  // At most kHashBytesMax bytes; more is a bug of the caller.
  explicit HashValue(Bytes bytes);
  HashValue(const HashValue&) = default;
  HashValue& operator=(const HashValue&) = default;
  ~HashValue();

  bool empty() const { return size_ == 0; }
  Bytes bytes() const { return {bytes_.data(), size_}; }
  // The same bytes, as a piece to hash.
  std::string_view raw() const { return {reinterpret_cast<const char*>(bytes_.data()), size_}; }

 private:
  friend class Hasher;

  std::array<std::uint8_t, kHashBytesMax> bytes_{};
  std::uint8_t size_ = 0;
};

// A hash as the protocol writes it: lower-case hexadecimal digits. Wiped when it is destroyed.
class HexText {
 public:
  explicit HexText(const HashValue& hash);
  ~HexText();
  HexText(const HexText&) = delete;
  HexText& operator=(const HexText&) = delete;

  std::string_view view() const { return {digits_.data(), size_}; }

 private:
  std::array<char, 2 * kHashBytesMax> digits_;
  std::size_t size_;
};

// Digits of either case. False: a character that is none, or not exactly the digits of a hash of
// `id`; *out is empty then.
bool ParseHex(std::string_view text, HashId id, HashValue* out);

// Computes hashes of one algorithm. One thread at a time; any level.
class Hasher {
 public:
  explicit Hasher(HashId id);
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  HashId id() const { return id_; }
  // How many hashes and codes were computed: a test compares the work for two requests.
  unsigned hashes() const { return hashes_; }

  // The hash of the pieces, one after the other. False: OpenSSL refuses, for want of memory; *out
  // is empty then.
  [[nodiscard]] bool Hash(std::initializer_list<std::string_view> pieces, HashValue* out);
  // HMAC (RFC 2104) under a `key` of any length. As Hash.
  [[nodiscard]] bool Hmac(Bytes key, std::initializer_list<std::string_view> pieces,
                          HashValue* out);

 private:
  struct FreeContext {
    void operator()(EVP_MD_CTX* context) const;
  };

  bool Begin();
  bool Add(std::string_view piece);
  bool Finish(HashValue* out);
  bool Compute(std::string_view first, std::initializer_list<std::string_view> pieces,
               HashValue* out);

  const EVP_MD* const algorithm_;
  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
  const HashId id_;
  unsigned hashes_ = 0;
};

// Whether the two are the same, in a time that depends on their lengths alone.
bool ConstantTimeEqual(std::string_view a, std::string_view b);

// Fills `bytes` from OpenSSL's generator. False: it has none; the bytes must not be used.
[[nodiscard]] bool FillRandom(std::span<std::uint8_t> bytes);

}  // namespace ktlsim::digest
