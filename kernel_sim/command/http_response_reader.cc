#include "kernel_sim/command/http_response_reader.h"

#include <algorithm>
#include <utility>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/serve/digest_guard.h"

namespace ktlsim::command {
namespace {

// What llhttp's on_headers_complete may return.
constexpr int kBody = 0;
constexpr int kNoBody = 1;

constexpr std::size_t kFieldNameBytesMax = 32;
constexpr std::size_t kChallengeBytesMax = 4096;
constexpr std::string_view kChallengeField = "www-authenticate";
constexpr std::string_view kInfoField = "authentication-info";

}  // namespace

HttpResponseReader::HttpResponseReader(BodyCheck check, Challenges challenges)
    : check_(std::move(check)), challenges_(challenges) {
  Reset();
}

const llhttp_settings_t& HttpResponseReader::Settings(Challenges challenges) {
  static const llhttp_settings_t plain = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    // These have no body, whatever length they announce (RFC 9112 6.3).
    made.on_headers_complete = [](llhttp_t* parser) -> int {
      const unsigned status = parser->status_code;
      const bool none = static_cast<HttpResponseReader*>(parser->data)->no_body_;
      return none || status / 100 == 1 || status == 204 || status == 304 ? kNoBody : kBody;
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
  static const llhttp_settings_t with_challenges = [] {
    llhttp_settings_t made = plain;
    made.on_header_field = &OnFieldName;
    made.on_header_value = &OnFieldValue;
    made.on_header_value_complete = &OnFieldEnd;
    return made;
  }();
  return challenges == Challenges::kKept ? with_challenges : plain;
}

int HttpResponseReader::OnFieldName(llhttp_t* parser, const char* at, std::size_t bytes) {
  auto* const self = static_cast<HttpResponseReader*>(parser->data);
  for (std::size_t i = 0; i < bytes && self->field_name_.size() < kFieldNameBytesMax; ++i) {
    self->field_name_ += Lower(at[i]);
  }
  return 0;
}

int HttpResponseReader::OnFieldValue(llhttp_t* parser, const char* at, std::size_t bytes) {
  auto* const self = static_cast<HttpResponseReader*>(parser->data);
  if (self->field_name_ != kChallengeField && self->field_name_ != kInfoField) return 0;
  const std::size_t room = kChallengeBytesMax - self->field_value_.size();
  self->field_value_.append(at, std::min(bytes, room));
  return 0;
}

int HttpResponseReader::OnFieldEnd(llhttp_t* parser) {
  auto* const self = static_cast<HttpResponseReader*>(parser->data);
  std::string_view token;
  if (self->field_name_ == kInfoField) {
    self->authentication_info_ = self->field_value_;
  } else if (self->challenge_.empty() && serve::DigestTokenOf(self->field_value_, &token)) {
    self->challenge_ = token;
  }
  self->field_name_.clear();
  self->field_value_.clear();
  return 0;
}

std::string_view HttpResponseReader::challenge() const { return challenge_; }

void HttpResponseReader::Reset() {
  llhttp_init(&parser_, HTTP_RESPONSE, &Settings(challenges_));
  parser_.data = this;
  body_bytes_ = 0;
  begun_ = false;
  complete_ = false;
  keep_alive_ = false;
  field_name_.clear();
  field_value_.clear();
  challenge_.clear();
  authentication_info_.clear();
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
