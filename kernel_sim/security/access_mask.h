// Rights as bits, and the generic ones, which each kind of object maps to its own (MS-DTYP 2.4.3).
//
// Any level, any thread, no state.
#pragma once

#include <cstdint>

namespace ktlsim::security {

using AccessMask = std::uint32_t;

inline constexpr AccessMask kDelete = 0x00010000;
inline constexpr AccessMask kReadControl = 0x00020000;
inline constexpr AccessMask kWriteDac = 0x00040000;
inline constexpr AccessMask kWriteOwner = 0x00080000;
inline constexpr AccessMask kSynchronize = 0x00100000;
inline constexpr AccessMask kAccessSystemSecurity = 0x01000000;
inline constexpr AccessMask kMaximumAllowed = 0x02000000;
inline constexpr AccessMask kGenericAll = 0x10000000;
inline constexpr AccessMask kGenericExecute = 0x20000000;
inline constexpr AccessMask kGenericWrite = 0x40000000;
inline constexpr AccessMask kGenericRead = 0x80000000;
inline constexpr AccessMask kGenericRights =
    kGenericAll | kGenericExecute | kGenericWrite | kGenericRead;

// The layout of GENERIC_MAPPING.
struct GenericMapping {
  AccessMask read = 0;
  AccessMask write = 0;
  AccessMask execute = 0;
  AccessMask all = 0;
};

inline constexpr GenericMapping kFileMapping = {0x120089, 0x120116, 0x1200A0, 0x1F01FF};
inline constexpr GenericMapping kKeyMapping = {0x20019, 0x20006, 0x20019, 0xF003F};

// Replaces the generic rights in `mask` by what they stand for.
constexpr AccessMask MapGeneric(AccessMask mask, const GenericMapping& mapping) {
  if ((mask & kGenericRights) == 0) return mask;
  AccessMask mapped = mask & ~kGenericRights;
  if ((mask & kGenericRead) != 0) mapped |= mapping.read;
  if ((mask & kGenericWrite) != 0) mapped |= mapping.write;
  if ((mask & kGenericExecute) != 0) mapped |= mapping.execute;
  if ((mask & kGenericAll) != 0) mapped |= mapping.all;
  return mapped;
}

}  // namespace ktlsim::security
