// SIDs: the names of users, groups and everything else that rights are given to (MS-DTYP 2.4.2).
//
// SidView views the bytes of one, Sid holds them. Both are valid whenever they exist: bytes become
// a SidView through Read only. The image is the one of Windows: revision, number of
// sub-authorities, six bytes of authority (the high one first), sub-authorities (the low byte
// first).
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>

#include "kernel_sim/security/bytes.h"
#include "kernel_sim/security/fault.h"

namespace ktlsim::security {

inline constexpr std::size_t kSubAuthoritiesMax = 15;
inline constexpr std::size_t kSidBytesMax = 68;
inline constexpr std::uint64_t kAuthorityMax = 0xFFFFFFFFFFFF;

constexpr std::size_t SidBytes(std::size_t sub_authorities) { return 8 + 4 * sub_authorities; }

// Does not own the bytes.
class SidView {
 public:
  // The SID at the front of `bytes`. None: there is none, or it ends behind them.
  static std::optional<SidView> Read(std::span<const std::byte> bytes);
  // As Read, for memory whose size nobody told.
  static std::optional<SidView> ReadUnbounded(const std::byte* at) {
    return Read({at, kSidBytesMax});
  }

  std::size_t bytes() const { return SidBytes(sub_authorities()); }
  std::size_t sub_authorities() const { return static_cast<std::size_t>(at_[1]); }
  std::uint32_t sub_authority(std::size_t index) const {
    return Load<std::uint32_t>(at_ + SidBytes(index));
  }
  // Not for a SID without sub-authorities.
  std::uint32_t last() const { return sub_authority(sub_authorities() - 1); }
  std::uint64_t authority() const;
  std::span<const std::byte> image() const { return {at_, bytes()}; }

  // Equal SIDs have equal values; a table of them needs no more.
  std::uint64_t hash() const {
    const auto tail = Load<std::uint32_t>(at_ + bytes() - 4);
    const std::uint64_t mixed =
        (Load<std::uint64_t>(at_) ^ (std::uint64_t{tail} << 32)) * 0x9E3779B97F4A7C15U;
    return mixed ^ (mixed >> 32);
  }

  friend bool operator==(SidView a, SidView b) {
    return Load<std::uint64_t>(a.at_) == Load<std::uint64_t>(b.at_) &&
           std::memcmp(a.at_ + 8, b.at_ + 8, a.bytes() - 8) == 0;
  }

 private:
  friend class Sid;
  friend class AceView;  // which was checked with its SID
  explicit SidView(const std::byte* at) : at_(at) {}

  const std::byte* at_;
};

class Sid {
 public:
  // S-1-0-0, nobody.
  constexpr Sid() : Sid(0, {0}) {}
  // At most kAuthorityMax and kSubAuthoritiesMax; more is cut off.
  constexpr Sid(std::uint64_t authority, std::initializer_list<std::uint32_t> sub_authorities) {
    image_[0] = std::byte{1};
    for (std::size_t i = 0; i < 6; ++i) {
      image_[2 + i] = static_cast<std::byte>(authority >> (40 - 8 * i));
    }
    for (const std::uint32_t one : sub_authorities) Append(one);
  }
  explicit Sid(SidView sid) { std::ranges::copy(sid.image(), image_.begin()); }

  operator SidView() const { return view(); }
  SidView view() const { return SidView(image_.data()); }

  // False: it has all that a SID can have.
  constexpr bool Append(std::uint32_t sub_authority) {
    const auto count = static_cast<std::size_t>(image_[1]);
    if (count == kSubAuthoritiesMax) return false;
    for (std::size_t i = 0; i < 4; ++i) {
      image_[SidBytes(count) + i] = static_cast<std::byte>(sub_authority >> (8 * i));
    }
    image_[1] = static_cast<std::byte>(count + 1);
    return true;
  }

  friend bool operator==(const Sid& a, const Sid& b) { return a.view() == b.view(); }

 private:
  alignas(8) std::array<std::byte, kSidBytesMax> image_{};
};

// Both have the same number of sub-authorities, and differ in the last one at most.
bool EqualPrefix(SidView a, SidView b);

// S-1-5-21-a-b-c of an account or of the domain itself. None: the SID belongs to no domain.
std::optional<Sid> AccountDomainOf(SidView sid);

// Whether both lie in one domain, S-1-5-32 being one. None: one of them is in no domain.
std::optional<bool> InSameDomain(SidView a, SidView b);

// The text form, S-1-authority-sub-sub...; the authority in decimal, from 2^32 on as 0x and twelve
// digits.
class SidText {
 public:
  explicit SidText(SidView sid);
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  std::array<char, 192> text_;
  std::size_t size_ = 0;
};

// Takes the longest SID off the front of `*text`. kInvalidSid: there is none, *text and *sid are
// unchanged.
Fault TakeSid(std::string_view* text, Sid* sid);

// Reads all of `text`. kInvalidSid: it is none, *sid is unchanged.
Fault ParseSid(std::string_view text, Sid* sid);

}  // namespace ktlsim::security
