#include "kernel_sim/serve/http_response.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

namespace ktlsim::serve {
namespace {

constexpr std::size_t kPeriod = 26;
constexpr std::size_t kPieceBytes = 16 * 1024;

// Long enough that a record's worth can be copied from any phase of the alphabet.
constexpr auto kPattern = [] {
  std::array<char, kPieceBytes + kPeriod> pattern{};
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    pattern[i] = static_cast<char>('a' + i % kPeriod);
  }
  return pattern;
}();

// "Sat, 21 Nov 2026 08:00:00 GMT" (RFC 9110 5.6.7); made once per second and thread.
std::string_view DateText(std::time_t when) {
  struct Cached {
    std::time_t when = -1;
    std::array<char, 40> text{};
    std::size_t bytes = 0;
  };
  thread_local Cached cached;
  if (cached.when != when) {
    static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm utc{};
    gmtime_r(&when, &utc);
    const auto end = fmt::format_to_n(cached.text.data(), cached.text.size(),
                                      "{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                                      kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                                      kMonths[static_cast<std::size_t>(utc.tm_mon)],
                                      utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
    cached.bytes = std::min(end.size, cached.text.size());
    cached.when = when;
  }
  return {cached.text.data(), cached.bytes};
}

std::string_view ConnectionField(const HttpResponse& response) {
  if (response.close) return "Connection: close\r\n";
  if (response.keep_alive) return "Connection: keep-alive\r\n";
  return "";
}

}  // namespace

std::string_view HttpReason(unsigned status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

std::size_t FormatHttpHead(const HttpResponse& response, std::span<char, kHttpHeadBytesMax> out) {
  const auto end =
      fmt::format_to_n(out.data(), out.size(),
                       "HTTP/1.1 {} {}\r\n"
                       "Server: ktlsim\r\n"
                       "Date: {}\r\n"
                       "Content-Type: text/plain\r\n"
                       "Content-Length: {}\r\n"
                       "{}\r\n",
                       response.status, HttpReason(response.status), DateText(response.date),
                       response.body_bytes, ConnectionField(response));
  return std::min(end.size, out.size());
}

void FillHttpBody(std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    const std::size_t piece = std::min(out.size(), kPieceBytes);
    std::memcpy(out.data(), kPattern.data() + offset % kPeriod, piece);
    offset += piece;
    out = out.subspan(piece);
  }
}

bool CheckHttpBody(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t piece = std::min(bytes.size(), kPieceBytes);
    if (std::memcmp(bytes.data(), kPattern.data() + offset % kPeriod, piece) != 0) return false;
    offset += piece;
    bytes = bytes.subspan(piece);
  }
  return true;
}

}  // namespace ktlsim::serve
