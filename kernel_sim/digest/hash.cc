#include "kernel_sim/digest/hash.h"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/characters.h"

namespace ktlsim::digest {
namespace {

constexpr std::size_t kBlockBytesMax = 128;  // SHA-512/256
constexpr std::size_t kHashIds = 3;

std::size_t BlockBytes(HashId id) { return id == HashId::kSha512256 ? 128 : 64; }

// Fetched once and kept: looking an algorithm up by name costs more than hashing a line.
const EVP_MD* Fetched(HashId id) {
  static const std::array<EVP_MD*, kHashIds> fetched = {
      EVP_MD_fetch(nullptr, "MD5", nullptr),
      EVP_MD_fetch(nullptr, "SHA2-256", nullptr),
      EVP_MD_fetch(nullptr, "SHA2-512/256", nullptr),
  };
  return fetched[static_cast<std::size_t>(id)];
}

std::string_view AsText(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

HashValue::HashValue(Bytes bytes) : size_(static_cast<std::uint8_t>(bytes.size())) {
  KTLSIM_CHECK(bytes.size() <= kHashBytesMax);
  std::ranges::copy(bytes, bytes_.begin());
}

HashValue::~HashValue() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

HexText::HexText(const HashValue& hash) : size_(2 * hash.bytes().size()) {
  std::size_t at = 0;
  for (const std::uint8_t byte : hash.bytes()) {
    WriteHex(byte, std::span(digits_).subspan(at, 2));
    at += 2;
  }
}

HexText::~HexText() { OPENSSL_cleanse(digits_.data(), digits_.size()); }

bool ParseHex(std::string_view text, HashId id, HashValue* out) {
  *out = HashValue();
  std::array<std::uint8_t, kHashBytesMax> bytes{};
  const std::size_t size = HashBytes(id);
  if (text.size() != 2 * size) return false;
  int invalid = 0;
  for (std::size_t i = 0; i < size; ++i) {
    const int high = HexValue(text[2 * i]);
    const int low = HexValue(text[2 * i + 1]);
    invalid |= high | low;
    bytes[i] = static_cast<std::uint8_t>((high << 4) | (low & 15));
  }
  if (invalid >= 0) *out = HashValue(Bytes(bytes).first(size));
  OPENSSL_cleanse(bytes.data(), bytes.size());
  return invalid >= 0;
}

void Hasher::FreeContext::operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }

Hasher::Hasher(HashId id) : algorithm_(Fetched(id)), context_(EVP_MD_CTX_new()), id_(id) {}

Hasher::~Hasher() = default;

bool Hasher::Begin() {
  ++hashes_;
  // It may have been made when there was no memory.
  if (context_ == nullptr) context_.reset(EVP_MD_CTX_new());
  return algorithm_ != nullptr && context_ != nullptr &&
         EVP_DigestInit_ex2(context_.get(), algorithm_, nullptr) == 1;
}

bool Hasher::Add(std::string_view piece) {
  return EVP_DigestUpdate(context_.get(), piece.data(), piece.size()) == 1;
}

bool Hasher::Finish(HashValue* out) {
  if (EVP_DigestFinal_ex(context_.get(), out->bytes_.data(), nullptr) != 1) return false;
  out->size_ = static_cast<std::uint8_t>(HashBytes(id_));
  return true;
}

bool Hasher::Compute(std::string_view first, std::initializer_list<std::string_view> pieces,
                     HashValue* out) {
  // A piece may view *out, which is written last.
  bool good = Begin() && Add(first);
  for (const std::string_view piece : pieces) good = good && Add(piece);
  good = good && Finish(out);
  if (good) return true;
  ERR_clear_error();
  *out = HashValue();
  return false;
}

bool Hasher::Hash(std::initializer_list<std::string_view> pieces, HashValue* out) {
  return Compute({}, pieces, out);
}

bool Hasher::Hmac(Bytes key, std::initializer_list<std::string_view> pieces, HashValue* out) {
  const unsigned before = hashes_;
  HashValue short_key;
  if (key.size() > BlockBytes(id_)) {
    if (!Hash({AsText(key)}, &short_key)) return false;
    key = short_key.bytes();
  }
  std::array<std::uint8_t, kBlockBytesMax> pad{};
  std::ranges::copy(key, pad.begin());
  for (std::uint8_t& byte : pad) byte ^= 0x36;
  const std::string_view block = AsText(std::span(pad).first(BlockBytes(id_)));
  HashValue inner;
  bool good = Compute(block, pieces, &inner);
  for (std::uint8_t& byte : pad) byte ^= 0x36 ^ 0x5c;
  good = good && Compute(block, {inner.raw()}, out);
  OPENSSL_cleanse(pad.data(), pad.size());
  hashes_ = before + 1;
  if (!good) *out = HashValue();
  return good;
}

bool ConstantTimeEqual(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool FillRandom(std::span<std::uint8_t> bytes) {
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1) return true;
  ERR_clear_error();
  return false;
}

}  // namespace ktlsim::digest
