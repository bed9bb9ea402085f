// HdrHistogram's formats, so that its tools read our latencies: the compressed V2 encoding in
// base64, the log of such histograms (.hlog), and the percentile text (.hgrm).
//
// The encoding has nanoseconds; both texts have microseconds, as wrk2's. Source: HdrHistogram's
// documentation of `AbstractHistogram.encodeIntoCompressedByteBuffer` and `HistogramLogWriter`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/command/latency_histogram.h"

namespace ktlsim::command {

// Empty only when zlib has no memory.
std::string EncodeHdr(const LatencyHistogram& latency);
// For our own encoding, and that of others that have the same buckets. Hostile text is refused.
// Empty: done, `*latency` has been added to; else what is wrong.
std::string DecodeHdr(std::string_view text, LatencyHistogram* latency);

// The percentile distribution, with `ticks` lines for each halving of the distance to 100 %.
std::string HdrPercentileText(const LatencyHistogram& latency, unsigned ticks = 5);

// One line of a log: what was recorded from `start_s` on, for `length_s` seconds.
struct HdrLogEntry {
  std::string tag;     // empty: none
  double start_s = 0;  // since the log's start time
  double length_s = 0;
  std::uint64_t max_ns = 0;
  std::string encoded;  // of EncodeHdr
};
// `start_unix_s`: seconds since 1970.
std::string HdrLogText(double start_unix_s, std::span<const HdrLogEntry> entries);

}  // namespace ktlsim::command
