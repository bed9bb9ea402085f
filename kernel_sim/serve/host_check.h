// HostCheck: whether the bytes of a Host field, or of the authority in a request target, are what
// may stand there (RFC 9112 3.2, RFC 9110 7.2, RFC 3986 3.2): a name, an IPv4 address or an IP
// literal, then perhaps a port. User information is refused (RFC 9110 4.2.4).
//
// Takes them one by one and keeps no text. Private to serve/. Any thread, any level.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ktlsim::serve {

class HostCheck {
 public:
  void Take(char c);
  // All bytes have been taken. Blanks after them belong to the field, not to its value.
  bool good() const;
  bool empty() const { return state_ == State::kStart; }

 private:
  enum class State : std::uint8_t {
    kStart,
    kName,
    kPercent,  // after the sign: two hexadecimal digits are due
    kPercentDigit,
    kLiteral,  // after [
    kLiteralEnd,
    kPort,
    kBlank,
    kBad,
  };

  State AfterNameByte(char c) const;
  void TakeLiteralByte(char c);
  bool LiteralIsGood() const;
  void TakePortByte(char c);

  // The longest IPv6 address, with an IPv4 address in it, has 45.
  static constexpr std::size_t kLiteralBytesMax = 45;

  State state_ = State::kStart;
  std::uint8_t literal_bytes_ = 0;
  char literal_[kLiteralBytesMax + 1] = {};
  std::uint32_t port_ = 0;
};

}  // namespace ktlsim::serve
