// SDDL: security descriptors as text, O:sid G:sid D:flags(ace)(ace)... S:flags(ace)...
// (MS-DTYP 2.5.1), where an ACE is (type;flags;rights;object type;inherited object type;sid).
//
// What a newcomer gets wrong: "D:" is an empty DACL, which grants nothing; without "D:" there is no
// DACL, and everything is granted. A NULL DACL is D:NO_ACCESS_CONTROL.
//
// Upper and lower case are the same in what is read, and space is allowed between components and
// around fields; what is written has neither. Conditional ACEs, resource attributes, policies and
// alarms are refused.
//
// Any level that may allocate, any thread, no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel_sim/security/security_descriptor.h"

namespace ktlsim::security {

// Where a text is wrong.
struct SddlError {
  Fault fault = Fault::kNone;
  std::size_t position = 0;  // of the first byte that cannot be
  const char* what = "";     // in words, such as "no such right"
};

// The names of a domain's accounts, such as DA, mean those of `domain`; without one they are
// kNoneMapped.
//
// kInvalidParameter: no such component, or one twice; kInvalidAcl: an ACE or a flag that is none,
// or more bytes than a list can have; kInvalidSid: an owner or group that is none; kNotSupported;
// kNoneMapped; kNoMemory. *descriptor is then unchanged.
SddlError ParseSddl(std::string_view text, const std::optional<Sid>& domain,
                    std::optional<Descriptor>* descriptor);

// The parts that `information` names (kOwnerInformation and so on) and that are there; of a SACL
// with kLabelInformation alone the labels. What was not in a text could not be in one: a callback
// ACE, a resource attribute, an ACE in the wrong list is kNotSupported. kNoMemory. *text is then
// unchanged.
Fault FormatSddl(const DescriptorView& descriptor, std::uint32_t information,
                 const std::optional<Sid>& domain, std::string* text);

// One ACE in parentheses; otherwise as FormatSddl.
Fault FormatAce(const AceView& ace, const std::optional<Sid>& domain, std::string* text);

}  // namespace ktlsim::security
