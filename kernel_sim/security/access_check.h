// The access check: may this token have these rights to this object? (MS-DTYP 2.5.3.2)
//
// Every right is decided by itself: the first ACE in stored order that allows or denies it and
// whose SID is in the token decides it; a right that no ACE decides is not granted. A check never
// allocates, locks or waits; the ACEs and the token's SIDs were checked when they were read.
//
// What is decided, and in which order, is told in README.md. What a newcomer gets wrong: a result
// of kNone says that the check was made, `allowed` says how it ended; and no DACL grants
// everything.
//
// Any level, any thread, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernel_sim/security/access_mask.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/guid.h"
#include "kernel_sim/security/privileges.h"
#include "kernel_sim/security/security_descriptor.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::security {

// All of it is the caller's, and has to live as long as the call.
struct AccessRequest {
  const DescriptorView& descriptor;
  const TokenState& token;
  AccessMask desired = 0;  // generic rights are mapped before
  GenericMapping mapping;
  std::optional<SidView> self;  // what S-1-5-10 stands for in ACEs
};

// What decided.
enum class Decider : std::uint8_t {
  kNothingAsked,  // nothing was left to decide
  kNullDacl,      // there is no DACL: everything is granted
  kOwner,         // the token's user or a group of it owns the object
  kPrivilege,     // a privilege grants it, or a privilege is missing for it
  kLabel,         // the object's integrity is higher than the token's
  kAce,           // an ACE of the DACL
  kEndOfList,     // no ACE of the DACL grants it
};

// Why a check ended as it did, for people who debug a policy. When several ACEs granted, the one
// that granted the last right.
struct AccessDecision {
  Decider decider = Decider::kNothingAsked;
  std::int32_t ace = -1;     // its index in the DACL, or in the SACL of kLabel; -1: none
  bool restricting = false;  // in the second pass, which looks at the restricting SIDs
  AccessMask missing = 0;    // what was asked for and not granted
};

struct AccessResult {
  bool allowed = false;
  AccessMask granted = 0;  // 0 when it is not allowed
  // kNone, kAccessDenied, or kPrivilegeNotHeld where kAccessSystemSecurity was asked for without
  // the privilege.
  Fault reason = Fault::kAccessDenied;
  PrivilegeSet privileges;  // those that were used, for one of the types at least
  AccessDecision decision;
};

// An object, its property sets and properties, in the layout of OBJECT_TYPE_LIST: the first alone
// has level 0, and each is at most one level deeper than the one before it.
struct ObjectType {
  std::uint16_t level = 0;
  std::uint16_t reserved = 0;
  const Guid* type = nullptr;
};
static_assert(sizeof(ObjectType) == 16 && offsetof(ObjectType, reserved) == 2);

inline constexpr std::uint16_t kObjectLevelMax = 4;
inline constexpr std::size_t kObjectTypesMax = 1024;

// The result for one of them, and room for the check to count in.
struct TypeResult {
  bool allowed = false;
  AccessMask granted = 0;  // 0 when it is not allowed
  struct Counts {
    AccessMask granted = 0;
    AccessMask denied = 0;
  };
  Counts counts;
  AccessMask first_pass = 0;
};

// Decides. *result is written when the check was made (kNone), and untouched otherwise.
// kGenericNotMapped: `desired` has generic rights; kInvalidSecurityDescriptor: the descriptor lacks
// an owner or a group. Takes a token of either type.
Fault CheckAccess(const AccessRequest& request, AccessResult* result);

// As CheckAccess, for each of `types`; *result is that of the first, for which the others count,
// too. Without types it is CheckAccess. `results` has an element for each of them. Also
// kInvalidParameter: `types` are no tree, too many, or one is there twice.
Fault CheckAccessByType(const AccessRequest& request, std::span<const ObjectType> types,
                        std::span<TypeResult> results, AccessResult* result);

// Whether this token may be a client's in an access check: kNoImpersonationToken: it is a primary
// one; kBadImpersonationLevel: it is anonymous.
Fault CheckClientToken(const TokenState& token);

}  // namespace ktlsim::security
