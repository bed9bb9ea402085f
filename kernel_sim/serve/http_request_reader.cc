#include "kernel_sim/serve/http_request_reader.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace ktlsim::serve {
namespace {

constexpr char kLineEnd[] = "\r\n";

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

HttpRequestReader* Self(llhttp_t* parser) { return static_cast<HttpRequestReader*>(parser->data); }

HttpMethod MethodOf(unsigned number) {
  switch (number) {
    case HTTP_GET:
      return HttpMethod::kGet;
    case HTTP_HEAD:
      return HttpMethod::kHead;
    case HTTP_CONNECT:
      return HttpMethod::kConnect;
    default:
      return HttpMethod::kOther;
  }
}

}  // namespace

// The fields that HttpRequestText has.
struct HttpRequestReader::KeptField {
  std::string_view name;
  std::string HttpRequestText::* text;
};

const HttpRequestReader::KeptField* HttpRequestReader::FindKept(std::string_view name) {
  static constexpr KeptField kKept[] = {
      {"if-match", &HttpRequestText::if_match},
      {"if-modified-since", &HttpRequestText::if_modified_since},
      {"if-none-match", &HttpRequestText::if_none_match},
      {"if-range", &HttpRequestText::if_range},
      {"if-unmodified-since", &HttpRequestText::if_unmodified_since},
      {"range", &HttpRequestText::range},
  };
  for (const KeptField& kept : kKept) {
    if (kept.name == name) return &kept;
  }
  return nullptr;
}

// An idle connection keeps no long words.
void HttpRequestText::Clear() { *this = {}; }

HttpRequestReader::HttpRequestReader(const HttpRequestLimits& limits, HttpRequestText* text)
    : limits_(limits), text_(text) {
  llhttp_init(&parser_, HTTP_REQUEST, &Settings());
  parser_.data = this;
}

const llhttp_settings_t& HttpRequestReader::Settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_url = &OnUrl;
    made.on_header_field = &OnFieldName;
    made.on_header_field_complete = &OnFieldNameEnd;
    made.on_header_value = &OnFieldValue;
    made.on_headers_complete = &OnHeadersComplete;
    made.on_body = &OnBody;
    made.on_message_complete = &OnMessageComplete;
    return made;
  }();
  return settings;
}

HttpRequestReader::Outcome HttpRequestReader::Read(std::span<const std::byte> input,
                                                   std::size_t* consumed) {
  *consumed = 0;
  if (complete_) BeginRequest();
  Outcome outcome = Outcome::kNeedMore;
  while (outcome == Outcome::kNeedMore && !input.empty()) {
    std::size_t part = 0;
    outcome = in_head_ ? ReadHeadLine(input, &part) : ReadBody(input, &part);
    *consumed += part;
    input = input.subspan(part);
  }
  return outcome;
}

void HttpRequestReader::BeginRequest() {
  request_.path_bytes = 0;
  if (text_ != nullptr) text_->Clear();
  body_bytes_ = 0;
  head_bytes_ = 0;
  hosts_ = 0;
  name_bytes_ = 0;
  name_has_blank_ = false;
  in_head_ = true;
  path_ended_ = false;
  line_started_ = false;
  first_line_ = true;
  last_was_cr_ = false;
  expects_continue_ = false;
  complete_ = false;
}

HttpRequestReader::Outcome HttpRequestReader::Refuse(unsigned status) {
  if (refusal_ == 0) refusal_ = static_cast<std::uint16_t>(status);
  return Outcome::kRefused;
}

// The head is given to llhttp line by line. So its end is the end of what was given, and a line
// that ends in a bare line feed is seen, and ended as llhttp insists on.
HttpRequestReader::Outcome HttpRequestReader::ReadHeadLine(std::span<const std::byte> input,
                                                           std::size_t* consumed) {
  const char* const begin = reinterpret_cast<const char*>(input.data());
  const auto* const feed = static_cast<const char*>(std::memchr(begin, '\n', input.size()));
  const std::size_t bytes =
      feed != nullptr ? static_cast<std::size_t>(feed - begin) + 1 : input.size();
  *consumed = bytes;
  if (bytes > limits_.head_bytes_max - std::min<std::size_t>(head_bytes_, limits_.head_bytes_max)) {
    return Refuse(431);
  }
  // Blank lines in front of a request are skipped by llhttp and do not make us busy.
  const bool blank_line = !line_started_ && (begin[0] == '\n' || begin[0] == '\r');
  if (!first_line_ && !line_started_ && (begin[0] == ' ' || begin[0] == '\t')) return Refuse(400);
  head_bytes_ += static_cast<std::uint32_t>(bytes);
  if (!blank_line) line_started_ = true;

  const bool cr_before_feed = feed != nullptr && (feed > begin ? feed[-1] == '\r' : last_was_cr_);
  last_was_cr_ = begin[bytes - 1] == '\r';
  std::size_t part = 0;
  if (feed == nullptr || cr_before_feed) {
    const Outcome outcome = Execute(begin, bytes, &part);
    if (feed != nullptr) EndLine();
    return outcome;
  }
  if (bytes > 1) {
    const Outcome outcome = Execute(begin, bytes - 1, &part);
    if (outcome != Outcome::kNeedMore) return outcome;
  }
  EndLine();
  return Execute(kLineEnd, 2, &part);
}

void HttpRequestReader::EndLine() {
  if (line_started_) first_line_ = false;
  line_started_ = false;
}

HttpRequestReader::Outcome HttpRequestReader::ReadBody(std::span<const std::byte> input,
                                                       std::size_t* consumed) {
  return Execute(reinterpret_cast<const char*>(input.data()), input.size(), consumed);
}

HttpRequestReader::Outcome HttpRequestReader::Execute(const char* bytes, std::size_t count,
                                                      std::size_t* consumed) {
  const llhttp_errno_t error = llhttp_execute(&parser_, bytes, count);
  *consumed = count;
  if (error == HPE_OK) return OutcomeOf(error);
  if (const char* const stopped = llhttp_get_error_pos(&parser_); stopped != nullptr) {
    *consumed = std::min(count, static_cast<std::size_t>(stopped - bytes));
  }
  return OutcomeOf(error);
}

HttpRequestReader::Outcome HttpRequestReader::OutcomeOf(llhttp_errno_t error) {
  switch (static_cast<int>(error)) {
    case HPE_OK:
      return std::exchange(continue_due_, false) ? Outcome::kContinue : Outcome::kNeedMore;
    case HPE_PAUSED:
      llhttp_resume(&parser_);
      return Outcome::kRequest;
    case HPE_PAUSED_H2_UPGRADE:
    case HPE_INVALID_VERSION:
      return Refuse(505);
    default:
      return Refuse(400);
  }
}

int HttpRequestReader::OnUrl(llhttp_t* parser, const char* at, std::size_t bytes) {
  HttpRequestReader* self = Self(parser);
  HttpRequest& request = self->request_;
  if (self->text_ != nullptr && self->KeepText(self->text_->target, at, bytes) != 0) return -1;
  for (std::size_t i = 0; i < bytes && !self->path_ended_; ++i) {
    if (at[i] == '?' || at[i] == '#' || request.path_bytes == HttpRequest::kPathMax) {
      self->path_ended_ = true;
    } else {
      request.path_text[request.path_bytes++] = at[i];
    }
  }
  return 0;
}

// The head's limit bounds it. Nothing may be thrown through the parser, which is C.
int HttpRequestReader::KeepText(std::string& text, const char* at, std::size_t bytes) {
  try {
    text.append(at, bytes);
    return 0;
  } catch (const std::bad_alloc&) {
    refusal_ = 503;
    return -1;
  }
}

int HttpRequestReader::OnFieldName(llhttp_t* parser, const char* at, std::size_t bytes) {
  HttpRequestReader* self = Self(parser);
  for (std::size_t i = 0; i < bytes; ++i) {
    // RFC 9112 5.1: a blank in front of the colon has been used to smuggle requests.
    if (at[i] == ' ' || at[i] == '\t') self->name_has_blank_ = true;
    if (self->name_bytes_ < sizeof(self->name_)) {
      self->name_[self->name_bytes_] = Lower(at[i]);
      ++self->name_bytes_;
    }
  }
  return 0;
}

int HttpRequestReader::OnFieldNameEnd(llhttp_t* parser) {
  HttpRequestReader* self = Self(parser);
  const std::string_view name(self->name_, self->name_bytes_);
  self->field_ = name == "host" ? Field::kHost : name == "expect" ? Field::kExpect : Field::kOther;
  if (self->field_ == Field::kHost && self->hosts_ < 2) ++self->hosts_;
  self->name_bytes_ = 0;
  if (self->text_ == nullptr || self->field_ != Field::kOther) return 0;
  const KeptField* const kept = FindKept(name);
  if (kept == nullptr) return 0;
  self->field_ = Field::kKept;
  self->kept_ = &(self->text_->*(kept->text));
  // Several lines are one list (RFC 9110 5.2).
  return self->kept_->empty() ? 0 : self->KeepText(*self->kept_, ", ", 2);
}

int HttpRequestReader::OnFieldValue(llhttp_t* parser, const char* at, std::size_t bytes) {
  // RFC 9110 10.1.1 defines one expectation; its first letter is enough to know it.
  HttpRequestReader* self = Self(parser);
  if (self->field_ == Field::kExpect && bytes > 0 && at[0] == '1') self->expects_continue_ = true;
  if (self->field_ == Field::kKept) return self->KeepText(*self->kept_, at, bytes);
  return 0;
}

int HttpRequestReader::OnHeadersComplete(llhttp_t* parser) {
  HttpRequestReader* self = Self(parser);
  // An offer to upgrade is declined by going on (RFC 9110 7.8); CONNECT is answered as any method.
  parser->upgrade = 0;
  if (parser->http_major != 1 || parser->http_minor > 1) {
    self->refusal_ = 505;
    return -1;
  }
  const bool version_1_0 = parser->http_minor == 0;
  // RFC 9112 3.2: HTTP/1.1 without exactly one Host is refused.
  const bool host_ok = version_1_0 ? self->hosts_ <= 1 : self->hosts_ == 1;
  if (self->name_has_blank_ || !host_ok) {
    self->refusal_ = 400;
    return -1;
  }
  const bool sized = (parser->flags & F_CONTENT_LENGTH) != 0;
  if (sized && parser->content_length > self->limits_.body_bytes_max) {
    self->refusal_ = 413;
    return -1;
  }
  const bool body = (sized && parser->content_length > 0) || (parser->flags & F_CHUNKED) != 0;
  self->request_.method = MethodOf(parser->method);
  self->request_.version_1_0 = version_1_0;
  self->in_head_ = false;
  self->continue_due_ = body && self->expects_continue_ && !version_1_0;
  return 0;
}

int HttpRequestReader::OnBody(llhttp_t* parser, const char* at, std::size_t bytes) {
  static_cast<void>(at);
  HttpRequestReader* self = Self(parser);
  self->body_bytes_ += bytes;
  if (self->body_bytes_ <= self->limits_.body_bytes_max) return 0;
  self->refusal_ = 413;
  return -1;
}

int HttpRequestReader::OnMessageComplete(llhttp_t* parser) {
  HttpRequestReader* self = Self(parser);
  self->request_.keep_alive = llhttp_should_keep_alive(parser) != 0;
  self->complete_ = true;
  // What is behind this request waits until it has been answered.
  return HPE_PAUSED;
}

}  // namespace ktlsim::serve
