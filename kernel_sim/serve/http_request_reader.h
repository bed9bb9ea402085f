// HttpRequestReader: bytes in, requests out, with every length bounded (RFC 9112).
//
// llhttp, in its strict mode, reads the head. Added to it are the checks that it leaves to its
// user: a bare line feed ends a line (RFC 9112 2.2), a bare CR, a folded line, a field without a
// name or two blanks in a row in the request line are refused, HTTP/1.1 names exactly one host, and
// no transfer coding but "chunked" is known. Bodies are read without llhttp (chunked_body.h).
//
// Private to serve/, because it shows llhttp's types. Any thread, one at a time; any level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <llhttp.h>

#include "kernel_sim/serve/chunked_body.h"
#include "kernel_sim/serve/host_check.h"

namespace ktlsim::serve {

struct HttpRequestLimits {
  // For the head; and once more for the framing of chunks.
  std::size_t head_bytes_max = 16 * 1024;
  std::uint64_t body_bytes_max = 64 * 1024 * 1024;
};

// The texts of a request that contents need.
struct HttpRequestText {
  std::string target = {};
  std::string authorization = {};
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
  const char* method_name = "";  // as it was sent
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
    kRequest,   // one request is complete: request(); what follows it was not consumed
    kRefused,   // respond with refusal() and close; no further call
  };
  // What is being waited for.
  enum class Phase : std::uint8_t {
    kIdle,  // a request, of which nothing has come
    kHead,  // the rest of a head, blank lines before it included
    kBody,
  };

  // `text`, if not null, gets the words of each request, and `host` the value of its field Host,
  // with blanks after it; they stay until the next one begins.
  explicit HttpRequestReader(const HttpRequestLimits& limits, HttpRequestText* text = nullptr,
                             std::string* host = nullptr);
  HttpRequestReader(const HttpRequestReader&) = delete;
  HttpRequestReader& operator=(const HttpRequestReader&) = delete;

  // Consumes a part of `input`, whose length becomes `*consumed`.
  Outcome Read(std::span<const std::byte> input, std::size_t* consumed);

  Phase phase() const;
  // With kContinue as well as with kRequest.
  const HttpRequest& request() const { return request_; }
  // The status code for kRefused: 400, 413, 431, 501, 503, 505.
  unsigned refusal() const { return refusal_; }

 private:
  enum class Field : std::uint8_t { kOther, kHost, kExpect, kTransferEncoding, kKept };
  enum class Body : std::uint8_t { kNone, kSized, kChunked };
  // Where the next byte belongs: at the end, to the next request.
  enum class Place : std::uint8_t { kHead, kBody, kEnd };
  struct KeptField;

  // A value as long as those that matter here, in lower case and without blanks around it.
  class ShortValue {
   public:
    void Take(char c);
    // Several lines are one list (RFC 9110 5.2).
    void NextLine();
    bool Is(std::string_view text) const {
      return !long_ && std::string_view(text_, bytes_) == text;
    }

   private:
    void Put(char c);

    std::uint8_t bytes_ = 0;
    bool long_ = false;
    bool blank_ = false;  // one or more are owed
    char text_[13] = {};
  };

  // How far a target has been told apart: only the absolute form has an authority.
  enum class TargetForm : std::uint8_t { kUnknown, kScheme, kSlash, kAuthority, kChecked };

  static int OnUrl(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnUrlEnd(llhttp_t* parser);
  static int OnFieldName(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnFieldNameEnd(llhttp_t* parser);
  static int OnFieldValue(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnHeadersComplete(llhttp_t* parser);
  static int OnMessageComplete(llhttp_t* parser);
  static const llhttp_settings_t& Settings();

  static const KeptField* FindKept(std::string_view name);
  static Field FieldOf(std::string_view name);

  void BeginRequest();
  Outcome Refuse(unsigned status);
  // The head.
  Outcome ReadHeadLine(std::span<const std::byte> input, std::size_t* consumed);
  Outcome TakeText(std::string_view text, std::string_view given);
  Outcome EndLine(bool given);
  bool TakeRequestLine(std::string_view text);
  Outcome Execute(std::string_view bytes);
  static unsigned RefusalOfMethod(char byte);
  unsigned RefusalOfVersion() const;
  void TakeTargetByte(char c);
  void EndAuthority();
  int KeepText(std::string& text, const char* at, std::size_t bytes);
  // What it says, and the body.
  unsigned JudgeHead();
  unsigned JudgeCoding(bool version_1_0);
  Outcome HeadOver();
  Outcome ReadBody(std::span<const std::byte> input, std::size_t* consumed);
  Outcome Complete();

  const HttpRequestLimits& limits_;
  HttpRequestText* const text_;
  std::string* const host_text_;
  llhttp_t parser_;
  HttpRequest request_;
  ChunkedBody chunks_;
  HostCheck host_;  // of the target, then of the field
  ShortValue transfer_encoding_;
  ShortValue expect_;
  std::uint64_t body_left_ = 0;  // for kSized
  std::string* kept_ = nullptr;  // where the value goes, for kKept
  std::uint32_t head_bytes_ = 0;
  std::uint16_t refusal_ = 0;
  std::uint8_t hosts_ = 0;
  std::uint8_t name_bytes_ = 0;
  std::uint8_t version_bytes_ = 0;
  std::uint8_t line_blanks_ = 0;  // in the request line
  char name_[20] = {};            // the beginning of the field's name, in lower case
  char version_[8] = {};          // the third word of the request line, or its beginning
  Field field_ = Field::kOther;
  Body body_ = Body::kNone;
  TargetForm target_form_ = TargetForm::kUnknown;
  Place place_ = Place::kHead;
  bool path_ended_ = false;
  bool line_started_ = false;  // of the line being read something has come
  bool first_line_ = true;
  bool cr_held_ = false;  // a CR has come, and only a line feed may follow
  bool coded_ = false;    // there is a Transfer-Encoding
};

}  // namespace ktlsim::serve
