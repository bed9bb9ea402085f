#include "kernel_sim/command/http_response_reader.h"

#include <utility>

namespace ktlsim::command {
namespace {

// What llhttp's on_headers_complete may return.
constexpr int kBody = 0;
constexpr int kNoBody = 1;

}  // namespace

HttpResponseReader::HttpResponseReader(BodyCheck check) : check_(std::move(check)) { Reset(); }

const llhttp_settings_t& HttpResponseReader::Settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    // These have no body, whatever length they announce (RFC 9112 6.3).
    made.on_headers_complete = [](llhttp_t* parser) -> int {
      const unsigned status = parser->status_code;
      return status / 100 == 1 || status == 204 || status == 304 ? kNoBody : kBody;
    };
    made.on_body = [](llhttp_t* parser, const char* at, std::size_t bytes) -> int {
      auto* const self = static_cast<HttpResponseReader*>(parser->data);
      const std::span<const std::byte> body = std::as_bytes(std::span(at, bytes));
      const bool right = !self->check_ || self->check_(self->body_bytes_, body);
      self->body_bytes_ += bytes;
      return right ? HPE_OK : HPE_USER;
    };
    made.on_message_complete = [](llhttp_t* parser) -> int {
      auto* const self = static_cast<HttpResponseReader*>(parser->data);
      // "100 Continue" and its like announce another response.
      if (parser->status_code < 200) return HPE_OK;
      self->complete_ = true;
      self->keep_alive_ = llhttp_should_keep_alive(parser) != 0;
      return HPE_PAUSED;
    };
    return made;
  }();
  return settings;
}

void HttpResponseReader::Reset() {
  llhttp_init(&parser_, HTTP_RESPONSE, &Settings());
  parser_.data = this;
  body_bytes_ = 0;
  begun_ = false;
  complete_ = false;
  keep_alive_ = false;
}

HttpResponseReader::Outcome HttpResponseReader::Read(std::span<const std::byte> input) {
  if (input.empty()) return Outcome::kNeedMore;
  if (complete_) return Outcome::kMalformed;
  begun_ = true;
  const char* const begin = reinterpret_cast<const char*>(input.data());
  const llhttp_errno_t error = llhttp_execute(&parser_, begin, input.size());
  if (error == HPE_OK) return Outcome::kNeedMore;
  if (!complete_ || error != HPE_PAUSED) return Outcome::kMalformed;
  // Requests are not pipelined, so nothing may follow.
  const bool all = llhttp_get_error_pos(&parser_) == begin + input.size();
  return all ? Outcome::kComplete : Outcome::kMalformed;
}

HttpResponseReader::Outcome HttpResponseReader::Finish() {
  if (!begun_ || complete_) return Outcome::kMalformed;
  const llhttp_errno_t error = llhttp_finish(&parser_);
  return complete_ && (error == HPE_OK || error == HPE_PAUSED) ? Outcome::kComplete
                                                               : Outcome::kMalformed;
}

}  // namespace ktlsim::command
