// ChunkedBody: where the body of a request in chunks ends (RFC 9112 7.1). It does not keep the
// bytes.
//
// A body that two readers could read in different ways is refused: a line that does not end in CR
// LF, a size with anything but digits and extensions, a quoted text that is not closed, a folded
// trailer. Bytes that are not content are bounded: leading zeros and extensions, per chunk and per
// message, and the trailer section. No trailer is kept or used (RFC 9110 6.5.1).
//
// Private to serve/. Any thread, one at a time; any level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ktlsim::serve {

// Zeros before one chunk's size, and extensions after it. Much more than a signature needs.
inline constexpr std::size_t kChunkSurplusBytesMax = 1024;

class ChunkedBody {
 public:
  enum class Outcome : std::uint8_t {
    kNeedMore,  // everything was consumed
    kComplete,  // what follows the body was not consumed
    kRefused,   // refusal() says with what; no further call before Begin
  };
  enum class State : std::uint8_t {
    kSize,  // of the size no digit has come
    kSizeDigits,
    kExtension,  // after its semicolon
    kExtensionName,
    kExtensionNameEnd,
    kExtensionValue,
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscaped,
    kExtensionEnd,    // after a closing quote
    kExtensionBlank,  // another extension must follow
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,  // at the beginning of a line
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kComplete,
    kRefused,
  };

  // At most `body_bytes_max` of content (413), and `framing_bytes_max` of what is neither content
  // nor needed to know its length (400; in the trailer section 431).
  void Begin(std::uint64_t body_bytes_max, std::size_t framing_bytes_max);
  // Consumes a part of `input`, whose length becomes `*consumed`.
  Outcome Read(std::span<const std::byte> input, std::size_t* consumed);
  unsigned refusal() const { return refusal_; }

 private:
  void Take(char c);
  void TakeDigit(char c);
  void Charge();
  void Refuse(unsigned status);

  std::uint64_t left_of_body_ = 0;
  std::uint64_t size_ = 0;          // of the chunk; in it, what is still to come
  std::size_t framing_left_ = 0;    // of the message
  std::uint32_t surplus_left_ = 0;  // of the chunk
  std::uint16_t refusal_ = 0;
  State state_ = State::kSize;
};

}  // namespace ktlsim::serve
