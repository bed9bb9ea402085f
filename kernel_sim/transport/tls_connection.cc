#include "kernel_sim/transport/tls_connection.h"

#include <ktlsim/sspi_ext.h>

#include <cerrno>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/trace.h"

namespace ktlsim::transport {
namespace {

// How many received bytes may wait in the queue before receiving pauses, once established.
constexpr std::size_t kInputBytesMax = 256 * 1024;

}  // namespace

static_assert(sizeof(TlsConnection) <= 1200, "an idle connection is small");

TlsConnection::TlsConnection(PathShard& shard, const TlsProfile& profile,
                             SspiAsyncContext* leg_async, SspiAsyncContext* seal_async)
    : shard_(shard),
      limits_(profile.limits(), /*notes_slow_peers=*/profile.is_server()),
      credentials_(profile.credential_source()),
      legs_(leg_async, profile, shard.chunks(), shard.buffers()),
      seals_(seal_async, shard.buffers(), profile) {
  SecInvalidateHandle(&context_);
}

bool TlsConnection::Register(SspiAsyncContext* leg_async, SspiAsyncContext* seal_async,
                             void* memory, ULONG notify_mode) {
  return SspiSetAsyncNotifyCallback(leg_async, &LegCallback, memory) == SEC_E_OK &&
         SspiSetAsyncNotifyCallback(seal_async, &SealCallback, memory) == SEC_E_OK &&
         KtlsimSetNotifyMode(leg_async, notify_mode) == SEC_E_OK &&
         KtlsimSetNotifyMode(seal_async, notify_mode) == SEC_E_OK;
}

void TlsConnection::BeginAccepted(io::SocketId socket) {
  shard_.counters().handshakes.Add();
  // Now, because a connection that was reset has no peer address any more.
  if (const Result<io::Address> peer = loop().PeerAddress(socket)) peer_ = peer.value();
  socket_id_ = socket;
  socket_.emplace<io::Stream>(loop(), socket, static_cast<io::StreamHandler&>(*this));
  EnterHandshake();
}

void TlsConnection::BeginConnect(const io::Address& peer) {
  shard_.counters().handshakes.Add();
  peer_ = peer;
  limits_.BeginHandshake(loop().NowNs());
  ArmLegLimit();
  socket_.emplace<io::Connector>(loop(), static_cast<io::ConnectHandler&>(*this)).Connect(peer);
}

void TlsConnection::OnConnected(Status outcome, io::SocketId socket) {
  socket_.emplace<std::monostate>();
  if (state_ == State::kDead) {
    if (socket != io::kNoSocket) loop().Close(socket, /*reset=*/true);
    FinishIfIdle();
    return;
  }
  if (!outcome.ok()) {
    End({.kind = EndKind::kConnectFailed, .error_number = outcome.code()},
        io::Stream::CloseMode::kGraceful);
    FinishIfIdle();
    return;
  }
  socket_id_ = socket;
  socket_.emplace<io::Stream>(loop(), socket, static_cast<io::StreamHandler&>(*this));
  legs_.Owe(OwedLeg::kFirst);
  if (CallHandler([&](auto& handler) { handler.OnSocketConnected(*this); })) EnterHandshake();
}

void TlsConnection::Move(ConnectionEvent event) {
  const State before = state_;
  state_ = kConnectionTable.After(before, event);
  Trace(NameOf(state_), reinterpret_cast<std::uintptr_t>(this), static_cast<std::uint64_t>(before));
}

void TlsConnection::EnterHandshake() {
  Move(ConnectionEvent::kConnect);
  limits_.BeginHandshake(loop().NowNs());
  ArmLegLimit();
  if (!credentials_.Begin(loop(), &OnCredential, this)) {
    AbortFor(EndKind::kNoMemory);
    return;
  }
  stream()->ResumeReceiving();
  PumpLegs();
}

void TlsConnection::HandshakeOver() {
  if (limits_.peer_is_slow()) shard_.counters().handshakes_waiting.Subtract();
  limits_.ForgetSlowPeer();
  if (profile().credential_source() != nullptr) {
    legs_.UseCredential(nullptr);
    credentials_.Release();
  }
  shard_.counters().handshakes.Subtract();
  shard_.OnFewerHandshakes();
}

void TlsConnection::Pump() {
  switch (state_) {
    case State::kHandshake:
      PumpSending();
      PumpLegs();
      return;
    case State::kEstablished:
      PumpReading();
      PumpSending();
      TellWritable();
      return;
    case State::kFailed:
      PumpSending();
      return;
    case State::kConnecting:
    case State::kDead:
    case State::kRetired:
      return;
  }
}

// ---- The socket

void TlsConnection::OnReceived(io::BufferLease bytes) {
  any_received_ = true;
  if (state_ == State::kFailed || Drops() || PeerHasClosed()) return;
  credentials_.Read(bytes.bytes());
  Store(std::move(bytes));
  if (state_ != State::kDead) UpdateReceiving();
  Pump();
}

void TlsConnection::Store(io::BufferLease bytes) {
  // A receive buffer is kept only where records are opened without delay. Anywhere else the peer or
  // the handler could withhold it from other connections.
  const bool soon = state_ == State::kEstablished && reading_ == Reading::kOn &&
                    (legs_.idle() || legs_.call() == LegCall::kDecrypt) && !legs_.token().due();
  const bool stored =
      soon ? legs_.input().Append(std::move(bytes)) : legs_.input().AppendCopy(bytes.bytes());
  if (!stored) End({.kind = EndKind::kNoMemory}, io::Stream::CloseMode::kReset);
}

void TlsConnection::UpdateReceiving() {
  io::Stream* socket = stream();
  if (socket == nullptr || state_ == State::kDead) return;
  bool wanted = true;
  if (state_ == State::kHandshake) {
    wanted = legs_.input().size() <= profile().limits().incomplete_bytes_max;
  } else if (state_ == State::kEstablished && !Drops() && !PeerHasClosed()) {
    wanted = reading_ == Reading::kOn && legs_.input().size() <= kInputBytesMax;
  }
  if (wanted) {
    socket->ResumeReceiving();
  } else if (socket->receiving()) {
    socket->PauseReceiving();
  }
}

void TlsConnection::OnReceiveEnded(Status reason) {
  if (!reason.ok()) {
    SocketFailed(reason.code());
    return;
  }
  Move(PeerEndEvent::kFin);
  Pump();
  EndWhenBothClosed();
}

void TlsConnection::OnSent(Status outcome) {
  if (!outcome.ok()) {
    SocketFailed(outcome.code());
    return;
  }
  if (legs_.token().sending()) {
    legs_.token().Drop();
  } else {
    const std::uint64_t now_ns = loop().NowNs();
    if (seals_.Sent(now_ns)) limits_.Touch(now_ns);
  }
  Pump();
}

void TlsConnection::SocketFailed(int error_number) {
  // After close_notify, ours or the peer's, a reset loses nothing, unless the peer broke off
  // before.
  const bool closed = state_ == State::kEstablished && (CloseIsSealed() || PeerHasClosed());
  EndReason reason{.kind = EndKind::kResetByPeer, .error_number = error_number};
  if (closed || peer_end_ == PeerEnd::kTruncated) reason = {.kind = OrderlyEnd()};
  End(reason, io::Stream::CloseMode::kReset);
}

// ---- What the user asks for

void TlsConnection::PauseReading() {
  if (reading_ == Reading::kOn) Move(ReadingEvent::kPause);
  limits_.EndRecord();  // from here on the peer is not the slow one
  if (state_ != State::kEstablished) return;
  UpdateReceiving();
  // A call in flight, or the handler above us, still uses the front: OnDecrypted does it then.
  if (legs_.idle() && !in_handler_ && !legs_.input().Detach()) AbortFor(EndKind::kNoMemory);
}

void TlsConnection::ResumeReading() {
  if (reading_ != Reading::kPaused) return;
  Move(ReadingEvent::kResume);
  if (state_ != State::kEstablished) return;
  UpdateReceiving();
  // Not here: what follows may call the handler.
  if (!in_handler_) RetryIn(0);
}

void TlsConnection::ShutdownSend() {
  if (!MaySend()) return;
  Move(OurEndEvent::kAsk);
  write_wanted_ = false;
  PumpSending();
}

void TlsConnection::Close() {
  if (state_ == State::kConnecting || state_ == State::kHandshake) {
    EndGracefully(EndKind::kAborted);
    return;
  }
  if (state_ != State::kEstablished || Drops()) return;
  Move(ReadingEvent::kDrop);
  limits_.EndRecord();
  if (legs_.idle() && !in_handler_ && !legs_.post_handshake_owed()) legs_.input().Clear();
  UpdateReceiving();
  ShutdownSend();
  EndWhenBothClosed();
}

void TlsConnection::CloseFor(EndKind why) {
  if (state_ == State::kEstablished && !Drops()) close_kind_ = why;
  Close();
}

void TlsConnection::CutFor(EndKind why) {
  if (state_ == State::kConnecting || state_ == State::kHandshake) {
    AbortFor(why);
    return;
  }
  if (MaySend()) Move(OurEndEvent::kCut);
  write_wanted_ = false;
  CloseFor(why);
  PumpSending();
}

void TlsConnection::CloseForStop() {
  if (state_ == State::kEstablished) {
    if (Drops()) return;  // it closes already
    if (CallHandler([&](auto& handler) { handler.OnDrain(*this); })) Pump();
  } else if (!established_ && state_ != State::kFailed) {
    EndGracefully(EndKind::kStopped);
  }
}

// ---- The end

void TlsConnection::Fail(EndKind kind, SECURITY_STATUS status) {
  if (state_ == State::kFailed || state_ == State::kDead) return;
  reason_ = {.kind = kind, .status = status, .established = established_};
  reason_.leg = legs_.answered() + (established_ ? 0 : 1);
  reason_.sent_alert = legs_.AlertToSend();
  AskWhy();
  ShardCounters& counters = shard_.counters();
  counters.failed_by[static_cast<std::size_t>(reason_.failure_class())].Add();
  if (reason_.sent_alert >= 0) counters.alerts_sent[AlertKindOf(reason_.sent_alert)].Add();
  if (reason_.received_alert >= 0) {
    counters.alerts_received[AlertKindOf(reason_.received_alert)].Add();
  }
  Move(ConnectionEvent::kFail);
  if (!established_) HandshakeOver();
  if (legs_.idle() && !in_handler_) legs_.input().Clear();
  ArmCloseLimit();
  UpdateReceiving();
  PumpSending();
  EndWhenBothClosed();
}

void TlsConnection::AskWhy() {
  if (reason_.status == SEC_E_OK) return;
  KtlsimContext_Failure failure = legs_.failure();
  if (reason_.kind == EndKind::kRecordFailed) {
    if (QueryContextAttributesA(&context_, KTLSIM_ATTR_CONTEXT_FAILURE, &failure) != SEC_E_OK) {
      return;
    }
  } else if (reason_.kind != EndKind::kHandshakeFailed) {
    return;
  }
  reason_.why = failure.pszWhy;
  reason_.received_alert = static_cast<int>(failure.lReceivedAlert);
}

Result<io::Address> TlsConnection::LocalAddress() {
  if (stream() == nullptr) return IoError(ENOTCONN, "ask for the local address");
  return loop().LocalAddress(socket_id_);
}

void TlsConnection::EndWhenBothClosed() {
  if (our_end_ != OurEnd::kFin || (state_ != State::kEstablished && state_ != State::kFailed))
    return;
  // FIN counts at once when the bytes before it are dropped; else when reading gets there
  // (PeerClosed).
  const bool dropping = Drops() || state_ == State::kFailed;
  if (PeerHasClosed() || (peer_end_ == PeerEnd::kFin && dropping)) {
    EndGracefully(OrderlyEnd());
  } else if (dropping) {
    ArmCloseLimit();
  }
}

void TlsConnection::End(EndReason reason, io::Stream::CloseMode mode) {
  if (state_ == State::kDead) return;
  const bool in_handshake = state_ == State::kConnecting || state_ == State::kHandshake;
  if (state_ != State::kFailed) {
    reason_ = reason;
    if (close_kind_ != EndKind::kCompleted) reason_ = {.kind = close_kind_};
    reason_.established = established_;
    reason_.leg = legs_.answered() + (established_ ? 0 : 1);
  }
  Move(ConnectionEvent::kEnd);
  if (in_handshake) HandshakeOver();
  loop().StopTimer(limit_timer_);
  loop().StopTimer(retry_timer_);
  credentials_.GiveUp();
  DeleteSecurityContext();
  if (io::Stream* socket = stream()) {
    socket->Close(mode);
  } else if (auto* connector = std::get_if<io::Connector>(&socket_)) {
    connector->Cancel();
  }
}

void TlsConnection::DeleteSecurityContext() {
  if (!SecIsValidHandle(&context_)) return;
  SspiAsyncContext* async = SspiCreateAsyncContext();
  if (async == nullptr) return;  // FinishIfIdle tries again
  // Fire and forget: it waits for the calls in flight on the context, and is never refused.
  static_cast<void>(SspiDeleteSecurityContextAsync(async, &context_));
  SspiFreeAsyncContext(async);
  SecInvalidateHandle(&context_);
  shard_.counters().security_contexts.Subtract();
}

void TlsConnection::OnClosed() {
  socket_.emplace<std::monostate>();
  FinishIfIdle();
}

void TlsConnection::FinishIfIdle() {
  if (state_ != State::kDead || !legs_.idle() || seals_.in_flight()) return;
  if (credentials_.in_flight()) return;
  if (!std::holds_alternative<std::monostate>(socket_)) return;
  DeleteSecurityContext();
  if (SecIsValidHandle(&context_)) {
    // No memory for an async context: wait for some.
    RetryIn(kRetryNs);
    return;
  }
  legs_.input().Clear();
  seals_.queue().Clear();
  legs_.token().Drop();
  ShardCounters& counters = shard_.counters();
  counters.ended.Add();
  counters.ended_by[static_cast<std::size_t>(reason_.kind)].Add();
  shard_.OnConnectionEnded(*this, reason_);
  Move(ConnectionEvent::kRetire);
  if (handler_ != nullptr) handler_->OnEnded(*this, reason_);
  shard_.Retire(*this);
}

}  // namespace ktlsim::transport
