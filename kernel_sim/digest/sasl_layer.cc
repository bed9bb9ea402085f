#include "kernel_sim/digest/sasl_layer.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

namespace ktlsim::digest {
namespace {

constexpr std::string_view kClientSigns =
    "Digest session key to client-to-server signing key magic constant";
constexpr std::string_view kServerSigns =
    "Digest session key to server-to-client signing key magic constant";
constexpr std::string_view kClientSeals =
    "Digest H(A1) to client-to-server sealing key magic constant";
constexpr std::string_view kServerSeals =
    "Digest H(A1) to server-to-client sealing key magic constant";

constexpr std::size_t kMacBytes = 10;
constexpr std::size_t kTrailerBytes = kSaslSignatureBytes - kMacBytes;  // the kind and the number

std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// How much of H(A1) goes into the keys that seal: less for the two weak ciphers.
std::size_t KeyMaterialBytes(SaslCipher cipher) {
  switch (cipher) {
    case SaslCipher::kRc4Bits40:
      return 5;
    case SaslCipher::kRc4Bits56:
      return 7;
    case SaslCipher::kRc4:
    case SaslCipher::k3Des:
    case SaslCipher::kDes:
      break;
  }
  return 16;
}

std::array<std::uint8_t, 4> BigEndian(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

std::uint32_t FromBigEndian(Bytes bytes) {
  return (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
         (std::uint32_t{bytes[2]} << 8) | bytes[3];
}

bool ComputeMac(Hasher& hasher, const HashValue& key, std::uint32_t sequence, Bytes message,
                HashValue* mac) {
  const std::array<std::uint8_t, 4> number = BigEndian(sequence);
  return hasher.Hmac(key.bytes(), {AsText(number), AsText(message)}, mac);
}

// The kind of a message is 1, always.
void PutTrailer(std::uint32_t sequence, std::span<std::uint8_t> out) {
  out[0] = 0;
  out[1] = 1;
  std::ranges::copy(BigEndian(sequence), out.begin() + 2);
}

bool KindIsRight(Bytes trailer) { return trailer[0] == 0 && trailer[1] == 1; }

// A failure leaves nothing in OpenSSL's queue.
bool Cleared(bool good) {
  if (!good) ERR_clear_error();
  return good;
}

// Null: there is no legacy provider.
const EVP_CIPHER* Rc4() {
  static const EVP_CIPHER* const cipher = []() -> const EVP_CIPHER* {
    OSSL_LIB_CTX* const library = OSSL_LIB_CTX_new();
    EVP_CIPHER* fetched = nullptr;
    if (library != nullptr && OSSL_PROVIDER_load(library, "legacy") != nullptr) {
      fetched = EVP_CIPHER_fetch(library, "RC4", nullptr);
    }
    if (!Cleared(fetched != nullptr)) OSSL_LIB_CTX_free(library);
    return fetched;
  }();
  return cipher;
}

// DES alone is in the legacy provider. Triple DES with one key in all places is the same cipher.
const EVP_CIPHER* TwoKeyTripleDes() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "DES-EDE-CBC", nullptr);
  return cipher;
}

const EVP_CIPHER* CipherOf(SaslCipher cipher) {
  return BlockBytesOf(cipher) == 1 ? Rc4() : TwoKeyTripleDes();
}

// 56 bits to the eight bytes that DES takes: seven bits each, and one of parity, which is ignored.
void SpreadKey(Bytes seven, std::span<std::uint8_t> eight) {
  std::uint64_t bits = 0;
  for (const std::uint8_t byte : seven.first(7)) bits = (bits << 8) | byte;
  for (std::size_t i = 0; i < 8; ++i) {
    eight[i] = static_cast<std::uint8_t>(((bits >> (49 - 7 * i)) & 0x7fU) << 1);
  }
}

}  // namespace

bool DeriveSaslKeys(Hasher& hasher, const HashValue& session_hash, SaslCipher cipher,
                    SaslKeys* out) {
  const std::string_view whole = session_hash.raw();
  const std::string_view part = whole.substr(0, KeyMaterialBytes(cipher));
  return hasher.Hash({whole, kClientSigns}, &out->client_signs) &&
         hasher.Hash({whole, kServerSigns}, &out->server_signs) &&
         hasher.Hash({part, kClientSeals}, &out->client_seals) &&
         hasher.Hash({part, kServerSeals}, &out->server_seals);
}

bool SaslSign(Hasher& hasher, const HashValue& key, std::uint32_t sequence, Bytes message,
              std::span<std::uint8_t, kSaslSignatureBytes> signature) {
  HashValue mac;
  if (!ComputeMac(hasher, key, sequence, message, &mac)) return false;
  std::ranges::copy(mac.bytes().first(kMacBytes), signature.begin());
  PutTrailer(sequence, signature.subspan(kMacBytes));
  return true;
}

SaslVerdict SaslVerify(Hasher& hasher, const HashValue& key, std::uint32_t sequence, Bytes message,
                       Bytes signature) {
  if (signature.size() != kSaslSignatureBytes) return SaslVerdict::kAltered;
  const Bytes trailer = signature.subspan(kMacBytes);
  const std::uint32_t claimed = FromBigEndian(trailer.subspan(2));
  HashValue mac;
  if (!ComputeMac(hasher, key, claimed, message, &mac)) return SaslVerdict::kNoMemory;
  const bool right = CRYPTO_memcmp(mac.bytes().data(), signature.data(), kMacBytes) == 0;
  if (!right || !KindIsRight(trailer)) return SaslVerdict::kAltered;
  return claimed == sequence ? SaslVerdict::kGood : SaslVerdict::kOutOfSequence;
}

SaslCipherSet AvailableSaslCiphers() {
  SaslCipherSet ciphers;
  for (const SaslCipher cipher : kSaslCiphers) {
    if (CipherOf(cipher) != nullptr) ciphers.Add(cipher);
  }
  return ciphers;
}

std::size_t BlockBytesOf(SaslCipher cipher) {
  return cipher == SaslCipher::k3Des || cipher == SaslCipher::kDes ? kSaslBlockBytesMax : 1;
}

void SaslCipherState::FreeContext::operator()(EVP_CIPHER_CTX* context) const {
  EVP_CIPHER_CTX_free(context);
}

std::optional<SaslCipherState> SaslCipherState::Create(SaslCipher cipher, const HashValue& key,
                                                       bool encrypt) {
  const EVP_CIPHER* const algorithm = CipherOf(cipher);
  Context context(EVP_CIPHER_CTX_new());
  if (algorithm == nullptr || context == nullptr) return std::nullopt;
  const Bytes bytes = key.bytes();
  std::array<std::uint8_t, 16> cipher_key{};
  if (BlockBytesOf(cipher) == 1) {
    std::ranges::copy(bytes, cipher_key.begin());
  } else {
    // The first 14 bytes hold two keys, and the last eight are the first vector.
    const std::span halves(cipher_key);
    SpreadKey(bytes, halves.first(8));
    SpreadKey(cipher == SaslCipher::k3Des ? bytes.subspan(7) : bytes, halves.last(8));
  }
  const bool good = EVP_CipherInit_ex2(context.get(), algorithm, cipher_key.data(),
                                       bytes.subspan(8).data(), encrypt ? 1 : 0, nullptr) == 1 &&
                    EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1;
  OPENSSL_cleanse(cipher_key.data(), cipher_key.size());
  if (!Cleared(good)) return std::nullopt;
  return SaslCipherState(std::move(context));
}

bool SaslCipherState::Run(std::span<std::uint8_t> bytes) {
  int written = 0;
  return Cleared(EVP_CipherUpdate(context_.get(), bytes.data(), &written, bytes.data(),
                                  static_cast<int>(bytes.size())) == 1 &&
                 static_cast<std::size_t>(written) == bytes.size());
}

std::unique_ptr<SaslSealer> SaslSealer::Create(SaslCipher cipher, const HashValue& signs,
                                               const HashValue& seals) {
  std::optional<SaslCipherState> state = SaslCipherState::Create(cipher, seals, true);
  if (!state.has_value()) return nullptr;
  return std::unique_ptr<SaslSealer>(new SaslSealer(cipher, signs, *std::move(state)));
}

std::size_t SaslSealer::SealedBytes(std::size_t message_bytes) const {
  // With blocks there is always some padding, since its last byte says how much.
  const std::size_t over = (message_bytes + kMacBytes) % block_bytes_;
  const std::size_t padding = block_bytes_ == 1 ? 0 : block_bytes_ - over;
  return message_bytes + padding + kSaslSignatureBytes;
}

bool SaslSealer::Seal(std::span<std::uint8_t> buffer, std::size_t message_bytes) {
  const std::size_t sealed_bytes = SealedBytes(message_bytes);
  if (!usable() || buffer.size() < sealed_bytes) return false;
  const auto sequence = static_cast<std::uint32_t>(sequence_);
  const std::size_t padding = sealed_bytes - message_bytes - kSaslSignatureBytes;
  const std::size_t encrypted = message_bytes + padding + kMacBytes;
  HashValue mac;
  if (!ComputeMac(hasher_, signs_, sequence, buffer.first(message_bytes), &mac)) return false;
  ++sequence_;
  std::ranges::fill(buffer.subspan(message_bytes, padding), static_cast<std::uint8_t>(padding));
  std::ranges::copy(mac.bytes().first(kMacBytes),
                    buffer.subspan(message_bytes + padding, kMacBytes).begin());
  PutTrailer(sequence, buffer.subspan(encrypted, kTrailerBytes));
  failed_ = !state_.Run(buffer.first(encrypted));
  return !failed_;
}

std::unique_ptr<SaslOpener> SaslOpener::Create(SaslCipher cipher, const HashValue& signs,
                                               const HashValue& seals) {
  std::optional<SaslCipherState> state = SaslCipherState::Create(cipher, seals, false);
  if (!state.has_value()) return nullptr;
  return std::unique_ptr<SaslOpener>(new SaslOpener(cipher, signs, *std::move(state)));
}

SaslVerdict SaslOpener::Open(std::span<std::uint8_t> sealed, std::size_t* message_bytes) {
  *message_bytes = 0;
  if (failed_) return SaslVerdict::kAltered;
  failed_ = true;  // until all of it has been seen to be right
  if (sealed.size() < kSaslSignatureBytes + (block_bytes_ == 1 ? 0 : 1)) {
    return SaslVerdict::kAltered;
  }
  const std::size_t encrypted = sealed.size() - kTrailerBytes;
  const Bytes trailer = sealed.subspan(encrypted);
  if (encrypted % block_bytes_ != 0 || !KindIsRight(trailer)) return SaslVerdict::kAltered;
  if (sequence_ == kSaslSequences || FromBigEndian(trailer.subspan(2)) != sequence_) {
    failed_ = false;
    return SaslVerdict::kOutOfSequence;
  }
  if (!state_.Run(sealed.first(encrypted))) return SaslVerdict::kAltered;
  const std::size_t padded = encrypted - kMacBytes;
  std::size_t padding = 0;
  unsigned wrong = 0;
  if (block_bytes_ != 1) {
    // Wrong padding is taken for the shortest, so that as much is hashed as otherwise.
    padding = sealed[padded - 1];
    if (padding == 0 || padding > block_bytes_ || padding > padded) {
      padding = 1;
      wrong = 1;
    }
    for (const std::uint8_t byte : sealed.subspan(padded - padding, padding)) {
      wrong |= byte ^ static_cast<unsigned>(padding);
    }
  }
  HashValue mac;
  const auto sequence = static_cast<std::uint32_t>(sequence_);
  if (!ComputeMac(hasher_, signs_, sequence, sealed.first(padded - padding), &mac)) {
    return SaslVerdict::kNoMemory;
  }
  if (CRYPTO_memcmp(mac.bytes().data(), sealed.data() + padded, kMacBytes) != 0) wrong = 1;
  if (wrong != 0) return SaslVerdict::kAltered;
  ++sequence_;
  failed_ = false;
  *message_bytes = padded - padding;
  return SaslVerdict::kGood;
}

}  // namespace ktlsim::digest
