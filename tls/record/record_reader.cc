#include "tls/record/record_reader.h"

#include <algorithm>
#include <utility>

namespace ktlsim::tls {
namespace {

constexpr std::size_t kAlertBytes = 2;

std::size_t HeaderLength(std::span<const std::byte> wire) {
  return std::to_integer<std::size_t>(wire[3]) << 8 | std::to_integer<std::size_t>(wire[4]);
}

bool KnownInnerType(std::byte type) {
  const auto value = static_cast<ContentType>(std::to_integer<std::uint8_t>(type));
  return value == ContentType::kAlert || value == ContentType::kHandshake ||
         value == ContentType::kApplicationData;
}

constexpr const char* kTooLong = "the peer sent a record that is too long";

const char* WhyUndecrypted(AlertDescription failure) {
  if (failure == AlertDescription::kRecordOverflow) return kTooLong;
  return failure == AlertDescription::kUnexpectedMessage
             ? "the peer sends records of no use, or of no known type"
             : "a record was not authentic";
}

}  // namespace

struct RecordReader::Plaintext {
  ContentType type = ContentType::kApplicationData;
  std::size_t offset = 0;  // in the record
  std::size_t size = 0;
};

bool RecordReader::Init(ProtectionState state) { return protection_.Init(std::move(state)); }

std::size_t RecordReader::RecordBytes(std::span<const std::byte> wire) {
  if (wire.size() < kRecordHeaderBytes) return kRecordHeaderBytes;
  return std::min(kRecordHeaderBytes + HeaderLength(wire), kRecordBytesMax);
}

OpenResult RecordReader::Open(std::span<std::byte> wire) {
  if (ended_) return end_;
  if (!protection_.ready() || protection_.exhausted()) {
    return Fail(AlertDescription::kInternalError, "no key may open another record");
  }
  OpenResult result;
  if (wire.size() < kRecordHeaderBytes) {
    result.outcome = OpenResult::Outcome::kNeedMore;
    result.missing = kRecordHeaderBytes - wire.size();
    return result;
  }
  const bool tls13 = protection_.is_tls13();
  // RFC 8446 5.2 disguises every record as application data. A change_cipher_spec is none of ours
  // any more: it is tolerated before the peer's Finished only (RFC 8446 5).
  if (tls13 ? wire[0] != std::byte{23} : !KnownInnerType(wire[0])) {
    return Fail(AlertDescription::kUnexpectedMessage, "the peer sent a record of an unknown type");
  }
  if (wire[1] != std::byte{3} || wire[2] != std::byte{3}) {
    return Fail(AlertDescription::kProtocolVersion, "the peer sent a record of another version");
  }
  const std::size_t length = HeaderLength(wire);
  if (length > (tls13 ? kTls13CiphertextBytesMax : kTls12CiphertextBytesMax)) {
    return Fail(AlertDescription::kRecordOverflow, kTooLong);
  }
  const std::size_t record_bytes = kRecordHeaderBytes + length;
  if (wire.size() < record_bytes) {
    result.outcome = OpenResult::Outcome::kNeedMore;
    result.missing = record_bytes - wire.size();
    return result;
  }

  const std::span<std::byte> record = wire.first(record_bytes);
  Plaintext plaintext;
  AlertDescription failure = AlertDescription::kBadRecordMac;
  if (!Decrypt(record, plaintext, failure)) {
    // The only failure here that the peer has not caused.
    if (failure == AlertDescription::kInternalError) {
      result.outcome = OpenResult::Outcome::kNoMemory;
      return result;
    }
    Wipe(record);
    return Fail(failure, WhyUndecrypted(failure));
  }
  result.outcome = OpenResult::Outcome::kOpened;
  result.type = plaintext.type;
  result.fragment = record.subspan(plaintext.offset, plaintext.size);
  result.consumed = record_bytes;
  result.header_bytes = plaintext.offset;
  result.trailer_bytes = record_bytes - plaintext.offset - plaintext.size;
  return plaintext.type == ContentType::kAlert ? ReceiveAlert(result) : result;
}

bool RecordReader::Decrypt(std::span<std::byte> record, Plaintext& out, AlertDescription& failure) {
  if (!(protection_.is_tls13() ? DecryptTls13(record, out, failure)
                               : DecryptTls12(record, out, failure))) {
    return false;
  }
  protection_.Advance();
  // RFC 8446 5.1: only application data may be empty.
  if ((out.size == 0 && out.type != ContentType::kApplicationData) ||
      !WithinRunLimits(out.type, out.size)) {
    failure = AlertDescription::kUnexpectedMessage;
    return false;
  }
  return true;
}

bool RecordReader::DecryptTls13(std::span<std::byte> record, Plaintext& out,
                                AlertDescription& failure) {
  const std::span<std::byte> body = record.subspan(kRecordHeaderBytes);
  if (body.size() < kAeadTagBytes) return false;
  const std::span<std::byte> inner = body.first(body.size() - kAeadTagBytes);
  const std::span<const std::byte, kAeadTagBytes> tag = body.last<kAeadTagBytes>();
  const Bytes aad(reinterpret_cast<const std::uint8_t*>(record.data()), kRecordHeaderBytes);
  if (!OpenInPlace(protection_.ImplicitNonce(), aad, inner, tag, failure)) return false;

  // RFC 8446 5.4: content, type, zeros.
  if (inner.size() > kFragmentBytesMax + 1) {
    failure = AlertDescription::kRecordOverflow;
    return false;
  }
  std::size_t size = inner.size();
  while (size > 0 && inner[size - 1] == std::byte{0}) --size;
  if (size == 0 || !KnownInnerType(inner[size - 1])) {
    failure = AlertDescription::kUnexpectedMessage;
    return false;
  }
  out.type = static_cast<ContentType>(std::to_integer<std::uint8_t>(inner[size - 1]));
  out.offset = kRecordHeaderBytes;
  out.size = size - 1;
  // Padding does not count: max_fragment_length is about what a record carries.
  if (out.size > protection_.fragment_bytes_max()) {
    failure = AlertDescription::kRecordOverflow;
    return false;
  }
  return true;
}

bool RecordReader::DecryptTls12(std::span<std::byte> record, Plaintext& out,
                                AlertDescription& failure) {
  const std::size_t nonce_bytes = protection_.has_explicit_nonce() ? kExplicitNonceBytes : 0;
  const std::span<std::byte> body = record.subspan(kRecordHeaderBytes);
  if (body.size() < nonce_bytes + kAeadTagBytes) return false;
  out.type = static_cast<ContentType>(std::to_integer<std::uint8_t>(record[0]));
  out.offset = kRecordHeaderBytes + nonce_bytes;
  out.size = body.size() - nonce_bytes - kAeadTagBytes;
  if (out.size > protection_.fragment_bytes_max()) {
    failure = AlertDescription::kRecordOverflow;
    return false;
  }
  const RecordProtection::Nonce nonce =
      nonce_bytes != 0 ? protection_.ExplicitNonce(body.first<kExplicitNonceBytes>())
                       : protection_.ImplicitNonce();
  return OpenInPlace(nonce, protection_.MakeTls12Aad(out.type, out.size),
                     record.subspan(out.offset, out.size), body.last<kAeadTagBytes>(), failure);
}

bool RecordReader::OpenInPlace(const RecordProtection::Nonce& nonce, Bytes aad,
                               std::span<std::byte> data,
                               std::span<const std::byte, kAeadTagBytes> tag,
                               AlertDescription& failure) {
  Aead* aead = protection_.aead();
  if (aead == nullptr) {
    failure = AlertDescription::kInternalError;
    return false;
  }
  return aead->Open(nonce, aad, data, tag);
}

// Each record costs a decryption and carries nothing: a peer may send only so many in a row.
bool RecordReader::WithinRunLimits(ContentType type, std::size_t bytes) {
  if (type != ContentType::kApplicationData) {
    return ++control_records_ <= protection_.limits().control_records;
  }
  if (bytes == 0) return ++empty_records_ <= protection_.limits().empty_records;
  control_records_ = 0;
  empty_records_ = 0;
  key_updates_ = 0;
  return true;
}

OpenResult RecordReader::ReceiveAlert(OpenResult result) {
  if (result.fragment.size() != kAlertBytes) {
    return Fail(AlertDescription::kDecodeError, "the peer sent a malformed alert");
  }
  const auto level = std::to_integer<std::uint8_t>(result.fragment[0]);
  const auto description =
      static_cast<AlertDescription>(std::to_integer<std::uint8_t>(result.fragment[1]));
  result.fragment = {};
  result.alert = {static_cast<AlertLevel>(level), description};
  // RFC 8446 6: the level is ignored in TLS 1.3, where every alert but these two is an error alert.
  const bool warning = protection_.is_tls13()
                           ? description == AlertDescription::kUserCanceled
                           : level == static_cast<std::uint8_t>(AlertLevel::kWarning);
  if (warning && description != AlertDescription::kCloseNotify) {
    result.outcome = OpenResult::Outcome::kIgnored;
    return result;
  }
  if (protection_.is_tls13()) {
    if (description != AlertDescription::kCloseNotify) result.alert.level = AlertLevel::kFatal;
  } else if (level != 1 && level != 2) {
    return Fail(AlertDescription::kIllegalParameter, "the peer sent an alert of no known level");
  }
  result.outcome = OpenResult::Outcome::kAlert;
  ended_ = true;
  end_ = result;
  end_.consumed = end_.header_bytes = end_.trailer_bytes = 0;
  return result;
}

bool RecordReader::AdmitKeyUpdate() { return ++key_updates_ <= protection_.limits().key_updates; }

bool RecordReader::Rekey() {
  if (protection_.ready() && protection_.is_tls13()) return protection_.NextKey();
  Fail(AlertDescription::kInternalError, "there are no keys to update");
  return false;
}

OpenResult RecordReader::Fail(AlertDescription description, const char* why) {
  ended_ = true;
  end_ = OpenResult();
  end_.why = why;
  end_.outcome = OpenResult::Outcome::kFailed;
  end_.alert = FatalAlert(description);
  return end_;
}

}  // namespace ktlsim::tls
