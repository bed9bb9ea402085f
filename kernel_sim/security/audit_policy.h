// The audit policy of an object: does its SACL ask for a record of an access? (MS-DTYP 2.5.3)
//
// A pure function of the descriptor, the token and what a check decided. Writing the record is for
// the folder that has a trail.
//
// What a newcomer gets wrong: a SACL grants and denies nothing. An ACE for S-1-1-0 with the flags
// SA and FA asks for a record of every access whose rights it names, allowed or not.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <cstdint>
#include <span>

#include "kernel_sim/security/access_check.h"

namespace ktlsim::security {

// What was asked, and what was decided. `types` and `results` are those of CheckAccessByType, and
// empty where the object was checked as a whole.
struct AccessOutcome {
  const AccessRequest& request;
  bool allowed = false;
  AccessMask granted = 0;  // where it was allowed
  std::span<const ObjectType> types = {};
  std::span<const TypeResult> results = {};
};

// Which outcomes of the types count.
enum class AuditedResult : std::uint8_t {
  kWhole,   // the object as a whole was allowed or denied
  kByType,  // each type was allowed or denied by itself
};

// The index in the SACL of the first ACE that asks for a record of this access. -1: none does.
//
// An ACE counts if the token has its SID, enabled or for denying only, and if it names one of the
// rights: of a success the granted ones, of a failure those that were asked for. kMaximumAllowed
// that granted nothing asked for every right. An object ACE counts for its type and those below
// it; without a list of types, or for one that is not listed, it does not count. The condition of
// a callback ACE is taken as true: a record too many is better than one too few. Inherit-only ACEs
// and alarms do not count.
std::int32_t FindAuditAce(const AccessOutcome& outcome, AuditedResult counts);

}  // namespace ktlsim::security
