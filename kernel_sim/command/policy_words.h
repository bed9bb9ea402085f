// Security descriptors, their entries and rights in words, for people who write or debug a policy:
// `ktlsim sddl` and `ktlsim access`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/command/values.h"
#include "kernel_sim/security/sddl.h"
#include "kernel_sim/security/security_descriptor.h"

namespace ktlsim::command {

// What kind of object a descriptor guards: the same bits are other rights.
enum class ObjectKind : std::uint8_t { kFile, kFolder, kKey, kDirectory };

inline constexpr std::array kObjectKindWords = {
    Word<ObjectKind>{"file", ObjectKind::kFile}, Word<ObjectKind>{"folder", ObjectKind::kFolder},
    Word<ObjectKind>{"key", ObjectKind::kKey},
    Word<ObjectKind>{"directory-service", ObjectKind::kDirectory}};

const security::GenericMapping& MappingOf(ObjectKind kind);

// Such as "FILE_READ_DATA"; for a bit without a name its number.
std::string RightName(ObjectKind kind, security::AccessMask bit);
// The whole mask: "FILE_GENERIC_READ, DELETE (0x130089)".
std::string RightsText(ObjectKind kind, security::AccessMask mask);

// Rights as people write them, separated by commas: names ("FILE_READ_DATA", "READ_CONTROL",
// "MAXIMUM_ALLOWED"), words of SDDL ("FR", "GRRC"), numbers ("0x1"). Empty: done, generic rights
// are mapped; else what is wrong.
std::string ParseRights(std::string_view text, ObjectKind kind, security::AccessMask* mask);

// "Everyone" for S-1-1-0; "" for a SID without a name.
std::string_view SidName(security::SidView sid);
// "S-1-1-0 (Everyone)".
std::string SidInWords(security::SidView sid);
// A SID, or a name of SDDL such as BA. Empty: done; else what is wrong.
std::string ParseSidArgument(std::string_view text, const std::optional<security::Sid>& domain,
                             security::Sid* sid);

// One entry of a list: "allows S-1-1-0 (Everyone): FILE_READ_DATA (0x1)".
std::string AceInWords(const security::AceView& ace, ObjectKind kind);
// As SDDL; what SDDL has no words for, in words.
std::string AceText(const security::AceView& ace, const std::optional<security::Sid>& domain);
// "kept by files in it, by folders in it; not for the object itself"; "" without flags.
std::string InheritanceInWords(std::uint8_t flags);

// What a reader of this policy may not expect, in words.
std::vector<std::string> PolicyWarnings(const security::DescriptorView& view, ObjectKind kind);

// Where a text is wrong: the line, and below it a caret; longer lines are cut around the place.
std::string PointAt(std::string_view text, std::size_t position);

}  // namespace ktlsim::command
