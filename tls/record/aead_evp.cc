#include <array>
#include <new>
#include <utility>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "tls/openssl_handles.h"
#include "tls/record/aead.h"
#include "tls/record/secret.h"

namespace ktlsim::tls {
namespace {

unsigned char* Raw(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

class EvpAead final : public Aead {
 public:
  EvpAead(CipherCtxPtr context, std::size_t key_bytes)
      : context_(std::move(context)), key_bytes_(key_bytes) {}

  bool Seal(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<std::byte> tail,
            std::span<std::byte, kAeadTagBytes> tag) override {
    unsigned char nothing[16];
    int written = 0;
    const bool good =
        Start(kEncrypt, nonce, aad) && Update(data) && Update(tail) &&
        EVP_EncryptFinal_ex(context_.get(), nothing, &written) == 1 &&
        EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag.data()) == 1;
    if (!good) ERR_clear_error();
    return good;
  }

  bool Open(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<const std::byte, kAeadTagBytes> tag) override {
    unsigned char nothing[16];
    int written = 0;
    // The control takes a pointer to non-const, and only reads from it.
    void* const expected = const_cast<std::byte*>(tag.data());
    const bool good =
        Start(kDecrypt, nonce, aad) && Update(data) &&
        EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, expected) == 1 &&
        EVP_DecryptFinal_ex(context_.get(), nothing, &written) == 1;
    if (!good) {
      ERR_clear_error();
      Wipe(data);  // decrypted before the tag was known to fit
    }
    return good;
  }

  bool SetKey(std::span<const std::uint8_t> key) override {
    const bool good =
        key.size() == key_bytes_ &&
        EVP_CipherInit_ex(context_.get(), nullptr, nullptr, key.data(), nullptr, kUnchanged) == 1;
    if (!good) ERR_clear_error();
    return good;
  }

  // EVP can drop a key only by setting another one.
  void ClearKey() override {
    static constexpr std::array<std::uint8_t, 32> kZeros{};
    static_cast<void>(SetKey(std::span(kZeros).first(key_bytes_)));
  }

 private:
  // Values of EVP_CipherInit_ex. The expanded key serves both directions.
  static constexpr int kEncrypt = 1;
  static constexpr int kDecrypt = 0;
  static constexpr int kUnchanged = -1;

  bool Start(int direction, std::span<const std::uint8_t, kAeadNonceBytes> nonce,
             std::span<const std::uint8_t> aad) {
    int written = 0;
    return EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, nonce.data(), direction) ==
               1 &&
           EVP_CipherUpdate(context_.get(), nullptr, &written, aad.data(),
                            static_cast<int>(aad.size())) == 1;
  }

  bool Update(std::span<std::byte> bytes) {
    if (bytes.empty()) return true;
    int written = 0;
    return EVP_CipherUpdate(context_.get(), Raw(bytes), &written, Raw(bytes),
                            static_cast<int>(bytes.size())) == 1;
  }

  CipherCtxPtr context_;
  std::size_t key_bytes_;
};

}  // namespace

std::unique_ptr<Aead> CreateEvpAead(AeadId aead, std::span<const std::uint8_t> key) {
  const EVP_CIPHER* cipher = FetchedCipher(aead);
  CipherCtxPtr context(EVP_CIPHER_CTX_new());
  if (cipher == nullptr || context == nullptr ||
      key.size() != static_cast<std::size_t>(EVP_CIPHER_get_key_length(cipher)) ||
      EVP_CipherInit_ex(context.get(), cipher, nullptr, key.data(), nullptr, 1) != 1) {
    ERR_clear_error();
    return nullptr;
  }
  return std::unique_ptr<Aead>(new (std::nothrow) EvpAead(std::move(context), key.size()));
}

}  // namespace ktlsim::tls
