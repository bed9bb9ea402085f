#include "kernel_sim/serve/http_response.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>

#include "kernel_sim/base/assert.h"

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

// Made once per second and thread.
std::string_view DateText(std::time_t when) {
  struct Cached {
    std::time_t when = -1;
    std::array<char, kHttpDateBytesMax> text{};
    std::size_t bytes = 0;
  };
  thread_local Cached cached;
  if (cached.when != when) {
    cached.bytes = FormatHttpDate(when, cached.text);
    cached.when = when;
  }
  return {cached.text.data(), cached.bytes};
}

std::string_view ConnectionField(const HttpResponse& response) {
  if (response.close) return "Connection: close\r\n";
  if (response.keep_alive) return "Connection: keep-alive\r\n";
  return "";
}

struct ReasonWords {
  unsigned status;
  std::string_view reason;
};

constexpr ReasonWords kReasons[] = {
    {200, "OK"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {416, "Range Not Satisfiable"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

}  // namespace

std::string_view HttpReason(unsigned status) {
  for (const ReasonWords& words : kReasons) {
    if (words.status == status) return words.reason;
  }
  return "Error";
}

std::size_t FormatHttpDate(std::time_t when, std::span<char, kHttpDateBytesMax> out) {
  static constexpr std::array kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  gmtime_r(&when, &utc);
  const auto end = fmt::format_to_n(out.data(), out.size(), "{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                                    kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                                    kMonths[static_cast<std::size_t>(utc.tm_mon)],
                                    utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return std::min(end.size, out.size());
}

std::size_t FormatHttpHead(const HttpResponse& response, std::span<char, kHttpHeadBytesMax> out) {
  KTLSIM_ASSERT(response.fields.size() <= kHttpFieldsBytesMax);
  KTLSIM_ASSERT(response.authentication_info.size() <= kAuthenticationInfoBytesMax);
  char* at = out.data();
  at = fmt::format_to(at, "HTTP/1.1 {} {}\r\nServer: ktlsim\r\nDate: {}\r\n", response.status,
                      HttpReason(response.status), DateText(response.date));
  if (response.status != 304) {
    if (!response.content_type.empty()) {
      at = fmt::format_to(at, "Content-Type: {}\r\n", response.content_type);
    }
    at = fmt::format_to(at, "Content-Length: {}\r\n", response.body_bytes);
  }
  if (!response.authentication_info.empty()) {
    at = fmt::format_to(at, "Authentication-Info: {}\r\n", response.authentication_info);
  }
  at = fmt::format_to(at, "{}{}\r\n", response.fields, ConnectionField(response));
  return static_cast<std::size_t>(at - out.data());
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
