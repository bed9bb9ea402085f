#include "kernel_sim/context_store/node_keys.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/file.h"

namespace ktlsim::context_store {
namespace {

constexpr std::byte kFormat{1};
constexpr std::size_t kIdBytes = 4;
constexpr std::size_t kSaltBytes = 24;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kHeadBytes = 1 + kIdBytes + kSaltBytes;
constexpr std::size_t kKeyBytes = 32;
static_assert(NodeKeys::kSealBytes == kHeadBytes + kTagBytes);

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeContext>;

const unsigned char* In(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* Out(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}
int Size(std::span<const std::byte> bytes) { return static_cast<int>(bytes.size()); }

bool Hmac(const EVP_MD* hash, std::span<const std::byte> key, std::span<const std::byte> content,
          std::span<std::byte> mac) {
  unsigned int size = 0;
  return HMAC(hash, key.data(), Size(key), In(content), content.size(), Out(mac), &size) !=
             nullptr &&
         size == mac.size();
}

bool Hkdf(std::span<const std::byte> secret, std::string_view label, std::span<std::byte> out) {
  const Owned<EVP_KDF> kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  const Owned<EVP_KDF_CTX> context(kdf ? EVP_KDF_CTX_new(kdf.get()) : nullptr);
  if (context == nullptr) return false;
  char hash[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::byte*>(secret.data()),
                                        secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(label.data()),
                                        label.size()),
      OSSL_PARAM_construct_end()};
  return EVP_KDF_derive(context.get(), Out(out), out.size(), parameters) == 1;
}

// The key and the IV of one value. Wiped.
struct ValueKey {
  std::array<std::byte, 64> bytes{};

  ~ValueKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
  bool Derive(std::span<const std::byte> seal_key, std::span<const std::byte> salt) {
    return Hmac(EVP_sha512(), seal_key, salt, bytes);
  }
  const unsigned char* key() const { return In(bytes); }
  const unsigned char* iv() const { return In(bytes) + kKeyBytes; }
};

// What a value is bound to.
struct AssociatedData {
  std::array<std::byte, 1 + 1 + 8 + 32> bytes{};

  AssociatedData(Kind kind, std::uint64_t epoch, const NodeKeys::Index& index) {
    bytes[0] = kFormat;
    bytes[1] = static_cast<std::byte>(kind);
    for (std::size_t i = 0; i < 8; ++i) bytes[2 + i] = static_cast<std::byte>(epoch >> (8 * i));
    std::copy(index.begin(), index.end(), bytes.begin() + 10);
  }
};

}  // namespace

// ---- Keys

Result<std::shared_ptr<const NodeKeys>> NodeKeys::Load(const char* current, const char* previous) {
  Result<FileText> current_file = ReadFile(current, kFileBytesMax);
  if (!current_file) return current_file.status();
  const auto bytes_of = [](const FileText& file) {
    return std::as_bytes(std::span(file.text().data(), file.text().size()));
  };
  if (previous == nullptr) return Create(bytes_of(*current_file));
  Result<FileText> previous_file = ReadFile(previous, kFileBytesMax);
  if (!previous_file) return previous_file.status();
  if (bytes_of(*previous_file).empty()) {
    return Status(Category::kContract, 0, "the previous node key's file is empty");
  }
  return Create(bytes_of(*current_file), bytes_of(*previous_file));
}

Result<std::shared_ptr<const NodeKeys>> NodeKeys::Create(std::span<const std::byte> current,
                                                         std::span<const std::byte> previous) {
  if (current.size() < kFileBytesMin || (!previous.empty() && previous.size() < kFileBytesMin)) {
    return Status(Category::kContract, 0,
                  "a node key has 32 random bytes at least: head -c 32 /dev/urandom > FILE");
  }
  if (current.size() > kFileBytesMax || previous.size() > kFileBytesMax) {
    return Status(Category::kContract, 0, "a node key has 4096 bytes at most");
  }
  if (std::equal(current.begin(), current.end(), previous.begin(), previous.end())) {
    return Status(Category::kContract, 0, "the current and the previous node key are the same");
  }
  std::shared_ptr<NodeKeys> keys(new NodeKeys());
  const Status failure(Category::kCrypto, 0, "derive keys from the node key");
  if (!Derive(current, &keys->keys_[0])) return failure;
  keys->size_ = 1;
  if (previous.empty()) return std::shared_ptr<const NodeKeys>(std::move(keys));
  if (!Derive(previous, &keys->keys_[1])) return failure;
  keys->size_ = 2;
  return std::shared_ptr<const NodeKeys>(std::move(keys));
}

NodeKeys::~NodeKeys() { OPENSSL_cleanse(keys_.data(), sizeof(keys_)); }

bool NodeKeys::Derive(std::span<const std::byte> secret, Subkeys* subkeys) {
  return Hkdf(secret, "ktlsim nonce", subkeys->nonce) &&
         Hkdf(secret, "ktlsim seal", subkeys->seal) &&
         Hkdf(secret, "ktlsim index", subkeys->index) && Hkdf(secret, "ktlsim id", subkeys->id);
}

const NodeKeys::Subkeys* NodeKeys::Named(std::span<const std::byte> id) const {
  for (std::size_t i = 0; i < size_; ++i) {
    if (std::equal(id.begin(), id.end(), keys_[i].id.begin(), keys_[i].id.end())) return &keys_[i];
  }
  return nullptr;
}

// ---- Entries

bool NodeKeys::IndexOf(const Key& key, std::size_t which, Index* index) const {
  KTLSIM_ASSERT(which < size_);
  KTLSIM_ASSERT(key.name.size() <= kNameBytesMax);
  std::array<std::byte, 1 + kNameBytesMax> content;
  content[0] = static_cast<std::byte>(key.kind);
  std::copy(key.name.begin(), key.name.end(), content.begin() + 1);
  return Hmac(EVP_sha256(), keys_[which].index, std::span(content).first(1 + key.name.size()),
              *index);
}

bool NodeKeys::Seal(const Key& key, std::uint64_t epoch, std::span<const std::byte> value,
                    std::vector<std::byte>* sealed) const {
  sealed->assign(value.size() + kSealBytes, std::byte{0});
  const std::span<std::byte> out(*sealed);
  const Subkeys& own = keys_[0];
  out[0] = kFormat;
  std::copy(own.id.begin(), own.id.end(), out.begin() + 1);
  const std::span<std::byte> salt = out.subspan(1 + kIdBytes, kSaltBytes);
  ValueKey value_key;
  Index index;
  if (RAND_bytes(Out(salt), Size(salt)) != 1 || !value_key.Derive(own.seal, salt) ||
      !IndexOf(key, 0, &index)) {
    return false;
  }
  const AssociatedData data(key.kind, epoch, index);
  const std::span<std::byte> text = out.subspan(kHeadBytes, value.size());
  const std::span<std::byte> tag = out.subspan(kHeadBytes + value.size());
  const Owned<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  int written = 0;
  return context != nullptr &&
         EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, value_key.key(),
                            value_key.iv()) == 1 &&
         EVP_EncryptUpdate(context.get(), nullptr, &written, In(data.bytes), Size(data.bytes)) ==
             1 &&
         EVP_EncryptUpdate(context.get(), Out(text), &written, In(value), Size(value)) == 1 &&
         EVP_EncryptFinal_ex(context.get(), Out(tag), &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, tag.data()) == 1;
}

bool NodeKeys::Open(const Key& key, std::uint64_t epoch, std::span<const std::byte> sealed,
                    std::vector<std::byte>* value) const {
  OPENSSL_cleanse(value->data(), value->size());
  value->clear();
  if (sealed.size() < kSealBytes || sealed[0] != kFormat) return false;
  const Subkeys* own = Named(sealed.subspan(1, kIdBytes));
  if (own == nullptr) return false;
  ValueKey value_key;
  Index index;
  if (!value_key.Derive(own->seal, sealed.subspan(1 + kIdBytes, kSaltBytes)) ||
      !IndexOf(key, static_cast<std::size_t>(own - keys_.data()), &index)) {
    return false;
  }
  const AssociatedData data(key.kind, epoch, index);
  const std::span<const std::byte> text = sealed.subspan(kHeadBytes, sealed.size() - kSealBytes);
  std::array<std::byte, kTagBytes> tag;
  std::copy(sealed.end() - kTagBytes, sealed.end(), tag.begin());
  // One byte more, so that there is a place to write to when there is no text.
  value->resize(text.size() + 1);
  const Owned<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new());
  int written = 0;
  const bool opened =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, value_key.key(),
                         value_key.iv()) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &written, In(data.bytes), Size(data.bytes)) == 1 &&
      EVP_DecryptUpdate(context.get(), Out(*value), &written, In(text), Size(text)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), Out(std::span(*value).last(1)), &written) == 1;
  if (!opened) OPENSSL_cleanse(value->data(), value->size());
  value->resize(opened ? text.size() : 0);
  return opened;
}

// ---- Nonces

std::span<const std::byte> NodeKeys::NonceKey(std::size_t which) const {
  KTLSIM_ASSERT(which < size_);
  return keys_[which].nonce;
}

bool NodeKeys::MacOfNonce(std::span<const std::byte> content, Mac* mac) const {
  return Hmac(EVP_sha256(), keys_[0].nonce, content, *mac);
}

bool NodeKeys::VerifyNonce(std::span<const std::byte> content,
                           std::span<const std::byte> mac) const {
  constexpr std::size_t kMacBytesMin = 16;
  Mac expected;
  if (mac.size() < kMacBytesMin || mac.size() > expected.size()) return false;
  bool same = false;
  for (std::size_t i = 0; i < size_; ++i) {
    if (!Hmac(EVP_sha256(), keys_[i].nonce, content, expected)) return false;
    same |= CRYPTO_memcmp(expected.data(), mac.data(), mac.size()) == 0;
  }
  return same;
}

}  // namespace ktlsim::context_store
