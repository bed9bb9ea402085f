#include "tls/handshake/announced_lengths.h"

#include <algorithm>

namespace ktlsim::tls {
namespace {

// RFC 8446 4.
constexpr std::byte kCertificate{11};
constexpr std::byte kCertificateRequest{13};

}  // namespace

AnnouncedLengths::Finding AnnouncedLengths::Follow(std::span<const std::byte> fragment) {
  std::size_t at = 0;
  while (at < fragment.size()) {
    if (body_left_ != 0) {
      const std::size_t part = std::min(body_left_, fragment.size() - at);
      body_left_ -= part;
      at += part;
      continue;
    }
    const std::size_t before = at;
    while (header_bytes_ < header_.size() && at < fragment.size()) {
      header_[header_bytes_++] = fragment[at++];
    }
    if (header_bytes_ < header_.size()) return {Verdict::kCut, before};
    if (!Admissible()) return {Verdict::kTooLong, before};
    body_left_ = Announced();
    header_bytes_ = handed_over_ = 0;
  }
  return {Verdict::kGood, fragment.size()};
}

std::size_t AnnouncedLengths::Announced() const {
  return std::to_integer<std::size_t>(header_[1]) << 16 |
         std::to_integer<std::size_t>(header_[2]) << 8 | std::to_integer<std::size_t>(header_[3]);
}

bool AnnouncedLengths::Admissible() const {
  const bool certificates = header_[0] == kCertificate || header_[0] == kCertificateRequest;
  return Announced() <= (certificates ? kCertificateMessageBytesMax : kMessageBytesMax);
}

}  // namespace ktlsim::tls
