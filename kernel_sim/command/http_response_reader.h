// HttpResponseReader: the client's side of HTTP/1.x: bytes in, whether a response is complete out.
//
// Around llhttp, in its strict mode; what the body is made of is the user's business. Private to
// the command, because it shows llhttp's types. Any thread, one at a time; any level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include <llhttp.h>

namespace ktlsim::command {

class HttpResponseReader {
 public:
  enum class Outcome : std::uint8_t {
    kNeedMore,   // everything was consumed
    kComplete,   // one response is complete; call Reset before the next
    kMalformed,  // not HTTP, more bytes than the response had, or refused by the body's check
  };
  // Sees the body in order: its offset and its bytes. False refuses it.
  using BodyCheck = std::function<bool(std::uint64_t offset, std::span<const std::byte> bytes)>;

  enum class Challenges : std::uint8_t { kIgnored, kKept };

  explicit HttpResponseReader(BodyCheck check = {}, Challenges challenges = Challenges::kIgnored);
  HttpResponseReader(const HttpResponseReader&) = delete;
  HttpResponseReader& operator=(const HttpResponseReader&) = delete;

  // No response has a body, whatever it announces: those to HEAD.
  void ExpectNoBody() { no_body_ = true; }

  void Reset();
  Outcome Read(std::span<const std::byte> input);
  // The peer has closed: completes a response whose end is the end of the connection.
  Outcome Finish();

  unsigned status() const { return parser_.status_code; }
  // After kComplete: the connection may carry another request.
  bool keep_alive() const { return keep_alive_; }
  std::uint64_t body_bytes() const { return body_bytes_; }
  // The token of the first challenge of the scheme Digest; empty: there is none.
  std::string_view challenge() const;
  // The value of Authentication-Info, with Challenges::kKept; empty: there is none.
  std::string_view authentication_info() const { return authentication_info_; }
  // Something of the current response has been read.
  bool begun() const { return begun_; }

 private:
  static const llhttp_settings_t& Settings(Challenges challenges);
  static int OnFieldName(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnFieldValue(llhttp_t* parser, const char* at, std::size_t bytes);
  static int OnFieldEnd(llhttp_t* parser);

  const BodyCheck check_;
  const Challenges challenges_;
  llhttp_t parser_{};
  std::uint64_t body_bytes_ = 0;
  // With Challenges::kKept: the field that is read, bounded, and what was looked for.
  std::string field_name_;
  std::string field_value_;
  std::string challenge_;
  std::string authentication_info_;
  bool no_body_ = false;
  bool begun_ = false;
  bool complete_ = false;
  bool keep_alive_ = false;
};

}  // namespace ktlsim::command
