// The sending side of a connection: plaintext into records with EncryptMessage, in place, then onto
// the socket.

#include <schannel.h>

#include <utility>

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

std::span<std::byte> TlsConnection::SendSpace() {
  if (state_ != State::kEstablished || close_wanted_) return {};
  const std::span<std::byte> space = send_queue_.Space();
  if (space.empty()) {
    write_wanted_ = true;
    // Nothing on its way whose end would tell us: memory is short.
    if (send_queue_.idle()) RetryIn(kNsPerMs);
  }
  return space;
}

void TlsConnection::CommitSend(std::size_t bytes) {
  if (state_ != State::kEstablished || close_wanted_) return;
  send_queue_.Commit(bytes);
  // From inside a handler once, when it has returned: so that several commits share a record.
  PumpSending();
}

bool TlsConnection::send_idle() const { return send_queue_.idle() && !token_ready_; }

bool TlsConnection::SealDue() const {
  if (state_ != State::kEstablished || seal_in_flight_ || hold_seals_ || token_ready_) return false;
  return seal_retry_ || send_queue_.HasUnsealed() || (close_wanted_ && !close_sealed_);
}

void TlsConnection::PumpSending() {
  if (in_handler_ || state_ == State::kDead || stream() == nullptr) return;
  if (SealDue()) SubmitSeal();
  if (state_ != State::kDead && !stream()->sending()) SendSealed();
}

void TlsConnection::SubmitSeal() {
  if (!seal_retry_) {
    sealing_alert_ = !send_queue_.HasUnsealed();
    record_ = sealing_alert_ ? send_queue_.BeginAlert() : send_queue_.BeginSeal();
    if (record_.start == nullptr) {
      RetryIn(kNsPerMs);
      return;
    }
  }
  const SendQueue::Sizes& sizes = send_queue_.sizes();
  std::byte* const data = record_.start + sizes.header;
  if (sealing_alert_) {
    // warning, close_notify (RFC 8446 6.1): how a caller without ApplyControlToken closes.
    data[0] = std::byte{1};
    data[1] = std::byte{0};
  }
  seal_buffers_[0] = {sizes.header, SECBUFFER_STREAM_HEADER, record_.start};
  seal_buffers_[1] = {record_.data_bytes, SECBUFFER_DATA, data};
  seal_buffers_[2] = {sizes.trailer, SECBUFFER_STREAM_TRAILER, data + record_.data_bytes};
  seal_buffers_[3] = {0, SECBUFFER_EMPTY, nullptr};
  seal_desc_ = {SECBUFFER_VERSION, 4, seal_buffers_};
  KTLSIM_CHECK(SspiReinitAsyncContext(seal_async_) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted = SspiEncryptMessageAsync(
      seal_async_, &context_, sealing_alert_ ? SECQOP_WRAP_OOB_DATA : 0, &seal_desc_, 0);
  seal_in_flight_ = submitted == SEC_E_OK;
  seal_retry_ = !seal_in_flight_;
  seal_renegotiations_ = renegotiations_;
  if (!seal_in_flight_ && !RetriesRefused(submitted)) Fail(EndKind::kRecordFailed, submitted);
}

void TlsConnection::SealCallback(SspiAsyncContext* context, void* self) {
  static_cast<TlsConnection*>(self)->OnSealed(SspiGetAsyncCallStatus(context));
}

void TlsConnection::OnSealed(SECURITY_STATUS status) {
  seal_in_flight_ = false;
  if (state_ == State::kDead) {
    FinishIfIdle();
    return;
  }
  if (status == SEC_E_OK) {
    send_queue_.EndSeal(seal_buffers_[0].cbBuffer, seal_buffers_[1].cbBuffer,
                        seal_buffers_[2].cbBuffer);
    shard_.counters().records_sealed.Add();
    if (sealing_alert_) {
      close_sealed_ = true;
    } else {
      shard_.counters().plaintext_sent.Add(record_.data_bytes);
    }
  } else if (status == SEC_E_CONTEXT_EXPIRED &&
             (hold_seals_ || renegotiations_ != seal_renegotiations_)) {
    // It met a post-handshake message that was just being read. The same record again, after it.
    seal_retry_ = true;
  } else if (status == SEC_E_INSUFFICIENT_MEMORY) {
    seal_retry_ = true;
    static_cast<void>(RetriesRefused(status));
  } else if (state_ != State::kFailed) {
    Fail(EndKind::kRecordFailed, status);
    return;
  }
  if (seal_retry_ && !hold_seals_ && retry_timer_.armed()) return;
  PumpSending();
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
    fin_sent_ = true;
    stream()->ShutdownSend();
    EndWhenBothClosed();
  }
}

bool TlsConnection::ReadyToSendFin() const {
  if (fin_sent_ || seal_in_flight_ || call_ == Call::kFetchAlert) return false;
  if (state_ == State::kFailed) return true;
  return state_ == State::kEstablished && close_sealed_;
}

void TlsConnection::TellWritable() {
  if (!write_wanted_ || in_handler_ || state_ != State::kEstablished || close_wanted_) return;
  if (send_queue_.Space().empty()) return;
  write_wanted_ = false;
  in_handler_ = true;
  handler_->OnWritable(*this);
  in_handler_ = false;
  send_queue_.ReleaseIfEmpty();
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
