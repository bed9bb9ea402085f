// A second access check, made of the published rules alone (MS-DTYP 2.5.3.2 and 2.5.3.3, "How DACLs
// Control Access to an Object", "Restricted Tokens", AccessCheckByType): one right at a time, one
// pass at a time, over plain numbers instead of bytes. It knows nothing of the code under test.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ktlsim::security::test {

// SIDs are numbers; these two stand for something else.
inline constexpr int kOwnerRights = 100;  // S-1-3-4
inline constexpr int kSelf = 101;         // S-1-5-10

struct PlainAce {
  enum Kind { kAllow, kDeny, kAllowCallback, kDenyCallback, kAudit } kind = kAllow;
  bool inherit_only = false;
  std::uint32_t mask = 0;
  int sid = 0;
  std::optional<int> type;  // of an object ACE
};

struct PlainGroup {
  int sid = 0;
  bool enabled = true;
  bool deny_only = false;
};

struct PlainMapping {
  std::uint32_t read = 0;
  std::uint32_t write = 0;
  std::uint32_t execute = 0;
  std::uint32_t all = 0;
};

struct PlainLabel {
  std::uint32_t integrity = 0;
  bool no_write_up = false;
  bool no_read_up = false;
  bool no_execute_up = false;
};

struct PlainCase {
  int owner = 0;
  std::optional<std::vector<PlainAce>> dacl;  // none: absent or NULL
  std::optional<PlainLabel> label;
  std::vector<PlainGroup> groups;  // the user is one of them
  std::optional<std::vector<int>> restricting;
  bool write_restricted = false;
  bool security_privilege = false;
  bool take_ownership_privilege = false;
  std::uint32_t integrity = 0;
  std::optional<int> self;
  std::uint32_t desired = 0;
  PlainMapping mapping;
  std::vector<int> levels;  // of the types 0, 1, 2 ...; empty: no list
};

struct PlainResult {
  bool allowed = false;
  std::uint32_t granted = 0;
};

// One result for each type; one without a list.
std::vector<PlainResult> BruteForce(const PlainCase& what);

}  // namespace ktlsim::security::test
