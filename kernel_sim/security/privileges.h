// Privileges: rights to do a thing whatever a descriptor says, by number and by name.
//
// What a newcomer gets wrong: a token has to have the privilege, and it has to be enabled.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>

#include "kernel_sim/security/luid.h"

namespace ktlsim::security {

// The value is the low part of the privilege's LUID, whose high part is 0.
enum class Privilege : std::uint8_t {
  kCreateToken = 2,
  kAssignPrimaryToken = 3,
  kLockMemory = 4,
  kIncreaseQuota = 5,
  kMachineAccount = 6,
  kTcb = 7,
  kSecurity = 8,
  kTakeOwnership = 9,
  kLoadDriver = 10,
  kSystemProfile = 11,
  kSystemtime = 12,
  kProfileSingleProcess = 13,
  kIncreaseBasePriority = 14,
  kCreatePagefile = 15,
  kCreatePermanent = 16,
  kBackup = 17,
  kRestore = 18,
  kShutdown = 19,
  kDebug = 20,
  kAudit = 21,
  kSystemEnvironment = 22,
  kChangeNotify = 23,
  kRemoteShutdown = 24,
  kUndock = 25,
  kSyncAgent = 26,
  kEnableDelegation = 27,
  kManageVolume = 28,
  kImpersonate = 29,
  kCreateGlobal = 30,
  kTrustedCredManAccess = 31,
  kRelabel = 32,
  kIncreaseWorkingSet = 33,
  kTimeZone = 34,
  kCreateSymbolicLink = 35,
};

inline constexpr std::uint32_t kFirstPrivilege = 2;
inline constexpr std::uint32_t kLastPrivilege = 35;

constexpr Luid LuidOf(Privilege privilege) { return {static_cast<std::uint32_t>(privilege), 0}; }
// None: there is no such privilege.
constexpr std::optional<Privilege> PrivilegeOf(Luid luid) {
  if (luid.high != 0 || luid.low < kFirstPrivilege || luid.low > kLastPrivilege) {
    return std::nullopt;
  }
  return static_cast<Privilege>(luid.low);
}

// Such as "SeSecurityPrivilege".
std::string_view NameOf(Privilege privilege);
// Upper and lower case are the same. None: there is no such privilege.
std::optional<Privilege> FindPrivilege(std::string_view name);

class PrivilegeSet {
 public:
  constexpr PrivilegeSet() = default;
  constexpr PrivilegeSet(std::initializer_list<Privilege> privileges) {
    for (const Privilege one : privileges) Add(one);
  }

  constexpr void Add(Privilege one) { bits_ |= Bit(one); }
  constexpr void Remove(Privilege one) { bits_ &= ~Bit(one); }
  constexpr bool Has(Privilege one) const { return (bits_ & Bit(one)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr int count() const { return std::popcount(bits_); }

  constexpr PrivilegeSet And(PrivilegeSet other) const {
    PrivilegeSet both;
    both.bits_ = bits_ & other.bits_;
    return both;
  }

  // Calls `take` with each, in the order of their LUIDs.
  template <typename Take>
  void ForEach(const Take& take) const {
    for (std::uint32_t i = kFirstPrivilege; i <= kLastPrivilege; ++i) {
      if (Has(static_cast<Privilege>(i))) take(static_cast<Privilege>(i));
    }
  }

  friend constexpr bool operator==(PrivilegeSet, PrivilegeSet) = default;

 private:
  static constexpr std::uint64_t Bit(Privilege one) {
    return std::uint64_t{1} << static_cast<unsigned>(one);
  }

  std::uint64_t bits_ = 0;
};

// Attributes of a privilege in a token.
inline constexpr std::uint32_t kPrivilegeEnabledByDefault = 1;
inline constexpr std::uint32_t kPrivilegeEnabled = 2;
inline constexpr std::uint32_t kPrivilegeRemoved = 4;

// The privileges of a token. What is enabled is held.
struct TokenPrivileges {
  PrivilegeSet held = {};
  PrivilegeSet enabled = {};
  PrivilegeSet enabled_by_default = {};

  std::uint32_t AttributesOf(Privilege one) const {
    return (enabled_by_default.Has(one) ? kPrivilegeEnabledByDefault : 0) |
           (enabled.Has(one) ? kPrivilegeEnabled : 0);
  }
  void Remove(Privilege one) {
    held.Remove(one);
    enabled.Remove(one);
    enabled_by_default.Remove(one);
  }
  friend bool operator==(const TokenPrivileges&, const TokenPrivileges&) = default;
};

}  // namespace ktlsim::security
