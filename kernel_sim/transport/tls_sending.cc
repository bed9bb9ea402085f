// The sending side of a connection: plaintext into records with EncryptMessage, in place, then onto
// the socket.

#include <schannel.h>

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

std::span<std::byte> TlsConnection::SendSpace() {
  if (!MaySend()) return {};
  const std::span<std::byte> space = seals_.queue().Space(loop().NowNs());
  if (space.empty()) {
    write_wanted_ = true;
    // Memory is short, and nothing is in flight whose end would call us.
    if (seals_.queue().idle()) RetryIn(kNsPerMs);
  }
  return space;
}

void TlsConnection::CommitSend(std::size_t bytes) {
  if (!MaySend()) return;
  seals_.queue().Commit(bytes);
  // Inside a handler only once, after it has returned, so that several commits share a record.
  PumpSending();
}

bool TlsConnection::send_idle() const { return seals_.queue().idle() && !legs_.token().due(); }

bool TlsConnection::SealDue() const {
  if (state_ != State::kEstablished || legs_.token().due()) return false;
  return seals_.Due(/*close_due=*/our_end_ == OurEnd::kWanted);
}

void TlsConnection::PumpSending() {
  if (in_handler_ || state_ == State::kDead || stream() == nullptr) return;
  if (SealDue()) SubmitSeal();
  if (state_ != State::kDead && !stream()->sending()) SendSealed();
}

void TlsConnection::SubmitSeal() {
  if (!seals_.Describe()) {
    RetryIn(kRetryNs);
    return;
  }
  const SECURITY_STATUS submitted = seals_.Submit(context_);
  if (submitted != SEC_E_OK && !RetriesRefused(submitted)) {
    Fail(EndKind::kRecordFailed, submitted);
  }
}

void TlsConnection::SealCallback(SspiAsyncContext* /*context*/, void* self) {
  auto& connection = *static_cast<TlsConnection*>(self);
  if (connection.shard_.notified_on_loop()) {
    connection.OnSealDone();
  } else {
    connection.loop().Post(connection.seal_return_);
  }
}

void TlsConnection::OnSealDone() {
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(seals_.async());
  const SealSide::Outcome outcome =
      seals_.Finish(status, /*keys_may_change=*/state_ == State::kEstablished);
  if (state_ == State::kDead) {
    FinishIfIdle();
    return;
  }
  switch (outcome) {
    case SealSide::Outcome::kSealed:
      shard_.counters().plaintext_sent.Add(seals_.plaintext_bytes());
      shard_.counters().records_sealed.Add();
      break;
    case SealSide::Outcome::kSealedClose:
      Move(OurEndEvent::kSeal);
      shard_.counters().records_sealed.Add();
      break;
    case SealSide::Outcome::kLater:
      break;
    case SealSide::Outcome::kShortOfMemory:
      static_cast<void>(RetriesRefused(status));
      break;
    case SealSide::Outcome::kFailed:
      if (state_ == State::kFailed) break;
      Fail(EndKind::kRecordFailed, status);
      return;
  }
  if (seals_.retry_due() && !seals_.held() && retry_timer_.armed()) return;
  if (seals_.key_check_due()) PumpReading();
  PumpSending();
}

// One send at a time, in the order of sealing: records, then a token that was made after them,
// then FIN.
void TlsConnection::SendSealed() {
  if (seals_.HoldsFront()) return;
  const std::span<const std::byte> sealed = seals_.BeginSend();
  if (!sealed.empty()) {
    shard_.counters().socket_sends.Add();
    stream()->Send(sealed);
  } else if (legs_.token().due()) {
    legs_.token().BeginSend();
    shard_.counters().socket_sends.Add();
    stream()->Send(legs_.token().bytes());
  } else if (ReadyToSendFin()) {
    Move(OurEndEvent::kFin);
    stream()->ShutdownSend();
    EndWhenBothClosed();
  }
}

bool TlsConnection::ReadyToSendFin() const {
  if (our_end_ == OurEnd::kFin || seals_.in_flight() || legs_.call() == LegCall::kFetchAlert)
    return false;
  if (state_ == State::kFailed) return true;
  if (state_ != State::kEstablished) return false;
  return our_end_ == OurEnd::kSealed || (our_end_ == OurEnd::kCut && seals_.queue().idle());
}

void TlsConnection::TellWritable() {
  if (!write_wanted_ || in_handler_ || !MaySend()) return;
  if (seals_.queue().Space(loop().NowNs()).empty()) {
    // As in SendSpace: a shortage may last longer than one try.
    if (seals_.queue().idle()) RetryIn(kNsPerMs);
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
