#include "kernel_sim/sspi/packages/tls_context.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/packages/tls_status.h"

namespace ktlsim::sspi {
namespace {

// The verdict is left to the caller, which reads it in SECPKG_ATTR_CERT_CHECK_RESULT.
constexpr ULONG kTakesNotesOnly =
    SCH_CRED_MANUAL_CRED_VALIDATION | SCH_CRED_DEFERRED_CRED_VALIDATION;
constexpr ULONG kRevocationChecks = SCH_CRED_REVOCATION_CHECK_END_CERT |
                                    SCH_CRED_REVOCATION_CHECK_CHAIN |
                                    SCH_CRED_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT;

LegResult Refused(SECURITY_STATUS status, const char* reason = nullptr) {
  LegResult result;
  result.status = status;
  result.reason = reason;
  return result;
}

std::int16_t NumberOf(const std::optional<tls::Alert>& alert) {
  return alert ? static_cast<std::int16_t>(alert->description) : std::int16_t{-1};
}

// Nothing was consumed, outputs stay as they are.
LegResult Incomplete(const LegBuffers& buffers, std::size_t missing) {
  TellMissing(buffers, missing);
  return Refused(SEC_E_INCOMPLETE_MESSAGE);
}

}  // namespace

std::unique_ptr<TlsContext> TlsContext::Create(PackageHost& host, Direction direction) {
  return std::unique_ptr<TlsContext>(new (std::nothrow) TlsContext(host, direction));
}

// OpenSSL's objects, one of which may also be left to a client's connection for its ticket.
TlsContext::~TlsContext() {
  const ForkGate::Scope inside;
  phase_.emplace<NotBegun>();
}

template <typename Next>
Next& TlsContext::Enter(TlsPhaseEvent event, Next next) {
  static_assert(std::is_nothrow_move_constructible_v<Next>);
  static_assert(
      std::is_same_v<std::variant_alternative_t<static_cast<std::size_t>(Next::kPhase), Phase>,
                     Next>);
  const TlsPhase to = kTlsPhaseTable.After(phase(), event);
  KTLSIM_ASSERT(to == Next::kPhase);
  return phase_.emplace<Next>(std::move(next));
}

tls::Handshake* TlsContext::handshake() const {
  if (const auto* phase = std::get_if<Handshaking>(&phase_)) return phase->handshake.get();
  if (const auto* phase = std::get_if<Stopped>(&phase_)) return phase->handshaking.handshake.get();
  if (const auto* phase = std::get_if<HandshakeFailed>(&phase_)) return phase->handshake.get();
  return nullptr;
}

TlsContext::Failure* TlsContext::failure() {
  if (auto* phase = std::get_if<HandshakeFailed>(&phase_)) return &phase->failure;
  if (auto* phase = std::get_if<ConnectionFailed>(&phase_)) return &phase->failure;
  return nullptr;
}

bool TlsContext::Requests(const LegBuffers& buffers, ULONG isc_flag, ULONG asc_flag) const {
  return (buffers.flags & (direction_ == Direction::kInbound ? asc_flag : isc_flag)) != 0;
}

LegResult TlsContext::Leg(const LegArguments& arguments) {
  const ForkGate::Scope inside;
  LegBuffers buffers;
  const LegRefusal refusal = ReadLegBuffers(direction_, arguments, &buffers);
  if (refusal.status != SEC_E_OK) return Refused(refusal.status, refusal.reason);
  if (arguments.call->run != CallRun::kFirst) return GoOnWithLeg(arguments, buffers);
  if (waiting_) return DeliverAgain(*waiting_, buffers);
  // The input is not read: all of it is EXTRA.
  if (ControlWaits()) return Deliver(buffers, HandOutControl());
  return std::visit([&](auto& phase) { return LegIn(phase, arguments, buffers); }, phase_);
}

LegResult TlsContext::DeliverAgain(const WaitingStep& waiting, const LegBuffers& buffers) {
  if (!waiting.step.ignores_input && !waiting.input.Is(buffers.token)) {
    return Refused(SEC_E_INVALID_TOKEN);
  }
  const Step step = waiting.step;
  waiting_.reset();
  return Deliver(buffers, step);
}

LegResult TlsContext::LegIn(NotBegun& /*phase*/, const LegArguments& arguments,
                            const LegBuffers& buffers) {
  if (direction_ == Direction::kInbound) {
    const std::size_t missing = tls::Handshake::MissingOfFirstRecord(buffers.token);
    if (missing != 0) return Incomplete(buffers, missing);
  }
  const SECURITY_STATUS status = Begin(arguments, buffers);
  if (status != SEC_E_OK) return Refused(status);
  return TakeToken(std::get<Handshaking>(phase_), arguments, buffers, 0);
}

LegResult TlsContext::LegIn(Handshaking& phase, const LegArguments& arguments,
                            const LegBuffers& buffers) {
  const std::size_t missing = tls::Handshake::MissingOfFirstRecord(buffers.token);
  return missing != 0 ? Incomplete(buffers, missing) : TakeToken(phase, arguments, buffers, 0);
}

LegResult TlsContext::LegIn(Stopped& phase, const LegArguments& arguments,
                            const LegBuffers& buffers) {
  const std::size_t missing = tls::Handshake::MissingOfFirstRecord(buffers.token);
  if (missing != 0) return Incomplete(buffers, missing);
  if (!phase.input.Is(buffers.token)) return Refused(SEC_E_INVALID_TOKEN);
  const std::size_t consumed = phase.consumed;
  Handshaking& handshaking = Enter(TlsPhaseEvent::kGoOn, std::move(phase.handshaking));
  if (arguments.credential != nullptr && arguments.credential != handshaking.credential) {
    auto* credential = static_cast<TlsCredential*>(arguments.credential);
    handshaking.handshake->SupplyCertificates(*credential->EndpointHere());
  } else if ((buffers.flags & ISC_REQ_USE_SUPPLIED_CREDS) != 0) {
    handshaking.handshake->AcceptAnyIssuer();
  }
  Step step = RunHandshake(handshaking, buffers, buffers.token.subspan(consumed));
  step.consumed += consumed;
  return Deliver(buffers, step);
}

LegResult TlsContext::LegIn(Established& phase, const LegArguments& /*arguments*/,
                            const LegBuffers& buffers) {
  Connection& connection = *phase.connection;
  const tls::RecordWriter& writer = connection.tls.writer;
  if (buffers.token.empty() && !connection.leg_owed && !writer.closed() &&
      writer.key_update_due()) {
    Step step;
    step.ignores_input = true;
    step.status = QueueKeyUpdate(connection, false);
    return Deliver(buffers, step);
  }
  if (!connection.leg_owed) return Incomplete(buffers, 0);
  return Deliver(buffers, RunPostHandshake(phase, buffers.token));
}

LegResult TlsContext::LegIn(HandshakeFailed& phase, const LegArguments& /*arguments*/,
                            const LegBuffers& buffers) {
  return FailAgain(phase.failure, buffers);
}

LegResult TlsContext::LegIn(ConnectionFailed& phase, const LegArguments& /*arguments*/,
                            const LegBuffers& buffers) {
  return FailAgain(phase.failure, buffers);
}

LegResult TlsContext::TakeToken(Handshaking& phase, const LegArguments& arguments,
                                const LegBuffers& buffers, std::size_t from) {
  for (;;) {
    Step step = RunHandshake(phase, buffers, buffers.token.subspan(from));
    step.consumed += from;
    if (step.status == SEC_I_INCOMPLETE_CREDENTIALS) {
      return StopForCredential(phase, buffers, step.consumed);
    }
    if (!step.waits) return Deliver(buffers, step);
    from = phase.consumed = step.consumed;
    tls::SessionLookUp* const look_up = phase.handshake->look_up();
    if (look_up == nullptr) continue;  // it is done by now
    const std::uint32_t limit_ms = look_up->limit_ms();
    // From here on another thread may run the rest of the leg as soon as this one has returned.
    if (look_up->WakeBy([token = arguments.call->Token()]() mutable { token.Resume(); })) {
      LegResult result;
      result.suspended = true;
      result.limit_ms = limit_ms;
      return result;
    }
  }
}

LegResult TlsContext::GoOnWithLeg(const LegArguments& arguments, const LegBuffers& buffers) {
  auto& phase = std::get<Handshaking>(phase_);
  if (arguments.call->run != CallRun::kResumed) phase.handshake->GiveUpLookUp();
  if (arguments.call->run != CallRun::kStopping) {
    return TakeToken(phase, arguments, buffers, phase.consumed);
  }
  Enter(TlsPhaseEvent::kFail,
        HandshakeFailed{{SEC_E_SHUTDOWN_IN_PROGRESS}, std::move(phase.handshake)});
  counters_.handshakes_failed.Add();
  if (buffers.out_token != nullptr) buffers.out_token->cbBuffer = 0;
  return Refused(SEC_E_SHUTDOWN_IN_PROGRESS);
}

LegResult TlsContext::StopForCredential(Handshaking& phase, const LegBuffers& buffers,
                                        std::size_t consumed) {
  Enter(TlsPhaseEvent::kStop, Stopped{std::move(phase), consumed, RepeatedInput(buffers.token)});
  if (buffers.out_token != nullptr) buffers.out_token->cbBuffer = 0;
  return Refused(SEC_I_INCOMPLETE_CREDENTIALS);
}

SECURITY_STATUS TlsContext::Begin(const LegArguments& arguments, const LegBuffers& buffers) {
  auto* credential = static_cast<TlsCredential*>(arguments.credential);
  if (credential == nullptr) return SEC_E_INVALID_HANDLE;
  const std::shared_ptr<tls::Endpoint> endpoint = credential->EndpointHere();
  const tls::EndpointOptions& shared = endpoint->options();
  // Such a server can be acquired; its contexts fail.
  if (direction_ == Direction::kInbound && shared.certificates.empty()) return SEC_E_NO_CREDENTIALS;
  tls::HandshakeOptions options;
  if (buffers.alpn != nullptr && !ReadAlpn(*buffers.alpn, &options.alpn_wire)) {
    return SEC_E_INVALID_TOKEN;
  }
  options.verify_peer = (credential->flags() & kTakesNotesOnly) == 0;
  options.check_revocation = (credential->flags() & kRevocationChecks) != 0 &&
                             (credential->flags() & SCH_CRED_IGNORE_NO_REVOCATION_CHECK) == 0;
  if (direction_ == Direction::kOutbound) {
    options.target_name = arguments.target_name;
    options.stop_for_certificate = (buffers.flags & ISC_REQ_USE_SUPPLIED_CREDS) == 0;
    options.resumption_key = credential->resumption_key(arguments.target_name);
    options.check_name = (credential->flags() & SCH_CRED_NO_SERVERNAME_CHECK) == 0;
    if ((buffers.flags & (ISC_REQ_MANUAL_CRED_VALIDATION | ISC_REQ_DEFERRED_CRED_VALIDATION)) !=
        0) {
      options.verify_peer = false;
    }
  } else {
    // Who has not been asked for an account when the session was made is not mapped by it later.
    if ((credential->flags() & SCH_CRED_NO_SYSTEM_MAPPER) != 0) options.resumption_key = "unmapped";
    options.require_client_certificate = (buffers.flags & ASC_REQ_MUTUAL_AUTH) != 0;
    // Without a mapper and without a policy of its own the server judges for itself.
    if ((credential->flags() & SCH_CRED_NO_SYSTEM_MAPPER) != 0 &&
        shared.verification == tls::PeerVerification::kOnRequest) {
      options.verify_peer = false;
    }
  }
  std::unique_ptr<tls::Handshake> handshake = tls::Handshake::Create(*endpoint, options);
  if (handshake == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  Enter(TlsPhaseEvent::kBegin,
        Handshaking{.handshake = std::move(handshake),
                    .credential = credential,
                    .maps_client = (credential->flags() & SCH_CRED_NO_SYSTEM_MAPPER) == 0});
  return SEC_E_OK;
}

TlsContext::Step TlsContext::RunHandshake(Handshaking& phase, const LegBuffers& buffers,
                                          std::span<std::byte> input) {
  Step step;
  tls::Handshake& handshake = *phase.handshake;
  const tls::StepResult result = handshake.Step(input);
  step.consumed = result.consumed;
  step.status = StatusOfStep(result);
  step.establishes = result.outcome == tls::StepOutcome::kEstablished;
  step.waits = result.outcome == tls::StepOutcome::kWaitsForSession;
  if (result.outcome != tls::StepOutcome::kFailed) return step;
  step.alert = result.sent_alert;
  step.reason = result.failure.what();
  // Garbage changes nothing: the context treats the next call as if this one had not been made.
  if (result.not_tls) return step;
  Enter(TlsPhaseEvent::kFail, HandshakeFailed{{step.status}, std::move(phase.handshake)});
  KeepFailure(step.reason, result.received_alert, step.alert);
  counters_.handshakes_failed.Add();
  // Without EXTENDED_ERROR the caller has not asked for an alert to send.
  if (!Requests(buffers, ISC_REQ_EXTENDED_ERROR, ASC_REQ_EXTENDED_ERROR)) {
    handshake.DiscardOutput(handshake.pending_output().size());
  }
  return step;
}

SECURITY_STATUS TlsContext::QueueAlert(tls::Alert alert) {
  // A sealed record must be sent, so room is made first.
  output_.reserve(output_.size() + tls::RecordWriter::kControlRecordBytesMax);
  std::array<std::byte, tls::RecordWriter::kControlRecordBytesMax> record;
  std::size_t used = 0;
  Connection* const connection = this->connection();
  if (connection == nullptr) {
    // Before there are keys: type, version, length, level, description.
    const std::array<unsigned, 7> plain = {static_cast<unsigned>(tls::ContentType::kAlert),
                                           3,
                                           3,
                                           0,
                                           2,
                                           static_cast<unsigned>(alert.level),
                                           static_cast<unsigned>(alert.description)};
    for (const unsigned byte : plain) record[used++] = static_cast<std::byte>(byte);
  } else {
    const SECURITY_STATUS status =
        StatusOfAlertSeal(connection->tls.writer.SealAlert(alert, record, used));
    if (status != SEC_E_OK) return status;
  }
  output_.insert(output_.end(), record.begin(), record.begin() + static_cast<std::ptrdiff_t>(used));
  if (alert.level == tls::AlertLevel::kFatal ||
      alert.description == tls::AlertDescription::kCloseNotify) {
    sealing_ended_.store(true, std::memory_order_release);
  }
  return SEC_E_OK;
}

SECURITY_STATUS TlsContext::QueueKeyUpdate(Connection& connection, bool request_peer) {
  output_.reserve(output_.size() + tls::RecordWriter::kControlRecordBytesMax);
  std::array<std::byte, tls::RecordWriter::kControlRecordBytesMax> record;
  std::size_t used = 0;
  const SECURITY_STATUS status =
      StatusOfSeal(connection.tls.writer.SealKeyUpdate(request_peer, record, used));
  if (status == SEC_E_OK) {
    output_.insert(output_.end(), record.begin(),
                   record.begin() + static_cast<std::ptrdiff_t>(used));
  }
  return status;
}

void TlsContext::OweLeg(Connection& connection, bool reply) {
  reply_owed_.store(reply, std::memory_order_release);
  connection.leg_owed = true;
}

void TlsContext::LegDone(Connection& connection) {
  connection.leg_owed = false;
  reply_owed_.store(false, std::memory_order_release);
}

bool TlsContext::ControlWaits() const {
  const Connection* const connection = this->connection();
  return !control_.empty() || (connection != nullptr && connection->kept_alert);
}

TlsContext::Step TlsContext::HandOutControl() {
  Step step;
  step.ignores_input = true;
  Connection* const connection = this->connection();
  if (connection != nullptr && connection->kept_alert) {
    step.status = QueueAlert(*connection->kept_alert);
    // It is asked for again after a shortage of memory.
    if (step.status == SEC_E_INSUFFICIENT_MEMORY) return step;
    // The other form of it is for the failure that DecryptMessage could only tell by its status.
    if (connection->opening_ended) step.alert = connection->kept_alert;
    connection->kept_alert.reset();
    // TLS 1.2: the whole reply to the message that DecryptMessage has handled.
    if (connection->owed.record_bytes == 0) LegDone(*connection);
    return step;
  }
  // A KeyUpdate is taken on only where there is a connection.
  const Control control = control_.front();
  step.status = control.alert ? QueueAlert(*control.alert)
                              : QueueKeyUpdate(*connection, control.request_peer);
  // It is asked for again after a shortage of memory.
  if (step.status != SEC_E_INSUFFICIENT_MEMORY) control_.erase(control_.begin());
  return step;
}

TlsContext::Step TlsContext::RunPostHandshake(Established& phase, std::span<std::byte> input) {
  if (phase.connection->owed.record_bytes != 0) return TakeOwedMessage(phase, input);
  // TLS 1.2: DecryptMessage has handled the message, this call returns the reply.
  LegDone(*phase.connection);
  Step step;
  step.status = SEC_E_OK;
  return step;
}

TlsContext::Step TlsContext::TakeOwedMessage(Established& phase, std::span<std::byte> input) {
  Step step;
  Connection& connection = *phase.connection;
  const OwedMessage owed = connection.owed;
  if (input.size() < owed.record_bytes ||
      std::to_integer<unsigned>(input[0]) != static_cast<unsigned>(tls::ContentType::kHandshake)) {
    step.status = input.empty() ? SEC_E_INCOMPLETE_MESSAGE : SEC_E_INVALID_TOKEN;
    return step;
  }
  // An update that the peer requests must be sent: first room is made for it, or for a later call
  // that makes it.
  output_.reserve(output_.size() + tls::RecordWriter::kControlRecordBytesMax);
  control_.reserve(control_.size() + 1);
  connection.owed = {};
  LegDone(connection);
  step.consumed = owed.record_bytes;
  step.status = SEC_E_OK;
  const tls::PostHandshakeResult result = connection.tls.post_handshake->Consume(
      input.subspan(owed.header_bytes, owed.fragment_bytes), connection.tls.reader);
  switch (result.outcome) {
    case tls::PostHandshakeResult::Outcome::kAbsorbed:
    case tls::PostHandshakeResult::Outcome::kAbsorbedPart:
      break;
    case tls::PostHandshakeResult::Outcome::kKeyUpdate: {
      // At once, since EncryptMessage has no room for a record before its own. A writer that
      // is closed has nothing to protect any more.
      const tls::RecordWriter& writer = connection.tls.writer;
      if (result.update_requested && !writer.closed()) {
        step.status = QueueKeyUpdate(connection, false);
      }
      if (step.status == SEC_E_INSUFFICIENT_MEMORY) control_.push_back({std::nullopt, false});
      break;
    }
    case tls::PostHandshakeResult::Outcome::kSendAlert:
      step.status = QueueAlert(result.alert);
      if (step.status == SEC_E_INSUFFICIENT_MEMORY) control_.push_back({result.alert});
      break;
    case tls::PostHandshakeResult::Outcome::kFailed:
      if (result.failure.category() == Category::kResource) {
        // The same call may be made again.
        connection.owed = owed;
        OweLeg(connection, true);
        step.status = SEC_E_INSUFFICIENT_MEMORY;
        break;
      }
      FailConnection(phase, result, &step);
      break;
  }
  return step;
}

void TlsContext::FailConnection(Established& phase, const tls::PostHandshakeResult& result,
                                Step* step) {
  if (QueueAlert(result.alert) == SEC_E_OK) step->alert = result.alert;
  step->reason = result.failure.what();
  step->status = StatusOfRecordFailure(result.alert.description);
  KeepFailure(step->reason, std::nullopt, step->alert);
  phase.connection->opening_ended = true;
  sealing_ended_.store(true, std::memory_order_release);
  Enter(TlsPhaseEvent::kFail, ConnectionFailed{{step->status}, std::move(phase.connection)});
}

// Returns what is to be sent. On failure nothing was changed.
SECURITY_STATUS TlsContext::HandOutToken(const LegBuffers& buffers, ULONG* attributes) {
  tls::Handshake* const handshake = output_.empty() ? this->handshake() : nullptr;
  const std::span<const std::byte> bytes =
      handshake != nullptr ? handshake->pending_output() : std::span<const std::byte>(output_);
  const SECURITY_STATUS status = PlaceToken(buffers, bytes, attributes);
  if (status != SEC_E_OK || bytes.empty()) return status;
  if (handshake != nullptr) {
    handshake->DiscardOutput(bytes.size());
  } else {
    output_.clear();
    output_.shrink_to_fit();
  }
  return SEC_E_OK;
}

void TlsContext::PlaceFailure(const LegBuffers& buffers, const Step& step) {
  const SecBuffer* buffer = buffers.out_failure;
  KtlsimContext_Failure failure{};
  if (BytesOf(buffer).size() < sizeof(failure)) return;
  failure.pszWhy = step.reason != nullptr ? step.reason : "";
  failure.lReceivedAlert = received_alert_.load(std::memory_order_relaxed);
  failure.lSentAlert = sent_alert_.load(std::memory_order_relaxed);
  std::memcpy(buffer->pvBuffer, &failure, sizeof(failure));
}

void TlsContext::KeepFailure(const char* why, std::optional<tls::Alert> received,
                             std::optional<tls::Alert> sent) {
  received_alert_.store(NumberOf(received), std::memory_order_relaxed);
  sent_alert_.store(NumberOf(sent), std::memory_order_relaxed);
  why_.store(why, std::memory_order_release);
}

const char* TlsContext::WhyFailed() const { return why_.load(std::memory_order_acquire); }

LegResult TlsContext::Deliver(const LegBuffers& buffers, const Step& step) {
  LegResult result;
  result.status = step.status;
  result.reason = step.reason;
  if (step.status == SEC_E_INCOMPLETE_MESSAGE) return Incomplete(buffers, 0);
  // Set on every return, whether anything was allocated or not.
  if (buffers.allocates()) result.attributes |= ISC_RET_ALLOCATED_MEMORY;
  const bool failed = step.status < 0;
  const SECURITY_STATUS placed = HandOutToken(buffers, &result.attributes);
  if (placed != SEC_E_OK) {
    if (!failed) return WaitForRoom(buffers, step, placed);
    // The failure is returned now. Nothing may look like a token; the alert comes with the next
    // leg.
    if (buffers.out_token != nullptr) buffers.out_token->cbBuffer = 0;
    if (Failure* const failure = this->failure()) failure->alert = step.alert;
  }
  PlaceAlert(buffers, step.alert, &result.attributes);
  if (failed) PlaceFailure(buffers, step);
  if (!failed && step.consumed < buffers.token.size() && buffers.empty != nullptr) {
    SetBuffer(*buffers.empty, SECBUFFER_EXTRA, buffers.token.subspan(step.consumed));
  }
  if (step.establishes) {
    result.status = TakeOver();
    result.established = result.status == SEC_E_OK;
  }
  if (!failed) result.attributes |= ResultAttributes(buffers);
  if (direction_ == Direction::kInbound) result.mapped_attributes = ASC_RET_MUTUAL_AUTH;
  return result;
}

LegResult TlsContext::WaitForRoom(const LegBuffers& buffers, const Step& step,
                                  SECURITY_STATUS status) {
  waiting_ = WaitingStep{step, RepeatedInput(buffers.token)};
  return Refused(status);
}

LegResult TlsContext::FailAgain(Failure& failure, const LegBuffers& buffers) {
  Step step;
  step.status = failure.status;
  step.alert = std::exchange(failure.alert, std::nullopt);
  step.reason = WhyFailed();
  return Deliver(buffers, step);
}

SECURITY_STATUS TlsContext::TakeOver() {
  auto& phase = std::get<Handshaking>(phase_);
  Result<tls::Established> taken = phase.handshake->TakeOver();
  phase.handshake.reset();  // before more memory is needed
  std::unique_ptr<Connection> connection;
  if (taken.ok())
    connection.reset(new (std::nothrow) Connection(std::move(*taken), phase.maps_client));
  if (connection == nullptr) {
    Enter(TlsPhaseEvent::kFail, HandshakeFailed{{SEC_E_INSUFFICIENT_MEMORY}, nullptr});
    counters_.handshakes_failed.Add();
    return SEC_E_INSUFFICIENT_MEMORY;
  }
  counters_.handshakes_completed.Add();
  if (connection->tls.facts.resumed) counters_.resumed.Add();
  Enter(TlsPhaseEvent::kEstablish, Established{std::move(connection)});
  return SEC_E_OK;
}

// The certificate of a client whose chain has passed; also that of a resumed session, which is only
// resumed where it would be judged in the same way.
bool TlsContext::Client(security::ClientFacts* facts) const {
  const Connection* const connection = this->connection();
  if (connection == nullptr || !connection->maps_client) return false;
  const tls::ConnectionFacts& known = connection->tls.facts;
  if (!known.peer_judged || known.verify_error != 0) return false;
  facts->client =
      security::TlsClient{.leaf = known.peer_chain->der.front(), .issuers = known.peer_issuers};
  return true;
}

ULONG TlsContext::ResultAttributes(const LegBuffers& buffers) const {
  // The properties of TLS hold whether they were requested or not.
  if (direction_ == Direction::kInbound) {
    return ASC_RET_REPLAY_DETECT | ASC_RET_SEQUENCE_DETECT | ASC_RET_CONFIDENTIALITY |
           ASC_RET_STREAM | ((buffers.flags & ASC_REQ_INTEGRITY) != 0 ? ASC_RET_INTEGRITY : 0) |
           ((buffers.flags & ASC_REQ_CONNECTION) != 0 ? ASC_RET_CONNECTION : 0) |
           ((buffers.flags & ASC_REQ_EXTENDED_ERROR) != 0 ? ASC_RET_EXTENDED_ERROR : 0);
  }
  return ISC_RET_REPLAY_DETECT | ISC_RET_SEQUENCE_DETECT | ISC_RET_CONFIDENTIALITY |
         ISC_RET_STREAM | ((buffers.flags & ISC_REQ_INTEGRITY) != 0 ? ISC_RET_INTEGRITY : 0) |
         ((buffers.flags & ISC_REQ_CONNECTION) != 0 ? ISC_RET_CONNECTION : 0) |
         ((buffers.flags & ISC_REQ_MANUAL_CRED_VALIDATION) != 0 ? ISC_RET_MANUAL_CRED_VALIDATION
                                                                : 0) |
         ((buffers.flags & ISC_REQ_EXTENDED_ERROR) != 0 ? ISC_RET_EXTENDED_ERROR : 0) |
         ((buffers.flags & ISC_REQ_USE_SUPPLIED_CREDS) != 0 ? ISC_RET_USED_SUPPLIED_CREDS : 0) |
         ((buffers.flags & ISC_REQ_MUTUAL_AUTH) != 0 ? ISC_RET_MUTUAL_AUTH : 0);
}

SECURITY_STATUS TlsContext::ApplyControlToken(SecBufferDesc& input) {
  const ForkGate::Scope inside;
  if (input.cBuffers != 1 || input.pBuffers == nullptr ||
      TypeOf(input.pBuffers[0]) != SECBUFFER_TOKEN) {
    return SEC_E_INVALID_TOKEN;
  }
  const std::span<std::byte> token = BytesOf(&input.pBuffers[0]);
  DWORD type = 0;
  if (token.size() < sizeof(type)) return SEC_E_UNSUPPORTED_FUNCTION;
  std::memcpy(&type, token.data(), sizeof(type));
  if (type == SCHANNEL_SHUTDOWN) {
    control_.push_back({tls::kCloseNotifyAlert});
    return SEC_E_OK;
  }
  if (type == KTLSIM_CONTROL_KEY_UPDATE) return ApplyKeyUpdate(token);
  if (type == SCHANNEL_SESSION) return ApplySession(token);
  SCHANNEL_ALERT_TOKEN alert{};
  if (type != SCHANNEL_ALERT || token.size() < sizeof(alert)) return SEC_E_UNSUPPORTED_FUNCTION;
  std::memcpy(&alert, token.data(), sizeof(alert));
  if (alert.dwAlertType != TLS1_ALERT_WARNING && alert.dwAlertType != TLS1_ALERT_FATAL) {
    return SEC_E_INVALID_TOKEN;
  }
  control_.push_back({tls::Alert{static_cast<tls::AlertLevel>(alert.dwAlertType),
                                 static_cast<tls::AlertDescription>(alert.dwAlertNumber & 0xff)}});
  return SEC_E_OK;
}

SECURITY_STATUS TlsContext::ApplySession(std::span<const std::byte> token) {
  SCHANNEL_SESSION_TOKEN session{};
  if (token.size() < sizeof(session)) return SEC_E_INVALID_TOKEN;
  std::memcpy(&session, token.data(), sizeof(session));
  const bool allow = session.dwFlags == SSL_SESSION_ENABLE_RECONNECTS;
  if (!allow && session.dwFlags != SSL_SESSION_DISABLE_RECONNECTS) return SEC_E_INVALID_TOKEN;
  const Connection* const connection = this->connection();
  if (tls::Handshake* const handshake = this->handshake()) {
    handshake->AllowResumption(allow);
  } else if (connection != nullptr && !allow && !connection->tls.post_handshake->ForgetSession() &&
             direction_ == Direction::kInbound) {
    return SEC_E_UNSUPPORTED_FUNCTION;  // the tickets are with the client
  }
  return SEC_E_OK;
}

SECURITY_STATUS TlsContext::ApplyKeyUpdate(std::span<const std::byte> token) {
  const Connection* const connection = this->connection();
  if (connection == nullptr || connection->tls.facts.version != tls::Version::kTls13) {
    return SEC_E_UNSUPPORTED_FUNCTION;
  }
  KtlsimControl_KeyUpdate update{};
  if (token.size() < sizeof(update)) return SEC_E_INVALID_TOKEN;
  std::memcpy(&update, token.data(), sizeof(update));
  if (update.fRequestPeer > 1) return SEC_E_INVALID_TOKEN;
  control_.push_back({std::nullopt, update.fRequestPeer == 1});
  return SEC_E_OK;
}

}  // namespace ktlsim::sspi
