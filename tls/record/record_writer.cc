#include "tls/record/record_writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "kernel_sim/base/assert.h"

namespace ktlsim::tls {
namespace {

constexpr std::uint8_t kKeyUpdateType = 24;  // RFC 8446 4.6.3

void PutHeader(ContentType type, std::size_t length, std::span<std::byte> out) {
  // One store for the first four: the cipher reads them as one word.
  const std::array head = {static_cast<std::byte>(type), std::byte{3}, std::byte{3},
                           static_cast<std::byte>(length >> 8)};
  std::memcpy(out.data(), head.data(), head.size());
  out[4] = static_cast<std::byte>(length & 0xff);
}

[[maybe_unused]] bool Disjoint(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.empty() || b.empty() || a.data() + a.size() <= b.data() ||
         b.data() + b.size() <= a.data();
}

}  // namespace

bool RecordWriter::Init(ProtectionState state) {
  explicit_nonce_ = state.explicit_nonce;
  return protection_.Init(std::move(state));
}

std::size_t RecordWriter::header_bytes() const {
  return kRecordHeaderBytes + (protection_.has_explicit_nonce() ? kExplicitNonceBytes : 0);
}

std::size_t RecordWriter::trailer_bytes() const {
  return (protection_.is_tls13() ? 1 : 0) + kAeadTagBytes;
}

// RFC 8446 5.5 bounds AES-GCM only. TLS 1.2 has no such rule and no way to change keys: there the
// sequence number is the bound.
bool RecordWriter::key_update_due() const {
  return protection_.ready() && protection_.is_tls13() &&
         protection_.suite().aead != AeadId::kChaCha20Poly1305 &&
         protection_.sequence_number() >= protection_.limits().records_before_update;
}

SealOutcome RecordWriter::CheckSeal(ContentType type, std::size_t header, std::size_t data,
                                    std::size_t trailer) const {
  if (failed_ || !protection_.ready()) return SealOutcome::kFailed;
  // Another alert may follow one that ended the data: its peer ignores it (RFC 8446 6.1).
  if (closed_ && type != ContentType::kAlert) return SealOutcome::kClosed;
  if (data > max_fragment() || (data == 0 && type != ContentType::kApplicationData)) {
    return SealOutcome::kBadLength;
  }
  if (header < header_bytes() || trailer < trailer_bytes()) return SealOutcome::kNoSpace;
  if (protection_.exhausted()) return SealOutcome::kLimitReached;
  // Alerts and key updates are allowed: they get the connection out of this state.
  const bool limited = key_update_due() && type == ContentType::kApplicationData;
  if (limited && protection_.sequence_number() >= protection_.limits().records_per_key) {
    return SealOutcome::kLimitReached;
  }
  return SealOutcome::kSealed;
}

std::uint64_t RecordWriter::records_left() const {
  if (failed_ || closed_ || !protection_.ready()) return 0;
  const bool bounded =
      protection_.is_tls13() && protection_.suite().aead != AeadId::kChaCha20Poly1305;
  // The update comes before the end, whatever the two limits say.
  const RecordLimits& limits = protection_.limits();
  const std::uint64_t end =
      bounded ? std::max(limits.records_per_key, limits.records_before_update) : UINT64_MAX;
  return end - std::min(end, protection_.sequence_number());
}

SealResult RecordWriter::Seal(ContentType type, std::span<std::byte> header,
                              std::span<std::byte> data, std::span<std::byte> trailer) {
  const SealOutcome check = CheckSeal(type, header.size(), data.size(), trailer.size());
  if (check != SealOutcome::kSealed) return {check, 0, 0};
  header = header.first(header_bytes());
  trailer = trailer.first(trailer_bytes());
  KTLSIM_ASSERT(Disjoint(header, data));
  KTLSIM_ASSERT(Disjoint(header, trailer));
  KTLSIM_ASSERT(Disjoint(data, trailer));
  const SealOutcome sealed = protection_.is_tls13() ? SealTls13(type, header, data, trailer)
                                                    : SealTls12(type, header, data, trailer);
  if (sealed != SealOutcome::kSealed) {
    // The nonce may have been used: it must not be used again.
    failed_ = sealed != SealOutcome::kNoMemory;
    return {sealed, 0, 0};
  }
  protection_.Advance();
  return {SealOutcome::kSealed, header.size(), trailer.size()};
}

SealOutcome RecordWriter::SealTls13(ContentType type, std::span<std::byte> header,
                                    std::span<std::byte> data, std::span<std::byte> trailer) {
  Aead* const aead = protection_.aead();
  if (aead == nullptr) return SealOutcome::kNoMemory;
  trailer[0] = static_cast<std::byte>(type);
  PutHeader(ContentType::kApplicationData, data.size() + trailer.size(), header);
  const Bytes aad(reinterpret_cast<const std::uint8_t*>(header.data()), kRecordHeaderBytes);
  const bool sealed = aead->Seal(protection_.ImplicitNonce(), aad, data, trailer.first<1>(),
                                 trailer.last<kAeadTagBytes>());
  return sealed ? SealOutcome::kSealed : SealOutcome::kFailed;
}

SealOutcome RecordWriter::SealTls12(ContentType type, std::span<std::byte> header,
                                    std::span<std::byte> data, std::span<std::byte> trailer) {
  Aead* const aead = protection_.aead();
  if (aead == nullptr) return SealOutcome::kNoMemory;
  const std::size_t nonce_bytes = header.size() - kRecordHeaderBytes;
  PutHeader(type, nonce_bytes + data.size() + trailer.size(), header);
  RecordProtection::Nonce nonce = protection_.ImplicitNonce();
  if (protection_.has_explicit_nonce()) {
    const auto explicit_part = header.last<kExplicitNonceBytes>();
    for (std::size_t i = 0; i < kExplicitNonceBytes; ++i) {
      explicit_part[i] = static_cast<std::byte>(explicit_nonce_ >> (56 - 8 * i) & 0xff);
    }
    nonce = protection_.ExplicitNonce(explicit_part);
    ++explicit_nonce_;
  }
  const bool sealed = aead->Seal(nonce, protection_.MakeTls12Aad(type, data.size()), data, {},
                                 trailer.first<kAeadTagBytes>());
  return sealed ? SealOutcome::kSealed : SealOutcome::kFailed;
}

SealOutcome RecordWriter::SealControl(ContentType type, std::span<const std::uint8_t> message,
                                      std::span<std::byte> out, std::size_t& used) {
  used = 0;
  if (!protection_.ready()) return SealOutcome::kFailed;
  const std::size_t needed = header_bytes() + message.size() + trailer_bytes();
  if (out.size() < needed) return SealOutcome::kNoSpace;
  const std::span<std::byte> data = out.subspan(header_bytes(), message.size());
  std::memcpy(data.data(), message.data(), message.size());
  const SealResult result =
      Seal(type, out.first(header_bytes()), data, out.subspan(header_bytes() + message.size()));
  if (result.outcome == SealOutcome::kSealed) used = needed;
  return result.outcome;
}

SealOutcome RecordWriter::SealAlert(Alert alert, std::span<std::byte> out, std::size_t& used) {
  const std::array message = {static_cast<std::uint8_t>(alert.level),
                              static_cast<std::uint8_t>(alert.description)};
  const SealOutcome outcome = SealControl(ContentType::kAlert, message, out, used);
  if (outcome == SealOutcome::kSealed &&
      (alert.level == AlertLevel::kFatal || alert.description == AlertDescription::kCloseNotify)) {
    closed_ = true;
  }
  return outcome;
}

SealOutcome RecordWriter::SealKeyUpdate(bool request_peer, std::span<std::byte> out,
                                        std::size_t& used) {
  used = 0;
  if (!protection_.ready() || !protection_.is_tls13()) return SealOutcome::kFailed;
  const std::array message = {kKeyUpdateType, std::uint8_t{0}, std::uint8_t{0}, std::uint8_t{1},
                              static_cast<std::uint8_t>(request_peer ? 1 : 0)};
  // First what can fail: after this record the peer expects the next key.
  RecordProtection::Next next;
  if (!protection_.DeriveNext(next)) return SealOutcome::kNoMemory;
  const SealOutcome outcome = SealControl(ContentType::kHandshake, message, out, used);
  if (outcome == SealOutcome::kSealed) protection_.Install(std::move(next));
  return outcome;
}

}  // namespace ktlsim::tls
