#include "kernel_sim/command/hdr_format.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace ktlsim::command {
namespace {

constexpr std::uint32_t kCookie = 0x1c849313;            // version 2, counts of variable length
constexpr std::uint32_t kCompressedCookie = 0x1c849314;  // the same, deflated
constexpr std::size_t kHeaderBytes = 40;
constexpr std::size_t kCompressedHeaderBytes = 8;
constexpr std::size_t kCountBytesMax = 9;
constexpr std::size_t kEncodedBytesMax = kHeaderBytes + kCountBytesMax * LatencyHistogram::kBuckets;
constexpr double kNsPerUs = 1000;

template <typename Value>
void PutBigEndian(Value value, std::string* out) {
  for (int shift = static_cast<int>(sizeof(Value) - 1) * 8; shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

// Small numbers of either sign in few bytes: ZigZag, then seven bits a byte, eight in the ninth.
void PutCount(std::int64_t value, std::string* out) {
  std::uint64_t left =
      (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  for (std::size_t i = 1; left >= 0x80 && i < kCountBytesMax; ++i) {
    out->push_back(static_cast<char>(0x80 | (left & 0x7f)));
    left >>= 7;
  }
  out->push_back(static_cast<char>(left));
}

class Reader {
 public:
  explicit Reader(std::span<const unsigned char> bytes) : bytes_(bytes) {}

  bool Done() const { return at_ == bytes_.size(); }
  std::size_t left() const { return bytes_.size() - at_; }

  template <typename Value>
  bool Take(Value* value) {
    if (left() < sizeof(Value)) return false;
    Value taken = 0;
    for (std::size_t i = 0; i < sizeof(Value); ++i) {
      taken = static_cast<Value>((taken << 8) | bytes_[at_++]);
    }
    *value = taken;
    return true;
  }

  bool TakeCount(std::int64_t* value) {
    std::uint64_t zigzag = 0;
    for (std::size_t i = 0; i < kCountBytesMax; ++i) {
      if (Done()) return false;
      const std::uint64_t byte = bytes_[at_++];
      const bool last = i + 1 == kCountBytesMax;
      zigzag |= (last ? byte : byte & 0x7f) << (7 * i);
      if (last || byte < 0x80) break;
    }
    *value = static_cast<std::int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1));
    return true;
  }

 private:
  std::span<const unsigned char> bytes_;
  std::size_t at_ = 0;
};

std::string Encoded(const LatencyHistogram& latency) {
  std::string counts;
  std::size_t next = 0;
  latency.ForEachIndex([&](std::size_t bucket, std::uint64_t count) {
    if (bucket != next) PutCount(-static_cast<std::int64_t>(bucket - next), &counts);
    PutCount(static_cast<std::int64_t>(count), &counts);
    next = bucket + 1;
  });
  std::string out;
  PutBigEndian(kCookie, &out);
  PutBigEndian(static_cast<std::uint32_t>(counts.size()), &out);
  PutBigEndian(std::uint32_t{0}, &out);  // normalizing index offset
  PutBigEndian(std::uint32_t{LatencyHistogram::kSignificantDigits}, &out);
  PutBigEndian(std::uint64_t{1}, &out);  // lowest value that is told from 0
  PutBigEndian(LatencyHistogram::kValueMax, &out);
  PutBigEndian(std::bit_cast<std::uint64_t>(1.0), &out);  // integer to double ratio
  return out + counts;
}

std::string ReadEncoded(std::span<const unsigned char> bytes, LatencyHistogram* latency) {
  Reader reader(bytes);
  std::uint32_t cookie = 0;
  std::uint32_t payload = 0;
  std::uint32_t offset = 0;
  std::uint32_t digits = 0;
  std::uint64_t lowest = 0;
  std::uint64_t highest = 0;
  std::uint64_t ratio = 0;
  const bool whole = reader.Take(&cookie) && reader.Take(&payload) && reader.Take(&offset) &&
                     reader.Take(&digits) && reader.Take(&lowest) && reader.Take(&highest) &&
                     reader.Take(&ratio);
  if (!whole || cookie != kCookie) return "not a histogram of version 2";
  if (offset != 0 || digits != LatencyHistogram::kSignificantDigits || lowest != 1) {
    return "a histogram of other buckets: it needs 3 significant digits from 1 on";
  }
  if (payload != reader.left()) return "a histogram with another length than it says";
  std::uint64_t at = 0;
  while (!reader.Done()) {
    std::int64_t value = 0;
    if (!reader.TakeCount(&value)) return "a histogram that is cut off";
    if (value < 0) {
      // A run of empty buckets. The smallest value has no counterpart.
      const std::uint64_t run = ~static_cast<std::uint64_t>(value) + 1;
      if (run > LatencyHistogram::kBuckets - at) return "a histogram with too many buckets";
      at += run;
      continue;
    }
    if (at >= LatencyHistogram::kBuckets) return "a histogram with too many buckets";
    const auto count = static_cast<std::uint64_t>(value);
    if (count > std::numeric_limits<std::uint64_t>::max() / 2 - latency->count()) {
      return "a histogram with too large counts";
    }
    latency->Record(LatencyHistogram::UpperOf(at), count);
    ++at;
  }
  return {};
}

std::string ToBase64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

double Us(std::uint64_t ns) { return static_cast<double>(ns) / kNsPerUs; }

}  // namespace

std::string EncodeHdr(const LatencyHistogram& latency) {
  const std::string plain = Encoded(latency);
  uLongf bytes = compressBound(plain.size());
  std::string deflated(bytes, '\0');
  if (compress(reinterpret_cast<Bytef*>(deflated.data()), &bytes,
               reinterpret_cast<const Bytef*>(plain.data()), plain.size()) != Z_OK) {
    return {};
  }
  std::string out;
  PutBigEndian(kCompressedCookie, &out);
  PutBigEndian(static_cast<std::uint32_t>(bytes), &out);
  out.append(deflated, 0, bytes);
  return ToBase64(out);
}

std::string DecodeHdr(std::string_view text, LatencyHistogram* latency) {
  if (text.empty() || text.size() % 4 != 0 || text.size() > 2 * kEncodedBytesMax) {
    return "not base64 of a histogram";
  }
  std::vector<unsigned char> bytes(text.size() / 4 * 3);
  const int length =
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
  if (length < 0) return "not base64 of a histogram";
  // The padding counts as zeros there.
  const auto padding = static_cast<std::size_t>(
      std::count(text.end() - std::min<std::ptrdiff_t>(2, std::ssize(text)), text.end(), '='));
  bytes.resize(static_cast<std::size_t>(length) - padding);
  Reader reader(bytes);
  std::uint32_t cookie = 0;
  std::uint32_t deflated = 0;
  if (!reader.Take(&cookie) || !reader.Take(&deflated) || cookie != kCompressedCookie ||
      deflated != reader.left()) {
    return "not a compressed histogram of version 2";
  }
  std::vector<unsigned char> plain(kEncodedBytesMax);
  uLongf plain_bytes = plain.size();
  if (uncompress(plain.data(), &plain_bytes, bytes.data() + kCompressedHeaderBytes, deflated) !=
      Z_OK) {
    return "a compressed histogram that cannot be inflated";
  }
  return ReadEncoded(std::span(plain).first(plain_bytes), latency);
}

std::string HdrPercentileText(const LatencyHistogram& latency, unsigned ticks) {
  std::string out = fmt::format("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile",
                                "TotalCount", "1/(1-Percentile)");
  const double total = static_cast<double>(latency.count());
  double level = 0;  // in percent
  std::uint64_t seen = 0;
  std::uint64_t last_value = 0;
  latency.ForEachIndex([&](std::size_t bucket, std::uint64_t count) {
    seen += count;
    last_value = LatencyHistogram::UpperOf(bucket);
    const double reached = 100.0 * static_cast<double>(seen) / total;
    while (level <= reached) {
      out += fmt::format("{:12.3f} {:2.12f} {:10d} {:14.2f}\n", Us(last_value), level / 100.0, seen,
                         1 / (1 - level / 100.0));
      const double halvings = std::floor(std::log2(100.0 / (100.0 - level))) + 1;
      level += 100.0 / (ticks * std::exp2(halvings));
      if (seen == latency.count()) break;  // the last bucket has one line here, and that of 100 %
    }
  });
  if (latency.count() != 0) {
    out += fmt::format("{:12.3f} {:2.12f} {:10d}\n", Us(last_value), 1.0, seen);
  }
  out += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n",
                     latency.Mean() / kNsPerUs, latency.Deviation() / kNsPerUs);
  out += fmt::format("#[Max     = {:12.3f}, Total count    = {:12d}]\n", Us(last_value),
                     latency.count());
  out +=
      fmt::format("#[Buckets = {:12d}, SubBuckets     = {:12d}]\n",
                  LatencyHistogram::kBuckets / (std::size_t{1} << LatencyHistogram::kSubBits) - 1,
                  std::size_t{2} << LatencyHistogram::kSubBits);
  return out;
}

std::string HdrLogText(double start_unix_s, std::span<const HdrLogEntry> entries) {
  std::string out =
      "#[Logged with ktlsim]\n#[Histogram log format version 1.3]\n" +
      fmt::format("#[StartTime: {:.3f} (seconds since epoch)]\n", start_unix_s) +
      "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";
  for (const HdrLogEntry& entry : entries) {
    if (!entry.tag.empty()) out.append("Tag=").append(entry.tag).append(",");
    out += fmt::format("{:.3f},{:.3f},{:.3f},{}\n", entry.start_s, entry.length_s, Us(entry.max_ns),
                       entry.encoded);
  }
  return out;
}

}  // namespace ktlsim::command
