#include "kernel_sim/command/load_handlers.h"

#include <schannel.h>
#include <sspi.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/command/digest_login.h"
#include "kernel_sim/command/http_response_reader.h"
#include "kernel_sim/serve/http_response.h"

namespace ktlsim::command {
namespace {

using transport::Connection;
using transport::EndReason;

// A slot whose every attempt fails goes on, because its server may come back; ever more slowly,
// because it would otherwise keep a core busy.
constexpr std::uint64_t kRedialMinNs = 10 * kNsPerMs;
constexpr std::uint64_t kRedialMaxNs = kNsPerSecond;
constexpr unsigned kRedialPhases = 16;
// As long as a leg of the handshake may take: a server under this load sends its tickets after the
// handshakes that came earlier.
constexpr std::uint64_t kTicketWaitNs = 10 * kNsPerSecond;

bool IsResumed(Connection& connection) {
  CtxtHandle context = connection.security_context();
  SecPkgContext_SessionInfo info{};
  const SECURITY_STATUS status = QueryContextAttributesA(&context, SECPKG_ATTR_SESSION_INFO, &info);
  return status == SEC_E_OK && (info.dwFlags & SSL_SESSION_RECONNECT) != 0;
}

class HandshakeSlot final : public LoadSlot {
 public:
  using LoadSlot::LoadSlot;

  void OnPlaintext(Connection& connection, std::span<std::byte> /*plaintext*/) override {
    if (phase().plan().server_closes) {
      Fail(connection, "plaintext where only a handshake was asked for");
    }
  }

  // Something came after the handshake: a ticket, if anything.
  void OnPostHandshake(Connection& connection) override {
    if (waiting_for_ticket_) Close(connection);
  }

  void OnPeerClosed(Connection& connection, bool truncated) override {
    if (truncated && phase().plan().server_closes) {
      return Fail(connection, "the server ended without close_notify");
    }
    Close(connection);
  }

 private:
  void Operate() override {
    waiting_for_ticket_ = false;
    Dial();
  }

  void Established(Connection& connection) override {
    const bool resumption = phase().plan().kind == LoadKind::kResumedHandshake;
    const bool resumed = IsResumed(connection);
    // The slot's first connection has nothing to resume yet. A later one that misses goes on, so
    // that it brings a new session for the next.
    if (resumption && !resumed && !first_) phase().CountError("the session was not resumed");
    if (!resumption && resumed) phase().CountError("a full handshake was resumed");
    first_ = false;
    if (resumed == resumption) RecordOperation();
    Succeeded(/*kept=*/false);
    if (phase().plan().server_closes) return;
    // TLS 1.2 has its session by now, TLS 1.3 waits for a ticket.
    constexpr std::uint16_t kTls13 = 0x0304;
    if (!resumption || phase().ending() || connection.Info().version < kTls13) {
      return Close(connection);
    }
    waiting_for_ticket_ = true;
    WaitAtMost(kTicketWaitNs);
  }

  void TimedOut() override {
    phase().CountError("the server sent no session ticket within 10 seconds");
    if (connection() != nullptr) Close(*connection());
  }

  void Close(Connection& connection) {
    waiting_for_ticket_ = false;
    StopWaiting();
    connection.Close();
  }

  bool first_ = true;
  bool waiting_for_ticket_ = false;
};

// Sends the plan's request, reads the whole response, and begins again.
class ExchangeSlot final : public LoadSlot {
 public:
  ExchangeSlot(LoadPhase& phase, const Place& place)
      : LoadSlot(phase, place),
        context_(place.number / DigestLogin::kConnectionsPerContext),
        reader_(phase.plan().check_body ? &serve::CheckHttpBody : HttpResponseReader::BodyCheck(),
                phase.plan().login != nullptr ? HttpResponseReader::Challenges::kKept
                                              : HttpResponseReader::Challenges::kIgnored) {
    if (phase.plan().no_body) reader_.ExpectNoBody();
  }

  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    if (!phase().plan().count_sent) RecordBytes(plaintext.size());
    if (!operating()) return Fail(connection, "the server sent data without a request");
    if (!reader_.begun()) RecordFirstByte();
    switch (reader_.Read(plaintext)) {
      case HttpResponseReader::Outcome::kNeedMore:
        return;
      case HttpResponseReader::Outcome::kComplete:
        return Finish(connection);
      case HttpResponseReader::Outcome::kMalformed:
        return Fail(connection, "the response is not as expected");
    }
  }

  void OnWritable(Connection& connection) override { SendRest(connection); }

  void OnPeerClosed(Connection& connection, bool truncated) override {
    if (operating() && connection.established()) {
      if (truncated || reader_.Finish() != HttpResponseReader::Outcome::kComplete) {
        return Fail(connection, "the server closed before its response was complete");
      }
      Finish(connection);
    }
    // Between two requests a server may close when it likes.
    ExpectEnd();
    connection.Close();
  }

 private:
  void Operate() override {
    if (connection() != nullptr) return SendRequest(*connection());
    Dial();
  }

  void Established(Connection& connection) override { SendRequest(connection); }

  void SendRequest(Connection& connection) {
    if (!churns()) CountFromNow();
    tries_ = 0;
    Send(connection);
  }

  // Waits where the login has to be renewed first.
  void Send(Connection& connection) {
    constexpr std::uint64_t kRenewalWaitNs = 5 * kNsPerMs;
    reader_.Reset();
    sent_ = 0;
    SendingBegins();
    if (phase().plan().login != nullptr && !Sign()) return WaitAtMost(kRenewalWaitNs);
    SendRest(connection);
  }

  bool Sign() {
    const LoadPlan& plan = phase().plan();
    if (!plan.login->Sign(context_, plan.target, &header_, &signed_by_)) {
      signed_request_.clear();
      return false;
    }
    signed_request_ = plan.request;
    signed_request_.append("Authorization: ").append(header_).append("\r\n\r\n");
    return true;
  }

  void CheckServer() {
    const LoadPlan& plan = phase().plan();
    if (plan.login == nullptr || !ServerProofs::Proves(reader_.authentication_info())) return;
    plan.login->proofs().Verify(signed_by_, plan.target, header_, reader_.authentication_info());
  }

  void TimedOut() override {
    if (operating() && connection() != nullptr) Send(*connection());
  }

  const std::string& Request() {
    return phase().plan().login != nullptr ? signed_request_ : phase().plan().request;
  }

  // The signature was right, and too late: others of the context have overtaken it, or the nonce
  // has had its time. The same operation goes on with another signature, then with another nonce.
  bool BeginAgain(Connection& connection) {
    constexpr unsigned kUnauthorized = 401;
    constexpr unsigned kTriesMax = 8;
    const bool stale =
        reader_.status() == kUnauthorized && reader_.keep_alive() && IsStale(reader_.challenge());
    if (!stale || tries_ == kTriesMax) return false;
    if (++tries_ > 1) phase().plan().login->NoteChallenge(context_, reader_.challenge());
    Send(connection);
    return true;
  }

  void SendRest(Connection& connection) {
    const std::string& request = Request();
    const auto bytes = std::as_bytes(std::span(request.data(), request.size()));
    if (!operating() || sent_ >= bytes.size()) return;
    const std::size_t taken = connection.Send(bytes.subspan(sent_));
    sent_ += taken;
    if (phase().plan().count_sent) RecordBytes(taken);
  }

  bool churns() { return phase().plan().kind == LoadKind::kChurn; }

  void Finish(Connection& connection) {
    if (phase().plan().login != nullptr && BeginAgain(connection)) return;
    CheckServer();
    RecordStatus(reader_.status());
    const bool well = phase().plan().success.Has(reader_.status());
    if (well) RecordOperation();
    if (!well) phase().CountError("status " + std::to_string(reader_.status()));
    const bool kept = reader_.keep_alive() && !churns();
    Succeeded(kept);
    if (!kept) connection.Close();
  }

  const std::size_t context_;  // of the login
  HttpResponseReader reader_;
  std::string signed_request_;
  std::string header_;  // its Authorization
  CtxtHandle signed_by_{};
  std::size_t sent_ = 0;
  unsigned tries_ = 0;  // of the operation that were stale
};

}  // namespace

LoadSlot::LoadSlot(LoadPhase& phase, const Place& place) : phase_(phase), place_(place) {}

void LoadSlot::PostStart() { place_.loop.Post(start_item_); }
void LoadSlot::PostEnd() { place_.loop.Post(end_item_); }
void LoadSlot::PostAbort() { place_.loop.Post(abort_item_); }

void LoadSlot::Start() { BeginNext(); }

void LoadSlot::EndSoon() {
  if (!operating_ && (idle_ || timer_.armed())) {
    place_.loop.StopTimer(timer_);
    StopIdling();
    BeginNext();
  }
  phase_.DropHold();
}

void LoadSlot::StopIdling() {
  if (std::exchange(idle_, false)) place_.dispatcher->Leave(*this);
}

void LoadSlot::ExpectEnd() {
  end_expected_ = true;
  if (!idle_) return;
  // Another one makes the operation that is due meanwhile.
  StopIdling();
  ended_idle_ = true;
}

void LoadSlot::BeginNext() {
  if (life_ != Life::kRunning) return WindUp();
  // The operation continues with the next address.
  if (operating_) return Dial();
  if (phase_.ending()) return WindUp();
  // The last connection is still closing: OnEnded continues.
  if (connection_ != nullptr && end_expected_) return;
  const std::uint64_t now = MonotonicClock::Now();
  if (place_.dispatcher == nullptr) return Begin(now, now);
  place_.dispatcher->RecordLag(phase_.measuring());
  std::uint64_t due = 0;
  if (place_.dispatcher->Take(now, &due)) return Begin(due, now);
  idle_ = true;
  place_.dispatcher->Wait(*this);
}

void LoadSlot::BeginDue(std::uint64_t due_ns) {
  idle_ = false;
  Begin(due_ns, MonotonicClock::Now());
}

void LoadSlot::Begin(std::uint64_t begun_ns, std::uint64_t now_ns) {
  begun_ns_ = begun_ns;
  tried_since_ns_ = now_ns;
  operating_ = true;
  if (!limit_timer_.armed()) ArmLimit();
  Operate();
}

void LoadSlot::CountFromNow() {
  if (place_.dispatcher == nullptr) begun_ns_ = MonotonicClock::Now();
}

void LoadSlot::OnTimer() {
  if (std::exchange(limited_, false)) {
    TimedOut();
  } else {
    BeginNext();
  }
}

void LoadSlot::WaitAtMost(std::uint64_t ns) {
  limited_ = true;
  place_.loop.StartTimer(timer_, MonotonicClock::Now() + ns);
}

void LoadSlot::StopWaiting() {
  if (std::exchange(limited_, false)) place_.loop.StopTimer(timer_);
}

void LoadSlot::Dial() {
  end_expected_ = false;
  reached_ = Reached::kDialled;
  dialled_ns_ = MonotonicClock::Now();
  if (AddressLimit() != 0 || !limit_timer_.armed()) ArmLimit();
  connection_ =
      phase_.path().Connect(place_.loop, phase_.plan().peers[peer_], place_.profile, *this);
  if (connection_ != nullptr) return;
  phase_.CountError("a connection could not be opened: no memory");
  operating_ = false;
  ++failures_in_a_row_;
  RedialLater();
}

std::uint64_t LoadSlot::RedialDelayNs(unsigned failures, unsigned number) {
  const unsigned doublings = std::min(failures == 0 ? 0U : failures - 1, 10U);
  const std::uint64_t longest = std::min(kRedialMinNs << doublings, kRedialMaxNs);
  return longest / 2 + longest / 2 * (number % kRedialPhases) / kRedialPhases;
}

void LoadSlot::RedialLater() {
  if (phase_.ending()) return WindUp();
  place_.loop.StartTimer(timer_,
                         MonotonicClock::Now() + RedialDelayNs(failures_in_a_row_, place_.number));
}

void LoadSlot::OnEstablished(Connection& connection) {
  reached_ = Reached::kEstablished;
  RecordPhase(OperationPhase::kTlsHandshake, connected_ns_, MonotonicClock::Now());
  if (!phase_.negotiated_known()) phase_.Negotiated(connection);
  tried_ = 0;
  refusals_.clear();
  Established(connection);
}

std::string LoadSlot::TextOf(const EndReason& reason) const {
  std::string text = reason.ToString();
  const char* const hint = phase_.plan().hint != nullptr ? phase_.plan().hint(reason) : "";
  if (*hint != '\0') {
    text += "; ";
    text += hint;
  }
  return text;
}

void LoadSlot::OnEnded(Connection& /*connection*/, const EndReason& reason) {
  connection_ = nullptr;
  StopWaiting();
  const bool ended_idle = std::exchange(ended_idle_, false);
  const bool idle = ended_idle || idle_ || timer_.armed();  // nothing is to be done yet
  if (TryNextAddress(reason)) return;
  tried_ = 0;
  refusals_.clear();
  bool failed = false;
  if (end_expected_ && (reason.orderly() || !phase_.plan().server_closes)) {
    failures_in_a_row_ = 0;
  } else if (!idle) {
    ++failures_in_a_row_;
    failed = true;
    // Operations that Fail gave up, and refused addresses, are counted already.
    const bool known = reason.kind == transport::EndKind::kAborted ||
                       reason.kind == transport::EndKind::kConnectFailed;
    if (!known) phase_.CountError(TextOf(reason));
  }
  if (ended_idle) return place_.loop.Post(next_item_);
  if (idle) return;
  operating_ = false;
  if (phase_.ending()) return WindUp();
  if (failed) return RedialLater();
  place_.loop.Post(next_item_);
}

void LoadSlot::WindUp() {
  if (connection_ == nullptr) return Retire();
  ExpectEnd();
  connection_->Close();
}

void LoadSlot::Retire() {
  if (life_ == Life::kRetired) return;
  life_ = Life::kRetired;
  place_.loop.StopTimer(limit_timer_);
  phase_.SlotRetired();
  phase_.DropHold();
}

void LoadSlot::RecordOperation() {
  const std::uint64_t now = MonotonicClock::Now();
  if (phase_.measuring()) {
    place_.tally.operations.fetch_add(1, std::memory_order_relaxed);
    place_.tally.series.AddOperation(phase_.MeasuredFor(now), now - begun_ns_);
  } else if (begun_ns_ < phase_.ended_ns() && phase_.measured()) {
    ++place_.tally.late;
  } else {
    return;
  }
  place_.tally.latency.Record(now - begun_ns_);
}

// Connections that are kept are dialled before anything is measured.
bool LoadSlot::CountsConnections() const {
  return phase_.measuring() || phase_.plan().kind == LoadKind::kExchange;
}

void LoadSlot::RecordPhase(OperationPhase phase, std::uint64_t since_ns, std::uint64_t now_ns) {
  if (!CountsConnections()) return;
  place_.tally.phases[static_cast<std::size_t>(phase)].Record(now_ns - since_ns);
}

void LoadSlot::RecordFirstByte() {
  if (!phase_.measuring()) return;
  place_.tally.phases[static_cast<std::size_t>(OperationPhase::kFirstByte)].Record(
      MonotonicClock::Now() - sending_ns_);
}

void LoadSlot::Abort() {
  Abandon();
  phase_.DropHold();
}

// The phase has waited long enough.
void LoadSlot::Abandon() {
  if (life_ == Life::kRetired) return;
  life_ = Life::kAbandoned;
  if (operating_ && begun_ns_ < phase_.ended_ns()) {
    const std::uint64_t age = MonotonicClock::Now() - begun_ns_;
    ++place_.tally.unfinished;
    place_.tally.oldest_unfinished_ns = std::max(place_.tally.oldest_unfinished_ns, age);
    place_.tally.latency.Record(age);
  } else if (connection_ != nullptr) {
    phase_.CountError("a connection did not close and was aborted");
  }
  if (connection_ != nullptr) connection_->Abort();
}

void LoadSlot::Succeeded(bool kept) {
  operating_ = false;
  failures_in_a_row_ = 0;
  if (kept) {
    BeginNext();
  } else {
    ExpectEnd();
  }
}

void LoadSlot::RecordBytes(std::size_t bytes) {
  if (!phase_.measuring()) return;
  place_.tally.bytes.fetch_add(bytes, std::memory_order_relaxed);
  place_.tally.series.AddBytes(phase_.MeasuredFor(MonotonicClock::Now()), bytes);
}

void LoadSlot::RecordStatus(unsigned status) {
  if (!phase_.measuring()) return;
  const std::size_t kind = status / 100 < kStatusClasses ? status / 100 : 0;
  place_.tally.statuses[kind].fetch_add(1, std::memory_order_relaxed);
}

void LoadSlot::Fail(Connection& connection, const std::string& text) {
  phase_.CountError(text);
  connection.Abort();
}

std::unique_ptr<LoadSlot> MakeLoadSlot(LoadPhase& phase, const LoadSlot::Place& place) {
  if (phase.plan().exchanges()) {
    return std::make_unique<ExchangeSlot>(phase, place);
  }
  return std::make_unique<HandshakeSlot>(phase, place);
}

void CloseWhenEstablished::OnPlaintext(Connection& /*connection*/,
                                       std::span<std::byte> /*plaintext*/) {}

void CloseWhenEstablished::OnEnded(Connection& /*connection*/, const EndReason& /*reason*/) {}

}  // namespace ktlsim::command
