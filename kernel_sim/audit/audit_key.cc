#include "kernel_sim/audit/audit_key.h"

#include <algorithm>
#include <new>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

namespace ktlsim::audit {
namespace {

constexpr std::string_view kFirstLabel = "ktlsim audit first";
constexpr std::string_view kNextLabel = "ktlsim audit next";
constexpr std::string_view kLineLabel = "ktlsim audit line";
constexpr std::string_view kHeadLabel = "ktlsim audit head";
constexpr std::string_view kIdLabel = "ktlsim audit key id";

const unsigned char* Bytes(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

std::span<const std::byte> BytesOfText(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// A key that lives for one computation.
struct PassingKey {
  Mac bytes{};
  ~PassingKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

}  // namespace

std::unique_ptr<MacEngine> MacEngine::Create() {
  EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* const context = mac == nullptr ? nullptr : EVP_MAC_CTX_new(mac);
  EVP_MAC_free(mac);
  char hash[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
                                   OSSL_PARAM_construct_end()};
  if (context == nullptr || EVP_MAC_CTX_set_params(context, parameters) != 1) {
    EVP_MAC_CTX_free(context);
    return nullptr;
  }
  std::unique_ptr<MacEngine> engine(new (std::nothrow) MacEngine(context));
  if (engine == nullptr) EVP_MAC_CTX_free(context);
  return engine;
}

MacEngine::~MacEngine() { EVP_MAC_CTX_free(context_); }

bool MacEngine::Compute(std::span<const std::byte> key, std::span<const std::byte> first,
                        std::span<const std::byte> second, Mac* mac) {
  std::size_t size = 0;
  return EVP_MAC_init(context_, Bytes(key), key.size(), nullptr) == 1 &&
         EVP_MAC_update(context_, Bytes(first), first.size()) == 1 &&
         EVP_MAC_update(context_, Bytes(second), second.size()) == 1 &&
         EVP_MAC_final(context_, reinterpret_cast<unsigned char*>(mac->data()), &size,
                       mac->size()) == 1 &&
         size == mac->size();
}

bool MacEngine::Expand(std::span<const std::byte> key, std::string_view label, Mac* out) {
  static constexpr std::byte kFirstBlock[] = {std::byte{1}};
  return Compute(key, BytesOfText(label), kFirstBlock, out);
}

ChainKey::~ChainKey() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

bool ChainKey::Derive(MacEngine& engine, std::span<const std::byte> secret, const LogId& log) {
  PassingKey extracted;
  return engine.Compute(log, secret, {}, &extracted.bytes) &&
         engine.Expand(extracted.bytes, kFirstLabel, &bytes_);
}

bool ChainKey::Step(MacEngine& engine) {
  PassingKey next;
  if (!engine.Expand(bytes_, kNextLabel, &next.bytes)) return false;
  bytes_ = next.bytes;
  return true;
}

bool ChainKey::MacUnder(MacEngine& engine, std::string_view label,
                        std::span<const std::byte> content, Mac* mac) const {
  PassingKey key;
  return engine.Expand(bytes_, label, &key.bytes) && engine.Compute(key.bytes, content, {}, mac);
}

bool ChainKey::MacOfLine(MacEngine& engine, std::string_view body, Mac* mac) const {
  return MacUnder(engine, kLineLabel, BytesOfText(body), mac);
}

bool ChainKey::MacOfHead(MacEngine& engine, std::span<const std::byte> head, Mac* mac) const {
  return MacUnder(engine, kHeadLabel, head, mac);
}

void ChainKey::Load(std::span<const std::byte, 32> bytes) {
  std::ranges::copy(bytes, bytes_.begin());
}

bool IdOfSecret(MacEngine& engine, std::span<const std::byte> secret, KeyId* id) {
  // The salt of HKDF that stands for none.
  static constexpr Mac kNoSalt{};
  PassingKey extracted;
  Mac expanded;
  if (!engine.Compute(kNoSalt, secret, {}, &extracted.bytes) ||
      !engine.Expand(extracted.bytes, kIdLabel, &expanded)) {
    return false;
  }
  std::copy_n(expanded.begin(), id->size(), id->begin());
  return true;
}

bool SameMac(const Mac& a, const Mac& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace ktlsim::audit
