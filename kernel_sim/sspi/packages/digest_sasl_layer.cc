#include "kernel_sim/sspi/packages/digest_sasl_layer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <openssl/crypto.h>

#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/packages/digest_attributes.h"

namespace ktlsim::sspi {
namespace {

using digest::Qop;

std::span<std::uint8_t> OctetsOf(SecBuffer* buffer) {
  const std::span<std::byte> bytes = BytesOf(buffer);
  return {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()};
}

// DATA and what follows it, in one piece; wiped.
class Joined {
 public:
  Joined(std::span<const std::uint8_t> data, std::size_t more) : bytes_(data.size() + more) {
    std::ranges::copy(data, bytes_.begin());
  }
  Joined(const Joined&) = delete;
  Joined& operator=(const Joined&) = delete;
  ~Joined() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  std::span<std::uint8_t> bytes() { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

SECURITY_STATUS StatusOf(digest::SaslVerdict verdict) {
  switch (verdict) {
    case digest::SaslVerdict::kGood:
      return SEC_E_OK;
    case digest::SaslVerdict::kAltered:
      return SEC_E_MESSAGE_ALTERED;
    case digest::SaslVerdict::kOutOfSequence:
      return SEC_E_OUT_OF_SEQUENCE;
    case digest::SaslVerdict::kNoMemory:
      return SEC_E_INSUFFICIENT_MEMORY;
  }
  return SEC_E_INTERNAL_ERROR;
}

}  // namespace

std::unique_ptr<DigestSaslLayer> DigestSaslLayer::Create(Direction direction,
                                                         const SaslAgreement& agreement,
                                                         const digest::HashValue& session_hash) {
  std::unique_ptr<DigestSaslLayer> layer(new DigestSaslLayer(agreement));
  digest::SaslKeys keys;
  if (!digest::DeriveSaslKeys(layer->out_hasher_, session_hash, agreement.cipher, &keys)) {
    return nullptr;
  }
  const bool server = direction == Direction::kInbound;
  layer->signs_ = server ? keys.server_signs : keys.client_signs;
  layer->verifies_ = server ? keys.client_signs : keys.server_signs;
  if (agreement.qop != Qop::kAuthConf) return layer;
  layer->sealer_ = digest::SaslSealer::Create(agreement.cipher, layer->signs_,
                                              server ? keys.server_seals : keys.client_seals);
  layer->opener_ = digest::SaslOpener::Create(agreement.cipher, layer->verifies_,
                                              server ? keys.client_seals : keys.server_seals);
  return layer->sealer_ != nullptr && layer->opener_ != nullptr ? std::move(layer) : nullptr;
}

SECURITY_STATUS DigestSaslLayer::Query(std::string_view username, ULONG flags,
                                       const digest::HashValue& session_hash,
                                       const AttributeQuery& query) const {
  const bool sealed = agreement_.qop == Qop::kAuthConf;
  DigestAttributes attributes;
  attributes.username = username;
  attributes.flags = flags;
  attributes.algorithm = digest::Algorithm::kMd5Sess;
  attributes.session_hash = &session_hash;
  attributes.since = agreement_.since;
  attributes.sizes = {
      .cbMaxToken = 4096,
      .cbMaxSignature = digest::kSaslSignatureBytes,
      .cbBlockSize = sealed ? static_cast<ULONG>(digest::BlockBytesOf(agreement_.cipher)) : 0,
      .cbSecurityTrailer = digest::kSaslSignatureBytes};
  attributes.target = agreement_.target;
  if (sealed) attributes.cipher = digest::NameOf(agreement_.cipher);
  return QueryDigest(attributes, query);
}

SECURITY_STATUS DigestSaslLayer::Sign(ULONG qop, SecBufferDesc& message) {
  if (qop != 0) return SEC_E_QOP_NOT_SUPPORTED;
  if (agreement_.qop != Qop::kAuthInt) return SEC_E_UNSUPPORTED_FUNCTION;
  return SignInto(message, SECBUFFER_TOKEN);
}

SECURITY_STATUS DigestSaslLayer::SignInto(SecBufferDesc& message, ULONG type) {
  SecBuffer* const data = FindBuffer(&message, SECBUFFER_DATA);
  SecBuffer* const signature = FindBuffer(&message, type);
  if (data == nullptr || signature == nullptr || IsNullWithSize(*data)) return SEC_E_INVALID_TOKEN;
  const std::span<std::uint8_t> room = OctetsOf(signature);
  if (room.size() < digest::kSaslSignatureBytes) return SEC_E_BUFFER_TOO_SMALL;
  if (OctetsOf(data).size() + room.size() > agreement_.peer_maxbuf) return SEC_E_ENCRYPT_FAILURE;
  // The last number is not used, so that none comes twice.
  if (out_number_ == UINT32_MAX) return SEC_E_CONTEXT_EXPIRED;
  if (!digest::SaslSign(out_hasher_, signs_, out_number_, OctetsOf(data),
                        room.first<digest::kSaslSignatureBytes>())) {
    return SEC_E_INSUFFICIENT_MEMORY;
  }
  ++out_number_;
  signature->cbBuffer = digest::kSaslSignatureBytes;
  return SEC_E_OK;
}

SECURITY_STATUS DigestSaslLayer::Seal(ULONG qop, SecBufferDesc& message) {
  if (agreement_.qop == Qop::kAuthInt && qop == SECQOP_WRAP_NO_ENCRYPT) {
    return SignInto(message, SECBUFFER_PADDING);
  }
  if (qop != 0 || sealer_ == nullptr) return SEC_E_QOP_NOT_SUPPORTED;
  SecBuffer* const data = FindBuffer(&message, SECBUFFER_DATA);
  SecBuffer* const padding = FindBuffer(&message, SECBUFFER_PADDING);
  if (data == nullptr || padding == nullptr || IsNullWithSize(*data)) return SEC_E_INVALID_TOKEN;
  const std::span<std::uint8_t> plain = OctetsOf(data);
  const std::span<std::uint8_t> room = OctetsOf(padding);
  const std::size_t sealed = sealer_->SealedBytes(plain.size());
  const std::size_t more = sealed - plain.size();
  if (room.size() < more) return SEC_E_BUFFER_TOO_SMALL;
  if (sealed > agreement_.peer_maxbuf) return SEC_E_ENCRYPT_FAILURE;
  Joined joined(plain, more);
  if (!sealer_->Seal(joined.bytes(), plain.size())) {
    return sealer_->usable() ? SEC_E_INSUFFICIENT_MEMORY : SEC_E_ENCRYPT_FAILURE;
  }
  std::ranges::copy(joined.bytes().first(plain.size()), plain.begin());
  std::ranges::copy(joined.bytes().subspan(plain.size()), room.begin());
  padding->cbBuffer = static_cast<ULONG>(more);
  return SEC_E_OK;
}

SECURITY_STATUS DigestSaslLayer::Verify(SecBufferDesc& message) {
  if (agreement_.qop != Qop::kAuthInt) return SEC_E_UNSUPPORTED_FUNCTION;
  SecBuffer* const data = FindBuffer(&message, SECBUFFER_DATA);
  SecBuffer* const signature = FindBuffer(&message, SECBUFFER_TOKEN);
  if (data == nullptr || signature == nullptr || IsNullWithSize(*data)) return SEC_E_INVALID_TOKEN;
  const digest::SaslVerdict verdict =
      digest::SaslVerify(in_hasher_, verifies_, in_number_, OctetsOf(data), OctetsOf(signature));
  if (verdict == digest::SaslVerdict::kGood) ++in_number_;
  return StatusOf(verdict);
}

SECURITY_STATUS DigestSaslLayer::Open(SecBufferDesc& message, ULONG* qop) {
  if (agreement_.qop == Qop::kAuth) return SEC_E_UNSUPPORTED_FUNCTION;
  SecBuffer* const data = FindBuffer(&message, SECBUFFER_DATA);
  SecBuffer* const padding = FindBuffer(&message, SECBUFFER_PADDING);
  if (data == nullptr || IsNullWithSize(*data)) return SEC_E_INVALID_TOKEN;
  const std::span<std::uint8_t> first = OctetsOf(data);
  const std::span<std::uint8_t> rest = OctetsOf(padding);
  Joined joined(first, rest.size());
  std::ranges::copy(rest, joined.bytes().subspan(first.size()).begin());
  std::size_t plain = 0;
  digest::SaslVerdict verdict = digest::SaslVerdict::kAltered;
  if (opener_ != nullptr) {
    *qop = 0;
    verdict = opener_->Open(joined.bytes(), &plain);
  } else if (joined.bytes().size() >= digest::kSaslSignatureBytes) {
    *qop = SECQOP_WRAP_NO_ENCRYPT;
    plain = joined.bytes().size() - digest::kSaslSignatureBytes;
    verdict = digest::SaslVerify(in_hasher_, verifies_, in_number_, joined.bytes().first(plain),
                                 joined.bytes().subspan(plain));
    if (verdict == digest::SaslVerdict::kGood) ++in_number_;
  }
  if (verdict != digest::SaslVerdict::kGood) return StatusOf(verdict);
  // The plaintext is shorter than what came; a caller that splits it splits it elsewhere.
  if (plain > first.size()) return SEC_E_INVALID_TOKEN;
  std::ranges::copy(joined.bytes().first(plain), first.begin());
  data->cbBuffer = static_cast<ULONG>(plain);
  if (padding != nullptr) padding->cbBuffer = 0;
  return SEC_E_OK;
}

}  // namespace ktlsim::sspi
