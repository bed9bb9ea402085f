// TlsConnection: a Connection over a socket, with all TLS done by the asynchronous SSPI.
//
// States and moves, its own and those of both ends: connection_state.h.
//
// At most one call on the leg side (a leg, or DecryptMessage) and one on the seal side are in
// flight. What a newcomer gets wrong: no call can be taken back. A dead connection has given up
// its socket and security context, but stays in memory, with everything a call in flight may
// touch, until the callback has come and found it dead.
//
// It coordinates its parts: LegSide and SealSide make the calls, TimeLimits knows the times. This
// class decides what follows from their results. tls_connection.cc: life and socket.
// tls_credential.cc: the wait for a credential. tls_legs.cc: the handshake, and alerts.
// tls_reading.cc, tls_sending.cc: records. tls_limits.cc: time limits.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <variant>

#include "io/connector.h"
#include "io/member_timer.h"
#include "io/stream.h"
#include "kernel_sim/base/member_item.h"
#include "kernel_sim/transport/connection.h"
#include "kernel_sim/transport/connection_state.h"
#include "kernel_sim/transport/credential_side.h"
#include "kernel_sim/transport/leg_side.h"
#include "kernel_sim/transport/path_shard.h"
#include "kernel_sim/transport/seal_side.h"
#include "kernel_sim/transport/time_limits.h"

namespace ktlsim::transport {

class TlsConnection final : public Connection,
                            private io::StreamHandler,
                            private io::ConnectHandler {
 public:
  // The two async contexts stay the shard's; their callbacks have been registered with this
  // object's address (Register).
  TlsConnection(PathShard& shard, const TlsProfile& profile, SspiAsyncContext* leg_async,
                SspiAsyncContext* seal_async);

  // Registers the callbacks for a connection that lives, or will live, at `memory`.
  static bool Register(SspiAsyncContext* leg_async, SspiAsyncContext* seal_async, void* memory,
                       ULONG notify_mode);

  // Begins. The handler must be set before.
  void set_handler(ConnectionHandler* handler) { handler_ = handler; }
  // Lives as long as this connection, as the owner of its profile must.
  void set_keeps(std::shared_ptr<const void> keeps) { keeps_ = std::move(keeps); }
  void BeginAccepted(io::SocketId socket);
  void BeginConnect(const io::Address& peer);

  // OnDrain, or an early end if the handshake is not complete.
  void CloseForStop();

  // Connection.
  std::span<std::byte> SendSpace() override;
  void CommitSend(std::size_t bytes) override;
  bool send_idle() const override;
  void PauseReading() override;
  void ResumeReading() override;
  void ShutdownSend() override;
  void Close() override;
  void CloseFor(EndKind why) override;
  void CutFor(EndKind why) override;
  void AbortFor(EndKind why) override { End({.kind = why}, io::Stream::CloseMode::kReset); }
  bool established() const override { return established_; }
  const io::Address& peer_address() const override { return peer_; }
  Result<io::Address> LocalAddress() override;
  ConnectionInfo Info() override;
  CtxtHandle security_context() const override { return context_; }
  io::Loop& loop() const override { return shard_.loop(); }

  // The shard's links among the living.
  TlsConnection* next = nullptr;
  TlsConnection* previous = nullptr;

 private:
  using State = ConnectionState;
  // Repeats, a little later, a submission that the library refused because its queue was full.
  static constexpr std::uint64_t kRetryNs = kNsPerMs;

  // ---- Time limits (tls_limits.cc)
  void OnLimit();
  void SetLimitTimer();
  void ArmLegLimit();
  void ArmCloseLimit();
  // The peer, which counted as slow, has sent its message.
  void PeerHasAnswered();
  void RetryIn(std::uint64_t delay_ns);
  void OnRetry();
  // Whether a refused submission will be tried again; arranges for that.
  bool RetriesRefused(SECURITY_STATUS submitted);

  // ---- Life and socket (tls_connection.cc)
  const TlsProfile& profile() const { return legs_.profile(); }
  io::Stream* stream() { return std::get_if<io::Stream>(&socket_); }
  // The only places that change the state, and that of each part.
  void Move(ConnectionEvent event);
  void Move(OurEndEvent event) { our_end_ = kOurEndTable.After(our_end_, event); }
  void Move(PeerEndEvent event) { peer_end_ = kPeerEndTable.After(peer_end_, event); }
  void Move(ReadingEvent event) { reading_ = kReadingTable.After(reading_, event); }
  // The user may still hand over plaintext.
  bool MaySend() const { return state_ == State::kEstablished && our_end_ == OurEnd::kOpen; }
  // Established: only FIN may follow now (RFC 8446 6.1).
  bool CloseIsSealed() const { return our_end_ == OurEnd::kSealed || our_end_ == OurEnd::kFin; }
  // The handler knows that no more plaintext comes.
  bool PeerHasClosed() const {
    return peer_end_ == PeerEnd::kClosed || peer_end_ == PeerEnd::kTruncated;
  }
  bool Drops() const { return reading_ == Reading::kDropped; }
  // The reason of an end that has no other reason.
  EndKind OrderlyEnd() const {
    return peer_end_ == PeerEnd::kTruncated ? EndKind::kTruncatedByPeer : EndKind::kCompleted;
  }
  // The only way to call the handler, apart from OnEnded: `call` gets it. Send space that the
  // handler asked for and did not use is given back. False: the handler ended the connection.
  template <typename Function>
  bool CallHandler(Function call) {
    in_handler_ = true;
    call(*handler_);
    in_handler_ = false;
    seals_.queue().ReleaseIfEmpty();
    return state_ != State::kDead;
  }
  void Pump();
  void EnterHandshake();
  void HandshakeOver();
  void UpdateReceiving();
  void OnReceived(io::BufferLease bytes) override;
  void OnReceiveEnded(Status reason) override;
  void OnSent(Status outcome) override;
  void OnClosed() override;
  void OnConnected(Status outcome, io::SocketId socket) override;
  void SocketFailed(int error_number);
  void Store(io::BufferLease bytes);
  void End(EndReason reason, io::Stream::CloseMode mode);
  void EndGracefully(EndKind kind) { End({.kind = kind}, io::Stream::CloseMode::kGraceful); }
  // Sends the token if there is one, then FIN, then waits a little for the peer's.
  void Fail(EndKind kind, SECURITY_STATUS status);
  // What the library says about the failure in reason_.
  void AskWhy();
  void EndWhenBothClosed();
  void DeleteSecurityContext();
  void FinishIfIdle();

  // ---- The credential of a connection whose path has a source (tls_credential.cc)
  // False: legs must wait, or the connection is over.
  bool HasCredential();
  static void OnCredential(void* self);
  void GoOnWithCredential();
  void OnCredentialTimeout();
  void RefuseCredential();

  // ---- Legs (tls_legs.cc)
  static void LegCallback(SspiAsyncContext* context, void* self);
  void OnLegSideDone();
  void PumpLegs();
  void AwaitPeer();
  void SubmitLeg(LegCall call, std::span<std::byte> input);
  void OnLeg(LegOutcome outcome, SECURITY_STATUS status);
  void QueueToken();
  void OnPostHandshake(SECURITY_STATUS status);
  void OnAlertFetched(SECURITY_STATUS status);
  void BecomeEstablished();
  void NoteHandshakeTime(bool resumed);
  SECURITY_STATUS QuerySizes();
  struct PassiveCall;
  bool StartPassiveCall(LegCall call, SECURITY_STATUS leg_status);
  void StartComplete(SECURITY_STATUS status);
  void OnPassiveCallDone(PassiveCall& done);
  void FetchAlert(EndKind kind, SECURITY_STATUS status);
  void FailWithAlert(EndKind kind, std::uint8_t alert, SECURITY_STATUS status = SEC_E_OK);

  // ---- Reading (tls_reading.cc)
  void PumpReading();
  void SubmitDecrypt();
  void OnDecrypted(SECURITY_STATUS status);
  // False: the handler ended the connection.
  bool Deliver(std::span<std::byte> plaintext);
  void StartPostHandshake();
  void SubmitPostHandshake();
  void SubmitKeyCheck();
  void PeerClosed(bool truncated);
  bool UsesTls13();

  // ---- Sending (tls_sending.cc)
  static void SealCallback(SspiAsyncContext* context, void* self);
  void OnSealDone();
  void PumpSending();
  bool SealDue() const;
  void SubmitSeal();
  void TellWritable();
  void SendSealed();
  bool ReadyToSendFin() const;

  // Fixed after construction.
  PathShard& shard_;

  ConnectionHandler* handler_ = nullptr;
  std::shared_ptr<const void> keeps_;
  io::Address peer_;
  std::variant<std::monostate, io::Connector, io::Stream> socket_;
  io::SocketId socket_id_ = io::kNoSocket;  // of the stream
  CtxtHandle context_;
  EndReason reason_;
  // From a callback on a thread of the notification pool back to the loop. Until it has run, the
  // call counts as in flight, so the connection is there.
  MemberItem<&TlsConnection::OnLegSideDone> leg_return_{*this};
  MemberItem<&TlsConnection::OnSealDone> seal_return_{*this};
  TimeLimits limits_;
  io::MemberTimer<&TlsConnection::OnLimit> limit_timer_{*this};  // for limits_
  io::MemberTimer<&TlsConnection::OnRetry> retry_timer_{*this};

  CredentialSide credentials_;
  LegSide legs_;
  SealSide seals_;

  State state_ = State::kConnecting;
  OurEnd our_end_ = OurEnd::kOpen;
  PeerEnd peer_end_ = PeerEnd::kOpen;
  Reading reading_ = Reading::kOn;
  EndKind fetch_kind_ = EndKind::kRecordFailed;
  EndKind close_kind_ = EndKind::kCompleted;  // CloseFor
  SECURITY_STATUS fetch_status_ = SEC_E_OK;
  bool established_ = false;
  bool any_received_ = false;
  bool write_wanted_ = false;  // OnWritable is owed
  bool in_handler_ = false;
};

}  // namespace ktlsim::transport
