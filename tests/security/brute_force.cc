#include "tests/security/brute_force.h"

#include <cstddef>

namespace ktlsim::security::test {
namespace {

constexpr std::uint32_t kReadControlBit = 0x00020000;
constexpr std::uint32_t kWriteDacBit = 0x00040000;
constexpr std::uint32_t kWriteOwnerBit = 0x00080000;
constexpr std::uint32_t kSystemSecurityBit = 0x01000000;
constexpr std::uint32_t kMaximumBit = 0x02000000;
constexpr std::uint32_t kGenericAllBit = 0x10000000;
constexpr std::uint32_t kGenericExecuteBit = 0x20000000;
constexpr std::uint32_t kGenericWriteBit = 0x40000000;
constexpr std::uint32_t kGenericReadBit = 0x80000000;

enum class Answer { kOpen, kYes, kNo };

// Whose SIDs count: the token's own, or the restricting ones.
enum class Pass { kOwn, kRestricting };

std::uint32_t Mapped(std::uint32_t mask, const PlainMapping& mapping) {
  std::uint32_t mapped = mask & 0x0FFFFFFF;
  if (mask & kGenericReadBit) mapped |= mapping.read;
  if (mask & kGenericWriteBit) mapped |= mapping.write;
  if (mask & kGenericExecuteBit) mapped |= mapping.execute;
  if (mask & kGenericAllBit) mapped |= mapping.all;
  return mapped;
}

// Whether the SID is there so that it can allow, or so that it can deny.
bool Has(const PlainCase& what, Pass pass, int sid, bool for_deny) {
  if (sid == kOwnerRights) return Has(what, pass, what.owner, for_deny);
  if (sid == kSelf && what.self) return Has(what, pass, *what.self, for_deny);
  if (pass == Pass::kRestricting) {
    for (const int restricting : *what.restricting) {
      if (restricting == sid) return true;
    }
    return false;
  }
  for (const PlainGroup& group : what.groups) {
    if (group.sid != sid) continue;
    if (group.deny_only) return for_deny;
    return group.enabled;
  }
  return false;
}

bool DaclNamesOwnerRights(const PlainCase& what) {
  for (const PlainAce& ace : *what.dacl) {
    if (!ace.inherit_only && ace.sid == kOwnerRights) return true;
  }
  return false;
}

// The types below `node`, directly or not.
bool IsBelow(const std::vector<int>& levels, std::size_t node, std::size_t other) {
  if (other <= node) return false;
  for (std::size_t i = node + 1; i <= other; ++i) {
    if (levels[i] <= levels[node]) return false;
  }
  return true;
}

// Fills in what follows for the objects above from what is known below.
void Conclude(const std::vector<int>& levels, std::vector<Answer>* answers) {
  for (std::size_t i = answers->size(); i-- > 0;) {
    if ((*answers)[i] != Answer::kOpen) continue;
    bool any_child = false;
    bool all_yes = true;
    bool any_no = false;
    for (std::size_t child = i + 1; child < answers->size(); ++child) {
      if (!IsBelow(levels, i, child) || levels[child] != levels[i] + 1) continue;
      any_child = true;
      all_yes = all_yes && (*answers)[child] == Answer::kYes;
      any_no = any_no || (*answers)[child] == Answer::kNo;
    }
    if (any_no) (*answers)[i] = Answer::kNo;
    if (any_child && all_yes) (*answers)[i] = Answer::kYes;
  }
}

// For one right: the answer of the DACL for each type.
std::vector<Answer> AskDacl(const PlainCase& what, const std::vector<int>& levels, Pass pass,
                            std::uint32_t right) {
  std::vector<Answer> answers(levels.size(), Answer::kOpen);
  if (!what.dacl) {
    const bool part_of_everything = (right & (what.mapping.all | what.desired)) != 0;
    for (Answer& answer : answers) answer = part_of_everything ? Answer::kYes : Answer::kOpen;
    return answers;
  }
  if ((right == kReadControlBit || right == kWriteDacBit) && Has(what, pass, what.owner, false) &&
      !DaclNamesOwnerRights(what)) {
    for (Answer& answer : answers) answer = Answer::kYes;
    return answers;
  }
  for (const PlainAce& ace : *what.dacl) {
    if (ace.inherit_only || (Mapped(ace.mask, what.mapping) & right) == 0) continue;
    bool deny = false;
    if (ace.kind == PlainAce::kDeny || ace.kind == PlainAce::kDenyCallback) {
      deny = true;
    } else if (ace.kind != PlainAce::kAllow) {
      continue;
    }
    if (!Has(what, pass, ace.sid, deny)) continue;
    std::size_t node = 0;
    if (ace.type) {
      if (what.levels.empty() || *ace.type >= static_cast<int>(levels.size())) continue;
      node = static_cast<std::size_t>(*ace.type);
    }
    for (std::size_t i = 0; i < levels.size(); ++i) {
      if (i != node && !IsBelow(levels, node, i)) continue;
      if (answers[i] == Answer::kOpen) answers[i] = deny ? Answer::kNo : Answer::kYes;
    }
    Conclude(levels, &answers);
  }
  return answers;
}

bool IsWrite(std::uint32_t right, const PlainMapping& mapping) {
  return (right & mapping.write) != 0 || (right & (mapping.read | mapping.execute)) == 0;
}

// MS-DTYP 2.5.3.3, with whatever neither reads nor executes as writing.
bool LabelRefuses(const PlainCase& what, std::uint32_t right) {
  PlainLabel label{.integrity = 8192, .no_write_up = true};
  if (what.label) label = *what.label;
  if (what.integrity >= label.integrity) return false;
  if (!label.no_read_up && (right & what.mapping.read) != 0) return false;
  if (!label.no_execute_up && (right & what.mapping.execute) != 0) return false;
  return label.no_write_up || !IsWrite(right, what.mapping);
}

// One right for each type.
std::vector<bool> Grants(const PlainCase& what, const std::vector<int>& levels,
                         std::uint32_t right) {
  const bool asked = (what.desired & right) != 0;
  const std::size_t count = levels.size();
  if (right == kSystemSecurityBit)
    return std::vector<bool>(count, asked && what.security_privilege);
  if (right >= kMaximumBit && (right == kMaximumBit || right >= kGenericAllBit)) {
    return std::vector<bool>(count, false);
  }
  if (LabelRefuses(what, right)) return std::vector<bool>(count, false);
  if (right == kWriteOwnerBit && asked && what.take_ownership_privilege) {
    return std::vector<bool>(count, true);
  }
  const std::vector<Answer> own = AskDacl(what, levels, Pass::kOwn, right);
  std::vector<bool> grants;
  for (const Answer answer : own) grants.push_back(answer == Answer::kYes);
  const bool reads_or_executes = (right & (what.mapping.read | what.mapping.execute)) != 0;
  const bool second = what.restricting.has_value() && !(what.write_restricted && reads_or_executes);
  if (!second) return grants;
  const std::vector<Answer> restricting = AskDacl(what, levels, Pass::kRestricting, right);
  for (std::size_t i = 0; i < count; ++i) {
    grants[i] = grants[i] && restricting[i] == Answer::kYes;
  }
  return grants;
}

}  // namespace

std::vector<PlainResult> BruteForce(const PlainCase& what) {
  const std::vector<int> levels = what.levels.empty() ? std::vector<int>{0} : what.levels;
  std::vector<std::uint32_t> granted(levels.size(), 0);
  for (int bit = 0; bit < 32; ++bit) {
    const std::uint32_t right = std::uint32_t{1} << bit;
    const std::vector<bool> grants = Grants(what, levels, right);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      if (grants[i]) granted[i] |= right;
    }
  }
  const bool maximum = (what.desired & kMaximumBit) != 0;
  const std::uint32_t asked = what.desired & ~kMaximumBit;
  std::vector<PlainResult> results;
  for (const std::uint32_t mask : granted) {
    PlainResult result;
    result.allowed = (mask & asked) == asked && (!maximum || mask != 0);
    if (result.allowed) result.granted = maximum ? mask : asked;
    results.push_back(result);
  }
  return results;
}

}  // namespace ktlsim::security::test
