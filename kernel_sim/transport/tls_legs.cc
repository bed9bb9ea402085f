// The leg side of a connection: the results of its calls, and the handshake that they make. A
// stored context is deleted on every way out.

#include <schannel.h>

#include <new>

#include "io/passive_job.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {
namespace {

// RFC 8446 6.
constexpr std::uint8_t kUnexpectedMessage = 10;
constexpr std::uint8_t kRecordOverflow = 22;

}  // namespace

void TlsConnection::LegCallback(SspiAsyncContext* /*context*/, void* self) {
  auto& connection = *static_cast<TlsConnection*>(self);
  if (connection.shard_.notified_on_loop()) {
    connection.OnLegSideDone();
  } else {
    connection.loop().Post(connection.leg_return_);
  }
}

void TlsConnection::OnLegSideDone() {
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(legs_.async());
  const LegCall call = legs_.Finish();
  if (legs_.TakeContext(&context_)) shard_.counters().security_contexts.Add();
  if (state_ == State::kDead) {
    FinishIfIdle();
    return;
  }
  if (state_ == State::kFailed && call != LegCall::kFetchAlert) {
    // The seal side failed meanwhile; the result of this call does not matter any more.
    legs_.token().Drop();
    legs_.input().Clear();
    PumpSending();
    return;
  }
  switch (call) {
    case LegCall::kLeg:
      shard_.counters().legs.Add();
      OnLeg(legs_.OnLeg(status), status);
      return;
    case LegCall::kDecrypt:
      OnDecrypted(status);
      return;
    case LegCall::kPostHandshake:
      OnPostHandshake(status);
      return;
    case LegCall::kFetchAlert:
      OnAlertFetched(status);
      return;
    case LegCall::kNone:
    case LegCall::kComplete:
    case LegCall::kAskForAlert:
      break;
  }
  KTLSIM_CHECK(false);
}

// ---- Submitting

void TlsConnection::PumpLegs() {
  // A token is sent before the next one is made: there is one place for it.
  if (state_ != State::kHandshake || !legs_.idle() || legs_.token().due()) return;
  if (!HasCredential()) return;
  if (legs_.owed() == OwedLeg::kFirst) {
    SubmitLeg(LegCall::kLeg, {});
    return;
  }
  // A length that was only announced costs nothing until its bytes are there.
  switch (legs_.FirstRecordReady(profile().limits().incomplete_bytes_max,
                                 /*announced_is_free=*/true)) {
    case LegSide::Ready::kYes:
      SubmitLeg(LegCall::kLeg, legs_.NextInput());
      return;
    case LegSide::Ready::kTooLong:
      FailWithAlert(EndKind::kTooManyBytes, kRecordOverflow);
      return;
    case LegSide::Ready::kNoMemory:
      AbortFor(EndKind::kNoMemory);
      return;
    case LegSide::Ready::kNo:
      AwaitPeer();
      return;
  }
}

void TlsConnection::AwaitPeer() {
  if (peer_end_ == PeerEnd::kFin) {
    EndGracefully(any_received_ ? EndKind::kClosedInHandshake : EndKind::kClosedBeforeHandshake);
    return;
  }
  UpdateReceiving();
}

// Fail or a later Pump deal with a refusal.
void TlsConnection::SubmitLeg(LegCall call, std::span<std::byte> input) {
  if (call == LegCall::kLeg && legs_.answered() >= profile().limits().legs_max) {
    FailWithAlert(EndKind::kTooManyLegs, kUnexpectedMessage);
    return;
  }
  if (!legs_.token().Prepare()) {
    RetryIn(kRetryNs);
    return;
  }
  const SECURITY_STATUS submitted = legs_.SubmitLeg(call, context_, input);
  if (submitted == SEC_E_OK) {
    if (limits_.peer_is_slow()) PeerHasAnswered();
    return;
  }
  const bool first = legs_.answered() == 0 && profile().is_server() && !SecIsValidHandle(&context_);
  if (submitted == SEC_E_INSUFFICIENT_MEMORY && first) {
    // Nothing has been spent on this peer yet: refusing it is better than serving it too late.
    shard_.counters().submissions_refused.Add();
    shard_.OnRefusedForOverload();
    EndGracefully(EndKind::kRefusedForOverload);
  } else if (!RetriesRefused(submitted)) {
    Fail(established_ ? EndKind::kRecordFailed : EndKind::kHandshakeFailed, submitted);
  }
}

// ---- Outcomes

void TlsConnection::OnLeg(LegOutcome outcome, SECURITY_STATUS status) {
  switch (outcome) {
    case LegOutcome::kAgain:
      PumpLegs();
      return;
    case LegOutcome::kAnswered:
      ArmLegLimit();
      PumpSending();
      PumpLegs();
      return;
    case LegOutcome::kComplete:
      StartComplete(status);
      return;
    case LegOutcome::kEstablished:
      BecomeEstablished();
      return;
    case LegOutcome::kStuck:
      Fail(EndKind::kHandshakeFailed, SEC_E_INTERNAL_ERROR);
      return;
    case LegOutcome::kNothingDue:
    case LegOutcome::kFailed:
      break;
  }
  const bool no_tls = !legs_.speaks_tls() && legs_.answered() == 0 && status == SEC_E_INVALID_TOKEN;
  Fail(no_tls ? EndKind::kNotTls : EndKind::kHandshakeFailed, status);
}

void TlsConnection::BecomeEstablished() {
  ShardCounters& counters = shard_.counters();
  if (const SECURITY_STATUS status = QuerySizes(); status != SEC_E_OK) {
    Fail(EndKind::kHandshakeFailed, status);
    return;
  }
  established_ = true;
  Move(ConnectionEvent::kEstablish);
  SecPkgContext_SessionInfo session{};
  const bool resumed =
      QueryContextAttributesA(&context_, SECPKG_ATTR_SESSION_INFO, &session) == SEC_E_OK &&
      (session.dwFlags & SSL_SESSION_RECONNECT) != 0;
  (resumed ? counters.resumed_handshakes : counters.full_handshakes).Add();
  if (shard_.handshake_times() != nullptr) NoteHandshakeTime(resumed);
  limits_.Establish(loop().NowNs());
  SetLimitTimer();
  HandshakeOver();
  // The last token and the first record can share a packet.
  QueueToken();
  if (!CallHandler([&](auto& handler) { handler.OnEstablished(*this); })) return;
  UpdateReceiving();
  Pump();
}

// The loop's own time is that of the turn's beginning, before the last leg.
void TlsConnection::NoteHandshakeTime(bool resumed) {
  SecPkgContext_CipherInfo cipher{};
  cipher.dwVersion = SECPKGCONTEXT_CIPHERINFO_V1;
  HandshakeFacts facts;
  facts.resumed = resumed;
  if (QueryContextAttributesA(&context_, SECPKG_ATTR_CIPHER_INFO, &cipher) == SEC_E_OK) {
    facts.cipher_suite = static_cast<std::uint16_t>(cipher.dwCipherSuite);
    facts.group = static_cast<std::uint16_t>(cipher.dwKeyType);
  }
  shard_.handshake_times()->Add(facts, loop().ReadNowNs() - limits_.handshake_begun_ns());
}

SECURITY_STATUS TlsConnection::QuerySizes() {
  SecPkgContext_StreamSizes sizes{};
  const SECURITY_STATUS status =
      QueryContextAttributesA(&context_, SECPKG_ATTR_STREAM_SIZES, &sizes);
  if (status != SEC_E_OK) return status;
  // What the send buffers are laid out for.
  constexpr ULONG kOverheadMax = 64;
  if (sizes.cbMaximumMessage == 0 || sizes.cbMaximumMessage > 16384 ||
      sizes.cbHeader < SendQueue::kHeaderBytesMin || sizes.cbHeader > kOverheadMax ||
      sizes.cbTrailer > kOverheadMax) {
    return SEC_E_INTERNAL_ERROR;
  }
  seals_.queue().Configure({.header = sizes.cbHeader,
                            .trailer = sizes.cbTrailer,
                            .message_max = sizes.cbMaximumMessage});
  return SEC_E_OK;
}

// The token can share a packet with records. If it cannot, it is sent by itself.
void TlsConnection::QueueToken() {
  LegToken& token = legs_.token();
  if (token.due() && seals_.queue().AppendSealed(token.bytes())) token.Drop();
}

void TlsConnection::OnPostHandshake(SECURITY_STATUS status) {
  switch (legs_.OnPostHandshake(status, /*may_answer=*/!CloseIsSealed())) {
    case LegOutcome::kAgain:
      SubmitPostHandshake();
      return;
    case LegOutcome::kNothingDue:
      seals_.Release();
      Pump();
      return;
    case LegOutcome::kAnswered:
      seals_.Release();
      QueueToken();
      if (CallHandler([&](auto& handler) { handler.OnPostHandshake(*this); })) Pump();
      return;
    case LegOutcome::kStuck:
      Fail(EndKind::kRecordFailed, SEC_E_INTERNAL_ERROR);
      return;
    case LegOutcome::kComplete:
    case LegOutcome::kEstablished:
    case LegOutcome::kFailed:
      break;
  }
  Fail(EndKind::kRecordFailed, status);
}

void TlsConnection::FetchAlert(EndKind kind, SECURITY_STATUS status) {
  fetch_kind_ = kind;
  fetch_status_ = status;
  seals_.Hold();
  SubmitLeg(LegCall::kFetchAlert, {});
  // Then it ends without the alert.
  if (legs_.call() != LegCall::kFetchAlert) Fail(kind, status);
}

void TlsConnection::OnAlertFetched(SECURITY_STATUS status) {
  legs_.OnAlertFetched(status, /*may_answer=*/!CloseIsSealed());
  if (state_ == State::kFailed) {
    PumpSending();
  } else {
    Fail(fetch_kind_, fetch_status_);
  }
}

// ---- CompleteAuthToken and ApplyControlToken, which may block

namespace {

SECURITY_STATUS AskForAlert(CtxtHandle context, std::uint8_t description) {
  SCHANNEL_ALERT_TOKEN alert = {SCHANNEL_ALERT, TLS1_ALERT_FATAL, description};
  SecBuffer buffer = {sizeof(alert), SECBUFFER_TOKEN, &alert};
  SecBufferDesc token = {SECBUFFER_VERSION, 1, &buffer};
  return ApplyControlToken(&context, &token);
}

}  // namespace

struct TlsConnection::PassiveCall {
  explicit PassiveCall(TlsConnection& owner)
      : connection(owner), context(owner.context_), job(owner.loop(), *this) {}

  // At passive level. The token may still change; the connection stays where it is until the
  // return.
  void Work() {
    outcome = connection.legs_.call() == LegCall::kComplete
                  ? CompleteAuthToken(&context, connection.legs_.output())
                  : AskForAlert(context, connection.legs_.bound_alert());
  }
  void Refused() { outcome = SEC_E_INSUFFICIENT_MEMORY; }
  void Return() { connection.OnPassiveCallDone(*this); }

  TlsConnection& connection;
  CtxtHandle context;
  SECURITY_STATUS leg_status = SEC_E_OK;
  SECURITY_STATUS outcome = SEC_E_OK;
  io::PassiveJob<&PassiveCall::Work, &PassiveCall::Return, &PassiveCall::Refused> job;
};

bool TlsConnection::StartPassiveCall(LegCall call, SECURITY_STATUS leg_status) {
  auto* passive = new (std::nothrow) PassiveCall(*this);
  if (passive == nullptr) return false;
  passive->leg_status = leg_status;
  legs_.BeginPassive(call);
  if (passive->job.Start(shard_.passive())) return true;
  static_cast<void>(legs_.Finish());
  delete passive;
  return false;
}

void TlsConnection::StartComplete(SECURITY_STATUS status) {
  if (StartPassiveCall(LegCall::kComplete, status)) return;
  legs_.token().Drop();
  Fail(EndKind::kHandshakeFailed, SEC_E_INSUFFICIENT_MEMORY);
}

void TlsConnection::OnPassiveCallDone(PassiveCall& done) {
  const SECURITY_STATUS outcome = done.outcome;
  const SECURITY_STATUS leg_status = done.leg_status;
  delete &done;
  const LegCall call = legs_.Finish();
  if (state_ == State::kDead) {
    FinishIfIdle();
  } else if (call == LegCall::kAskForAlert) {
    if (outcome == SEC_E_OK) {
      FetchAlert(fetch_kind_, SEC_E_OK);
    } else {
      Fail(fetch_kind_, SEC_E_OK);
    }
  } else if (outcome != SEC_E_OK) {
    legs_.token().Drop();
    Fail(EndKind::kHandshakeFailed, outcome);
  } else {
    OnLeg(legs_.Accept(leg_status), leg_status);
  }
}

// For a failure that the package does not know: the peer has exceeded a bound of ours, or there is
// no credential. The package is asked for the alert; where it has no context yet, and so the peer
// no keys, the alert is not encrypted.
void TlsConnection::FailWithAlert(EndKind kind, std::uint8_t alert, SECURITY_STATUS status) {
  legs_.set_bound_alert(alert);
  fetch_kind_ = kind;
  if (SecIsValidHandle(&context_)) {
    if (StartPassiveCall(LegCall::kAskForAlert, SEC_E_OK)) return;
  } else {
    // Without memory for the alert there is only FIN.
    static_cast<void>(legs_.MakePlainAlert());
  }
  Fail(kind, status);
}

}  // namespace ktlsim::transport
