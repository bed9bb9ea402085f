// HttpResponseReader: the client's side of HTTP/1.x: bytes in, whether a response is complete out.
//
// Around llhttp, in its strict mode; what the body is made of is the user's business. Private to
// the command, because it shows llhttp's types. Any thread, one at a time; any level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

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

  explicit HttpResponseReader(BodyCheck check = {});
  HttpResponseReader(const HttpResponseReader&) = delete;
  HttpResponseReader& operator=(const HttpResponseReader&) = delete;

  void Reset();
  Outcome Read(std::span<const std::byte> input);
  // The peer has closed: completes a response whose end is the end of the connection.
  Outcome Finish();

  unsigned status() const { return parser_.status_code; }
  // After kComplete: the connection may carry another request.
  bool keep_alive() const { return keep_alive_; }
  std::uint64_t body_bytes() const { return body_bytes_; }
  // Something of the current response has been read.
  bool begun() const { return begun_; }

 private:
  static const llhttp_settings_t& Settings();

  const BodyCheck check_;
  llhttp_t parser_{};
  std::uint64_t body_bytes_ = 0;
  bool begun_ = false;
  bool complete_ = false;
  bool keep_alive_ = false;
};

}  // namespace ktlsim::command
