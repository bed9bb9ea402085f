// What llhttp reports about a request's head, and what the head says about the body.

#include <new>
#include <utility>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/serve/http_request_reader.h"

namespace ktlsim::serve {
namespace {

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
      {"authorization", &HttpRequestText::authorization},
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

const llhttp_settings_t& HttpRequestReader::Settings() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_url = &OnUrl;
    made.on_url_complete = &OnUrlEnd;
    made.on_header_field = &OnFieldName;
    made.on_header_field_complete = &OnFieldNameEnd;
    made.on_header_value = &OnFieldValue;
    made.on_headers_complete = &OnHeadersComplete;
    made.on_message_complete = &OnMessageComplete;
    return made;
  }();
  return settings;
}

int HttpRequestReader::OnUrl(llhttp_t* parser, const char* at, std::size_t bytes) {
  HttpRequestReader* self = Self(parser);
  HttpRequest& request = self->request_;
  if (self->text_ != nullptr && self->KeepText(self->text_->target, at, bytes) != 0) return -1;
  for (std::size_t i = 0; i < bytes && self->target_form_ != TargetForm::kChecked; ++i) {
    self->TakeTargetByte(at[i]);
  }
  for (std::size_t i = 0; i < bytes && !self->path_ended_; ++i) {
    if (at[i] == '?' || at[i] == '#' || request.path_bytes == HttpRequest::kPathMax) {
      self->path_ended_ = true;
    } else {
      request.path_text[request.path_bytes++] = at[i];
    }
  }
  return self->refusal_ == 0 ? 0 : -1;
}

// Finds the authority of a target in absolute form. llhttp checks the rest of the form.
void HttpRequestReader::TakeTargetByte(char c) {
  switch (target_form_) {
    case TargetForm::kUnknown:
      target_form_ = c == '/' || c == '*' ? TargetForm::kChecked : TargetForm::kScheme;
      return;
    case TargetForm::kScheme:
      if (c == '/') target_form_ = TargetForm::kSlash;
      return;
    case TargetForm::kSlash:
      target_form_ = c == '/' ? TargetForm::kAuthority : TargetForm::kChecked;
      return;
    case TargetForm::kAuthority:
      if (c == '/' || c == '?' || c == '#') {
        EndAuthority();
      } else {
        host_.Take(c);
      }
      return;
    case TargetForm::kChecked:
      return;
  }
}

// RFC 9110 4.2.1: without a host a target is refused.
void HttpRequestReader::EndAuthority() {
  if (host_.empty() || !host_.good()) refusal_ = 400;
  target_form_ = TargetForm::kChecked;
}

int HttpRequestReader::OnUrlEnd(llhttp_t* parser) {
  HttpRequestReader* self = Self(parser);
  if (self->target_form_ == TargetForm::kAuthority) self->EndAuthority();
  self->host_ = {};
  return self->refusal_ == 0 ? 0 : -1;
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
  for (std::size_t i = 0; i < bytes && self->name_bytes_ < sizeof(self->name_); ++i) {
    self->name_[self->name_bytes_] = Lower(at[i]);
    ++self->name_bytes_;
  }
  return 0;
}

int HttpRequestReader::OnFieldNameEnd(llhttp_t* parser) {
  HttpRequestReader* self = Self(parser);
  const std::string_view name(self->name_, std::exchange(self->name_bytes_, std::uint8_t{0}));
  // RFC 9110 5.1: a name has at least one byte. Other parsers have taken an empty one for the end
  // of the head.
  if (name.empty()) {
    self->refusal_ = 400;
    return -1;
  }
  self->field_ = FieldOf(name);
  switch (self->field_) {
    case Field::kHost:
      if (self->hosts_ < 2) ++self->hosts_;
      return 0;
    case Field::kTransferEncoding:
      self->coded_ = true;
      self->transfer_encoding_.NextLine();
      return 0;
    case Field::kExpect:
      self->expect_.NextLine();
      return 0;
    case Field::kOther:
    case Field::kKept:
      break;
  }
  const KeptField* const kept = self->text_ != nullptr ? FindKept(name) : nullptr;
  if (kept == nullptr) return 0;
  self->field_ = Field::kKept;
  self->kept_ = &(self->text_->*(kept->text));
  // Several lines are one list (RFC 9110 5.2).
  return self->kept_->empty() ? 0 : self->KeepText(*self->kept_, ", ", 2);
}

HttpRequestReader::Field HttpRequestReader::FieldOf(std::string_view name) {
  if (name == "host") return Field::kHost;
  if (name == "transfer-encoding") return Field::kTransferEncoding;
  return name == "expect" ? Field::kExpect : Field::kOther;
}

int HttpRequestReader::OnFieldValue(llhttp_t* parser, const char* at, std::size_t bytes) {
  HttpRequestReader* self = Self(parser);
  const std::string_view value(at, bytes);
  switch (self->field_) {
    case Field::kHost:
      for (const char c : value) self->host_.Take(c);
      return self->host_text_ != nullptr ? self->KeepText(*self->host_text_, at, bytes) : 0;
    case Field::kTransferEncoding:
      for (const char c : value) self->transfer_encoding_.Take(c);
      return 0;
    case Field::kExpect:
      for (const char c : value) self->expect_.Take(c);
      return 0;
    case Field::kKept:
      return self->KeepText(*self->kept_, at, bytes);
    case Field::kOther:
      return 0;
  }
  return 0;
}

void HttpRequestReader::ShortValue::Take(char c) {
  if (IsSpace(c)) {
    blank_ = bytes_ != 0;
    return;
  }
  if (std::exchange(blank_, false)) Put(' ');
  Put(Lower(c));
}

void HttpRequestReader::ShortValue::NextLine() {
  blank_ = false;
  if (bytes_ != 0) Put(',');
}

void HttpRequestReader::ShortValue::Put(char c) {
  if (bytes_ == sizeof(text_)) {
    long_ = true;
  } else {
    text_[bytes_++] = c;
  }
}

int HttpRequestReader::OnHeadersComplete(llhttp_t* parser) {
  HttpRequestReader* self = Self(parser);
  // An offer to upgrade is declined by going on (RFC 9110 7.8); CONNECT is treated like any method.
  parser->upgrade = 0;
  const unsigned refusal = self->JudgeHead();
  if (refusal != 0) {
    self->refusal_ = static_cast<std::uint16_t>(refusal);
    return -1;
  }
  self->request_.method = MethodOf(parser->method);
  self->request_.method_name = llhttp_method_name(static_cast<llhttp_method_t>(parser->method));
  self->request_.version_1_0 = parser->http_minor == 0;
  self->request_.keep_alive = llhttp_should_keep_alive(parser) != 0;
  // To llhttp the message ends here.
  return 1;
}

// 0, or the status to refuse it with.
unsigned HttpRequestReader::JudgeHead() {
  if (parser_.http_major != 1 || parser_.http_minor > 1) return 505;
  const bool version_1_0 = parser_.http_minor == 0;
  // RFC 9112 3.2: HTTP/1.1 without exactly one Host is refused.
  const bool host_ok = version_1_0 ? hosts_ <= 1 : hosts_ == 1;
  if (!host_ok || !host_.good()) return 400;
  body_ = Body::kNone;
  if (coded_) return JudgeCoding(version_1_0);
  if ((parser_.flags & F_CONTENT_LENGTH) == 0 || parser_.content_length == 0) return 0;
  if (parser_.content_length > limits_.body_bytes_max) return 413;
  body_ = Body::kSized;
  body_left_ = parser_.content_length;
  return 0;
}

// RFC 9112 6.1: under HTTP/1.0 a coding is faulty framing; an unknown one is 501. 6.3: when the
// last is not "chunked", the end of the body is not known, and this is checked first: 400. llhttp
// has already refused a length besides a coding.
unsigned HttpRequestReader::JudgeCoding(bool version_1_0) {
  if (version_1_0 || (parser_.flags & F_CHUNKED) == 0) return 400;
  if (!transfer_encoding_.Is("chunked")) return 501;
  body_ = Body::kChunked;
  chunks_.Begin(limits_.body_bytes_max, limits_.head_bytes_max);
  return 0;
}

int HttpRequestReader::OnMessageComplete(llhttp_t* /*parser*/) {
  // Nothing after the head is for llhttp.
  return HPE_PAUSED;
}

}  // namespace ktlsim::serve
