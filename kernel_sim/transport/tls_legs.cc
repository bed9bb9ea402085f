// The leg side of a connection: Initialize/AcceptSecurityContext for the handshake, for what comes
// after it, and for alerts.
//
// Every outcome goes through the same table (SSPI, server context initialisation): a token is sent
// whatever the status, SEC_E_INCOMPLETE_MESSAGE keeps the bytes and reads more, EXTRA is fed back
// before anything is read, a context that was stored is deleted on every way out.

#include <schannel.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/transport/tls_connection.h"

namespace ktlsim::transport {
namespace {

constexpr std::size_t kTokenBytes = BufferPool::kClassBytes[1];
constexpr std::size_t kTokenBytesMax = 1024 * 1024;

// RFC 8446 6.
constexpr std::uint8_t kUnexpectedMessage = 10;
constexpr std::uint8_t kRecordOverflow = 22;

SecBuffer MakeBuffer(ULONG type, void* bytes, std::size_t size) {
  return {static_cast<ULONG>(size), type, bytes};
}

SecBufferDesc Describe(SecBuffer* buffers, ULONG count) {
  return {SECBUFFER_VERSION, count, buffers};
}

// A handshake begins with a handshake record (RFC 8446 5.1); an alert is TLS too.
bool LooksLikeTls(std::span<const std::byte> bytes) {
  const auto type = std::to_integer<unsigned>(bytes[0]);
  if (type != 0x16 && type != 0x15) return false;
  return bytes.size() < 2 || bytes[1] == std::byte{3};
}

}  // namespace

void TlsConnection::LegCallback(SspiAsyncContext* context, void* self) {
  static_cast<void>(context);
  auto& connection = *static_cast<TlsConnection*>(self);
  if (connection.shard_.notified_on_loop()) {
    connection.OnLegSideDone();
  } else {
    connection.loop().Post(connection.leg_return_);
  }
}

void TlsConnection::OnLegSideDone() {
  const SECURITY_STATUS status = SspiGetAsyncCallStatus(leg_async_);
  const Call call = std::exchange(call_, Call::kNone);
  if (!SecIsValidHandle(&context_) && SecIsValidHandle(&new_context_)) {
    context_ = new_context_;
    shard_.counters().security_contexts.Add();
  }
  if (state_ == State::kDead) {
    FinishIfIdle();
    return;
  }
  if (state_ == State::kFailed && call != Call::kFetchAlert) {
    // The seal side failed meanwhile; what this call brought is of no interest any more.
    DropToken();
    input_.Clear();
    PumpSending();
    return;
  }
  switch (call) {
    case Call::kLeg:
      OnLeg(status);
      return;
    case Call::kDecrypt:
      OnDecrypted(status);
      return;
    case Call::kPostHandshake:
      OnPostHandshake(status);
      return;
    case Call::kFetchAlert:
      OnAlertFetched(status);
      return;
    case Call::kNone:
    case Call::kComplete:
    case Call::kAskForAlert:
      break;
  }
  KTLSIM_CHECK(false);
}

// ---- Submitting

void TlsConnection::PumpLegs() {
  // A token is sent before the next one is made: there is one place for it.
  if (state_ != State::kHandshake || call_ != Call::kNone || token_ready_) return;
  if (leg_wanted_) {
    SubmitLeg(Call::kLeg, {});
    return;
  }
  const std::size_t bytes_max = profile_.limits().incomplete_bytes_max;
  switch (FirstRecordReady(bytes_max)) {
    case Ready::kYes:
      if (profile_.is_server() && !SecIsValidHandle(&context_)) {
        speaks_tls_ = LooksLikeTls(input_.front());
      }
      SubmitLeg(Call::kLeg,
                repeat_bytes_ != 0 ? input_.front().first(repeat_bytes_) : input_.front());
      return;
    case Ready::kFailed:
      FailAtBound(EndKind::kTooManyBytes, kRecordOverflow);
      return;
    case Ready::kNo:
      break;
  }
  if (state_ != State::kHandshake) return;
  if (peer_end_ == PeerEnd::kFin) {
    EndGracefully(any_received_ ? EndKind::kClosedInHandshake : EndKind::kClosedBeforeHandshake);
    return;
  }
  UpdateReceiving();
}

// Fills the descriptors and submits; Fail or a later Pump deal with a refusal.
void TlsConnection::SubmitLeg(Call call, std::span<std::byte> input) {
  if (call == Call::kLeg && legs_ >= profile_.limits().legs_max) {
    FailAtBound(EndKind::kTooManyLegs, kUnexpectedMessage);
    return;
  }
  if (token_ == nullptr) token_ = shard_.buffers().Take(kTokenBytes);
  if (token_ == nullptr) {
    RetryIn(kNsPerMs);
    return;
  }
  ULONG inputs = 0;
  if (!input.empty()) {
    input_buffers_[inputs++] = MakeBuffer(SECBUFFER_TOKEN, input.data(), input.size());
    input_buffers_[inputs++] = MakeBuffer(SECBUFFER_EMPTY, nullptr, 0);
  }
  const std::vector<std::byte>& alpn = profile_.alpn_buffer();
  if (call == Call::kLeg && !SecIsValidHandle(&context_) && !alpn.empty()) {
    input_buffers_[inputs++] = MakeBuffer(SECBUFFER_APPLICATION_PROTOCOLS,
                                          const_cast<std::byte*>(alpn.data()), alpn.size());
  }
  input_desc_ = Describe(input_buffers_, inputs);
  PrepareOutput();
  KTLSIM_CHECK(SspiReinitAsyncContext(leg_async_) == STATUS_SUCCESS);
  const SECURITY_STATUS submitted = CallPackage(inputs == 0 ? nullptr : &input_desc_);
  if (submitted == SEC_E_OK) {
    call_ = call;
    input_given_ = input.size();
    if (limits_.peer_is_slow()) PeerHasAnswered();
    return;
  }
  DropToken();
  const bool first = legs_ == 0 && profile_.is_server() && !SecIsValidHandle(&context_);
  if (submitted == SEC_E_INSUFFICIENT_MEMORY && first) {
    // Nothing has been spent on this peer yet: better none than too late.
    shard_.counters().submissions_refused.Add();
    shard_.OnRefusedForOverload();
    EndGracefully(EndKind::kRefusedForOverload);
  } else if (!RetriesRefused(submitted)) {
    Fail(established_ ? EndKind::kRecordFailed : EndKind::kHandshakeFailed, submitted);
  }
}

void TlsConnection::PrepareOutput() {
  output_buffers_[0] = MakeBuffer(SECBUFFER_TOKEN, token_->bytes(), token_->capacity);
  output_buffers_[1] = MakeBuffer(SECBUFFER_ALERT, alert_, sizeof(alert_));
  leg_failure_ = {"", -1, -1};
  output_buffers_[2] = MakeBuffer(KTLSIM_SECBUFFER_FAILURE, &leg_failure_, sizeof(leg_failure_));
  output_desc_ = Describe(output_buffers_, 3);
}

SECURITY_STATUS TlsConnection::CallPackage(PSecBufferDesc input) {
  CredHandle credential = profile_.credential();
  const bool first = !SecIsValidHandle(&context_);
  CtxtHandle context = context_;
  PCtxtHandle in = first ? nullptr : &context;
  PCtxtHandle out = first ? &new_context_ : nullptr;
  if (profile_.is_server()) {
    return SspiAcceptSecurityContextAsync(leg_async_, &credential, in, input, profile_.flags(), 0,
                                          out, &output_desc_, &attributes_, nullptr);
  }
  ULONG flags = profile_.flags();
  if (supply_nothing_) flags |= ISC_REQ_USE_SUPPLIED_CREDS;
  const std::string& target = profile_.target_name();
  return SspiInitializeSecurityContextAsyncA(
      leg_async_, &credential, in, target.empty() ? nullptr : const_cast<char*>(target.c_str()),
      flags, 0, 0, input, 0, out, &output_desc_, &attributes_, nullptr);
}

// ---- Outcomes

void TlsConnection::OnLeg(SECURITY_STATUS status) {
  shard_.counters().legs.Add();
  switch (status) {
    case SEC_E_INCOMPLETE_MESSAGE:
      DropToken();
      if (input_given_ == 0) {
        Fail(EndKind::kHandshakeFailed, status);
        return;
      }
      input_wanted_ = input_given_ + 1;
      PumpLegs();
      return;
    case SEC_E_BUFFER_TOO_SMALL:
      // The same input again, byte for byte, which the library recognises.
      if (!GrowToken()) {
        Fail(EndKind::kHandshakeFailed, status);
        return;
      }
      repeat_bytes_ = input_given_;
      PumpLegs();
      return;
    case SEC_I_INCOMPLETE_CREDENTIALS:
      DropToken();
      if (std::exchange(supply_nothing_, true)) {
        Fail(EndKind::kHandshakeFailed, status);
        return;
      }
      repeat_bytes_ = input_given_;
      PumpLegs();
      return;
    case SEC_I_COMPLETE_NEEDED:
    case SEC_I_COMPLETE_AND_CONTINUE:
      StartComplete(status);
      return;
    case SEC_E_OK:
    case SEC_I_CONTINUE_NEEDED:
    case SEC_I_CONTINUE_NEEDED_MESSAGE_OK:
      AcceptLeg(status);
      return;
    default:
      TakeToken(status);
      if (!speaks_tls_ && legs_ == 0 && status == SEC_E_INVALID_TOKEN) {
        Fail(EndKind::kNotTls, status);
      } else {
        Fail(EndKind::kHandshakeFailed, status);
      }
      return;
  }
}

void TlsConnection::AcceptLeg(SECURITY_STATUS status) {
  leg_wanted_ = false;
  TakeToken(status);
  const std::size_t before = input_.size();
  ConsumeInput();
  if (status == SEC_E_OK || status == SEC_I_COMPLETE_NEEDED) {
    ++legs_;
    BecomeEstablished();
    return;
  }
  if (token_ready_) {
    ++legs_;
    ArmLegLimit();
  } else if (input_given_ != 0 && input_.size() == before) {
    // Nothing taken and nothing to say: the same call would be made for ever.
    Fail(EndKind::kHandshakeFailed, SEC_E_INTERNAL_ERROR);
    return;
  }
  PumpSending();
  PumpLegs();
}

void TlsConnection::BecomeEstablished() {
  ShardCounters& counters = shard_.counters();
  if (const SECURITY_STATUS status = QuerySizes(); status != SEC_E_OK) {
    Fail(EndKind::kHandshakeFailed, status);
    return;
  }
  established_ = true;
  Move(ConnectionEvent::kEstablish);
  counters.established.Add();
  SecPkgContext_SessionInfo session{};
  if (QueryContextAttributesA(&context_, SECPKG_ATTR_SESSION_INFO, &session) == SEC_E_OK &&
      (session.dwFlags & SSL_SESSION_RECONNECT) != 0) {
    counters.resumed.Add();
  }
  limits_.Establish(loop().NowNs());
  SetLimitTimer();
  HandshakeOver();
  // The last token and the first record can share a packet.
  if (token_ready_ && seals_.queue().AppendSealed({token_->bytes(), token_bytes_})) DropToken();
  if (!CallHandler([&](auto& handler) { handler.OnEstablished(*this); })) return;
  UpdateReceiving();
  Pump();
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

void TlsConnection::OnPostHandshake(SECURITY_STATUS status) {
  if (status == SEC_E_BUFFER_TOO_SMALL && GrowToken()) {
    repeat_bytes_ = input_given_;
    SubmitPostHandshake();
    return;
  }
  post_handshake_due_ = false;
  if (status == SEC_E_INCOMPLETE_MESSAGE && input_given_ == 0) {
    // A key check, and no KeyUpdate was due.
    DropToken();
    seals_.Release();
    Pump();
    return;
  }
  TakeToken(status);
  const std::size_t before = input_.size();
  if (status == SEC_E_OK || status == SEC_I_CONTINUE_NEEDED) ConsumeInput();
  if (status != SEC_E_OK && status != SEC_I_CONTINUE_NEEDED) {
    Fail(EndKind::kRecordFailed, status);
    return;
  }
  if (input_given_ != 0 && input_.size() == before) {
    Fail(EndKind::kRecordFailed, SEC_E_INTERNAL_ERROR);
    return;
  }
  seals_.Release();
  if (token_ready_ && seals_.queue().AppendSealed({token_->bytes(), token_bytes_})) DropToken();
  if (CallHandler([&](auto& handler) { handler.OnPostHandshake(*this); })) Pump();
}

void TlsConnection::FetchAlert(EndKind kind, SECURITY_STATUS status) {
  fetch_kind_ = kind;
  fetch_status_ = status;
  seals_.Hold();
  SubmitLeg(Call::kFetchAlert, {});
  // Without the alert, then.
  if (call_ != Call::kFetchAlert) Fail(kind, status);
}

void TlsConnection::OnAlertFetched(SECURITY_STATUS status) {
  if (status == SEC_E_OK) {
    TakeToken(status);
  } else {
    DropToken();
  }
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
  SecBuffer buffer = MakeBuffer(SECBUFFER_TOKEN, &alert, sizeof(alert));
  SecBufferDesc token = Describe(&buffer, 1);
  return ApplyControlToken(&context, &token);
}

}  // namespace

struct TlsConnection::PassiveCall {
  explicit PassiveCall(TlsConnection& owner) : connection(owner), context(owner.context_) {}

  // At passive level. The token may still change; the connection stays where it is until `back`.
  class Forth final : public WorkItem {
   public:
    explicit Forth(PassiveCall& owner)
        : WorkItem([](WorkItem& item) {
            PassiveCall& self = static_cast<Forth&>(item).call_;
            TlsConnection& connection = self.connection;
            self.outcome =
                connection.call_ == Call::kComplete
                    ? CompleteAuthToken(&self.context, &connection.output_desc_)
                    : AskForAlert(self.context, static_cast<std::uint8_t>(connection.bound_alert_));
            connection.loop().Post(self.back);
          }),
          call_(owner) {}

   private:
    PassiveCall& call_;
  };
  class Back final : public WorkItem {
   public:
    explicit Back(PassiveCall& owner)
        : WorkItem([](WorkItem& item) {
            static_cast<Back&>(item).call_.connection.OnPassiveCallDone();
          }),
          call_(owner) {}

   private:
    PassiveCall& call_;
  };

  TlsConnection& connection;
  CtxtHandle context;
  SECURITY_STATUS leg_status = SEC_E_OK;
  SECURITY_STATUS outcome = SEC_E_OK;
  Forth forth{*this};
  Back back{*this};
};

bool TlsConnection::StartPassiveCall(Call call, SECURITY_STATUS leg_status) {
  passive_call_ = new (std::nothrow) PassiveCall(*this);
  if (passive_call_ == nullptr) return false;
  passive_call_->leg_status = leg_status;
  call_ = call;
  if (shard_.passive().Run(passive_call_->forth)) return true;
  call_ = Call::kNone;
  delete std::exchange(passive_call_, nullptr);
  return false;
}

void TlsConnection::StartComplete(SECURITY_STATUS status) {
  if (StartPassiveCall(Call::kComplete, status)) return;
  DropToken();
  Fail(EndKind::kHandshakeFailed, SEC_E_INSUFFICIENT_MEMORY);
}

void TlsConnection::OnPassiveCallDone() {
  const SECURITY_STATUS outcome = passive_call_->outcome;
  const SECURITY_STATUS leg_status = passive_call_->leg_status;
  delete std::exchange(passive_call_, nullptr);
  const Call call = std::exchange(call_, Call::kNone);
  if (state_ == State::kDead) {
    FinishIfIdle();
  } else if (call == Call::kAskForAlert) {
    if (outcome == SEC_E_OK) {
      FetchAlert(fetch_kind_, SEC_E_OK);
    } else {
      Fail(fetch_kind_, SEC_E_OK);
    }
  } else if (outcome != SEC_E_OK) {
    DropToken();
    Fail(EndKind::kHandshakeFailed, outcome);
  } else {
    AcceptLeg(leg_status);
  }
}

// The peer has met a bound of ours, which the package does not know: it is asked for the alert, or,
// where it has no context yet and so the peer no keys, the alert is plain.
void TlsConnection::FailAtBound(EndKind kind, std::uint8_t alert) {
  bound_alert_ = alert;
  fetch_kind_ = kind;
  if (SecIsValidHandle(&context_)) {
    if (StartPassiveCall(Call::kAskForAlert, SEC_E_OK)) return;
  } else {
    token_ready_ = MakePlainAlert(alert);
  }
  Fail(kind, SEC_E_OK);
}

bool TlsConnection::MakePlainAlert(std::uint8_t alert) {
  if (token_ == nullptr) token_ = shard_.buffers().Take(kTokenBytes);
  if (token_ == nullptr) return false;
  // Type, version, length, level, description (RFC 8446 5.1, 6).
  const std::array record = {std::byte{21}, std::byte{3}, std::byte{3},    std::byte{0},
                             std::byte{2},  std::byte{2}, std::byte{alert}};
  std::ranges::copy(record, token_->bytes());
  token_bytes_ = record.size();
  return true;
}

// ---- Tokens and input

// Moves to a larger buffer for the same leg again.
bool TlsConnection::GrowToken() {
  const std::size_t bytes = std::size_t{token_->capacity} * 3;
  if (bytes > kTokenBytesMax) return false;
  Buffer* larger = shard_.buffers().Take(bytes);
  if (larger == nullptr) return false;
  shard_.buffers().Give(std::exchange(token_, larger));
  return true;
}

void TlsConnection::TakeToken(SECURITY_STATUS status) {
  const ULONG bytes = output_buffers_[0].cbBuffer;
  // A call that failed early may have left the length as it was offered: that is no token.
  const bool untouched = status < 0 && bytes == token_->capacity;
  // Nothing may follow our close_notify (RFC 8446 6.1).
  if (bytes == 0 || bytes > token_->capacity || untouched || CloseIsSealed()) {
    DropToken();
    return;
  }
  token_bytes_ = bytes;
  token_ready_ = true;
}

void TlsConnection::DropToken() {
  shard_.buffers().Give(std::exchange(token_, nullptr));
  token_bytes_ = 0;
  token_ready_ = false;
}

// EXTRA in the input array says how many of the last bytes were not used.
void TlsConnection::ConsumeInput() {
  std::size_t unused = 0;
  if (input_given_ != 0 &&
      (input_buffers_[1].BufferType & ~SECBUFFER_ATTRMASK) == SECBUFFER_EXTRA) {
    unused = std::min<std::size_t>(input_buffers_[1].cbBuffer, input_given_);
  }
  input_.Consume(input_given_ - unused);
  input_wanted_ = 0;
  repeat_bytes_ = 0;
}

}  // namespace ktlsim::transport
