// RequestClock: whether the one request that a connection is reading comes fast enough.
//
// Three limits, each against a client that keeps a connection busy with a byte now and then: for
// the head, blank lines before it included; for the whole request; and a least rate of the body,
// checked window by window, so that bytes that came fast give no time later.
//
// It reads no clock and starts no timer. Private to serve/. Any thread, one at a time.
#pragma once

#include <cstdint>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/serve/http_request_reader.h"
#include "kernel_sim/serve/http_responder.h"
#include "kernel_sim/transport/end_reason.h"

namespace ktlsim::serve {

// How long a body may take before its rate counts, and the length of each window.
inline constexpr std::uint64_t kBodyWindowNs = 5 * kNsPerSecond;

class RequestClock {
 public:
  explicit RequestClock(const RequestTimes& times) : times_(times) {}

  // A request has been read to its end; the next one begins with its first byte.
  void Finish() { phase_ = Phase::kIdle; }
  // `bytes` have been read, and the reader is in `phase` now. Also without bytes.
  void Advance(HttpRequestReader::Phase phase, std::uint64_t bytes, std::uint64_t now_ns);

  // When to ask Judge; 0: not before the next Advance.
  std::uint64_t deadline_ns() const;
  // kCompleted: it is in time. Else why the connection is to be closed.
  transport::EndKind Judge(std::uint64_t now_ns);

 private:
  using Phase = HttpRequestReader::Phase;

  const RequestTimes& times_;
  Phase phase_ = Phase::kIdle;
  std::uint64_t begun_ns_ = 0;
  std::uint64_t window_end_ns_ = 0;
  std::uint64_t window_bytes_ = 0;
};

}  // namespace ktlsim::serve
