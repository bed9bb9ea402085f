#include <array>
#include <charconv>
#include <new>
#include <utility>

#include "kernel_sim/security/sddl.h"
#include "kernel_sim/security/sddl_names.h"

namespace ktlsim::security {
namespace {

const AceTypeWord* WordOf(AceType type) {
  for (const AceTypeWord& word : AceTypeWords()) {
    if (word.type == type) return &word;
  }
  return nullptr;
}

// Appends the names of the bits. False: a bit has none, and nothing is appended.
bool AppendNames(std::span<const SddlWord> words, std::uint32_t bits, std::string* text) {
  std::uint32_t named = 0;
  for (const SddlWord& word : words) named |= word.value;
  if ((bits & ~named) != 0) return false;
  for (const SddlWord& word : words) {
    if ((bits & word.value) != 0) text->append(word.name);
  }
  return true;
}

void AppendMask(AceType type, AccessMask mask, std::string* text) {
  const bool label = type == AceType::kMandatoryLabel;
  if (!label) {
    for (const SddlWord& word : WholeMaskWords()) {
      if (word.value == mask) {
        text->append(word.name);
        return;
      }
    }
  }
  if (AppendNames(label ? LabelWords() : RightWords(), mask, text)) return;
  std::array<char, 8> digits{};
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), mask, 16).ptr;
  text->append("0x").append(std::string_view(digits.data(), end));
}

void AppendSid(SidView sid, const std::optional<Sid>& domain, std::string* text) {
  const std::string_view name = NameOfSid(sid, domain);
  text->append(name.empty() ? SidText(sid).view() : name);
}

void AppendGuid(const std::optional<Guid>& guid, std::string* text) {
  if (guid) text->append(GuidText(*guid).view());
  text->push_back(';');
}

Fault AppendAceText(const AceView& ace, const std::optional<Sid>& domain, std::string* text) {
  const AceTypeWord* const type = WordOf(ace.type());
  if (type == nullptr) return Fault::kNotSupported;
  text->append("(").append(type->name).append(";");
  if (!AppendNames(AceFlagWords(), ace.flags(), text)) return Fault::kNotSupported;
  text->push_back(';');
  AppendMask(ace.type(), ace.mask(), text);
  text->push_back(';');
  const bool object = ace.layout() == AceLayout::kObject;
  AppendGuid(object ? ace.object_type() : std::nullopt, text);
  AppendGuid(object ? ace.inherited_object_type() : std::nullopt, text);
  AppendSid(ace.sid(), domain, text);
  text->push_back(')');
  return Fault::kNone;
}

void AppendAclFlags(AclKind kind, std::uint16_t control, std::string* text) {
  for (const AclFlagWord& flag : AclFlagWords()) {
    const std::uint16_t bit = kind == AclKind::kDacl ? flag.dacl : flag.sacl;
    if ((control & bit) != 0) text->append(flag.name);
  }
}

// Of the ACEs the labels alone, if `labels_only`.
Fault AppendAces(const AclView& acl, AclKind kind, bool labels_only,
                 const std::optional<Sid>& domain, std::string* text) {
  for (const AceView ace : acl) {
    if (labels_only && ace.type() != AceType::kMandatoryLabel) continue;
    const AceTypeWord* const type = WordOf(ace.type());
    if (type == nullptr || type->list != kind) return Fault::kNotSupported;
    const Fault fault = AppendAceText(ace, domain, text);
    if (fault != Fault::kNone) return fault;
  }
  return Fault::kNone;
}

Fault AppendDacl(const DescriptorView& descriptor, const std::optional<Sid>& domain,
                 std::string* text) {
  if (!descriptor.dacl_present()) return Fault::kNone;
  text->append("D:");
  AppendAclFlags(AclKind::kDacl, descriptor.control, text);
  if (descriptor.dacl) return AppendAces(*descriptor.dacl, AclKind::kDacl, false, domain, text);
  text->append(kNullAclWord);
  return Fault::kNone;
}

bool HasLabel(const AclView& acl) {
  for (const AceView ace : acl) {
    if (ace.type() == AceType::kMandatoryLabel) return true;
  }
  return false;
}

Fault AppendSacl(const DescriptorView& descriptor, bool labels_only,
                 const std::optional<Sid>& domain, std::string* text) {
  if (!descriptor.sacl_present()) return Fault::kNone;
  if (labels_only && (!descriptor.sacl || !HasLabel(*descriptor.sacl))) return Fault::kNone;
  text->append("S:");
  AppendAclFlags(AclKind::kSacl, descriptor.control, text);
  if (descriptor.sacl) {
    return AppendAces(*descriptor.sacl, AclKind::kSacl, labels_only, domain, text);
  }
  text->append(kNullAclWord);
  return Fault::kNone;
}

Fault AppendDescriptor(const DescriptorView& descriptor, std::uint32_t information,
                       const std::optional<Sid>& domain, std::string* text) {
  if ((information & kOwnerInformation) != 0 && descriptor.owner) {
    AppendSid(*descriptor.owner, domain, &text->append("O:"));
  }
  if ((information & kGroupInformation) != 0 && descriptor.group) {
    AppendSid(*descriptor.group, domain, &text->append("G:"));
  }
  Fault fault = Fault::kNone;
  if ((information & kDaclInformation) != 0) fault = AppendDacl(descriptor, domain, text);
  if (fault == Fault::kNone && (information & (kSaclInformation | kLabelInformation)) != 0) {
    fault = AppendSacl(descriptor, (information & kSaclInformation) == 0, domain, text);
  }
  return fault;
}

}  // namespace

Fault FormatSddl(const DescriptorView& descriptor, std::uint32_t information,
                 const std::optional<Sid>& domain, std::string* text) try {
  std::string made;
  const Fault fault = AppendDescriptor(descriptor, information, domain, &made);
  if (fault == Fault::kNone) *text = std::move(made);
  return fault;
} catch (const std::bad_alloc&) {
  return Fault::kNoMemory;
}

Fault FormatAce(const AceView& ace, const std::optional<Sid>& domain, std::string* text) try {
  std::string made;
  const Fault fault = AppendAceText(ace, domain, &made);
  if (fault == Fault::kNone) *text = std::move(made);
  return fault;
} catch (const std::bad_alloc&) {
  return Fault::kNoMemory;
}

}  // namespace ktlsim::security
