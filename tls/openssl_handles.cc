#include "tls/openssl_handles.h"

#include <atomic>

namespace ktlsim::tls {
namespace {

// Kept for the rest of the process. An object that could not be fetched is fetched again the next
// time, since memory may have been short.
template <typename T, auto fetch, auto free>
class Kept {
 public:
  const T* Get(const char* name) {
    T* kept = kept_.load(std::memory_order_acquire);
    if (kept != nullptr) return kept;
    T* made = fetch(nullptr, name, nullptr);
    if (made == nullptr || kept_.compare_exchange_strong(kept, made)) return made;
    free(made);  // another thread was first
    return kept;
  }

 private:
  std::atomic<T*> kept_{nullptr};
};
using KeptDigest = Kept<EVP_MD, &EVP_MD_fetch, &EVP_MD_free>;
using KeptCipher = Kept<EVP_CIPHER, &EVP_CIPHER_fetch, &EVP_CIPHER_free>;

}  // namespace

const EVP_MD* FetchedDigest(HashId hash) {
  static constinit KeptDigest sha256;
  static constinit KeptDigest sha384;
  return hash == HashId::kSha256 ? sha256.Get("SHA2-256") : sha384.Get("SHA2-384");
}

const EVP_CIPHER* FetchedCipher(AeadId aead) {
  static constinit KeptCipher aes128;
  static constinit KeptCipher aes256;
  static constinit KeptCipher chacha;
  switch (aead) {
    case AeadId::kAes128Gcm:
      return aes128.Get("AES-128-GCM");
    case AeadId::kAes256Gcm:
      return aes256.Get("AES-256-GCM");
    case AeadId::kChaCha20Poly1305:
      return chacha.Get("ChaCha20-Poly1305");
  }
  return nullptr;
}

}  // namespace ktlsim::tls
