#include "kernel_sim/command/load_handlers.h"

#include <schannel.h>
#include <sspi.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/serve/http_response.h"

namespace ktlsim::command {
namespace {

using transport::Connection;
using transport::EndReason;

// A slot whose every attempt fails stops, or it would keep a core busy with nothing.
constexpr unsigned kFailuresInARowMax = 20;

bool IsResumed(Connection& connection) {
  CtxtHandle context = connection.security_context();
  SecPkgContext_SessionInfo info{};
  const SECURITY_STATUS status = QueryContextAttributesA(&context, SECPKG_ATTR_SESSION_INFO, &info);
  return status == SEC_E_OK && (info.dwFlags & SSL_SESSION_RECONNECT) != 0;
}

class HandshakeSlot final : public LoadSlot {
 public:
  using LoadSlot::LoadSlot;

  void OnEstablished(Connection& connection) override {
    const bool resumption = phase().plan().kind == LoadKind::kResumedHandshake;
    const bool resumed = IsResumed(connection);
    // The slot's first connection has nothing to resume yet. A later one that misses goes on, so
    // that it brings a new session for the next.
    if (resumption && !resumed && !first_) phase().CountError("the session was not resumed");
    if (!resumption && resumed) phase().CountError("a full handshake was resumed");
    if (resumed == resumption) RecordOperation(dialled_ns());
    first_ = false;
    ExpectEnd();
  }

  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    static_cast<void>(plaintext);
    Fail(connection, "plaintext where only a handshake was asked for");
  }

  // By now the tickets have come in, too.
  void OnPeerClosed(Connection& connection, bool truncated) override {
    if (truncated) return Fail(connection, "the server ended without close_notify");
    connection.Close();
  }

 private:
  void OnDialled() override {}

  bool first_ = true;
};

// Sends the plan's request, checks the whole answer, and begins anew.
class ExchangeSlot final : public LoadSlot {
 public:
  using LoadSlot::LoadSlot;

  void OnEstablished(Connection& connection) override { SendRequest(connection); }

  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override {
    RecordBytes(plaintext.size());
    std::span<const std::byte> rest = plaintext;
    if (!in_body_) {
      if (!TakeHead(&rest)) return Fail(connection, "the answer's head is not as expected");
      if (!in_body_) return;
    }
    if (rest.size() > body_bytes_ - body_got_ || !serve::CheckHttpBody(body_got_, rest)) {
      return Fail(connection, "the answer's body is not as expected");
    }
    body_got_ += rest.size();
    if (body_got_ == body_bytes_) Finish(connection);
  }

  void OnWritable(Connection& connection) override { SendRest(connection); }

 private:
  void OnDialled() override {
    head_got_ = 0;
    in_body_ = false;
  }

  void SendRequest(Connection& connection) {
    started_ns_ = MonotonicClock::Now();
    sent_ = 0;
    SendRest(connection);
  }

  void SendRest(Connection& connection) {
    const std::string& request = phase().plan().request;
    const auto bytes = std::as_bytes(std::span(request.data(), request.size()));
    if (sent_ < bytes.size()) sent_ += connection.Send(bytes.subspan(sent_));
  }

  // Collects the head. False: it is wrong. `*rest` becomes what is behind it.
  bool TakeHead(std::span<const std::byte>* rest) {
    const std::size_t before = head_got_;
    const std::size_t part = std::min(rest->size(), sizeof(head_) - head_got_);
    std::memcpy(head_ + head_got_, rest->data(), part);
    head_got_ += part;
    const std::string_view head(head_, head_got_);
    const std::size_t end = head.find("\r\n\r\n");
    if (end == std::string_view::npos) {
      *rest = {};
      return head_got_ < sizeof(head_);
    }
    *rest = rest->subspan(end + 4 - before);
    in_body_ = true;
    body_got_ = 0;
    return head.starts_with("HTTP/1.1 200 ") && ReadLength(head.substr(0, end));
  }

  bool ReadLength(std::string_view head) {
    constexpr std::string_view kField = "\r\nContent-Length: ";
    const std::size_t at = head.find(kField);
    if (at == std::string_view::npos) return false;
    const char* const digits = head.data() + at + kField.size();
    return std::from_chars(digits, head.data() + head.size(), body_bytes_).ec == std::errc();
  }

  void Finish(Connection& connection) {
    RecordOperation(started_ns_);
    head_got_ = 0;
    in_body_ = false;
    if (phase().ending()) {
      ExpectEnd();
      connection.Close();
    } else {
      SendRequest(connection);
    }
  }

  std::uint64_t started_ns_ = 0;
  std::size_t sent_ = 0;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t body_got_ = 0;
  std::size_t head_got_ = 0;
  bool in_body_ = false;
  char head_[512];
};

}  // namespace

LoadSlot::LoadSlot(LoadPhase& phase, io::Loop& loop, const transport::TlsProfile& profile,
                   LoadTally& tally)
    : phase_(phase),
      loop_(loop),
      profile_(profile),
      tally_(tally),
      dial_item_(this, [](WorkItem& item) { static_cast<Item&>(item).slot->Dial(); }),
      abort_item_(this, [](WorkItem& item) {
        LoadSlot* slot = static_cast<Item&>(item).slot;
        if (slot->connection_ != nullptr) slot->connection_->Abort();
      }) {}

void LoadSlot::PostDial() { loop_.Post(dial_item_); }
void LoadSlot::PostAbort() { loop_.Post(abort_item_); }

void LoadSlot::Dial() {
  if (phase_.ending()) return Retire();
  end_expected_ = false;
  OnDialled();
  dialled_ns_ = MonotonicClock::Now();
  connection_ = phase_.path().Connect(loop_, phase_.plan().peer, profile_, *this);
  if (connection_ != nullptr) return;
  phase_.CountError("a connection could not be opened: no memory");
  Retire();
}

void LoadSlot::OnEnded(Connection& connection, const EndReason& reason) {
  static_cast<void>(connection);
  connection_ = nullptr;
  if (end_expected_ && reason.orderly()) {
    failures_in_a_row_ = 0;
  } else {
    ++failures_in_a_row_;
    // What Fail gave up is counted already.
    const bool known = reason.kind == transport::EndKind::kAborted;
    if (!known) phase_.CountError(reason.ToString());
  }
  if (phase_.ending() || failures_in_a_row_ >= kFailuresInARowMax) return Retire();
  loop_.Post(dial_item_);
}

// The phase may be destroyed as soon as its last slot has retired.
void LoadSlot::Retire() { phase_.SlotRetired(); }

void LoadSlot::RecordOperation(std::uint64_t started_ns) {
  if (!phase_.measuring()) return;
  tally_.operations.fetch_add(1, std::memory_order_relaxed);
  tally_.latency.Record(MonotonicClock::Now() - started_ns);
}

void LoadSlot::RecordBytes(std::size_t bytes) {
  if (phase_.measuring()) tally_.bytes.fetch_add(bytes, std::memory_order_relaxed);
}

void LoadSlot::Fail(Connection& connection, const std::string& text) {
  phase_.CountError(text);
  connection.Abort();
}

std::unique_ptr<LoadSlot> MakeLoadSlot(LoadPhase& phase, io::Loop& loop,
                                       const transport::TlsProfile& profile, LoadTally& tally) {
  if (phase.plan().kind == LoadKind::kExchange) {
    return std::make_unique<ExchangeSlot>(phase, loop, profile, tally);
  }
  return std::make_unique<HandshakeSlot>(phase, loop, profile, tally);
}

void CloseWhenEstablished::OnPlaintext(Connection& connection, std::span<std::byte> plaintext) {
  static_cast<void>(connection);
  static_cast<void>(plaintext);
}

void CloseWhenEstablished::OnEnded(Connection& connection, const EndReason& reason) {
  static_cast<void>(connection);
  static_cast<void>(reason);
}

}  // namespace ktlsim::command
