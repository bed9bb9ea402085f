#include "tls/record/record_protection.h"

#include <endian.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ktlsim::tls {
namespace {

// One store: bytes stored one by one would make the cipher's wider load wait for them.
void PutBigEndian64(std::uint64_t value, std::uint8_t* out) {
  const std::uint64_t big_endian = htobe64(value);
  std::memcpy(out, &big_endian, sizeof big_endian);
}

}  // namespace

bool RecordProtection::Init(ProtectionState state) {
  if (state.suite == nullptr) return false;
  suite_ = state.suite;
  limits_ = state.limits;
  fragment_bytes_max_ = static_cast<std::uint16_t>(state.fragment_bytes_max);
  sequence_number_ = state.sequence_number;
  explicit_nonce_in_record_ = !is_tls13() && suite_->aead != AeadId::kChaCha20Poly1305;
  if (is_tls13()) {
    traffic_secret_ = std::move(state.traffic_secret);
    if (!DeriveTrafficKeys(*suite_, traffic_secret_, state.keys)) return false;
  }
  if (state.keys.iv.size() != kAeadNonceBytes) return false;
  aead_factory_ = state.aead_factory;
  return SetKeys(std::move(state.keys));
}

bool RecordProtection::SetKeys(TrafficKeys keys) {
  key_ = std::move(keys.key);
  iv_ = std::move(keys.iv);
  id_ = AeadKeyId::Next();
  // Expanded at once: a shortage of memory shows here, and the first record will come soon.
  if (aead() != nullptr) return true;
  id_.Reset();
  return false;
}

Aead* RecordProtection::aead() const {
  AeadKeyCache* cache = AeadKeyCache::OfThisThread();
  return cache != nullptr ? cache->Find(id_.value(), suite_->aead, aead_factory_, key_.span())
                          : nullptr;
}

bool RecordProtection::DeriveNext(Next& next) const {
  return NextTrafficSecret(suite_->hash, traffic_secret_, next.traffic_secret) &&
         DeriveTrafficKeys(*suite_, next.traffic_secret, next.keys);
}

// The key is expanded with its first record, which reports a shortage of memory.
void RecordProtection::Install(Next next) {
  traffic_secret_ = std::move(next.traffic_secret);
  key_ = std::move(next.keys.key);
  iv_ = std::move(next.keys.iv);
  id_ = AeadKeyId::Next();
  sequence_number_ = 0;
}

bool RecordProtection::NextKey() {
  Next next;
  if (!DeriveNext(next)) return false;
  Install(std::move(next));
  return true;
}

// In two words, as they are returned and as the cipher reads them: one load over two smaller stores
// would wait for both.
RecordProtection::Nonce RecordProtection::ImplicitNonce() const {
  const std::uint8_t* iv = iv_.span().data();
  std::uint64_t head = 0;
  std::uint32_t tail = 0;
  std::memcpy(&head, iv, sizeof head);
  std::memcpy(&tail, iv + sizeof head, sizeof tail);
  head ^= htobe64(sequence_number_ >> 32);
  tail ^= htobe32(static_cast<std::uint32_t>(sequence_number_));
  Nonce nonce;
  std::memcpy(nonce.data(), &head, sizeof head);
  std::memcpy(nonce.data() + sizeof head, &tail, sizeof tail);
  return nonce;
}

RecordProtection::Nonce RecordProtection::ExplicitNonce(
    std::span<const std::byte, kExplicitNonceBytes> explicit_part) const {
  Nonce nonce{};
  std::copy_n(iv_.span().begin(), 4, nonce.begin());
  std::ranges::transform(explicit_part, nonce.begin() + 4,
                         [](std::byte byte) { return std::to_integer<std::uint8_t>(byte); });
  return nonce;
}

RecordProtection::Tls12Aad RecordProtection::MakeTls12Aad(ContentType type,
                                                          std::size_t plaintext_bytes) const {
  Tls12Aad aad{};
  PutBigEndian64(sequence_number_, aad.data());
  aad[8] = static_cast<std::uint8_t>(type);
  aad[9] = 3;
  aad[10] = 3;
  aad[11] = static_cast<std::uint8_t>(plaintext_bytes >> 8);
  aad[12] = static_cast<std::uint8_t>(plaintext_bytes);
  return aad;
}

}  // namespace ktlsim::tls
