// Conditional requests and ranges: what a client's If-... and Range fields mean for a file whose
// validators are known (RFC 9110 8.8, 13, 14).
//
// Private to serve/. Any level, no state.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string_view>

#include "kernel_sim/serve/http_request_reader.h"

namespace ktlsim::serve {

// All three forms of RFC 9110 5.6.7. Empty: no date, or one before 1970.
std::optional<std::time_t> ParseHttpDate(std::string_view text);

struct Validators {
  std::string_view etag;  // strong, with its quotes
  std::time_t modified = 0;
};

// The four preconditions in the order of RFC 9110 13.2.2, for GET and HEAD: 0 (go on), 304 or 412.
unsigned CheckPreconditions(const HttpRequestText& text, const Validators& validators);

struct ByteRange {
  enum class Kind : std::uint8_t {
    kWhole,          // no Range, one that does not count, or several: all of it
    kPart,           // `first` and `bytes`
    kUnsatisfiable,  // 416
  };
  Kind kind = Kind::kWhole;
  std::uint64_t first = 0;
  std::uint64_t bytes = 0;
};

// What part of a representation of `size` bytes is asked for. A request for several ranges at once
// gets everything, which RFC 9110 14.2 leaves to the server.
ByteRange SelectRange(const HttpRequestText& text, const Validators& validators,
                      std::uint64_t size);

}  // namespace ktlsim::serve
