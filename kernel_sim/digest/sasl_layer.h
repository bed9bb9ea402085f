// The security layers of DIGEST-MD5 (RFC 2831 2.3, 2.4): messages that are signed, and messages
// that are sealed.
//
// What a newcomer gets wrong: a sealed message depends on all those before it, since RC4 goes on
// and CBC takes its vector from the last block. So sealing has an object for each direction, while
// signing is a function of the key and the number. The four bytes of length that SASL puts before a
// message on a stream are not part of it here.
//
// The ciphers are those of the year 2000: for peers that still use them, not for secrets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <openssl/types.h>

#include "kernel_sim/digest/hash.h"
#include "kernel_sim/digest/sasl_cipher_name.h"

namespace ktlsim::digest {

// What a signature has: ten bytes of HMAC, two of the message's kind, four of its number.
inline constexpr std::size_t kSaslSignatureBytes = 16;
inline constexpr std::size_t kSaslBlockBytesMax = 8;
// How many messages can be numbered.
inline constexpr std::uint64_t kSaslSequences = std::uint64_t{1} << 32;

// The four keys of one context: two for each direction.
struct SaslKeys {
  HashValue client_signs;
  HashValue server_signs;
  HashValue client_seals;
  HashValue server_seals;
};

// `session_hash` is H(A1); `hasher` computes MD5. False: no memory.
[[nodiscard]] bool DeriveSaslKeys(Hasher& hasher, const HashValue& session_hash, SaslCipher cipher,
                                  SaslKeys* out);

// Writes the signature of the message with the number `sequence`; the first has 0. False: no
// memory. Any level; no state but the Hasher's.
[[nodiscard]] bool SaslSign(Hasher& hasher, const HashValue& key, std::uint32_t sequence,
                            Bytes message, std::span<std::uint8_t, kSaslSignatureBytes> signature);

enum class SaslVerdict : std::uint8_t {
  kGood,
  kAltered,
  kOutOfSequence,  // it has another number than the one that is due
  kNoMemory,       // nothing is known about it
};

// A signature that is right for another number than `sequence` is kOutOfSequence. As SaslSign.
SaslVerdict SaslVerify(Hasher& hasher, const HashValue& key, std::uint32_t sequence, Bytes message,
                       Bytes signature);

// Which ciphers OpenSSL has. RC4 is in its legacy provider, which not every system installs; it is
// loaded into a library context of its own, so that nothing else sees it.
SaslCipherSet AvailableSaslCiphers();

// 1 for RC4.
std::size_t BlockBytesOf(SaslCipher cipher);

// One direction of a context's cipher.
class SaslCipherState {
 public:
  // `key` is one of the two that seal. Empty: the cipher is not available, or no memory.
  static std::optional<SaslCipherState> Create(SaslCipher cipher, const HashValue& key,
                                               bool encrypt);

  // In place. `bytes` is a multiple of the block. False: OpenSSL refuses; nothing is usable then.
  bool Run(std::span<std::uint8_t> bytes);

 private:
  struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const;
  };
  using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

  explicit SaslCipherState(Context context) : context_(std::move(context)) {}

  Context context_;
};

// Seals the messages of one direction, one after the other. One thread at a time; any level.
class SaslSealer {
 public:
  // Empty: the cipher is not available, or no memory.
  static std::unique_ptr<SaslSealer> Create(SaslCipher cipher, const HashValue& signs,
                                            const HashValue& seals);

  // How long a message of `message_bytes` is when it is sealed.
  std::size_t SealedBytes(std::size_t message_bytes) const;

  // Seals the first `message_bytes` of `buffer` in place; it needs room for SealedBytes of them.
  // False: no room or no memory, and nothing has changed; or this cannot seal any more.
  [[nodiscard]] bool Seal(std::span<std::uint8_t> buffer, std::size_t message_bytes);
  // False: no number is left, or OpenSSL has refused. Nothing is sealed after that, since the other
  // side could not open it.
  bool usable() const { return !failed_ && sequence_ != kSaslSequences; }

 private:
  SaslSealer(SaslCipher cipher, const HashValue& signs, SaslCipherState state)
      : block_bytes_(BlockBytesOf(cipher)), signs_(signs), state_(std::move(state)) {}

  const std::size_t block_bytes_;
  const HashValue signs_;
  SaslCipherState state_;
  Hasher hasher_{HashId::kMd5};
  std::uint64_t sequence_ = 0;
  bool failed_ = false;
};

// Opens the messages of one direction. One thread at a time; any level.
class SaslOpener {
 public:
  // As SaslSealer::Create, with the keys of the other side's direction.
  static std::unique_ptr<SaslOpener> Create(SaslCipher cipher, const HashValue& signs,
                                            const HashValue& seals);

  // Opens `sealed` in place; its first *message_bytes are the message. kOutOfSequence: nothing was
  // touched, and the message that is due can still be opened. kAltered: the content of `sealed` is
  // of no use, and every later call is kAltered, since the ciphers of the two sides are no longer
  // in step; so it is after kNoMemory. Which check failed is not said, and does not show in the
  // time.
  SaslVerdict Open(std::span<std::uint8_t> sealed, std::size_t* message_bytes);

 private:
  SaslOpener(SaslCipher cipher, const HashValue& signs, SaslCipherState state)
      : block_bytes_(BlockBytesOf(cipher)), signs_(signs), state_(std::move(state)) {}

  const std::size_t block_bytes_;
  const HashValue signs_;
  SaslCipherState state_;
  Hasher hasher_{HashId::kMd5};
  std::uint64_t sequence_ = 0;
  bool failed_ = false;
};

}  // namespace ktlsim::digest
