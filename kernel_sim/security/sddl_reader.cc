#include <algorithm>
#include <array>
#include <new>
#include <vector>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/security/sddl.h"
#include "kernel_sim/security/sddl_names.h"

namespace ktlsim::security {
namespace {

bool IsSddlSpace(char c) { return IsSpace(c) || c == '\n' || c == '\r'; }

// A piece of the text, which knows where it stands.
struct Field {
  std::string_view text;
  std::size_t at = 0;

  void Skip(std::size_t count) {
    text.remove_prefix(count);
    at += count;
  }
};

void Trim(Field* field) {
  while (!field->text.empty() && IsSddlSpace(field->text.front())) field->Skip(1);
  while (!field->text.empty() && IsSddlSpace(field->text.back())) field->text.remove_suffix(1);
}

// A list on its way; without bytes it is NULL.
using AclBytes = std::vector<std::byte>;

void BeginAcl(AclBytes* acl) {
  acl->resize(kAclHeaderBytes);
  (*acl)[0] = std::byte{kAclRevision};
}

bool FinishAcl(AclBytes* acl, std::size_t aces) {
  if (acl->size() > kAclBytesMax || aces > UINT16_MAX) return false;
  Store(acl->data() + 2, static_cast<std::uint16_t>(acl->size()));
  Store(acl->data() + 4, static_cast<std::uint16_t>(aces));
  return true;
}

// An ACE as it is read.
struct AceParts {
  AceType type = AceType::kAllowed;
  std::uint8_t flags = 0;
  AccessMask mask = 0;
  std::optional<Guid> object_type;
  std::optional<Guid> inherited_object_type;
  Sid sid;
};

NewAce ToWrite(const AceParts& parts) {
  return {.type = parts.type,
          .flags = parts.flags,
          .mask = parts.mask,
          .sid = parts.sid,
          .object_type = parts.object_type ? &*parts.object_type : nullptr,
          .inherited_object_type =
              parts.inherited_object_type ? &*parts.inherited_object_type : nullptr};
}

class SddlReader {
 public:
  SddlReader(std::string_view text, const std::optional<Sid>& domain)
      : rest_{.text = text}, domain_(domain) {}

  const SddlError& error() const { return error_; }

  bool Read() {
    for (SkipSpace(); !rest_.text.empty(); SkipSpace()) {
      if (!ReadComponent()) return false;
    }
    return true;
  }

  // Views what was read.
  DescriptorView view() const {
    DescriptorView view;
    view.control = control_;
    if (owner_) view.owner = *owner_;
    if (group_) view.group = *group_;
    if (!dacl_.empty()) view.dacl = AclView::Read(dacl_);
    if (!sacl_.empty()) view.sacl = AclView::Read(sacl_);
    return view;
  }

 private:
  bool Fail(Fault fault, std::size_t position, const char* what) {
    error_ = {.fault = fault, .position = position, .what = what};
    return false;
  }

  void SkipSpace() {
    while (!rest_.text.empty() && IsSddlSpace(rest_.text.front())) rest_.Skip(1);
  }

  bool Take(std::string_view word) {
    if (!EqualsIgnoringCase(rest_.text.substr(0, word.size()), word)) return false;
    rest_.Skip(word.size());
    return true;
  }

  // A letter and a colon.
  bool ReadComponent() {
    const std::size_t at = rest_.at;
    const char letter = Lower(rest_.text.front());
    if (std::string_view("ogds").find(letter) == std::string_view::npos) {
      return Fail(Fault::kInvalidParameter, at, "a component is O:, G:, D: or S:");
    }
    rest_.Skip(1);
    if (!Take(":")) return Fail(Fault::kInvalidParameter, rest_.at, "a colon is missing");
    if (seen_.find(letter) != std::string::npos) {
      return Fail(Fault::kInvalidParameter, at, "this component was there before");
    }
    seen_ += letter;
    SkipSpace();
    if (letter == 'o') return ReadPrincipal(&owner_);
    if (letter == 'g') return ReadPrincipal(&group_);
    return letter == 'd' ? ReadAcl(AclKind::kDacl, &dacl_) : ReadAcl(AclKind::kSacl, &sacl_);
  }

  bool ReadPrincipal(std::optional<Sid>* principal) {
    Sid sid;
    if (!TakeSidFrom(&rest_, Fault::kInvalidSid, &sid)) return false;
    *principal = sid;
    return true;
  }

  // A SID, or a name of two letters, off the front of the field.
  bool TakeSidFrom(Field* field, Fault fault, Sid* sid) {
    const std::string_view before = field->text;
    if (EqualsIgnoringCase(before.substr(0, 2), "S-")) {
      std::string_view after = before;
      if (TakeSid(&after, sid) != Fault::kNone) return Fail(fault, field->at, "no SID");
      field->Skip(before.size() - after.size());
      return true;
    }
    const Fault named =
        before.size() < 2 ? Fault::kInvalidSid : SidOfName(before.substr(0, 2), domain_, sid);
    if (named == Fault::kNoneMapped) {
      return Fail(named, field->at, "a name of a domain's account, and there is no domain");
    }
    if (named != Fault::kNone) return Fail(fault, field->at, "neither a SID nor the name of one");
    field->Skip(2);
    return true;
  }

  bool ReadAcl(AclKind kind, AclBytes* acl) {
    control_ |= kind == AclKind::kDacl ? kDaclPresent : kSaclPresent;
    const bool null = ReadAclFlags(kind);
    if (null) {
      return rest_.text.starts_with('(')
                 ? Fail(Fault::kInvalidAcl, rest_.at, "a NULL list has no ACE")
                 : true;
    }
    BeginAcl(acl);
    std::size_t aces = 0;
    for (; rest_.text.starts_with('('); SkipSpace()) {
      if (!ReadAce(kind, acl)) return false;
      ++aces;
    }
    return FinishAcl(acl, aces) ||
           Fail(Fault::kInvalidAcl, rest_.at, "more bytes of ACEs than a list can have");
  }

  // Returns whether the list is NULL.
  bool ReadAclFlags(AclKind kind) {
    bool null = false;
    for (bool found = true; found; SkipSpace()) {
      found = false;
      if (Take(kNullAclWord)) {
        null = true;
        found = true;
        continue;
      }
      for (const AclFlagWord& flag : AclFlagWords()) {
        if (found || !Take(flag.name)) continue;
        control_ |= kind == AclKind::kDacl ? flag.dacl : flag.sacl;
        found = true;
      }
    }
    return null;
  }

  bool ReadAce(AclKind kind, AclBytes* acl) {
    std::array<Field, 6> fields;
    AceParts parts;
    if (!SplitAce(&fields) || !ReadAceType(fields[0], kind, &parts) || !NoSeventhField() ||
        !ReadAceFlags(fields[1], &parts) || !ReadRights(fields[2], &parts) ||
        !ReadGuids(fields[3], fields[4], &parts) || !ReadAceSid(fields[5], &parts)) {
      return false;
    }
    const NewAce ace = ToWrite(parts);
    if (LayoutOf(TypeToWrite(ace)) == AceLayout::kObject) (*acl)[0] = std::byte{kAclRevisionDs};
    const std::size_t used = acl->size();
    if (used > kAclBytesMax) {
      return Fail(Fault::kInvalidAcl, rest_.at, "more bytes of ACEs than a list can have");
    }
    acl->resize(used + BytesOf(ace));
    WriteAce(ace, acl->data() + used);
    return true;
  }

  // The fields between the parentheses. Behind the sixth is the closing parenthesis or a seventh
  // field, which NoSeventhField looks at.
  bool SplitAce(std::array<Field, 6>* fields) {
    rest_.Skip(1);
    for (std::size_t i = 0; i < fields->size(); ++i) {
      const std::size_t end = rest_.text.find_first_of(";)");
      if (end == std::string_view::npos) {
        return Fail(Fault::kInvalidAcl, rest_.at + rest_.text.size(), "an ACE does not end");
      }
      (*fields)[i] = {.text = rest_.text.substr(0, end), .at = rest_.at};
      Trim(&(*fields)[i]);
      rest_.Skip(end);
      if (i + 1 == fields->size()) break;
      if (rest_.text.front() == ')') {
        return Fail(Fault::kInvalidAcl, rest_.at, "an ACE has six fields");
      }
      rest_.Skip(1);
    }
    return true;
  }

  bool NoSeventhField() {
    if (rest_.text.front() == ';') {
      return Fail(Fault::kNotSupported, rest_.at, "a seventh field: conditions and attributes");
    }
    rest_.Skip(1);
    return true;
  }

  bool ReadAceType(const Field& field, AclKind kind, AceParts* parts) {
    if (IsRefusedAceType(field.text)) {
      return Fail(Fault::kNotSupported, field.at, "this type of ACE");
    }
    const AceTypeWord* const word = FindWord(AceTypeWords(), field.text);
    if (word == nullptr) return Fail(Fault::kInvalidAcl, field.at, "no such type of ACE");
    if (word->list != kind) {
      return Fail(Fault::kInvalidAcl, field.at, "this type of ACE belongs to the other list");
    }
    parts->type = word->type;
    return true;
  }

  // Calls `take` with the place and the value of each word of two letters.
  template <typename Find>
  bool ReadWords(Field field, const char* what, const Find& find) {
    for (; !field.text.empty(); field.Skip(2)) {
      if (field.text.size() < 2 || !find(field.text.substr(0, 2))) {
        return Fail(Fault::kInvalidAcl, field.at, what);
      }
    }
    return true;
  }

  bool ReadAceFlags(const Field& field, AceParts* parts) {
    return ReadWords(field, "no such flag of an ACE", [parts](std::string_view name) {
      const SddlWord* const word = FindWord(AceFlagWords(), name);
      if (word != nullptr) parts->flags |= static_cast<std::uint8_t>(word->value);
      return word != nullptr;
    });
  }

  bool ReadRights(const Field& field, AceParts* parts) {
    if (!field.text.empty() && IsDigit(field.text.front())) return ReadMask(field, parts);
    const bool label = parts->type == AceType::kMandatoryLabel;
    return ReadWords(field, "no such right", [parts, label](std::string_view name) {
      const SddlWord* word = FindWord(label ? LabelWords() : RightWords(), name);
      if (word == nullptr && !label) word = FindWord(WholeMaskWords(), name);
      if (word != nullptr) parts->mask |= word->value;
      return word != nullptr;
    });
  }

  // Hexadecimal, octal or decimal, as in C.
  bool ReadMask(const Field& field, AceParts* parts) {
    std::string_view digits = field.text;
    int base = 10;
    if (EqualsIgnoringCase(digits.substr(0, 2), "0x")) {
      base = 16;
      digits.remove_prefix(2);
    } else if (digits.front() == '0') {
      base = 8;
    }
    return ReadNumber(digits, &parts->mask, base) == std::errc() ||
           Fail(Fault::kInvalidAcl, field.at, "no number of 32 bits");
  }

  bool ReadGuids(const Field& object, const Field& inherited, AceParts* parts) {
    return ReadGuid(object, *parts, &parts->object_type) &&
           ReadGuid(inherited, *parts, &parts->inherited_object_type);
  }

  bool ReadGuid(const Field& field, const AceParts& parts, std::optional<Guid>* guid) {
    if (field.text.empty()) return true;
    if (LayoutOf(parts.type) != AceLayout::kObject) {
      return Fail(Fault::kInvalidAcl, field.at, "this type of ACE has no GUID");
    }
    Guid read;
    if (!ParseGuid(field.text, &read)) return Fail(Fault::kInvalidAcl, field.at, "no GUID");
    *guid = read;
    return true;
  }

  bool ReadAceSid(Field field, AceParts* parts) {
    if (!TakeSidFrom(&field, Fault::kInvalidAcl, &parts->sid)) return false;
    return field.text.empty() || Fail(Fault::kInvalidAcl, field.at, "more than a SID");
  }

  Field rest_;
  const std::optional<Sid>& domain_;
  SddlError error_;
  std::string seen_;
  std::uint16_t control_ = kSelfRelative;
  std::optional<Sid> owner_;
  std::optional<Sid> group_;
  AclBytes dacl_;
  AclBytes sacl_;
};

}  // namespace

SddlError ParseSddl(std::string_view text, const std::optional<Sid>& domain,
                    std::optional<Descriptor>* descriptor) try {
  SddlReader reader(text, domain);
  if (!reader.Read()) return reader.error();
  std::optional<Descriptor> made = Descriptor::Create(reader.view());
  if (!made) return {.fault = Fault::kNoMemory, .what = "no memory"};
  *descriptor = std::move(made);
  return {};
} catch (const std::bad_alloc&) {
  return {.fault = Fault::kNoMemory, .what = "no memory"};
}

}  // namespace ktlsim::security
