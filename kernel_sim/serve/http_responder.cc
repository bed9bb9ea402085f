#include "kernel_sim/serve/http_responder.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <new>
#include <string_view>
#include <utility>

#include "io/member_timer.h"
#include "kernel_sim/base/assert.h"
#include "kernel_sim/serve/access_guard.h"
#include "kernel_sim/serve/digest_guard.h"
#include "kernel_sim/serve/held_plaintext.h"
#include "kernel_sim/serve/http_content.h"
#include "kernel_sim/serve/http_request_reader.h"
#include "kernel_sim/serve/http_response.h"
#include "kernel_sim/serve/pattern_content.h"
#include "kernel_sim/serve/request_clock.h"

namespace ktlsim::serve {
namespace {

using transport::Connection;
using transport::EndKind;
using transport::EndReason;

constexpr std::string_view kContinueText = "HTTP/1.1 100 Continue\r\n\r\n";

class HttpResponder final : public transport::ConnectionHandler, private HttpContentWaiter {
 public:
  HttpResponder(const HttpOptions& options, HttpContent& content)
      : limits_{options.head_bytes_max, options.request_body_max},
        content_(content),
        reader_(limits_, content.request_text()),
        clock_(options.times) {}

  void OnEstablished(Connection& connection) override { connection_ = &connection; }
  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override;
  void OnWritable(Connection& connection) override;
  void OnPeerClosed(Connection& connection, bool truncated) override;
  void OnDrain(Connection& connection) override;
  void OnEnded(Connection& connection, const EndReason& reason) override;

 private:
  // Where the response under way is.
  enum class Stage : std::uint8_t { kNone, kAwaited, kHead, kHeadAwaited, kBody, kBodyAwaited };

  void OnContentReady() override;
  std::size_t Consume(Connection& connection, std::span<const std::byte> bytes);
  void GoOn(Connection& connection);
  void Watch(Connection& connection, std::size_t bytes);
  void ArmClock();
  void OnClock();
  void GiveUp(EndKind why);
  void Continue(const HttpRequest& request);
  void Answer(const HttpRequest& request, bool close);
  void AnswerWithout(unsigned status);
  void BeginHead();
  void Pump(Connection& connection);
  bool PumpText(Connection& connection, std::string_view text, std::size_t* sent);
  bool PumpHead(Connection& connection);
  bool PumpBeginning(Connection& connection, std::string_view head, std::span<std::byte> space);
  bool PumpBody(Connection& connection);
  void EndResponse();

  std::uint64_t body_bytes() const { return head_only_ ? 0 : response_.body_bytes; }
  bool responding() const { return continue_left_ > 0 || stage_ != Stage::kNone; }

  // Fixed.
  const HttpRequestLimits limits_;
  HttpContent& content_;

  Connection* connection_ = nullptr;
  HttpRequestReader reader_;
  RequestClock clock_;
  io::MemberTimer<&HttpResponder::OnClock> clock_timer_{*this};
  std::uint64_t clock_armed_ns_ = 0;  // when clock_timer_ will look, if it is armed
  HttpResponse response_;
  std::uint64_t body_sent_ = 0;
  std::size_t head_sent_ = 0;
  std::size_t continue_left_ = 0;
  // Received, and not looked at before the end of the response.
  HeldPlaintext<GrowingBytes> pending_{GrowingBytes::kBytesMax};
  Stage stage_ = Stage::kNone;
  EndKind close_kind_ = EndKind::kCompleted;
  bool head_only_ = false;
  bool by_content_ = false;  // the content made this response
  bool peer_closed_ = false;
  bool draining_ = false;
  bool done_ = false;  // nothing more is read; after the response comes close_notify
};

void HttpResponder::OnPlaintext(Connection& connection, std::span<std::byte> plaintext) {
  connection_ = &connection;
  if (done_) return;
  if (!pending_.empty()) {
    pending_.Keep(connection, plaintext);
    return;
  }
  const std::size_t consumed = Consume(connection, plaintext);
  if (!done_ && consumed < plaintext.size()) {
    pending_.Keep(connection, plaintext.subspan(consumed));
  }
}

// Reads requests and responds until there are no more bytes, or no room for a response.
std::size_t HttpResponder::Consume(Connection& connection, std::span<const std::byte> bytes) {
  std::size_t total = 0;
  while (!done_ && !responding() && total < bytes.size()) {
    std::size_t part = 0;
    switch (reader_.Read(bytes.subspan(total), &part)) {
      case HttpRequestReader::Outcome::kNeedMore:
        break;
      case HttpRequestReader::Outcome::kContinue:
        Continue(reader_.request());
        break;
      case HttpRequestReader::Outcome::kRequest:
        clock_.Finish();
        Answer(reader_.request(), /*close=*/!reader_.request().keep_alive);
        break;
      case HttpRequestReader::Outcome::kRefused:
        continue_left_ = 0;
        AnswerWithout(reader_.refusal());
        break;
    }
    total += part;
    Pump(connection);
  }
  Watch(connection, total);
  return total;
}

// `bytes` more have been read. A request that came as a whole costs no reading of the clock.
void HttpResponder::Watch(Connection& connection, std::size_t bytes) {
  const HttpRequestReader::Phase phase = reader_.phase();
  if (done_ || responding() || phase == HttpRequestReader::Phase::kIdle) {
    clock_.Finish();
    return;
  }
  clock_.Advance(phase, bytes, connection.loop().NowNs());
  ArmClock();
}

// The timer stays where it is unless it would look too late.
void HttpResponder::ArmClock() {
  const std::uint64_t deadline_ns = clock_.deadline_ns();
  if (deadline_ns == 0 || (clock_timer_.armed() && clock_armed_ns_ <= deadline_ns)) return;
  clock_armed_ns_ = deadline_ns;
  connection_->loop().StartTimer(clock_timer_, deadline_ns);
}

void HttpResponder::OnClock() {
  const EndKind why = clock_.Judge(connection_->loop().NowNs());
  if (why == EndKind::kCompleted) {
    ArmClock();
  } else {
    GiveUp(why);
  }
}

// RFC 9110 15.5.9.
void HttpResponder::GiveUp(EndKind why) {
  clock_.Finish();
  close_kind_ = why;
  AnswerWithout(408);
  Pump(*connection_);
  // A client that does not read its responses either gets no 408.
  if (stage_ != Stage::kNone) connection_->CloseFor(why);
}

void HttpResponder::Continue(const HttpRequest& request) {
  if (content_.WantsBody(request)) {
    continue_left_ = kContinueText.size();
  } else {
    Answer(request, /*close=*/true);
  }
}

void HttpResponder::Answer(const HttpRequest& request, bool close) {
  if (request.method == HttpMethod::kConnect) {
    AnswerWithout(501);
    return;
  }
  response_ = {};
  response_.close = close;
  response_.keep_alive = request.version_1_0 && !close;
  head_only_ = request.method == HttpMethod::kHead;
  by_content_ = true;
  if (content_.Answer(request, *this, response_) == HttpContent::Outcome::kLater) {
    stage_ = Stage::kAwaited;
  } else {
    BeginHead();
  }
}

// A response of our own: no body, and the last one.
void HttpResponder::AnswerWithout(unsigned status) {
  response_ = {};
  response_.status = status;
  response_.content_type = "text/plain";
  response_.close = true;
  head_only_ = false;
  by_content_ = false;
  BeginHead();
}

void HttpResponder::BeginHead() {
  if (draining_) {
    response_.close = true;
    response_.keep_alive = false;
  }
  response_.date = std::time(nullptr);
  stage_ = Stage::kHead;
  head_sent_ = 0;
  body_sent_ = 0;
  if (response_.close) done_ = true;
}

// Writes what there is room for. The rest follows from OnWritable or OnContentReady.
void HttpResponder::Pump(Connection& connection) {
  if (continue_left_ > 0) {
    std::size_t sent = kContinueText.size() - continue_left_;
    const bool whole = PumpText(connection, kContinueText, &sent);
    continue_left_ = kContinueText.size() - sent;
    if (!whole) return;
  }
  if (stage_ == Stage::kHead && !PumpHead(connection)) return;
  if (stage_ == Stage::kBody && !PumpBody(connection)) return;
  if (done_ && stage_ == Stage::kNone) connection.CloseFor(close_kind_);
}

bool HttpResponder::PumpText(Connection& connection, std::string_view text, std::size_t* sent) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  *sent += connection.Send(bytes.subspan(*sent));
  return *sent == text.size();
}

bool HttpResponder::PumpHead(Connection& connection) {
  char head[kHttpHeadBytesMax];
  const std::size_t head_bytes = FormatHttpHead(response_, head);
  if (head_sent_ == 0 && body_bytes() > 0) {
    const std::span<std::byte> space = connection.SendSpace();
    if (space.size() > head_bytes) return PumpBeginning(connection, {head, head_bytes}, space);
  }
  if (!PumpText(connection, {head, head_bytes}, &head_sent_)) return false;
  stage_ = Stage::kBody;
  return true;
}

// With the head go the first bytes of the body: a body that cannot begin becomes a status.
bool HttpResponder::PumpBeginning(Connection& connection, std::string_view head,
                                  std::span<std::byte> space) {
  const std::span<std::byte> rest = space.subspan(head.size());
  std::size_t bytes = 0;
  switch (content_.Fill(0, rest.first(std::min<std::uint64_t>(rest.size(), body_bytes())), *this,
                        &bytes)) {
    case HttpContent::Outcome::kReady:
      KTLSIM_ASSERT(bytes > 0);
      std::memcpy(space.data(), head.data(), head.size());
      connection.CommitSend(head.size() + bytes);
      body_sent_ = bytes;
      stage_ = Stage::kBody;
      return true;
    case HttpContent::Outcome::kLater:
      stage_ = Stage::kHeadAwaited;
      return false;
    case HttpContent::Outcome::kFailed:
      break;
  }
  content_.EndResponse();
  AnswerWithout(500);
  return PumpHead(connection);
}

bool HttpResponder::PumpBody(Connection& connection) {
  const std::uint64_t whole = body_bytes();
  while (body_sent_ < whole) {
    std::span<std::byte> space = connection.SendSpace();
    if (space.empty()) return false;
    space = space.first(std::min<std::uint64_t>(space.size(), whole - body_sent_));
    std::size_t bytes = 0;
    switch (content_.Fill(body_sent_, space, *this, &bytes)) {
      case HttpContent::Outcome::kReady:
        KTLSIM_ASSERT(bytes > 0);
        connection.CommitSend(bytes);
        body_sent_ += bytes;
        break;
      case HttpContent::Outcome::kLater:
        stage_ = Stage::kBodyAwaited;
        return false;
      case HttpContent::Outcome::kFailed:
        // Fewer bytes than were announced: an orderly end would make the body look whole.
        connection.Abort();
        return false;
    }
  }
  EndResponse();
  return true;
}

void HttpResponder::EndResponse() {
  stage_ = Stage::kNone;
  if (by_content_) content_.EndResponse();
  if (draining_) done_ = true;
}

void HttpResponder::OnContentReady() {
  if (stage_ == Stage::kAwaited) {
    BeginHead();
  } else if (stage_ == Stage::kHeadAwaited) {
    stage_ = Stage::kHead;
  } else {
    KTLSIM_ASSERT(stage_ == Stage::kBodyAwaited);
    stage_ = Stage::kBody;
  }
  Pump(*connection_);
  GoOn(*connection_);
}

void HttpResponder::OnWritable(Connection& connection) {
  Pump(connection);
  GoOn(connection);
}

// After a response: the requests that waited for it, then reading again.
void HttpResponder::GoOn(Connection& connection) {
  if (responding() || done_) return;
  if (!pending_.empty()) {
    pending_.bytes().Consume(Consume(connection, pending_.bytes().bytes()));
    if (!pending_.empty()) return;
  }
  if (responding() || done_) return;
  pending_.ResumeReading(connection);
  if (peer_closed_) connection.Close();
}

void HttpResponder::OnPeerClosed(Connection& connection, bool truncated) {
  peer_closed_ = true;
  // After close_notify the peer may still wait for its responses (RFC 8446 6.1).
  if (truncated || !responding()) connection.Close();
}

void HttpResponder::OnDrain(Connection& connection) {
  draining_ = true;
  if (!responding()) {
    done_ = true;
    connection.Close();
  } else if (stage_ == Stage::kHeadAwaited || (stage_ == Stage::kHead && head_sent_ == 0)) {
    const Stage stage = stage_;
    BeginHead();  // its head can still say that it is the last one
    stage_ = stage;
  }
}

void HttpResponder::OnEnded(Connection& connection, const EndReason& /*reason*/) {
  if (clock_timer_.armed()) connection.loop().StopTimer(clock_timer_);
  content_.Release();
  delete this;
}

}  // namespace

transport::ConnectionHandler* MakeHttpResponder(const HttpOptions& options,
                                                transport::Connection& connection,
                                                HttpContent* content) {
  if (options.access != nullptr) content = options.access->Protect(content, connection);
  if (options.guard != nullptr) content = options.guard->Protect(content, connection);
  if (content == nullptr) return nullptr;
  auto* responder = new (std::nothrow) HttpResponder(options, *content);
  if (responder == nullptr) content->Release();
  return responder;
}

transport::ConnectionHandler* MakeHttpResponder(const HttpOptions& options,
                                                transport::Connection& connection) {
  return MakeHttpResponder(options, connection, MakePatternContent(options.respond_bytes));
}

}  // namespace ktlsim::serve
