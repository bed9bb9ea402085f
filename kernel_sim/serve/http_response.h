// Our HTTP responses: the head as text, the body as a pattern.
//
// Both can be made again from any offset, so a response that waits for room costs no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string_view>

namespace ktlsim::serve {

struct HttpResponse {
  unsigned status = 200;
  std::uint64_t body_bytes = 0;          // of Content-Length; 304 says none (RFC 9110 8.6)
  bool close = false;                    // Connection: close
  bool keep_alive = false;               // Connection: keep-alive, which an HTTP/1.0 client needs
  std::time_t date = 0;                  // RFC 9110 6.6.1
  std::string_view content_type;         // empty: none
  std::string_view fields;               // further whole lines, each with its CRLF
  std::string_view authentication_info;  // RFC 7615 3; empty: none
};

// The most bytes of `fields`, of `authentication_info`, and of a whole head with them.
inline constexpr std::size_t kHttpFieldsBytesMax = 4608;
inline constexpr std::size_t kAuthenticationInfoBytesMax = 512;
inline constexpr std::size_t kHttpHeadBytesMax =
    kHttpFieldsBytesMax + kAuthenticationInfoBytesMax + 408;

// "Not Found" for the codes that this server sends, "Error" for others.
std::string_view HttpReason(unsigned status);

// "Sat, 21 Nov 2026 08:00:00 GMT" (RFC 9110 5.6.7): 29 bytes. Returns how many were written.
inline constexpr std::size_t kHttpDateBytesMax = 40;
std::size_t FormatHttpDate(std::time_t when, std::span<char, kHttpDateBytesMax> out);

// Writes status line and fields and the empty line after them; returns the number of bytes.
std::size_t FormatHttpHead(const HttpResponse& response, std::span<char, kHttpHeadBytesMax> out);

// The body at `offset`: the lower-case alphabet, over and over.
void FillHttpBody(std::uint64_t offset, std::span<std::byte> out);
// The same, for a reader that checks it. True: `bytes` is what the body has at `offset`.
bool CheckHttpBody(std::uint64_t offset, std::span<const std::byte> bytes);

}  // namespace ktlsim::serve
