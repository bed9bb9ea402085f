// NodeKeys: the secret that all machines of one shared store have, and the keys made from it.
//
// One file of random bytes, the same on every machine, gives three subkeys by HKDF (RFC 5869), each
// for one purpose: the MAC of nonces, the sealing of values, the index that names entries in the
// store. So to a reader without the file the contents of the store neither name nor authenticate
// any user, and a value that opens is known to be ours, put under this name.
//
// What a newcomer gets wrong: the file is the secret of all users at once. Its reader can make
// nonces and open every entry.
//
// Two files at a time, so that the secret can be replaced on one machine after the other: the
// current one makes, both open. In turn: every machine gets the new file as its previous one; then
// every machine makes it the current one and the old file the previous one; when everything made
// under the old one has expired, the old file is removed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernel_sim/base/result.h"
#include "kernel_sim/context_store/context_store.h"

namespace ktlsim::context_store {

// Fixed after construction: any thread, any level.
class NodeKeys {
 public:
  static constexpr std::size_t kFileBytesMin = 32;
  static constexpr std::size_t kFileBytesMax = 4096;
  // What sealing adds: format, key, salt and tag.
  static constexpr std::size_t kSealBytes = 1 + 4 + 24 + 16;

  using Index = std::array<std::byte, 32>;
  using Mac = std::array<std::byte, 32>;

  // All bytes of the regular file `current`, a final line feed included. `previous` may be null.
  // kContract: fewer than kFileBytesMin or more than kFileBytesMax bytes, the same key twice, or no
  // regular file. kIo: the system refuses. kCrypto: OpenSSL does. Passive level.
  static Result<std::shared_ptr<const NodeKeys>> Load(const char* current, const char* previous);
  // The same from bytes; an empty `previous` is none.
  static Result<std::shared_ptr<const NodeKeys>> Create(std::span<const std::byte> current,
                                                        std::span<const std::byte> previous = {});
  ~NodeKeys();
  NodeKeys(const NodeKeys&) = delete;
  NodeKeys& operator=(const NodeKeys&) = delete;

  // How many keys there are, 1 or 2. Number 0 is the current one.
  std::size_t size() const { return size_; }

  // Under which name an entry of `key` stands in the store: HMAC-SHA-256. False: OpenSSL refuses.
  [[nodiscard]] bool IndexOf(const Key& key, std::size_t which, Index* index) const;

  // Seals `value` under the current key with AES-256-GCM. The associated data is the format, the
  // kind, `epoch`, and the index; so a value that was moved to another name, kind or epoch does not
  // open. Each value has a key of its own, made of a random salt, so that no number of values is
  // too many. False: OpenSSL refuses. May throw std::bad_alloc.
  [[nodiscard]] bool Seal(const Key& key, std::uint64_t epoch, std::span<const std::byte> value,
                          std::vector<std::byte>* sealed) const;
  // The opposite, under either key. False: not sealed under ours for this key and epoch, or
  // altered; `value` is empty then. Its bytes are secret: wipe them. May throw std::bad_alloc.
  [[nodiscard]] bool Open(const Key& key, std::uint64_t epoch, std::span<const std::byte> sealed,
                          std::vector<std::byte>* value) const;

  // The subkey for nonces of key number `which`, for a maker of nonces of its own format: 32 bytes.
  std::span<const std::byte> NonceKey(std::size_t which) const;
  // The MAC of a nonce's content: HMAC-SHA-256 under the current key. False: OpenSSL refuses.
  [[nodiscard]] bool MacOfNonce(std::span<const std::byte> content, Mac* mac) const;
  // Whether `mac` begins as the MAC of `content` under either key does, in constant time. `mac` has
  // 16 to 32 bytes; any other number is refused.
  [[nodiscard]] bool VerifyNonce(std::span<const std::byte> content,
                                 std::span<const std::byte> mac) const;

 private:
  using Subkey = std::array<std::byte, 32>;
  struct Subkeys {
    Subkey nonce;
    Subkey seal;
    Subkey index;
    std::array<std::byte, 4> id;  // names the key in what it has sealed; no secret
  };

  NodeKeys() = default;
  static bool Derive(std::span<const std::byte> secret, Subkeys* subkeys);
  const Subkeys* Named(std::span<const std::byte> id) const;

  std::array<Subkeys, 2> keys_{};
  std::size_t size_ = 0;
};

}  // namespace ktlsim::context_store
