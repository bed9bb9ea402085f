#include "tls/openssl_handles.h"

namespace ktlsim::tls {
namespace {

using MdPtr = std::unique_ptr<EVP_MD, Deleter<&EVP_MD_free>>;
using CipherPtr = std::unique_ptr<EVP_CIPHER, Deleter<&EVP_CIPHER_free>>;

}  // namespace

const EVP_MD* FetchedDigest(HashId hash) {
  static const MdPtr sha256(EVP_MD_fetch(nullptr, "SHA2-256", nullptr));
  static const MdPtr sha384(EVP_MD_fetch(nullptr, "SHA2-384", nullptr));
  return hash == HashId::kSha256 ? sha256.get() : sha384.get();
}

const EVP_CIPHER* FetchedCipher(AeadId aead) {
  static const CipherPtr aes128(EVP_CIPHER_fetch(nullptr, "AES-128-GCM", nullptr));
  static const CipherPtr aes256(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  static const CipherPtr chacha(EVP_CIPHER_fetch(nullptr, "ChaCha20-Poly1305", nullptr));
  switch (aead) {
    case AeadId::kAes128Gcm:
      return aes128.get();
    case AeadId::kAes256Gcm:
      return aes256.get();
    case AeadId::kChaCha20Poly1305:
      return chacha.get();
  }
  return nullptr;
}

}  // namespace ktlsim::tls
