// Record protection for EncryptMessage and DecryptMessage.

#include <schannel.h>

#include <algorithm>

#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/packages/tls_context.h"
#include "kernel_sim/sspi/packages/tls_status.h"
#include "tls/alert_text.h"

namespace ktlsim::sspi {
namespace {

bool IsHeader(const SecBuffer& buffer) {
  return TypeOf(buffer) == SECBUFFER_STREAM_HEADER || TypeOf(buffer) == SECBUFFER_TOKEN;
}
bool IsTrailer(const SecBuffer& buffer) {
  return TypeOf(buffer) == SECBUFFER_STREAM_TRAILER || TypeOf(buffer) == SECBUFFER_TOKEN;
}

// The next {STREAM_HEADER, DATA, STREAM_TRAILER} from `from` on; the number of buffers: none.
std::size_t FindPlaintext(std::span<const SecBuffer> buffers, std::size_t from) {
  for (std::size_t i = from; i + 2 < buffers.size(); ++i) {
    if (IsHeader(buffers[i]) && TypeOf(buffers[i + 1]) == SECBUFFER_DATA &&
        IsTrailer(buffers[i + 2])) {
      return i;
    }
  }
  return buffers.size();
}

// Before the first of several records: anything that would refuse a later one refuses all, so that
// the caller can try again with the same plaintext.
SECURITY_STATUS CheckSeveral(const tls::RecordWriter& writer, std::span<SecBuffer> buffers) {
  std::uint64_t records = 0;
  for (std::size_t i = FindPlaintext(buffers, 0); i < buffers.size();
       i = FindPlaintext(buffers, i + 3)) {
    ++records;
    if (IsNullWithSize(buffers[i + 1])) return SEC_E_INVALID_TOKEN;
    const tls::SealOutcome outcome =
        writer.CheckData(BytesOf(&buffers[i]).size(), BytesOf(&buffers[i + 1]).size(),
                         BytesOf(&buffers[i + 2]).size());
    if (outcome != tls::SealOutcome::kSealed) return StatusOfSeal(outcome);
  }
  return records <= writer.records_left() ? SEC_E_OK
                                          : StatusOfSeal(tls::SealOutcome::kLimitReached);
}

// How many records DecryptMessage may present: three buffers each, and one for what is left.
std::size_t TriplesIn(std::span<const SecBuffer> buffers) {
  std::size_t ours = 0;
  while (ours < buffers.size() &&
         (TypeOf(buffers[ours]) == SECBUFFER_EMPTY || TypeOf(buffers[ours]) == SECBUFFER_DATA)) {
    ++ours;
  }
  return ours < 4 ? 1 : (ours - 1) / 3;
}

// A whole record that appears to hold data. In TLS 1.3 every record does; in TLS 1.2 alerts and
// handshake messages are left for a call of their own.
bool BeginsWithDataRecord(std::span<const std::byte> wire) {
  return wire.size() >= tls::kRecordHeaderBytes &&
         wire[0] == static_cast<std::byte>(tls::ContentType::kApplicationData) &&
         wire.size() >= tls::RecordReader::RecordBytes(wire);
}

// Whole NewSessionTicket messages (RFC 8446 4.6.1) and nothing else.
bool HasTicketsOnly(std::span<const std::byte> messages) {
  constexpr std::byte kNewSessionTicket{4};
  while (messages.size() >= 4 && messages[0] == kNewSessionTicket) {
    const std::size_t bytes = std::to_integer<std::size_t>(messages[1]) << 16 |
                              std::to_integer<std::size_t>(messages[2]) << 8 |
                              std::to_integer<std::size_t>(messages[3]);
    if (messages.size() - 4 < bytes) return false;
    messages = messages.subspan(4 + bytes);
  }
  return messages.empty();
}

// Four buffers at least, one DATA and three EMPTY among them.
SecBuffer* FindCiphertext(std::span<SecBuffer> buffers) {
  SecBuffer* data = nullptr;
  int empty = 0;
  for (SecBuffer& buffer : buffers) {
    if (TypeOf(buffer) == SECBUFFER_EMPTY) ++empty;
    if (TypeOf(buffer) != SECBUFFER_DATA) continue;
    if (data != nullptr) return nullptr;
    data = &buffer;
  }
  return buffers.size() >= 4 && empty >= 3 ? data : nullptr;
}

SECURITY_STATUS TellMissing(std::span<SecBuffer> buffers, SecBuffer& data, std::size_t missing) {
  const auto bytes = static_cast<ULONG>(missing);
  data.BufferType = SECBUFFER_MISSING;
  data.cbBuffer = bytes;
  for (SecBuffer& buffer : buffers) {
    if (TypeOf(buffer) != SECBUFFER_EMPTY) continue;
    buffer.BufferType = SECBUFFER_MISSING;
    buffer.cbBuffer = bytes;
    break;
  }
  return SEC_E_INCOMPLETE_MESSAGE;
}

void SetRest(SecBuffer& buffer, std::span<std::byte> rest) {
  if (rest.empty()) {
    SetBuffer(buffer, SECBUFFER_EMPTY, {});
  } else {
    SetBuffer(buffer, SECBUFFER_EXTRA, rest);
  }
}

}  // namespace

inline SECURITY_STATUS TlsContext::EncryptOne(Connection& connection, tls::ContentType type,
                                              SecBuffer* record) {
  SecBuffer& header = record[0];
  SecBuffer& trailer = record[2];
  if (IsNullWithSize(record[1])) return SEC_E_INVALID_TOKEN;
  const tls::SealResult sealed =
      connection.tls.writer.Seal(type, BytesOf(&header), BytesOf(&record[1]), BytesOf(&trailer));
  if (sealed.outcome != tls::SealOutcome::kSealed) return StatusOfSeal(sealed.outcome);
  header.cbBuffer = static_cast<ULONG>(sealed.header_used);
  trailer.cbBuffer = static_cast<ULONG>(sealed.trailer_used);
  counters_.records_sealed.Add();
  return SEC_E_OK;
}

SECURITY_STATUS TlsContext::EncryptAlert(Connection& connection, SecBuffer* record) {
  const std::span<const std::byte> alert = BytesOf(&record[1]);
  if (alert.size() != 2) return SEC_E_INVALID_TOKEN;
  const bool ends = std::to_integer<unsigned>(alert[0]) == TLS1_ALERT_FATAL ||
                    std::to_integer<unsigned>(alert[1]) == TLS1_ALERT_CLOSE_NOTIFY;
  const SECURITY_STATUS status = EncryptOne(connection, tls::ContentType::kAlert, record);
  if (status == SEC_E_OK && ends) sealing_ended_.store(true, std::memory_order_release);
  return status;
}

SECURITY_STATUS TlsContext::Encrypt(ULONG qop, SecBufferDesc& message, ULONG) {
  if (qop != 0 && qop != SECQOP_WRAP_OOB_DATA) return SEC_E_QOP_NOT_SUPPORTED;
  if (reply_owed_.load(std::memory_order_acquire) || waiting_ ||
      sealing_ended_.load(std::memory_order_acquire)) {
    return SEC_E_CONTEXT_EXPIRED;
  }
  Connection& connection = *this->connection();
  const std::span<SecBuffer> buffers = BuffersOf(&message);
  std::size_t i = FindPlaintext(buffers, 0);
  if (i == buffers.size()) return SEC_E_INVALID_TOKEN;
  std::size_t next = FindPlaintext(buffers, i + 3);
  if (qop == SECQOP_WRAP_OOB_DATA) {
    return next == buffers.size() ? EncryptAlert(connection, &buffers[i]) : SEC_E_INVALID_TOKEN;
  }
  if (next != buffers.size()) {
    if (const SECURITY_STATUS status = CheckSeveral(connection.tls.writer, buffers);
        status != SEC_E_OK) {
      return status;
    }
  }
  for (;; i = next, next = FindPlaintext(buffers, i + 3)) {
    const SECURITY_STATUS status =
        EncryptOne(connection, tls::ContentType::kApplicationData, &buffers[i]);
    if (status != SEC_E_OK || next == buffers.size()) return status;
  }
}

SECURITY_STATUS TlsContext::Decrypt(SecBufferDesc& message, ULONG, ULONG* qop) {
  const std::span<SecBuffer> buffers = BuffersOf(&message);
  SecBuffer* data = FindCiphertext(buffers);
  if (data == nullptr || IsNullWithSize(*data)) return SEC_E_INVALID_TOKEN;
  Connection& connection = *this->connection();
  if (connection.leg_owed || connection.opening_ended) return SEC_E_CONTEXT_EXPIRED;
  const std::size_t triples = TriplesIn(buffers);
  std::span<std::byte> rest;
  SECURITY_STATUS status = OpenFirst(connection, buffers, *data, qop, &rest);
  for (std::size_t i = 1; status == SEC_E_OK && i < triples && BeginsWithDataRecord(rest); ++i) {
    status = OpenNext(connection, buffers.subspan(3 * i), qop, &rest);
  }
  return status;
}

SECURITY_STATUS TlsContext::OpenFirst(Connection& connection, std::span<SecBuffer> buffers,
                                      SecBuffer& data, ULONG* qop, std::span<std::byte>* rest) {
  const std::span<std::byte> wire = BytesOf(&data);
  if (wire.empty()) return TellMissing(buffers, data, tls::kRecordHeaderBytes);
  const tls::OpenResult record = connection.tls.reader.Open(wire);
  switch (record.outcome) {
    case tls::OpenResult::Outcome::kNeedMore:
      return TellMissing(buffers, data, record.missing);
    case tls::OpenResult::Outcome::kOpened:
    case tls::OpenResult::Outcome::kIgnored:
      break;
    case tls::OpenResult::Outcome::kAlert:
      return ReceiveAlert(connection, buffers, wire, record);
    case tls::OpenResult::Outcome::kNoMemory:
      return SEC_E_INSUFFICIENT_MEMORY;
    case tls::OpenResult::Outcome::kFailed:
      return FailRecord(connection, record.alert, record.why);
  }
  tls::PostHandshake& post = *connection.tls.post_handshake;
  if (post.mid_message() && record.type != tls::ContentType::kHandshake) {
    // A handshake message that is cut over records tolerates nothing in between (RFC 8446 5.1).
    return FailRecord(connection, tls::FatalAlert(tls::AlertDescription::kUnexpectedMessage),
                      "the peer sent something between the parts of a message");
  }
  *rest = wire.subspan(record.consumed);
  return Present(connection, buffers, wire, record, qop);
}

// After a record of data. A record that ends the connection is left for the next call, in which the
// reader returns the same: the plaintext before it must not be lost.
SECURITY_STATUS TlsContext::OpenNext(Connection& connection, std::span<SecBuffer> buffers,
                                     ULONG* qop, std::span<std::byte>* rest) {
  const std::span<std::byte> wire = *rest;
  *rest = {};
  const tls::OpenResult record = connection.tls.reader.Open(wire);
  if (record.outcome != tls::OpenResult::Outcome::kOpened &&
      record.outcome != tls::OpenResult::Outcome::kIgnored) {
    return SEC_E_OK;
  }
  *rest = wire.subspan(record.consumed);
  return Present(connection, buffers, wire, record, qop);
}

SECURITY_STATUS TlsContext::ReceiveAlert(Connection& connection, std::span<SecBuffer> buffers,
                                         std::span<std::byte> wire, const tls::OpenResult& record) {
  connection.opening_ended = true;
  if (record.alert.description == tls::AlertDescription::kCloseNotify) {
    // Its length from the header: the reader, when it repeats itself, consumes nothing.
    SetRest(buffers[3], wire.subspan(std::min(wire.size(), tls::RecordReader::RecordBytes(wire))));
    return SEC_I_CONTEXT_EXPIRED;
  }
  sealing_ended_.store(true, std::memory_order_release);
  const tls::Role role = connection.tls.facts.role;
  KeepFailure(tls::ReceivedAlertText(record.alert.description, role), record.alert, std::nullopt);
  return StatusOfReceivedAlert(record.alert.description);
}

// No more records can be opened; the next leg without input returns the alert.
SECURITY_STATUS TlsContext::FailRecord(Connection& connection, tls::Alert alert, const char* why) {
  KeepFailure(why, std::nullopt, alert);
  connection.kept_alert = alert;
  connection.opening_ended = true;
  sealing_ended_.store(true, std::memory_order_release);
  return StatusOfRecordFailure(alert.description);
}

SECURITY_STATUS TlsContext::Present(Connection& connection, std::span<SecBuffer> buffers,
                                    std::span<std::byte> wire, const tls::OpenResult& record,
                                    ULONG* qop) {
  *qop = 0;
  counters_.records_opened.Add();
  connection.bytes_opened += record.fragment.size();
  tls::PostHandshake& post = *connection.tls.post_handshake;
  if (post.waiting_for_ticket()) {
    static_cast<void>(post.Expired(host_.clock().NowNs(), connection.bytes_opened));
  }
  if (record.outcome == tls::OpenResult::Outcome::kOpened &&
      record.type == tls::ContentType::kHandshake) {
    return PresentHandshake(connection, buffers, wire, record);
  }
  const std::size_t trailer_at = record.header_bytes + record.fragment.size();
  SetBuffer(buffers[0], SECBUFFER_STREAM_HEADER, wire.first(record.header_bytes));
  SetBuffer(buffers[1], SECBUFFER_DATA, record.fragment);
  SetBuffer(buffers[2], SECBUFFER_STREAM_TRAILER,
            wire.subspan(trailer_at, record.consumed - trailer_at));
  SetRest(buffers[3], wire.subspan(record.consumed));
  return SEC_E_OK;
}

SECURITY_STATUS TlsContext::PresentHandshake(Connection& connection, std::span<SecBuffer> buffers,
                                             std::span<std::byte> wire,
                                             const tls::OpenResult& record) {
  const tls::ConnectionFacts& facts = connection.tls.facts;
  const std::size_t trailer_at = record.header_bytes + record.fragment.size();
  SetBuffer(buffers[0], SECBUFFER_STREAM_HEADER, wire.first(record.header_bytes));
  SetBuffer(buffers[1], SECBUFFER_DATA, record.fragment.first(0));
  SetBuffer(buffers[2], SECBUFFER_STREAM_TRAILER,
            wire.subspan(trailer_at, record.consumed - trailer_at));
  // A ticket needs no reply, so records that are sealed meanwhile, or wait in a queue, go on.
  OweLeg(connection, facts.version != tls::Version::kTls13 || !HasTicketsOnly(record.fragment));
  if (facts.version == tls::Version::kTls13) {
    // The plaintext goes back as a record of its own kind, and EXTRA begins there: callers pass
    // EXTRA, or the buffer as it was modified, and both are the same bytes.
    wire[0] = static_cast<std::byte>(tls::ContentType::kHandshake);
    connection.owed = {static_cast<std::uint32_t>(record.consumed),
                       static_cast<std::uint32_t>(record.header_bytes),
                       static_cast<std::uint32_t>(record.fragment.size())};
    SetBuffer(buffers[3], SECBUFFER_EXTRA, wire);
    return SEC_I_RENEGOTIATE;
  }
  const tls::PostHandshakeResult result =
      connection.tls.post_handshake->Consume(record.fragment, connection.tls.reader);
  if (result.outcome == tls::PostHandshakeResult::Outcome::kFailed) {
    LegDone(connection);
    const SECURITY_STATUS status = FailRecord(connection, result.alert, result.failure.what());
    return MemoryOr(result.failure, status);
  }
  if (result.outcome == tls::PostHandshakeResult::Outcome::kSendAlert) {
    connection.kept_alert = result.alert;
  }
  SetRest(buffers[3], wire.subspan(record.consumed));
  return SEC_I_RENEGOTIATE;
}

}  // namespace ktlsim::sspi
