// LUIDs: numbers that are given once, for tokens, logon sessions and privileges.
#pragma once

#include <cstdint>

namespace ktlsim::security {

// The layout of LUID.
struct Luid {
  std::uint32_t low = 0;
  std::int32_t high = 0;

  friend bool operator==(const Luid&, const Luid&) = default;
};
static_assert(sizeof(Luid) == 8 && alignof(Luid) == 4);

// The logon session of the system itself.
inline constexpr Luid kSystemSession{0x3E7, 0};

}  // namespace ktlsim::security
