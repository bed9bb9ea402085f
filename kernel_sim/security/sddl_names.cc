#include "kernel_sim/security/sddl_names.h"

#include <algorithm>

#include "kernel_sim/security/sid_name.h"

namespace ktlsim::security {
namespace {

constexpr SddlWord kAceFlagWords[] = {
    {"OI", kObjectInherit}, {"CI", kContainerInherit}, {"NP", kNoPropagateInherit},
    {"IO", kInheritOnly},   {"ID", kInherited},        {"SA", kSuccessfulAccess},
    {"FA", kFailedAccess},
};

constexpr SddlWord kRightWords[] = {
    {"CC", 0x1},           {"DC", 0x2},          {"LC", 0x4},
    {"SW", 0x8},           {"RP", 0x10},         {"WP", 0x20},
    {"DT", 0x40},          {"LO", 0x80},         {"CR", 0x100},
    {"SD", kDelete},       {"RC", kReadControl}, {"WD", kWriteDac},
    {"WO", kWriteOwner},   {"GA", kGenericAll},  {"GX", kGenericExecute},
    {"GW", kGenericWrite}, {"GR", kGenericRead},
};

constexpr SddlWord kLabelWords[] = {{"NW", kNoWriteUp}, {"NR", kNoReadUp}, {"NX", kNoExecuteUp}};

constexpr SddlWord kWholeMaskWords[] = {
    {"FA", kFileMapping.all},     {"FR", kFileMapping.read},   {"FW", kFileMapping.write},
    {"FX", kFileMapping.execute}, {"KA", kKeyMapping.all},     {"KR", kKeyMapping.read},
    {"KW", kKeyMapping.write},    {"KX", kKeyMapping.execute},
};

constexpr AclFlagWord kAclFlagWords[] = {
    {"P", kDaclProtected, kSaclProtected},
    {"AR", kDaclAutoInheritReq, kSaclAutoInheritReq},
    {"AI", kDaclAutoInherited, kSaclAutoInherited},
};

constexpr AceTypeWord kAceTypeWords[] = {
    {"A", AceType::kAllowed, AclKind::kDacl},
    {"D", AceType::kDenied, AclKind::kDacl},
    {"OA", AceType::kAllowedObject, AclKind::kDacl},
    {"OD", AceType::kDeniedObject, AclKind::kDacl},
    {"AU", AceType::kAudit, AclKind::kSacl},
    {"OU", AceType::kAuditObject, AclKind::kSacl},
    {"ML", AceType::kMandatoryLabel, AclKind::kSacl},
};

constexpr std::string_view kRefusedAceTypes[] = {"XA", "XD", "ZA", "XU", "RA", "SP", "AL", "OL"};

struct SidName {
  std::string_view name;
  Sid sid;
};

constexpr SidName kSidNames[] = {
    {"WD", Sid(1, {0})},       {"CO", Sid(3, {0})},
    {"CG", Sid(3, {1})},       {"OW", Sid(3, {4})},
    {"NU", Sid(5, {2})},       {"IU", Sid(5, {4})},
    {"SU", Sid(5, {6})},       {"AN", Sid(5, {7})},
    {"ED", Sid(5, {9})},       {"PS", Sid(5, {10})},
    {"AU", Sid(5, {11})},      {"RC", Sid(5, {12})},
    {"SY", Sid(5, {18})},      {"LS", Sid(5, {19})},
    {"NS", Sid(5, {20})},      {"WR", Sid(5, {33})},
    {"AS", Sid(18, {1})},      {"SS", Sid(18, {2})},
    {"AC", Sid(15, {2, 1})},   {"UD", Sid(5, {84, 0, 0, 0, 0, 0})},
    {"LW", Sid(16, {4096})},   {"ME", Sid(16, {8192})},
    {"MP", Sid(16, {8448})},   {"HI", Sid(16, {12288})},
    {"SI", Sid(16, {16384})},  {"BA", Sid(5, {32, 544})},
    {"BU", Sid(5, {32, 545})}, {"BG", Sid(5, {32, 546})},
    {"PU", Sid(5, {32, 547})}, {"AO", Sid(5, {32, 548})},
    {"SO", Sid(5, {32, 549})}, {"PO", Sid(5, {32, 550})},
    {"BO", Sid(5, {32, 551})}, {"RE", Sid(5, {32, 552})},
    {"RU", Sid(5, {32, 554})}, {"RD", Sid(5, {32, 555})},
    {"NO", Sid(5, {32, 556})}, {"MU", Sid(5, {32, 558})},
    {"LU", Sid(5, {32, 559})}, {"IS", Sid(5, {32, 568})},
    {"CY", Sid(5, {32, 569})}, {"ER", Sid(5, {32, 573})},
    {"CD", Sid(5, {32, 574})}, {"RA", Sid(5, {32, 575})},
    {"ES", Sid(5, {32, 576})}, {"MS", Sid(5, {32, 577})},
    {"HA", Sid(5, {32, 578})}, {"AA", Sid(5, {32, 579})},
    {"RM", Sid(5, {32, 580})},
};

// Behind the SID of the domain.
constexpr SddlWord kDomainNames[] = {
    {"LA", 500}, {"LG", 501}, {"RO", 498}, {"DA", 512}, {"DU", 513}, {"DG", 514},
    {"DC", 515}, {"DD", 516}, {"CA", 517}, {"SA", 518}, {"EA", 519}, {"PA", 520},
    {"CN", 522}, {"AP", 525}, {"KA", 526}, {"EK", 527}, {"RS", 553},
};

}  // namespace

std::span<const SddlWord> AceFlagWords() { return kAceFlagWords; }
std::span<const SddlWord> RightWords() { return kRightWords; }
std::span<const SddlWord> LabelWords() { return kLabelWords; }
std::span<const SddlWord> WholeMaskWords() { return kWholeMaskWords; }
std::span<const AclFlagWord> AclFlagWords() { return kAclFlagWords; }
std::span<const AceTypeWord> AceTypeWords() { return kAceTypeWords; }

bool IsRefusedAceType(std::string_view name) {
  return std::ranges::any_of(kRefusedAceTypes, [name](std::string_view refused) {
    return EqualsIgnoringCase(refused, name);
  });
}

Fault SidOfName(std::string_view name, const std::optional<Sid>& domain, Sid* sid) {
  if (const SidName* const known = FindWord(std::span<const SidName>(kSidNames), name)) {
    *sid = known->sid;
    return Fault::kNone;
  }
  const SddlWord* const relative = FindWord(std::span<const SddlWord>(kDomainNames), name);
  if (relative == nullptr) return Fault::kInvalidSid;
  if (!domain) return Fault::kNoneMapped;
  Sid made = *domain;
  if (!made.Append(relative->value)) return Fault::kNoneMapped;
  *sid = made;
  return Fault::kNone;
}

Fault ParseSidOrName(std::string_view text, const std::optional<Sid>& domain, Sid* sid) {
  return text.size() == 2 ? SidOfName(text, domain, sid) : ParseSid(text, sid);
}

std::string_view NameOfSid(SidView sid, const std::optional<Sid>& domain) {
  for (const SidName& known : kSidNames) {
    if (known.sid.view() == sid) return known.name;
  }
  if (!domain || sid.sub_authorities() != domain->view().sub_authorities() + 1) return {};
  for (const SddlWord& relative : kDomainNames) {
    Sid made = *domain;
    if (made.Append(relative.value) && made.view() == sid) return relative.name;
  }
  return {};
}

}  // namespace ktlsim::security
