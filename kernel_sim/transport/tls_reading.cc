// The reading of records: DecryptMessage in place, one record per call, and what its status
// requires.

#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {

void TlsConnection::PumpReading() {
  if (state_ != State::kEstablished || !legs_.idle() || in_handler_) return;
  // While a token of ours waits to be sent, no record is read that could require another one.
  if (!legs_.token().due() && legs_.post_handshake_owed()) {
    SubmitPostHandshake();
    return;
  }
  if (!legs_.token().due() && seals_.key_check_due()) {
    SubmitKeyCheck();
    return;
  }
  if ((Drops() && !legs_.post_handshake_owed()) || PeerHasClosed()) {
    legs_.input().Clear();
    limits_.EndRecord();
    return;
  }
  if (legs_.token().due()) return;
  if (reading_ == Reading::kPaused) {
    if (!legs_.input().Detach()) AbortFor(EndKind::kNoMemory);
    return;
  }
  switch (legs_.FirstRecordReady(LegSide::kRecordBytesMax, /*announced_is_free=*/false)) {
    case LegSide::Ready::kYes:
      SubmitDecrypt();
      break;
    case LegSide::Ready::kTooLong:
      FetchAlert(EndKind::kRecordFailed, SEC_E_INCOMPLETE_MESSAGE);
      return;
    case LegSide::Ready::kNoMemory:
      AbortFor(EndKind::kNoMemory);
      return;
    case LegSide::Ready::kNo:
      if (peer_end_ == PeerEnd::kFin) {
        PeerClosed(/*truncated=*/true);
        return;
      }
      if (!legs_.input().empty() && !limits_.record_begun() &&
          limits_.BeginRecord(loop().NowNs())) {
        SetLimitTimer();
      }
      break;
  }
  UpdateReceiving();
}

void TlsConnection::SubmitDecrypt() {
  const SECURITY_STATUS submitted = legs_.SubmitDecrypt(context_);
  if (submitted == SEC_E_OK) {
    limits_.EndRecord();
  } else if (!RetriesRefused(submitted)) {
    Fail(EndKind::kRecordFailed, submitted);
  }
}

void TlsConnection::OnDecrypted(SECURITY_STATUS status) {
  switch (status) {
    case SEC_E_OK: {
      const LegSide::Opened opened = legs_.opened();
      shard_.counters().records_opened.Add();
      if (!opened.plaintext.empty() && !Deliver(opened.plaintext)) return;
      // Only now: the plaintext lay in these bytes.
      legs_.input().Consume(opened.used);
      Pump();
      return;
    }
    case SEC_E_INCOMPLETE_MESSAGE:
      legs_.WantMore();
      PumpReading();
      return;
    case SEC_I_RENEGOTIATE:
      StartPostHandshake();
      return;
    case SEC_I_CONTEXT_EXPIRED:
      PeerClosed(/*truncated=*/false);
      return;
    default:
      FetchAlert(EndKind::kRecordFailed, status);
      return;
  }
}

bool TlsConnection::Deliver(std::span<std::byte> plaintext) {
  shard_.counters().plaintext_received.Add(plaintext.size());
  bool alive = true;
  if (!Drops()) {
    limits_.Touch(loop().NowNs());
    alive = CallHandler([&](auto& handler) { handler.OnPlaintext(*this, plaintext); });
  }
  // It lies in memory that other connections get next: a buffer of the pool, or a receive buffer of
  // the loop.
  Wipe(plaintext);
  return alive;
}

void TlsConnection::PeerClosed(bool truncated) {
  Move(truncated && !CloseIsSealed() ? PeerEndEvent::kTruncate : PeerEndEvent::kClose);
  limits_.EndRecord();
  legs_.input().Clear();
  if (!Drops() && !CallHandler([&](auto& handler) { handler.OnPeerClosed(*this, truncated); })) {
    return;
  }
  UpdateReceiving();
  Pump();
  EndWhenBothClosed();
}

// A ticket, a key update or a request to authenticate came in: it is for a leg. No record may be
// sealed until that has run.
void TlsConnection::StartPostHandshake() {
  seals_.Hold();
  legs_.OwePostHandshake(UsesTls13());
  SubmitPostHandshake();
}

void TlsConnection::SubmitPostHandshake() {
  if (!legs_.input().Detach()) {
    AbortFor(EndKind::kNoMemory);
    return;
  }
  const bool with_input = legs_.owed() == OwedLeg::kPostHandshake;
  SubmitLeg(LegCall::kPostHandshake, with_input ? legs_.NextInput() : std::span<std::byte>());
}

// So many records were sealed that a key update may be due: only a leg can say so, and return the
// KeyUpdate. Records sealed after it must be sent after it.
void TlsConnection::SubmitKeyCheck() {
  seals_.BeginKeyCheck();
  // TLS 1.2 has no way to change keys.
  if (CloseIsSealed() || !UsesTls13()) {
    Pump();
    return;
  }
  seals_.Hold();
  legs_.Owe(OwedLeg::kWithoutInput);
  SubmitPostHandshake();
}

bool TlsConnection::UsesTls13() {
  SecPkgContext_ConnectionInfo info{};
  if (QueryContextAttributesA(&context_, SECPKG_ATTR_CONNECTION_INFO, &info) != SEC_E_OK) {
    return true;
  }
  return (info.dwProtocol & SP_PROT_TLS1_3) != 0;
}

}  // namespace ktlsim::transport
