#include "kernel_sim/command/policy_words.h"

#include <algorithm>
#include <optional>
#include <span>

#include <fmt/format.h>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::command {
namespace {

using security::AccessMask;
using security::AceType;
using security::AceView;
using security::Sid;
using security::SidView;

struct NamedMask {
  std::string_view name;
  AccessMask mask;
};

constexpr NamedMask kStandardRights[] = {
    {"DELETE", security::kDelete},
    {"READ_CONTROL", security::kReadControl},
    {"WRITE_DAC", security::kWriteDac},
    {"WRITE_OWNER", security::kWriteOwner},
    {"SYNCHRONIZE", security::kSynchronize},
    {"ACCESS_SYSTEM_SECURITY", security::kAccessSystemSecurity},
    {"MAXIMUM_ALLOWED", security::kMaximumAllowed},
    {"GENERIC_ALL", security::kGenericAll},
    {"GENERIC_EXECUTE", security::kGenericExecute},
    {"GENERIC_WRITE", security::kGenericWrite},
    {"GENERIC_READ", security::kGenericRead}};
constexpr NamedMask kFileRights[] = {
    {"FILE_READ_DATA", 0x1},     {"FILE_WRITE_DATA", 0x2},       {"FILE_APPEND_DATA", 0x4},
    {"FILE_READ_EA", 0x8},       {"FILE_WRITE_EA", 0x10},        {"FILE_EXECUTE", 0x20},
    {"FILE_DELETE_CHILD", 0x40}, {"FILE_READ_ATTRIBUTES", 0x80}, {"FILE_WRITE_ATTRIBUTES", 0x100}};
constexpr NamedMask kFolderRights[] = {
    {"FILE_LIST_DIRECTORY", 0x1}, {"FILE_ADD_FILE", 0x2},         {"FILE_ADD_SUBDIRECTORY", 0x4},
    {"FILE_READ_EA", 0x8},        {"FILE_WRITE_EA", 0x10},        {"FILE_TRAVERSE", 0x20},
    {"FILE_DELETE_CHILD", 0x40},  {"FILE_READ_ATTRIBUTES", 0x80}, {"FILE_WRITE_ATTRIBUTES", 0x100}};
constexpr NamedMask kKeyRights[] = {{"KEY_QUERY_VALUE", 0x1},    {"KEY_SET_VALUE", 0x2},
                                    {"KEY_CREATE_SUB_KEY", 0x4}, {"KEY_ENUMERATE_SUB_KEYS", 0x8},
                                    {"KEY_NOTIFY", 0x10},        {"KEY_CREATE_LINK", 0x20}};
constexpr NamedMask kDirectoryRights[] = {
    {"CREATE_CHILD", 0x1}, {"DELETE_CHILD", 0x2},   {"LIST_CHILDREN", 0x4},
    {"SELF_WRITE", 0x8},   {"READ_PROPERTY", 0x10}, {"WRITE_PROPERTY", 0x20},
    {"DELETE_TREE", 0x40}, {"LIST_OBJECT", 0x80},   {"CONTROL_ACCESS", 0x100}};

// Masks that have one name as a whole.
constexpr NamedMask kFileWholes[] = {{"FILE_ALL_ACCESS", security::kFileMapping.all},
                                     {"FILE_GENERIC_READ", security::kFileMapping.read},
                                     {"FILE_GENERIC_WRITE", security::kFileMapping.write},
                                     {"FILE_GENERIC_EXECUTE", security::kFileMapping.execute}};
constexpr NamedMask kKeyWholes[] = {{"KEY_ALL_ACCESS", security::kKeyMapping.all},
                                    {"KEY_READ", security::kKeyMapping.read},
                                    {"KEY_WRITE", security::kKeyMapping.write}};
// Active Directory's mapping (MS-ADTS 5.1.3.2).
constexpr security::GenericMapping kDirectoryMapping = {0x20094, 0x20028, 0x20004, 0xF01FF};

std::span<const NamedMask> RightsOf(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kFile:
      return kFileRights;
    case ObjectKind::kFolder:
      return kFolderRights;
    case ObjectKind::kKey:
      return kKeyRights;
    case ObjectKind::kDirectory:
      return kDirectoryRights;
  }
  return {};
}

std::span<const NamedMask> WholesOf(ObjectKind kind) {
  if (kind == ObjectKind::kKey) return kKeyWholes;
  if (kind == ObjectKind::kDirectory) return {};
  return kFileWholes;
}

struct NamedSid {
  Sid sid;
  std::string_view name;
};

constexpr NamedSid kSidNamesInWords[] = {
    {Sid(0, {0}), "Nobody"},
    {Sid(1, {0}), "Everyone"},
    {Sid(3, {0}), "Creator Owner"},
    {Sid(3, {1}), "Creator Group"},
    {Sid(3, {4}), "Owner Rights"},
    {Sid(5, {2}), "Network"},
    {Sid(5, {3}), "Batch"},
    {Sid(5, {4}), "Interactive"},
    {Sid(5, {6}), "Service"},
    {Sid(5, {7}), "Anonymous"},
    {Sid(5, {10}), "Principal Self"},
    {Sid(5, {11}), "Authenticated Users"},
    {Sid(5, {12}), "Restricted Code"},
    {Sid(5, {18}), "Local System"},
    {Sid(5, {19}), "Local Service"},
    {Sid(5, {20}), "Network Service"},
    {Sid(5, {33}), "Write Restricted Code"},
    {Sid(5, {64, 14}), "SChannel Authentication"},
    {Sid(5, {64, 21}), "Digest Authentication"},
    {Sid(5, {32, 544}), "Administrators"},
    {Sid(5, {32, 545}), "Users"},
    {Sid(5, {32, 546}), "Guests"},
    {Sid(5, {32, 547}), "Power Users"},
    {Sid(5, {32, 548}), "Account Operators"},
    {Sid(5, {32, 549}), "Server Operators"},
    {Sid(5, {32, 550}), "Print Operators"},
    {Sid(5, {32, 551}), "Backup Operators"},
    {Sid(5, {32, 552}), "Replicators"},
    {Sid(5, {32, 555}), "Remote Desktop Users"},
    {Sid(5, {32, 573}), "Event Log Readers"},
    {Sid(16, {0}), "Untrusted integrity"},
    {Sid(16, {4096}), "Low integrity"},
    {Sid(16, {8192}), "Medium integrity"},
    {Sid(16, {8448}), "Medium Plus integrity"},
    {Sid(16, {12288}), "High integrity"},
    {Sid(16, {16384}), "System integrity"},
};

void AddWord(std::string_view word, std::string* text) {
  if (!text->empty()) text->append(", ");
  text->append(word);
}

bool IsAudit(AceType type) {
  return type == AceType::kAudit || type == AceType::kAuditObject ||
         type == AceType::kAuditCallback || type == AceType::kAuditCallbackObject;
}

bool Allows(AceType type) { return type == AceType::kAllowed || type == AceType::kAllowedObject; }
bool Denies(AceType type) { return type == AceType::kDenied || type == AceType::kDeniedObject; }

std::string_view VerbOf(const AceView& ace) {
  if (Allows(ace.type())) return "allows";
  if (Denies(ace.type())) return "denies";
  if (ace.type() == AceType::kDeniedCallback || ace.type() == AceType::kDeniedCallbackObject) {
    return "denies, whatever its condition says,";
  }
  if (!IsAudit(ace.type())) return "has no effect here on";
  const bool success = (ace.flags() & security::kSuccessfulAccess) != 0;
  const bool failure = (ace.flags() & security::kFailedAccess) != 0;
  if (success && failure) return "records every access of";
  if (success) return "records accesses that were allowed to";
  return failure ? "records accesses that were denied to" : "never records";
}

std::string LabelInWords(const AceView& ace) {
  std::string refused;
  if ((ace.mask() & security::kNoWriteUp) != 0) AddWord("write", &refused);
  if ((ace.mask() & security::kNoReadUp) != 0) AddWord("read", &refused);
  if ((ace.mask() & security::kNoExecuteUp) != 0) AddWord("execute", &refused);
  return fmt::format("label {}: subjects of lower integrity may not {}", SidInWords(ace.sid()),
                     refused.empty() ? "do nothing less than others" : refused);
}

std::string TypesInWords(const AceView& ace) {
  if (ace.layout() != security::AceLayout::kObject) return {};
  std::string text;
  if (const auto type = ace.object_type()) {
    text += fmt::format("; only for the type {}", security::GuidText(*type).view());
  }
  if (const auto type = ace.inherited_object_type()) {
    text += fmt::format("; inherited by objects of type {}", security::GuidText(*type).view());
  }
  return text;
}

// ---- Warnings

std::string Entry(std::size_t index) { return fmt::format("entry {}", index + 1); }

// Whether it decides anything about this object.
bool Counts(const AceView& ace) {
  return !ace.inherit_only() && (Allows(ace.type()) || Denies(ace.type()));
}

void WarnOfOrder(const std::vector<AceView>& aces, const security::GenericMapping& mapping,
                 std::vector<std::string>* warnings) {
  for (std::size_t i = 0; i < aces.size(); ++i) {
    if (!Counts(aces[i])) continue;
    const AccessMask mask = MapGeneric(aces[i].mask(), mapping);
    AccessMask before = 0;
    for (std::size_t j = 0; j < i; ++j) {
      if (!Counts(aces[j])) continue;
      const AccessMask other = MapGeneric(aces[j].mask(), mapping);
      const bool object = aces[j].layout() == security::AceLayout::kObject;
      if (aces[j].sid() == aces[i].sid() && !object) before |= other;
      if (Denies(aces[i].type()) && Allows(aces[j].type()) && (mask & other) != 0) {
        warnings->push_back(
            fmt::format("{} denies what {} has allowed before: the first one that names a right "
                        "decides it, so whoever has both SIDs is allowed",
                        Entry(i), Entry(j)));
        break;
      }
    }
    if (mask != 0 && (mask & ~before) == 0) {
      warnings->push_back(fmt::format(
          "{} changes nothing: earlier entries for the same SID decide all that it names",
          Entry(i)));
    }
    const bool after_inherited =
        (aces[i].flags() & security::kInherited) == 0 &&
        std::any_of(aces.begin(), aces.begin() + static_cast<std::ptrdiff_t>(i),
                    [](const AceView& ace) { return (ace.flags() & security::kInherited) != 0; });
    if (after_inherited) {
      warnings->push_back(fmt::format(
          "{} is the object's own and stands behind an inherited one: tools would put it in front",
          Entry(i)));
    }
  }
}

// `entry` names it.
void WarnOfEntry(const AceView& ace, const std::string& entry, std::vector<std::string>* warnings) {
  const bool inherits =
      (ace.flags() & (security::kObjectInherit | security::kContainerInherit)) != 0;
  if (ace.inherit_only()) {
    warnings->push_back(
        inherits
            ? fmt::format("{} is inherit-only: it does not count for this object", entry)
            : fmt::format("{} is inherit-only, and nothing inherits it: it has no effect", entry));
  } else if ((ace.flags() & security::kNoPropagateInherit) != 0 && !inherits) {
    warnings->push_back(fmt::format("{} has NP, and nothing inherits it", entry));
  }
  if (ace.mask() == 0 && ace.type() != AceType::kMandatoryLabel) {
    warnings->push_back(fmt::format("{} names no right: it has no effect", entry));
  }
  if (IsAudit(ace.type()) && (ace.flags() & security::kAuditFlags) == 0) {
    warnings->push_back(fmt::format("{} has neither SA nor FA: it never asks for a record", entry));
  }
}

void WarnOfDacl(const security::DescriptorView& view, ObjectKind kind,
                std::vector<std::string>* warnings) {
  if (!view.dacl) {
    warnings->emplace_back(
        view.dacl_present()
            ? "the DACL is NULL: everybody is allowed everything; an empty DACL is D: alone"
            : "there is no DACL: everybody is allowed everything; an empty DACL is D: alone");
    return;
  }
  std::vector<AceView> aces;
  for (const AceView ace : *view.dacl) aces.push_back(ace);
  if (aces.empty()) {
    warnings->emplace_back(
        "the DACL is empty: nobody is allowed anything, but for the owner, who may read and change "
        "the descriptor");
  }
  WarnOfOrder(aces, MappingOf(kind), warnings);
  for (std::size_t i = 0; i < aces.size(); ++i) WarnOfEntry(aces[i], Entry(i), warnings);
}

// ---- Rights

std::optional<AccessMask> FindRight(std::string_view name, ObjectKind kind) {
  for (const std::span<const NamedMask> table :
       {std::span<const NamedMask>(kStandardRights), RightsOf(kind), WholesOf(kind)}) {
    for (const NamedMask& one : table) {
      if (EqualsIgnoringCase(one.name, name)) return one.mask;
    }
  }
  return std::nullopt;
}

// Words of SDDL and numbers, by its own reader.
std::optional<AccessMask> ReadSddlRights(std::string_view text) {
  if (text.empty() ||
      !std::ranges::all_of(text, [](char c) { return IsDigit(c) || IsLetter(c); })) {
    return std::nullopt;
  }
  std::optional<security::Descriptor> read;
  const security::SddlError error =
      security::ParseSddl(fmt::format("D:(A;;{};;;WD)", text), std::nullopt, &read);
  if (error.fault != security::Fault::kNone || !read) return std::nullopt;
  const std::optional<security::AclView> dacl = read->view().dacl;
  if (!dacl) return std::nullopt;
  return (*dacl->begin()).mask();
}

}  // namespace

const security::GenericMapping& MappingOf(ObjectKind kind) {
  if (kind == ObjectKind::kKey) return security::kKeyMapping;
  return kind == ObjectKind::kDirectory ? kDirectoryMapping : security::kFileMapping;
}

std::string RightName(ObjectKind kind, AccessMask bit) {
  for (const std::span<const NamedMask> table :
       {RightsOf(kind), std::span<const NamedMask>(kStandardRights)}) {
    for (const NamedMask& one : table) {
      if (one.mask == bit) return std::string(one.name);
    }
  }
  return fmt::format("{:#x}", bit);
}

std::string RightsText(ObjectKind kind, AccessMask mask) {
  if (mask == 0) return "no right";
  std::string text;
  AccessMask left = mask;
  for (const NamedMask& whole : WholesOf(kind)) {
    // Not for a rest that is a part of something larger, such as READ_CONTROL alone.
    if ((mask & whole.mask) != whole.mask || (left & whole.mask) == 0 ||
        (left & whole.mask & ~(security::kReadControl | security::kSynchronize)) == 0) {
      continue;
    }
    AddWord(whole.name, &text);
    left &= ~whole.mask;
  }
  for (unsigned i = 0; i < 32; ++i) {
    const AccessMask bit = AccessMask{1} << i;
    if ((left & bit) != 0) AddWord(RightName(kind, bit), &text);
  }
  return fmt::format("{} ({:#x})", text, mask);
}

std::string ParseRights(std::string_view text, ObjectKind kind, AccessMask* mask) {
  AccessMask all = 0;
  for (;;) {
    const std::size_t comma = text.find(',');
    const std::string_view one = text.substr(0, comma);
    std::optional<AccessMask> found = FindRight(one, kind);
    if (!found) found = ReadSddlRights(one);
    if (!found) {
      return fmt::format("\"{}\" is no right of a {}; write one like {}, READ_CONTROL, FR or 0x1",
                         Printable(one), WordOf(kind, kObjectKindWords), RightName(kind, 1));
    }
    all |= *found;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  *mask = MapGeneric(all, MappingOf(kind));
  return {};
}

std::string_view SidName(SidView sid) {
  for (const NamedSid& one : kSidNamesInWords) {
    if (one.sid.view() == sid) return one.name;
  }
  return {};
}

std::string SidInWords(SidView sid) {
  const std::string_view name = SidName(sid);
  const security::SidText text(sid);
  return name.empty() ? std::string(text.view()) : fmt::format("{} ({})", text.view(), name);
}

std::string ParseSidArgument(std::string_view text, const std::optional<Sid>& domain, Sid* sid) {
  std::optional<security::Descriptor> read;
  const security::SddlError error = security::ParseSddl(fmt::format("O:{}", text), domain, &read);
  if (error.fault == security::Fault::kNone && read) {
    const security::DescriptorView view = read->view();
    if (view.owner && !view.group && !view.dacl_present() && !view.sacl_present()) {
      *sid = Sid(*view.owner);
      return {};
    }
  }
  if (error.fault == security::Fault::kNoneMapped) {
    return fmt::format("\"{}\" names an account of a domain: say which with --domain",
                       Printable(text));
  }
  return fmt::format("\"{}\" is no SID; write one like S-1-5-21-1-2-3-1001 or BA", Printable(text));
}

std::string InheritanceInWords(std::uint8_t flags) {
  std::string text;
  if ((flags & security::kInherited) != 0) AddWord("inherited from above", &text);
  const bool files = (flags & security::kObjectInherit) != 0;
  const bool folders = (flags & security::kContainerInherit) != 0;
  if (files && folders) {
    AddWord("passed on to all that is in it", &text);
  } else if (files || folders) {
    AddWord(files ? "passed on to objects in it" : "passed on to containers in it", &text);
  }
  if ((flags & security::kNoPropagateInherit) != 0) AddWord("one level deep only", &text);
  if ((flags & security::kInheritOnly) != 0) AddWord("not for the object itself", &text);
  return text;
}

std::string AceInWords(const AceView& ace, ObjectKind kind) {
  if (ace.layout() == security::AceLayout::kOther) return "an entry of a type that is not known";
  if (ace.type() == AceType::kMandatoryLabel) return LabelInWords(ace);
  std::string text =
      fmt::format("{} {}: {}", VerbOf(ace), SidInWords(ace.sid()), RightsText(kind, ace.mask()));
  text += TypesInWords(ace);
  if (const std::string inheritance = InheritanceInWords(ace.flags()); !inheritance.empty()) {
    text += "; " + inheritance;
  }
  return text;
}

std::string AceText(const AceView& ace, const std::optional<Sid>& domain) {
  std::string text;
  if (security::FormatAce(ace, domain, &text) == security::Fault::kNone) return text;
  return fmt::format("an entry of type {}", static_cast<unsigned>(ace.type()));
}

std::vector<std::string> PolicyWarnings(const security::DescriptorView& view, ObjectKind kind) {
  std::vector<std::string> warnings;
  if (!view.owner || !view.group) {
    warnings.push_back(fmt::format("there is no {}: an access check refuses the descriptor",
                                   view.owner ? "group" : "owner"));
  }
  WarnOfDacl(view, kind, &warnings);
  if (view.sacl) {
    std::size_t index = 0;
    for (const AceView ace : *view.sacl) {
      WarnOfEntry(ace, Entry(index++) + " of the SACL", &warnings);
    }
  }
  return warnings;
}

std::string PointAt(std::string_view text, std::size_t position) {
  constexpr std::size_t kAround = 60;
  position = std::min(position, text.size());
  const std::size_t line_begin =
      position == 0 ? std::string_view::npos : text.rfind('\n', position - 1);
  std::size_t begin = line_begin == std::string_view::npos ? 0 : line_begin + 1;
  std::size_t end = std::min(text.find('\n', position), text.size());
  if (position - begin > kAround) begin = position - kAround;
  if (end - position > kAround) end = position + kAround;
  std::string line(text.substr(begin, end - begin));
  for (char& c : line) {
    if (!IsPrintableAscii(c)) c = c == '\t' ? ' ' : '?';
  }
  return fmt::format("  {}\n  {:>{}}", line, '^', position - begin + 1);
}

}  // namespace ktlsim::command
