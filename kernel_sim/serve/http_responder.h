// HttpResponder: HTTP/1.0 and 1.1 on a connection: reads requests, writes responses, keeps or
// closes. An HttpContent decides what the responses are.
//
// Head and body leave in the same turn, so that they are sealed together; a long body follows the
// room there is (SendSpace, OnWritable). One response at a time: pipelined requests wait in at
// most a few records' worth, while reading is paused. When the path drains, the response under way
// is finished and the connection closed after it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/transport/connection.h"

namespace ktlsim::serve {

class AccessGuard;
class DigestGuard;
class HttpContent;

inline constexpr std::uint64_t kBytesPathMax = std::uint64_t{1} << 30;

// How long a client may take; 0: no limit. A slower client gets 408, if a response can still begin,
// and is closed. Between requests only the connection's idle limit counts.
struct RequestTimes {
  std::uint64_t head_ns = 10 * kNsPerSecond;      // from a request's first byte to its head's last
  std::uint64_t request_ns = 300 * kNsPerSecond;  // to its body's last
  std::uint64_t body_rate_min = 240;              // bytes per second of the body, at least
};

struct HttpOptions {
  std::uint64_t respond_bytes = 1024;                 // at most kBytesPathMax
  std::size_t head_bytes_max = 16 * 1024;             // more gets 431; see HttpRequestLimits
  std::uint64_t request_body_max = 64 * 1024 * 1024;  // more gets 413
  RequestTimes times;
  // Who may see it; null: everybody. Both outlive the handlers.
  DigestGuard* guard = nullptr;
  AccessGuard* access = nullptr;
};

// For a HandlerFactory. The handler frees itself in OnEnded; `options` must outlive it. Null: no
// memory.
//
// Without a content: as a terminator whose backend costs nothing. Every request gets 200 and a body
// of HttpOptions::respond_bytes; `/bytes/<n>` gets n bytes, up to 1 GiB.
transport::ConnectionHandler* MakeHttpResponder(const HttpOptions& options,
                                                transport::Connection& connection);
// Takes over `content`, also on failure; null is a failure.
transport::ConnectionHandler* MakeHttpResponder(const HttpOptions& options,
                                                transport::Connection& connection,
                                                HttpContent* content);

}  // namespace ktlsim::serve
