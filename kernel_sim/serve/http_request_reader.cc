#include "kernel_sim/serve/http_request_reader.h"

#include <algorithm>

#include "kernel_sim/base/characters.h"

namespace ktlsim::serve {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHttp = "HTTP/";

}  // namespace

// An idle connection keeps no long texts.
void HttpRequestText::Clear() { *this = {}; }

HttpRequestReader::HttpRequestReader(const HttpRequestLimits& limits, HttpRequestText* text,
                                     std::string* host)
    : limits_(limits), text_(text), host_text_(host) {
  llhttp_init(&parser_, HTTP_REQUEST, &Settings());
  parser_.data = this;
}

HttpRequestReader::Phase HttpRequestReader::phase() const {
  switch (place_) {
    case Place::kHead:
      return head_bytes_ == 0 ? Phase::kIdle : Phase::kHead;
    case Place::kBody:
      return Phase::kBody;
    case Place::kEnd:
      break;
  }
  return Phase::kIdle;
}

HttpRequestReader::Outcome HttpRequestReader::Read(std::span<const std::byte> input,
                                                   std::size_t* consumed) {
  *consumed = 0;
  if (place_ == Place::kEnd) BeginRequest();
  Outcome outcome = Outcome::kNeedMore;
  while (outcome == Outcome::kNeedMore && !input.empty()) {
    std::size_t part = 0;
    outcome = place_ == Place::kHead ? ReadHeadLine(input, &part) : ReadBody(input, &part);
    *consumed += part;
    input = input.subspan(part);
  }
  return outcome;
}

void HttpRequestReader::BeginRequest() {
  request_.path_bytes = 0;
  if (text_ != nullptr) text_->Clear();
  if (host_text_ != nullptr) host_text_->clear();
  host_ = {};
  transfer_encoding_ = {};
  expect_ = {};
  head_bytes_ = 0;
  hosts_ = 0;
  name_bytes_ = 0;
  version_bytes_ = 0;
  line_blanks_ = 0;
  target_form_ = TargetForm::kUnknown;
  place_ = Place::kHead;
  path_ended_ = false;
  line_started_ = false;
  first_line_ = true;
  cr_held_ = false;
  coded_ = false;
}

HttpRequestReader::Outcome HttpRequestReader::Refuse(unsigned status) {
  if (refusal_ == 0) refusal_ = static_cast<std::uint16_t>(status);
  return Outcome::kRefused;
}

// ---- The head

// The head is given to llhttp line by line. So its end is the end of what was given, and a line
// that ends in a bare line feed is seen, and ended as llhttp insists on.
HttpRequestReader::Outcome HttpRequestReader::ReadHeadLine(std::span<const std::byte> input,
                                                           std::size_t* consumed) {
  const std::string_view bytes(reinterpret_cast<const char*>(input.data()), input.size());
  const std::size_t feed = bytes.find('\n');
  const bool ends = feed != std::string_view::npos;
  const std::string_view line = bytes.substr(0, ends ? feed + 1 : bytes.size());
  *consumed = line.size();
  if (line.size() >
      limits_.head_bytes_max - std::min<std::size_t>(head_bytes_, limits_.head_bytes_max)) {
    return Refuse(431);
  }
  head_bytes_ += static_cast<std::uint32_t>(line.size());

  std::string_view text = line.substr(0, ends ? feed : line.size());
  if (cr_held_ && !text.empty()) return Refuse(400);
  const std::size_t cr = text.find('\r');
  if (cr != std::string_view::npos) text = text.substr(0, cr);
  // RFC 9112 2.2: other implementations may end a line at a CR without a line feed.
  const bool bare_cr = cr != std::string_view::npos && cr + 1 < line.size() - (ends ? 1 : 0);
  cr_held_ = cr != std::string_view::npos;

  // Mostly the line lies there as llhttp wants it.
  const bool with_end = ends && !text.empty() && cr != std::string_view::npos && !bare_cr;
  if (!text.empty()) {
    const Outcome outcome = TakeText(text, with_end ? line : text);
    if (outcome != Outcome::kNeedMore) return outcome;
  }
  if (bare_cr) return Refuse(400);
  return ends ? EndLine(/*given=*/with_end) : Outcome::kNeedMore;
}

// Part of a line. `given` is what llhttp gets of it: `text`, perhaps with the line's end.
HttpRequestReader::Outcome HttpRequestReader::TakeText(std::string_view text,
                                                       std::string_view given) {
  // A folded line has been used to smuggle requests (RFC 9112 5.2); a method begins with no blank.
  if (!line_started_ && IsSpace(text[0])) return Refuse(400);
  line_started_ = true;
  if (first_line_ && !TakeRequestLine(text)) return Refuse(400);
  return Execute(given);
}

HttpRequestReader::Outcome HttpRequestReader::EndLine(bool given) {
  cr_held_ = false;
  // Blank lines before a request are no work in progress.
  if (first_line_ && !line_started_) return Outcome::kNeedMore;
  line_started_ = false;
  first_line_ = false;
  return given ? Outcome::kNeedMore : Execute(kLineEnd);
}

// Three words with a blank between them (RFC 9112 3), the third of which names HTTP: llhttp takes
// several blanks, and other protocols. False: it is something else.
bool HttpRequestReader::TakeRequestLine(std::string_view text) {
  for (const char c : text) {
    if (c == ' ') {
      if (++line_blanks_ > 2) return false;
    } else if (line_blanks_ == 2 && version_bytes_ < sizeof(version_)) {
      if (version_bytes_ < kHttp.size() && c != kHttp[version_bytes_]) return false;
      version_[version_bytes_++] = c;
    }
  }
  return true;
}

HttpRequestReader::Outcome HttpRequestReader::Execute(std::string_view bytes) {
  switch (static_cast<int>(llhttp_execute(&parser_, bytes.data(), bytes.size()))) {
    case HPE_OK:
      return Outcome::kNeedMore;
    case HPE_PAUSED:
      llhttp_resume(&parser_);
      return HeadOver();
    case HPE_PAUSED_H2_UPGRADE:
      return Refuse(505);
    case HPE_INVALID_METHOD:
      return Refuse(RefusalOfMethod(*llhttp_get_error_pos(&parser_)));
    case HPE_INVALID_VERSION:
      return Refuse(RefusalOfVersion());
    default:
      return Refuse(400);
  }
}

// 501 for a method that llhttp does not know (RFC 9110 15.6.2), 400 for a text that is no method.
// The first byte that fits no method decides, since that does not depend on how the bytes were cut.
unsigned HttpRequestReader::RefusalOfMethod(char byte) {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";  // RFC 9110 5.6.2
  const bool in_token = IsDigit(byte) || (byte >= 'A' && byte <= 'Z') ||
                        (byte >= 'a' && byte <= 'z') ||
                        kTokenMarks.find(byte) != std::string_view::npos;
  return in_token || byte == ' ' ? 501 : 400;
}

// 505 for a version that we do not support, 400 for a text that is no version or has something
// after it.
unsigned HttpRequestReader::RefusalOfVersion() const {
  const std::string_view version(version_, version_bytes_);
  if (version.size() != sizeof(version_)) return 400;
  if (!IsDigit(version[5]) || version[6] != '.' || !IsDigit(version[7])) return 400;
  return version == "HTTP/1.0" || version == "HTTP/1.1" ? 400 : 505;
}

// ---- Between head and body

HttpRequestReader::Outcome HttpRequestReader::HeadOver() {
  place_ = Place::kBody;
  if (body_ == Body::kNone) return Complete();
  // RFC 9110 10.1.1: the only expectation there is, and HTTP/1.0 does not know it.
  const bool waits = expect_.Is("100-continue") && !request_.version_1_0;
  return waits ? Outcome::kContinue : Outcome::kNeedMore;
}

// ---- The body

HttpRequestReader::Outcome HttpRequestReader::ReadBody(std::span<const std::byte> input,
                                                       std::size_t* consumed) {
  if (body_ == Body::kSized) {
    *consumed = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, input.size()));
    body_left_ -= *consumed;
    return body_left_ == 0 ? Complete() : Outcome::kNeedMore;
  }
  switch (chunks_.Read(input, consumed)) {
    case ChunkedBody::Outcome::kNeedMore:
      return Outcome::kNeedMore;
    case ChunkedBody::Outcome::kComplete:
      return Complete();
    case ChunkedBody::Outcome::kRefused:
      break;
  }
  return Refuse(chunks_.refusal());
}

HttpRequestReader::Outcome HttpRequestReader::Complete() {
  place_ = Place::kEnd;
  return Outcome::kRequest;
}

}  // namespace ktlsim::serve
