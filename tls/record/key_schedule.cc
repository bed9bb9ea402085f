#include "tls/record/key_schedule.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernel_sim/base/assert.h"
#include "tls/openssl_handles.h"

namespace ktlsim::tls {
namespace {

// HMAC (RFC 2104) over pieces, on a digest fetched once: OpenSSL's one-shot calls look their
// algorithm up by name each time, which costs more than the hashing here.
class Hmac {
 public:
  Hmac(HashId hash, Bytes key) : md_(FetchedDigest(hash)), hash_(hash), ctx_(EVP_MD_CTX_new()) {
    ok_ = md_ != nullptr && ctx_ != nullptr && SetKey(key);
  }
  ~Hmac() { Wipe(std::span(pad_)); }
  Hmac(const Hmac&) = delete;
  Hmac& operator=(const Hmac&) = delete;

  // May be called again and again; `out` is one hash long.
  bool Compute(std::initializer_list<Bytes> pieces, std::uint8_t* out) {
    std::array<std::uint8_t, Secret::kBytesMax> inner;
    ok_ = ok_ && Hash(kInnerPad, pieces, inner.data()) &&
          Hash(kOuterPad, {Bytes(inner).first(HashBytes(hash_))}, out);
    Wipe(std::span(inner));
    return ok_;
  }

 private:
  static constexpr std::uint8_t kInnerPad = 0x36;
  static constexpr std::uint8_t kOuterPad = 0x5c;
  static constexpr std::size_t kBlockBytesMax = 128;

  std::size_t block_bytes() const { return hash_ == HashId::kSha256 ? 64 : 128; }

  bool SetKey(Bytes key) {
    if (key.size() <= block_bytes()) {
      std::ranges::copy(key, pad_.begin());
      return true;
    }
    return EVP_DigestInit_ex2(ctx_.get(), md_, nullptr) == 1 &&
           EVP_DigestUpdate(ctx_.get(), key.data(), key.size()) == 1 &&
           EVP_DigestFinal_ex(ctx_.get(), pad_.data(), nullptr) == 1;
  }

  bool Hash(std::uint8_t pad, std::initializer_list<Bytes> pieces, std::uint8_t* out) {
    std::array<std::uint8_t, kBlockBytesMax> block = pad_;
    for (std::uint8_t& byte : block) byte ^= pad;
    bool good = EVP_DigestInit_ex2(ctx_.get(), md_, nullptr) == 1 &&
                EVP_DigestUpdate(ctx_.get(), block.data(), block_bytes()) == 1;
    for (Bytes piece : pieces) {
      good = good && EVP_DigestUpdate(ctx_.get(), piece.data(), piece.size()) == 1;
    }
    Wipe(std::span(block));
    return good && EVP_DigestFinal_ex(ctx_.get(), out, nullptr) == 1;
  }

  const EVP_MD* md_;
  HashId hash_;
  MdCtxPtr ctx_;
  std::array<std::uint8_t, kBlockBytesMax> pad_{};  // the key, padded with zeros
  bool ok_ = false;
};

Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// struct HkdfLabel (RFC 8446 7.1).
class HkdfLabel {
 public:
  HkdfLabel(std::size_t length, std::string_view label, Bytes context) {
    KTLSIM_CHECK(label.size() <= kLabelBytesMax && context.size() <= kContextBytesMax);
    Append(static_cast<std::uint8_t>(length >> 8));
    Append(static_cast<std::uint8_t>(length));
    Append(static_cast<std::uint8_t>(kPrefix.size() + label.size()));
    Append(AsBytes(kPrefix));
    Append(AsBytes(label));
    Append(static_cast<std::uint8_t>(context.size()));
    Append(context);
  }
  static bool Fits(std::string_view label, Bytes context) {
    return label.size() <= kLabelBytesMax && context.size() <= kContextBytesMax;
  }
  Bytes bytes() const { return Bytes(bytes_).first(size_); }

 private:
  static constexpr std::string_view kPrefix = "tls13 ";
  static constexpr std::size_t kLabelBytesMax = 255 - kPrefix.size();
  static constexpr std::size_t kContextBytesMax = 255;

  void Append(std::uint8_t byte) { bytes_[size_++] = byte; }
  void Append(Bytes bytes) {
    std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += bytes.size();
  }

  std::array<std::uint8_t, 2 + 1 + 255 + 1 + 255> bytes_{};
  std::size_t size_ = 0;
};

// Concatenation for PRF seeds.
struct Seed {
  std::array<std::uint8_t, 64> bytes;
  Seed(Bytes first, Bytes second) : bytes{} {
    KTLSIM_CHECK(first.size() == 32 && second.size() == 32);
    std::ranges::copy(first, bytes.begin());
    std::ranges::copy(second, bytes.begin() + 32);
  }
};

bool PrfPieces(HashId hash, Bytes secret, std::string_view label, Bytes seed, Bytes more_seed,
               Bytes last_seed, std::span<std::uint8_t> out) {
  const std::size_t hash_bytes = HashBytes(hash);
  Hmac hmac(hash, secret);
  std::array<std::uint8_t, Secret::kBytesMax> a;
  std::array<std::uint8_t, Secret::kBytesMax> block;
  const Bytes a_bytes = Bytes(a).first(hash_bytes);
  bool good = hmac.Compute({AsBytes(label), seed, more_seed, last_seed}, a.data());
  while (good && !out.empty()) {
    good = hmac.Compute({a_bytes, AsBytes(label), seed, more_seed, last_seed}, block.data());
    const std::size_t part = std::min(out.size(), hash_bytes);
    std::memcpy(out.data(), block.data(), part);
    out = out.subspan(part);
    good = good && hmac.Compute({a_bytes}, a.data());
  }
  Wipe(std::span(a));
  Wipe(std::span(block));
  return good;
}

}  // namespace

bool Digest(HashId hash, Bytes data, Secret& out) {
  const EVP_MD* md = FetchedDigest(hash);
  out.Resize(HashBytes(hash));
  return md != nullptr &&
         EVP_Digest(data.data(), data.size(), out.span().data(), nullptr, md, nullptr) == 1;
}

bool HmacHash(HashId hash, Bytes key, Bytes data, Secret& out) {
  Hmac hmac(hash, key);
  out.Resize(HashBytes(hash));
  return hmac.Compute({data}, out.span().data());
}

bool HkdfExtract(HashId hash, Bytes salt, Bytes key_material, Secret& out) {
  return HmacHash(hash, salt, key_material, out);
}

bool HkdfExpand(HashId hash, Bytes secret, Bytes info, std::span<std::uint8_t> out) {
  const std::size_t hash_bytes = HashBytes(hash);
  if (out.size() > 255 * hash_bytes) return false;
  Hmac hmac(hash, secret);
  std::array<std::uint8_t, Secret::kBytesMax> block;
  Bytes previous;
  bool good = true;
  for (std::uint8_t counter = 1; good && !out.empty(); ++counter) {
    good = hmac.Compute({previous, info, Bytes(&counter, 1)}, block.data());
    previous = Bytes(block).first(hash_bytes);
    const std::size_t part = std::min(out.size(), hash_bytes);
    std::memcpy(out.data(), block.data(), part);
    out = out.subspan(part);
  }
  Wipe(std::span(block));
  return good;
}

bool HkdfExpandLabel(HashId hash, Bytes secret, std::string_view label, Bytes context,
                     std::span<std::uint8_t> out) {
  if (!HkdfLabel::Fits(label, context) || out.size() > UINT16_MAX) return false;
  return HkdfExpand(hash, secret, HkdfLabel(out.size(), label, context).bytes(), out);
}

bool DeriveTrafficKeys(const SuiteInfo& suite, const Secret& traffic_secret, TrafficKeys& out) {
  out.key.Resize(suite.key_bytes);
  out.iv.Resize(kAeadNonceBytes);
  return HkdfExpandLabel(suite.hash, traffic_secret.span(), "key", {}, out.key.span()) &&
         HkdfExpandLabel(suite.hash, traffic_secret.span(), "iv", {}, out.iv.span());
}

bool NextTrafficSecret(HashId hash, const Secret& traffic_secret, Secret& out) {
  Secret next;
  next.Resize(HashBytes(hash));
  if (!HkdfExpandLabel(hash, traffic_secret.span(), "traffic upd", {}, next.span())) return false;
  out = std::move(next);
  return true;
}

bool Tls12Prf(HashId hash, Bytes secret, std::string_view label, Bytes seed,
              std::span<std::uint8_t> out) {
  return PrfPieces(hash, secret, label, seed, {}, {}, out);
}

bool DeriveTls12KeyBlock(const SuiteInfo& suite, const Secret& master_secret, Bytes client_random,
                         Bytes server_random, Tls12KeyBlock& out) {
  const std::size_t key_bytes = suite.key_bytes;
  // RFC 5288 3: a 4 byte salt. RFC 7905 2: the whole nonce.
  const std::size_t iv_bytes =
      suite.aead == AeadId::kChaCha20Poly1305 ? kAeadNonceBytes : kAeadNonceBytes - 8;
  std::array<std::uint8_t, 2 * (32 + kAeadNonceBytes)> block;
  const auto used = std::span(block).first(2 * (key_bytes + iv_bytes));
  const Seed seed(server_random, client_random);  // in this order: RFC 5246 6.3
  const bool good =
      PrfPieces(suite.hash, master_secret.span(), "key expansion", seed.bytes, {}, {}, used);
  auto take = [&used, at = std::size_t{0}](std::size_t size) mutable {
    const Bytes part = used.subspan(at, size);
    at += size;
    return part;
  };
  out.client_write.key = Secret(take(key_bytes));
  out.server_write.key = Secret(take(key_bytes));
  for (TrafficKeys* keys : {&out.client_write, &out.server_write}) {
    const Bytes iv = take(iv_bytes);
    keys->iv.Resize(kAeadNonceBytes);
    std::ranges::copy(iv, keys->iv.span().begin());
  }
  Wipe(std::span(block));
  return good;
}

bool ExportTls13(HashId hash, const Secret& exporter_secret, std::string_view label, Bytes context,
                 std::span<std::uint8_t> out) {
  Secret empty_hash;
  Secret context_hash;
  Secret derived;
  derived.Resize(HashBytes(hash));
  return Digest(hash, {}, empty_hash) && Digest(hash, context, context_hash) &&
         HkdfExpandLabel(hash, exporter_secret.span(), label, empty_hash.span(), derived.span()) &&
         HkdfExpandLabel(hash, derived.span(), "exporter", context_hash.span(), out);
}

bool ExportTls12(HashId hash, const Secret& master_secret, Bytes client_random, Bytes server_random,
                 std::string_view label, std::optional<Bytes> context,
                 std::span<std::uint8_t> out) {
  const Seed seed(client_random, server_random);
  if (!context) return PrfPieces(hash, master_secret.span(), label, seed.bytes, {}, {}, out);
  if (context->size() > UINT16_MAX) return false;
  const std::array<std::uint8_t, 2> length = {static_cast<std::uint8_t>(context->size() >> 8),
                                              static_cast<std::uint8_t>(context->size())};
  return PrfPieces(hash, master_secret.span(), label, seed.bytes, length, *context, out);
}

}  // namespace ktlsim::tls
