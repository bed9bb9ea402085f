#include "kernel_sim/serve/host_check.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <string_view>

#include "kernel_sim/base/characters.h"

namespace ktlsim::serve {
namespace {

constexpr std::uint32_t kPortMax = 65535;

// RFC 3986 3.2.2: unreserved and sub-delims.
bool IsNameByte(char c) {
  if (IsDigit(c) || IsLetter(c)) return true;
  return std::string_view("-._~!$&'()*+,;=").find(c) != std::string_view::npos;
}

// IPvFuture: "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" ).
bool IsFutureAddress(std::string_view text) {
  if (text.empty() || (text[0] != 'v' && text[0] != 'V')) return false;
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos || dot < 2 || dot + 1 == text.size()) return false;
  const std::string_view version = text.substr(1, dot - 1);
  const std::string_view address = text.substr(dot + 1);
  return std::all_of(version.begin(), version.end(), IsHexDigit) &&
         std::all_of(address.begin(), address.end(),
                     [](char c) { return c == ':' || IsNameByte(c); });
}

}  // namespace

void HostCheck::Take(char c) {
  switch (state_) {
    case State::kStart:
      state_ = c == '[' ? State::kLiteral : AfterNameByte(c);
      // A port alone names no host.
      if (state_ == State::kPort || state_ == State::kBlank) state_ = State::kBad;
      return;
    case State::kName:
      state_ = AfterNameByte(c);
      return;
    case State::kPercent:
      state_ = IsHexDigit(c) ? State::kPercentDigit : State::kBad;
      return;
    case State::kPercentDigit:
      state_ = IsHexDigit(c) ? State::kName : State::kBad;
      return;
    case State::kLiteral:
      TakeLiteralByte(c);
      return;
    case State::kLiteralEnd:
      state_ = c == ':' ? State::kPort : IsSpace(c) ? State::kBlank : State::kBad;
      return;
    case State::kPort:
      TakePortByte(c);
      return;
    case State::kBlank:
      if (!IsSpace(c)) state_ = State::kBad;
      return;
    case State::kBad:
      return;
  }
}

bool HostCheck::good() const {
  switch (state_) {
    case State::kStart:
    case State::kName:
    case State::kLiteralEnd:
    case State::kPort:
    case State::kBlank:
      return true;
    case State::kPercent:
    case State::kPercentDigit:
    case State::kLiteral:
    case State::kBad:
      return false;
  }
  return false;
}

HostCheck::State HostCheck::AfterNameByte(char c) const {
  if (IsNameByte(c)) return State::kName;
  if (c == '%') return State::kPercent;
  if (c == ':') return State::kPort;
  return IsSpace(c) ? State::kBlank : State::kBad;
}

void HostCheck::TakeLiteralByte(char c) {
  if (c == ']') {
    state_ = LiteralIsGood() ? State::kLiteralEnd : State::kBad;
  } else if (literal_bytes_ == kLiteralBytesMax) {
    state_ = State::kBad;
  } else {
    literal_[literal_bytes_++] = c;
  }
}

bool HostCheck::LiteralIsGood() const {
  const std::string_view text(literal_, literal_bytes_);
  if (text.find('\0') != std::string_view::npos) return false;
  in6_addr address;
  return inet_pton(AF_INET6, literal_, &address) == 1 || IsFutureAddress(text);
}

void HostCheck::TakePortByte(char c) {
  if (IsDigit(c)) {
    port_ = port_ * 10 + static_cast<std::uint32_t>(c - '0');
    if (port_ > kPortMax) state_ = State::kBad;
  } else {
    state_ = IsSpace(c) ? State::kBlank : State::kBad;
  }
}

}  // namespace ktlsim::serve
