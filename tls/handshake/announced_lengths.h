// AnnouncedLengths: follows the handshake messages in a peer's unprotected records, so that the
// length in a message's header is judged before OpenSSL makes room for it: four bytes must not buy
// 128 KiB. Private to this module.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ktlsim::tls {

class AnnouncedLengths {
 public:
  enum class Verdict : std::uint8_t {
    kGood,
    kCut,      // it ends inside a header, whose bytes are kept here
    kTooLong,  // a message longer than any that may come
  };
  struct Finding {
    Verdict verdict = Verdict::kGood;
    // How many bytes of the fragment come before the header that `verdict` is about. All of them:
    // the fragment is good.
    std::size_t before = 0;
  };

  // Every message but the two below. OpenSSL has room for this much from the start.
  static constexpr std::size_t kMessageBytesMax = 16 * 1024;
  // Certificate, and CertificateRequest, whose list of names may have 64 KiB alone (RFC
  // 8446 4.2.4).
  static constexpr std::size_t kCertificateMessageBytesMax = 66 * 1024;

  // `fragment`: what the next handshake record carries.
  Finding Follow(std::span<const std::byte> fragment);

  // The bytes of an incomplete header that were not handed over yet.
  std::span<const std::byte> withheld() const {
    return std::span(header_).first(header_bytes_).subspan(handed_over_);
  }
  void HandOver() { handed_over_ = header_bytes_; }
  // OpenSSL has seen the beginning of this header.
  bool handed_over() const { return handed_over_ != 0; }
  std::byte message_type() const { return header_[0]; }

 private:
  bool Admissible() const;
  std::size_t Announced() const;

  std::array<std::byte, 4> header_{};  // msg_type and a length of 24 bits (RFC 8446 4)
  std::size_t header_bytes_ = 0;
  std::size_t handed_over_ = 0;  // of those
  std::size_t body_left_ = 0;
};

}  // namespace ktlsim::tls
