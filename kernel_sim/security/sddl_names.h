// The two-letter words of SDDL (MS-DTYP 2.5.1). The same letters mean different things in different
// fields, so each field has its own table.
//
// Private to security/.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/security/ace.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/security_descriptor.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::security {

struct SddlWord {
  std::string_view name;
  std::uint32_t value;
};

// In the order in which they are written.
std::span<const SddlWord> AceFlagWords();
std::span<const SddlWord> RightWords();
std::span<const SddlWord> LabelWords();
// Rights of files and keys: written for a mask that is exactly theirs.
std::span<const SddlWord> WholeMaskWords();

// In the place of a list that is NULL.
inline constexpr std::string_view kNullAclWord = "NO_ACCESS_CONTROL";

// A flag of a list, and the control bit that it is for either list.
struct AclFlagWord {
  std::string_view name;
  std::uint16_t dacl;
  std::uint16_t sacl;
};
std::span<const AclFlagWord> AclFlagWords();

enum class AclKind : std::uint8_t { kDacl, kSacl };

// An ACE type that a text can have.
struct AceTypeWord {
  std::string_view name;
  AceType type;
  AclKind list;
};
std::span<const AceTypeWord> AceTypeWords();
// Types that SDDL knows and that are not supported here: conditions, attributes, policies, alarms.
bool IsRefusedAceType(std::string_view name);

// Of any table; upper and lower case are the same. Null: there is none.
template <typename Word>
const Word* FindWord(std::span<const Word> words, std::string_view name) {
  for (const Word& word : words) {
    if (EqualsIgnoringCase(word.name, name)) return &word;
  }
  return nullptr;
}

// `name` has two letters. kInvalidSid: it is no name; kNoneMapped: it is one of a domain, and there
// is no domain. *sid is then unchanged.
Fault SidOfName(std::string_view name, const std::optional<Sid>& domain, Sid* sid);
// "": it has none.
std::string_view NameOfSid(SidView sid, const std::optional<Sid>& domain);

}  // namespace ktlsim::security
