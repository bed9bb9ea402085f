#include "kernel_sim/serve/http_responder.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <ctime>
#include <new>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/serve/http_request_reader.h"
#include "kernel_sim/serve/http_response.h"

namespace ktlsim::serve {
namespace {

using transport::Connection;
using transport::EndReason;

constexpr std::string_view kContinueText = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::string_view kBytesPath = "/bytes/";
// What may wait behind a response: OnPlaintext can come once more after PauseReading.
constexpr std::size_t kPendingMax = 128 * 1024;

// n of "/bytes/<n>"; empty when it is no number or too large.
std::optional<std::uint64_t> BytesOfPath(std::string_view path) {
  const std::string_view digits = path.substr(kBytesPath.size());
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bytes);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return {};
  if (bytes > kBytesPathMax) return {};
  return bytes;
}

class HttpResponder final : public transport::ConnectionHandler {
 public:
  explicit HttpResponder(const HttpOptions& options)
      : options_(options),
        limits_{options.head_bytes_max, options.request_body_max},
        reader_(limits_) {}

  void OnPlaintext(Connection& connection, std::span<std::byte> plaintext) override;
  void OnWritable(Connection& connection) override;
  void OnPeerClosed(Connection& connection, bool truncated) override;
  void OnEnded(Connection& connection, const EndReason& reason) override;

 private:
  std::size_t Consume(Connection& connection, std::span<const std::byte> bytes);
  void Keep(Connection& connection, std::span<const std::byte> bytes);
  void GoOn(Connection& connection);
  void Answer(const HttpRequest& request);
  void AnswerRefusal(unsigned status);
  void BeginResponse(unsigned status, std::uint64_t body_bytes, bool head_only);
  void Pump(Connection& connection);
  bool PumpText(Connection& connection, std::string_view text, std::size_t* sent);
  bool PumpHead(Connection& connection);
  bool PumpBody(Connection& connection);

  bool responding() const { return continue_left_ > 0 || head_due_ || body_left_ > 0; }

  // Fixed.
  const HttpOptions& options_;
  const HttpRequestLimits limits_;

  HttpRequestReader reader_;
  HttpResponse response_;
  std::uint64_t body_left_ = 0;
  std::size_t head_sent_ = 0;
  std::size_t continue_left_ = 0;
  std::vector<std::byte> pending_;  // received, not yet looked at
  bool head_due_ = false;
  bool paused_ = false;
  bool peer_closed_ = false;
  bool done_ = false;  // nothing more is read; after the response comes close_notify
};

void HttpResponder::OnPlaintext(Connection& connection, std::span<std::byte> plaintext) {
  if (done_) return;
  if (!pending_.empty()) {
    Keep(connection, plaintext);
    return;
  }
  const std::size_t consumed = Consume(connection, plaintext);
  if (!done_ && consumed < plaintext.size()) Keep(connection, plaintext.subspan(consumed));
}

// Reads and answers requests until the bytes or the room to answer are at an end.
std::size_t HttpResponder::Consume(Connection& connection, std::span<const std::byte> bytes) {
  std::size_t total = 0;
  while (!done_ && !responding() && total < bytes.size()) {
    std::size_t part = 0;
    switch (reader_.Read(bytes.subspan(total), &part)) {
      case HttpRequestReader::Outcome::kNeedMore:
        break;
      case HttpRequestReader::Outcome::kContinue:
        continue_left_ = kContinueText.size();
        break;
      case HttpRequestReader::Outcome::kRequest:
        Answer(reader_.request());
        break;
      case HttpRequestReader::Outcome::kRefused:
        AnswerRefusal(reader_.refusal());
        break;
    }
    total += part;
    Pump(connection);
  }
  return total;
}

void HttpResponder::Keep(Connection& connection, std::span<const std::byte> bytes) {
  if (pending_.size() + bytes.size() > kPendingMax) {
    connection.Abort();
    return;
  }
  try {
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
  } catch (const std::bad_alloc&) {
    connection.Abort();
    return;
  }
  if (!paused_) connection.PauseReading();
  paused_ = true;
}

void HttpResponder::Answer(const HttpRequest& request) {
  response_.close = !request.keep_alive;
  response_.keep_alive = request.version_1_0 && request.keep_alive;
  if (request.connect) {
    response_.close = true;
    BeginResponse(501, 0, false);
    return;
  }
  std::uint64_t body = options_.respond_bytes;
  unsigned status = 200;
  if (request.path().starts_with(kBytesPath)) {
    const std::optional<std::uint64_t> wanted = BytesOfPath(request.path());
    status = wanted ? 200 : 404;
    body = wanted.value_or(0);
  }
  BeginResponse(status, body, request.head);
}

void HttpResponder::AnswerRefusal(unsigned status) {
  response_.close = true;
  response_.keep_alive = false;
  continue_left_ = 0;
  BeginResponse(status, 0, false);
}

void HttpResponder::BeginResponse(unsigned status, std::uint64_t body_bytes, bool head_only) {
  response_.status = status;
  response_.body_bytes = body_bytes;
  response_.date = std::time(nullptr);
  head_due_ = true;
  head_sent_ = 0;
  body_left_ = head_only ? 0 : body_bytes;
  if (response_.close) done_ = true;
}

// Writes what there is room for. The rest follows from OnWritable.
void HttpResponder::Pump(Connection& connection) {
  if (continue_left_ > 0) {
    std::size_t sent = kContinueText.size() - continue_left_;
    const bool whole = PumpText(connection, kContinueText, &sent);
    continue_left_ = kContinueText.size() - sent;
    if (!whole) return;
  }
  if (head_due_ && !PumpHead(connection)) return;
  if (body_left_ > 0 && !PumpBody(connection)) return;
  if (done_) connection.Close();
}

bool HttpResponder::PumpText(Connection& connection, std::string_view text, std::size_t* sent) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  *sent += connection.Send(bytes.subspan(*sent));
  return *sent == text.size();
}

bool HttpResponder::PumpHead(Connection& connection) {
  char head[kHttpHeadBytesMax];
  const std::size_t head_bytes = FormatHttpHead(response_, head);
  if (!PumpText(connection, {head, head_bytes}, &head_sent_)) return false;
  head_due_ = false;
  return true;
}

bool HttpResponder::PumpBody(Connection& connection) {
  while (body_left_ > 0) {
    std::span<std::byte> space = connection.SendSpace();
    if (space.empty()) return false;
    space = space.first(std::min<std::uint64_t>(space.size(), body_left_));
    FillHttpBody(response_.body_bytes - body_left_, space);
    connection.CommitSend(space.size());
    body_left_ -= space.size();
  }
  return true;
}

void HttpResponder::OnWritable(Connection& connection) {
  Pump(connection);
  GoOn(connection);
}

// After a response: the requests that waited behind it, then reading again.
void HttpResponder::GoOn(Connection& connection) {
  if (responding() || done_) return;
  if (!pending_.empty()) {
    const std::size_t consumed = Consume(connection, pending_);
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(consumed));
    if (!pending_.empty()) return;
  }
  if (responding() || done_) return;
  if (std::exchange(paused_, false)) connection.ResumeReading();
  if (peer_closed_) connection.Close();
}

void HttpResponder::OnPeerClosed(Connection& connection, bool truncated) {
  peer_closed_ = true;
  // After close_notify the peer may still wait for its answers (RFC 8446 6.1).
  if (truncated || !responding()) connection.Close();
}

void HttpResponder::OnEnded(Connection& connection, const EndReason& reason) {
  static_cast<void>(connection);
  static_cast<void>(reason);
  delete this;
}

}  // namespace

transport::ConnectionHandler* MakeHttpResponder(const HttpOptions& options) {
  return new (std::nothrow) HttpResponder(options);
}

}  // namespace ktlsim::serve
