// HttpRequestReader: bytes in, requests out, with every length bounded (RFC 9112).
//
// Around llhttp stand the checks that it leaves to its user: bare line feeds end a line (RFC 9112
// 2.2), a folded line or a blank before the colon is refused, HTTP/1.1 names exactly one host.
//
// Private to serve/, because it shows llhttp's types. Any thread, one at a time; any level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <llhttp.h>

namespace ktlsim::serve {

struct HttpRequestLimits {
  std::size_t head_bytes_max = 16 * 1024;
  std::uint64_t body_bytes_max = 64 * 1024 * 1024;
};

// The words of a request that files need, for who wants to keep them.
struct HttpRequestText {
  std::string target = {};
  std::string if_match = {};
  std::string if_modified_since = {};
  std::string if_none_match = {};
  std::string if_range = {};
  std::string if_unmodified_since = {};
  std::string range = {};

  void Clear();
};

enum class HttpMethod : std::uint8_t { kGet, kHead, kConnect, kOther };

// One request as far as this server looks at it.
struct HttpRequest {
  static constexpr std::size_t kPathMax = 64;

  std::string_view path() const { return {path_text, path_bytes}; }

  HttpMethod method = HttpMethod::kOther;
  bool version_1_0 = false;
  bool keep_alive = false;  // as version and Connection say together
  std::uint8_t path_bytes = 0;
  char path_text[kPathMax] = {};  // up to the query; a longer one is cut
};

class HttpRequestReader {
 public:
  enum class Outcome : std::uint8_t {
    kNeedMore,  // everything was consumed
    kContinue,  // the client waits for "100 Continue" before it sends the body; call again
    kRequest,   // one request is complete: request(); what is behind it was not consumed
    kRefused,   // answer refusal() and close; no further call
  };

  // `text`, if not null, gets the words of each request; they stay until the next one begins.
  explicit HttpRequestReader(const HttpRequestLimits& limits, HttpRequestText* text = nullptr);
  HttpRequestReader(const HttpRequestReader&) = delete;
  HttpRequestReader& operator=(const HttpRequestReader&) = delete;

  // Consumes a part of `input`, whose length becomes `*consumed`.
  Outcome Read(std::span<const std::byte> input, std::size_t* consumed);

  const HttpRequest& request() const { return request_; }
  // The status code for kRefused: 400, 413, 431, 503, 505.
  unsigned refusal() const { return refusal_; }

 private:
  enum class Field : std::uint8_t { kOther, kHost, kExpect, kKept };
  struct KeptField;

  static int OnUrl(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnFieldName(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnFieldNameEnd(llhttp_t* parser);
  static int OnFieldValue(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnHeadersComplete(llhttp_t* parser);
  static int OnBody(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnMessageComplete(llhttp_t* parser);
  static const llhttp_settings_t& Settings();

  static const KeptField* FindKept(std::string_view name);

  void BeginRequest();
  int KeepText(std::string& text, const char* at, std::size_t bytes);
  Outcome Refuse(unsigned status);
  Outcome ReadHeadLine(std::span<const std::byte> input, std::size_t* consumed);
  void EndLine();
  Outcome ReadBody(std::span<const std::byte> input, std::size_t* consumed);
  Outcome Execute(const char* bytes, std::size_t count, std::size_t* consumed);
  Outcome OutcomeOf(llhttp_errno_t error);

  const HttpRequestLimits& limits_;
  HttpRequestText* const text_;
  llhttp_t parser_;
  HttpRequest request_;
  std::uint64_t body_bytes_ = 0;
  std::uint32_t head_bytes_ = 0;
  std::uint16_t refusal_ = 0;
  std::uint8_t hosts_ = 0;
  std::uint8_t name_bytes_ = 0;
  char name_[20] = {};  // the beginning of the field's name, in lower case
  Field field_ = Field::kOther;
  std::string* kept_ = nullptr;  // where the value goes, for kKept
  bool name_has_blank_ = false;
  bool in_head_ = true;
  bool path_ended_ = false;
  bool line_started_ = false;  // of the line being read something has come
  bool first_line_ = true;
  bool last_was_cr_ = false;
  bool expects_continue_ = false;
  bool continue_due_ = false;
  bool complete_ = false;
};

}  // namespace ktlsim::serve
