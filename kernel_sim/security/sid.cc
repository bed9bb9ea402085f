#include "kernel_sim/security/sid.h"

#include <charconv>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/base/characters.h"

namespace ktlsim::security {
namespace {

constexpr std::uint64_t kNtAuthority = 5;
constexpr std::uint32_t kNonUnique =
    21;  // SECURITY_NT_NON_UNIQUE: three numbers of a domain follow
constexpr std::uint32_t kBuiltin = 32;
constexpr std::size_t kHexDigitsMax = 12;

// The digits at the front of `text`, `most` at most.
std::string_view DigitsOf(std::string_view text, bool hex, std::size_t most) {
  std::size_t count = 0;
  while (count < text.size() && count < most &&
         (hex ? IsHexDigit(text[count]) : IsDigit(text[count]))) {
    ++count;
  }
  return text.substr(0, count);
}

template <typename Number>
bool TakeNumber(std::string_view* text, bool hex, std::size_t most, Number* number) {
  const std::string_view digits = DigitsOf(*text, hex, most);
  if (ReadNumber(digits, number, hex ? 16 : 10) != std::errc()) return false;
  text->remove_prefix(digits.size());
  return true;
}

bool TakeAuthority(std::string_view* text, std::uint64_t* authority) {
  const bool hex = text->size() > 2 && text->front() == '0' && Lower((*text)[1]) == 'x';
  if (hex) text->remove_prefix(2);
  return TakeNumber(text, hex, hex ? kHexDigitsMax : text->size(), authority) &&
         *authority <= kAuthorityMax;
}

bool IsBuiltin(SidView sid) {
  return sid.authority() == kNtAuthority && sid.sub_authorities() >= 1 &&
         sid.sub_authority(0) == kBuiltin;
}

}  // namespace

std::optional<SidView> SidView::Read(std::span<const std::byte> bytes) {
  if (bytes.size() < SidBytes(0) || bytes[0] != std::byte{1}) return std::nullopt;
  const auto count = static_cast<std::size_t>(bytes[1]);
  if (count > kSubAuthoritiesMax || SidBytes(count) > bytes.size()) return std::nullopt;
  return SidView(bytes.data());
}

std::uint64_t SidView::authority() const {
  std::uint64_t authority = 0;
  for (std::size_t i = 2; i < 8; ++i)
    authority = authority << 8 | static_cast<std::uint64_t>(at_[i]);
  return authority;
}

bool EqualPrefix(SidView a, SidView b) {
  if (a.sub_authorities() != b.sub_authorities()) return false;
  const std::size_t compared = a.bytes() - (a.sub_authorities() == 0 ? 0 : 4);
  return std::memcmp(a.image().data(), b.image().data(), compared) == 0;
}

std::optional<Sid> AccountDomainOf(SidView sid) {
  if (sid.authority() != kNtAuthority || sid.sub_authorities() < 4 ||
      sid.sub_authority(0) != kNonUnique) {
    return std::nullopt;
  }
  return Sid(kNtAuthority,
             {kNonUnique, sid.sub_authority(1), sid.sub_authority(2), sid.sub_authority(3)});
}

std::optional<bool> InSameDomain(SidView a, SidView b) {
  const std::optional<Sid> of_a = AccountDomainOf(a);
  const std::optional<Sid> of_b = AccountDomainOf(b);
  if ((!of_a && !IsBuiltin(a)) || (!of_b && !IsBuiltin(b))) return std::nullopt;
  return of_a == of_b;
}

SidText::SidText(SidView sid) {
  char* const end = text_.data() + text_.size();
  char* at = std::ranges::copy(std::string_view("S-1-"), text_.data()).out;
  const std::uint64_t authority = sid.authority();
  if (authority <= UINT32_MAX) {
    at = std::to_chars(at, end, authority).ptr;
  } else {
    at = std::ranges::copy(std::string_view("0x"), at).out;
    for (int shift = 44; shift >= 0; shift -= 4) {
      *at++ = "0123456789abcdef"[(authority >> shift) & 0xF];
    }
  }
  for (std::size_t i = 0; i < sid.sub_authorities(); ++i) {
    *at++ = '-';
    at = std::to_chars(at, end, sid.sub_authority(i)).ptr;
  }
  size_ = static_cast<std::size_t>(at - text_.data());
}

Fault TakeSid(std::string_view* text, Sid* sid) {
  std::string_view rest = *text;
  if (!EqualsIgnoringCase(rest.substr(0, 4), "S-1-")) return Fault::kInvalidSid;
  rest.remove_prefix(4);
  std::uint64_t authority = 0;
  if (!TakeAuthority(&rest, &authority)) return Fault::kInvalidSid;
  Sid read(authority, {});
  while (rest.starts_with('-')) {
    std::uint32_t sub_authority = 0;
    rest.remove_prefix(1);
    if (!TakeNumber(&rest, false, rest.size(), &sub_authority) || !read.Append(sub_authority)) {
      return Fault::kInvalidSid;
    }
  }
  *text = rest;
  *sid = read;
  return Fault::kNone;
}

Fault ParseSid(std::string_view text, Sid* sid) {
  Sid read;
  if (TakeSid(&text, &read) != Fault::kNone || !text.empty()) return Fault::kInvalidSid;
  *sid = read;
  return Fault::kNone;
}

}  // namespace ktlsim::security
