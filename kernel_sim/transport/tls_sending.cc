// The sending side of a connection: plaintext into records with EncryptMessage, in place, then onto
// the socket.

#include <schannel.h>

#include <utility>

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

std::span<std::byte> TlsConnection::SendSpace() {
  if (!MaySend()) return {};
  const std::span<std::byte> space = send_queue_.Space(loop().NowNs());
  if (space.empty()) {
    write_wanted_ = true;
    // Nothing on its way whose end would tell us: memory is short.
    if (send_queue_.idle()) RetryIn(kNsPerMs);
  }
  return space;
}

void TlsConnection::CommitSend(std::size_t bytes) {
  if (!MaySend()) return;
  send_queue_.Commit(bytes);
  // From inside a handler once, when it has returned: so that several commits share a record.
  PumpSending();
}

bool TlsConnection::send_idle() const { return send_queue_.idle() && !token_ready_; }

bool TlsConnection::SealDue() const {
  if (state_ != State::kEstablished || seal_in_flight_ || hold_seals_ || token_ready_) return false;
  if (key_check_due_) return false;
  return seal_retry_ || send_queue_.HasUnsealed() || our_end_ == OurEnd::kWanted;
}

void TlsConnection::PumpSending() {
  if (in_handler_ || state_ == State::kDead || stream() == nullptr) return;
  if (SealDue()) SubmitSeal();
  if (state_ != State::kDead && !stream()->sending()) SendSealed();
}

// Describes the next records to be sealed. False: no memory for an alert's; it will be tried again.
bool TlsConnection::TakeRecords() {
  const SendQueue::Sizes& sizes = send_queue_.sizes();
  std::array<SendQueue::Record, kSealRecordsMax> records;
  std::size_t count = 1;
  sealing_alert_ = !send_queue_.HasUnsealed();
  if (sealing_alert_) {
    records[0] = send_queue_.BeginAlert();
    if (records[0].start == nullptr) {
      RetryIn(kNsPerMs);
      return false;
    }
    // warning, close_notify (RFC 8446 6.1): how a caller without ApplyControlToken closes.
    records[0].start[sizes.header] = std::byte{1};
    records[0].start[sizes.header + 1] = std::byte{0};
  } else {
    count = send_queue_.BeginSeal(records);
  }
  SecBuffer* place = seal_buffers_;
  for (const SendQueue::Record& record : std::span(records).first(count)) {
    std::byte* const data = record.start + sizes.header;
    *place++ = {sizes.header, SECBUFFER_STREAM_HEADER, record.start};
    *place++ = {record.data_bytes, SECBUFFER_DATA, data};
    *place++ = {sizes.trailer, SECBUFFER_STREAM_TRAILER, data + record.data_bytes};
  }
  *place++ = {0, SECBUFFER_EMPTY, nullptr};
  seal_desc_ = {SECBUFFER_VERSION, static_cast<ULONG>(place - seal_buffers_), seal_buffers_};
  return true;
}

void TlsConnection::SubmitSeal() {
  // A retry finds everything described: a refused EncryptMessage has changed nothing.
  if (!seal_retry_ && !TakeRecords()) return;
  KTLSIM_CHECK(SspiReinitAsyncContext(seal_async_) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted = SspiEncryptMessageAsync(
      seal_async_, &context_, sealing_alert_ ? SECQOP_WRAP_OOB_DATA : 0, &seal_desc_, 0);
  seal_in_flight_ = submitted == SEC_E_OK;
  seal_retry_ = !seal_in_flight_;
  seal_renegotiations_ = renegotiations_;
  if (!seal_in_flight_ && !RetriesRefused(submitted)) Fail(EndKind::kRecordFailed, submitted);
}

void TlsConnection::SealCallback(SspiAsyncContext* context, void* self) {
  static_cast<void>(context);
  auto& connection = *static_cast<TlsConnection*>(self);
  if (connection.shard_.notified_on_loop()) {
    connection.OnSealDone();
  } else {
    connection.loop().Post(connection.seal_return_);
  }
}

void TlsConnection::OnSealDone() { OnSealed(SspiGetAsyncCallStatus(seal_async_)); }

void TlsConnection::OnSealed(SECURITY_STATUS status) {
  seal_in_flight_ = false;
  if (state_ == State::kDead) {
    FinishIfIdle();
    return;
  }
  if (status == SEC_E_OK) {
    CountSealed();
  } else if (status == SEC_E_CONTEXT_EXPIRED &&
             (hold_seals_ || renegotiations_ != seal_renegotiations_)) {
    // It met a post-handshake message that was just being read. The same records again, after it.
    seal_retry_ = true;
  } else if (status == SEC_E_CONTEXT_EXPIRED && state_ == State::kEstablished &&
             !std::exchange(key_limit_met_, true)) {
    // Perhaps the key may seal no more: the same records again, under the next one.
    seal_retry_ = true;
    key_check_due_ = true;
  } else if (status == SEC_E_INSUFFICIENT_MEMORY) {
    seal_retry_ = true;
    static_cast<void>(RetriesRefused(status));
  } else if (state_ != State::kFailed) {
    Fail(EndKind::kRecordFailed, status);
    return;
  }
  if (seal_retry_ && !hold_seals_ && retry_timer_.armed()) return;
  if (key_check_due_) PumpReading();
  PumpSending();
}

void TlsConnection::CountSealed() {
  const std::size_t records = seal_desc_.cBuffers / 3;
  for (std::size_t i = 0; i < records; ++i) {
    const SecBuffer* record = seal_buffers_ + 3 * i;
    send_queue_.EndSeal(record[0].cbBuffer, record[1].cbBuffer, record[2].cbBuffer);
    if (!sealing_alert_) shard_.counters().plaintext_sent.Add(record[1].cbBuffer);
  }
  if (sealing_alert_) {
    Move(OurEndEvent::kSeal);
  } else {
    data_queued_ = true;
  }
  shard_.counters().records_sealed.Add(records);
  key_limit_met_ = false;
  records_since_key_check_ += records;
  // EncryptMessage has no room for a KeyUpdate: the leg functions hand it out, when asked.
  if (records_since_key_check_ >= profile_.records_between_key_checks()) key_check_due_ = true;
}

// One send at a time, in the order of sealing: records, then a token that was made behind them,
// then FIN.
void TlsConnection::SendSealed() {
  // What is being sealed right now travels along.
  if (seal_in_flight_ && send_queue_.sealing_front()) return;
  const std::span<const std::byte> sealed = send_queue_.Sealed();
  if (!sealed.empty()) {
    sending_bytes_ = sealed.size();
    shard_.counters().socket_sends.Add();
    stream()->Send(sealed);
  } else if (token_ready_) {
    token_sending_ = true;
    shard_.counters().socket_sends.Add();
    stream()->Send({token_->bytes(), token_bytes_});
  } else if (ReadyToSendFin()) {
    Move(OurEndEvent::kFin);
    stream()->ShutdownSend();
    EndWhenBothClosed();
  }
}

bool TlsConnection::ReadyToSendFin() const {
  if (our_end_ == OurEnd::kFin || seal_in_flight_ || call_ == Call::kFetchAlert) return false;
  if (state_ == State::kFailed) return true;
  return state_ == State::kEstablished && our_end_ == OurEnd::kSealed;
}

void TlsConnection::TellWritable() {
  if (!write_wanted_ || in_handler_ || !MaySend()) return;
  if (send_queue_.Space(loop().NowNs()).empty()) {
    // As in SendSpace: a shortage may last longer than one try.
    if (send_queue_.idle()) RetryIn(kNsPerMs);
    return;
  }
  write_wanted_ = false;
  if (!CallHandler([&](auto& handler) { handler.OnWritable(*this); })) return;
  PumpSending();
  // The handler may have asked for reading.
  PumpReading();
}

ConnectionInfo TlsConnection::Info() {
  ConnectionInfo info;
  if (!established_ || !SecIsValidHandle(&context_)) return info;
  SecPkgContext_CipherInfo cipher{};
  cipher.dwVersion = SECPKGCONTEXT_CIPHERINFO_V1;
  if (QueryContextAttributesA(&context_, SECPKG_ATTR_CIPHER_INFO, &cipher) == SEC_E_OK) {
    info.version = static_cast<std::uint16_t>(cipher.dwProtocol);
    info.cipher_suite = static_cast<std::uint16_t>(cipher.dwCipherSuite);
    info.group = static_cast<std::uint16_t>(cipher.dwKeyType);
    for (const WCHAR* c = cipher.szCipherSuite; *c != 0; ++c) {
      info.cipher_suite_name += static_cast<char>(*c);  // the names are ASCII
    }
  }
  SecPkgContext_SessionInfo session{};
  if (QueryContextAttributesA(&context_, SECPKG_ATTR_SESSION_INFO, &session) == SEC_E_OK) {
    info.resumed = (session.dwFlags & SSL_SESSION_RECONNECT) != 0;
  }
  SecPkgContext_ApplicationProtocol alpn{};
  if (QueryContextAttributesA(&context_, SECPKG_ATTR_APPLICATION_PROTOCOL, &alpn) == SEC_E_OK &&
      alpn.ProtoNegoStatus == SecApplicationProtocolNegotiationStatus_Success) {
    info.alpn.assign(reinterpret_cast<const char*>(alpn.ProtocolId), alpn.ProtocolIdSize);
  }
  return info;
}

}  // namespace ktlsim::transport
