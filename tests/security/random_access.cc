#include "tests/security/random_access.h"

#include <array>
#include <random>
#include <sstream>

#include "kernel_sim/base/assert.h"

namespace ktlsim::security::test {
namespace {

constexpr int kSids = 6;  // 0 is the user

class Generator {
 public:
  Generator(std::uint64_t seed, const RandomLimits& limits) : random_(seed), limits_(limits) {}

  PlainCase Make() {
    PlainCase what;
    what.owner = AnySid(false);
    what.mapping = Mapping();
    if (limits_.special && Chance(3)) what.levels = Levels();
    if (!Chance(12)) what.dacl = Dacl(what);
    MakeToken(&what);
    if (limits_.special) MakeSpecial(&what);
    what.desired = Mask(false);
    if (Chance(3)) what.desired |= 0x02000000;
    if (limits_.special && Chance(6)) what.desired |= 0x01000000;
    return what;
  }

 private:
  std::uint32_t Below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  // One in `count`.
  bool Chance(std::uint32_t count) { return Below(count) == 0; }

  int AnySid(bool in_ace) {
    if (limits_.owner_rights && in_ace && Chance(12)) return kOwnerRights;
    if (limits_.special && Chance(12)) return kSelf;
    return static_cast<int>(Below(kSids));
  }

  std::uint32_t Mask(bool in_ace) {
    static constexpr std::uint32_t kRights[] = {0x1,     0x2,     0x4,     0x8,     0x10000,
                                                0x20000, 0x40000, 0x80000, 0x100000};
    std::uint32_t mask = 0;
    for (const std::uint32_t right : kRights) {
      if (Chance(in_ace ? 3 : 5)) mask |= right;
    }
    if (in_ace && limits_.special && Chance(6)) mask |= 1U << (24 + Below(8));
    if (in_ace && Chance(20)) mask = limits_.special ? 0xFFFFFFFF : 0x1F000F;
    return mask;
  }

  PlainMapping Mapping() {
    if (Chance(10)) return {};
    if (Chance(10)) return {Mask(false), Mask(false), Mask(false), Mask(false)};
    return {0x120001, 0x120002, 0x120004, 0x1F000F};
  }

  std::vector<int> Levels() {
    std::vector<int> levels = {0};
    for (std::uint32_t i = Below(7); i > 0; --i) {
      const auto deepest = static_cast<std::uint32_t>(std::min(levels.back() + 1, 4));
      levels.push_back(1 + static_cast<int>(Below(deepest)));
    }
    return levels;
  }

  std::vector<PlainAce> Dacl(const PlainCase& what) {
    std::vector<PlainAce> dacl(Below(static_cast<std::uint32_t>(limits_.aces_max) + 1));
    for (PlainAce& ace : dacl) {
      ace.kind = Chance(3) ? PlainAce::kDeny : PlainAce::kAllow;
      if (limits_.special && Chance(8)) ace.kind = static_cast<PlainAce::Kind>(Below(5));
      ace.inherit_only = Chance(8);
      ace.mask = Mask(true);
      ace.sid = AnySid(true);
      // Object ACEs, with one type more than is listed.
      if (limits_.special && ace.kind != PlainAce::kAudit && Chance(what.levels.empty() ? 8 : 2)) {
        ace.type = static_cast<int>(Below(static_cast<std::uint32_t>(what.levels.size()) + 1));
      }
    }
    return dacl;
  }

  void MakeToken(PlainCase* what) {
    what->integrity = 8192;
    what->groups.push_back({.sid = 0});
    for (int sid = 1; sid < kSids; ++sid) {
      if (!Chance(2)) continue;
      PlainGroup group{.sid = sid};
      if (limits_.special) {
        group.enabled = !Chance(4);
        group.deny_only = Chance(4);
      }
      what->groups.push_back(group);
    }
  }

  void MakeSpecial(PlainCase* what) {
    what->groups[0].deny_only = Chance(6);
    if (Chance(8)) what->groups.push_back({.sid = kSelf});
    if (Chance(4)) what->self = static_cast<int>(Below(kSids));
    what->security_privilege = Chance(2);
    what->take_ownership_privilege = Chance(4);
    what->integrity = 4096 * (1 + Below(4));
    if (Chance(4)) {
      what->label = PlainLabel{.integrity = 4096 * Below(5),
                               .no_write_up = Chance(2),
                               .no_read_up = Chance(3),
                               .no_execute_up = Chance(3)};
    }
    if (!Chance(3)) return;
    what->restricting.emplace();
    for (int sid = 0; sid < kSids; ++sid) {
      if (Chance(2)) what->restricting->push_back(sid);
    }
    if (what->restricting->empty()) what->restricting->push_back(kSids);
    what->write_restricted = Chance(3);
  }

  std::mt19937_64 random_;
  const RandomLimits limits_;
};

AceType TypeOf(const PlainAce& ace) {
  const bool object = ace.type.has_value();
  switch (ace.kind) {
    case PlainAce::kAllow:
      return object ? AceType::kAllowedObject : AceType::kAllowed;
    case PlainAce::kDeny:
      return object ? AceType::kDeniedObject : AceType::kDenied;
    case PlainAce::kAllowCallback:
      return object ? AceType::kAllowedCallbackObject : AceType::kAllowedCallback;
    case PlainAce::kDenyCallback:
      return object ? AceType::kDeniedCallbackObject : AceType::kDeniedCallback;
    case PlainAce::kAudit:
      return AceType::kAudit;
  }
  return AceType::kAudit;
}

Guid GuidOfNumber(int number) { return {.data1 = static_cast<std::uint32_t>(number)}; }

}  // namespace

PlainCase RandomCase(std::uint64_t seed, const RandomLimits& limits) {
  return Generator(seed, limits).Make();
}

Sid SidOfNumber(int number) {
  if (number == kOwnerRights) return kOwnerRightsSid;
  if (number == kSelf) return kSelfSid;
  return Sid(5, {21, 1, 2, 3, 1000 + static_cast<std::uint32_t>(number)});
}

BuiltCase::BuiltCase(const PlainCase& what) : what_(what) {
  for (int i = 0; i < static_cast<int>(what.levels.size()); ++i) guids_.push_back(GuidOfNumber(i));
  BuildDescriptor(what);
  BuildToken(what);
}

void BuiltCase::BuildDescriptor(const PlainCase& what) {
  const Sid owner = SidOfNumber(what.owner);
  DescriptorView view;
  view.owner = owner.view();
  view.group = owner.view();
  alignas(4) std::array<std::byte, 2048> dacl;
  alignas(4) std::array<std::byte, 64> sacl;
  bool good = true;
  if (what.dacl) {
    good = InitializeAcl(dacl, kAclRevisionDs) == Fault::kNone;
    for (const PlainAce& ace : *what.dacl) {
      const Sid sid = SidOfNumber(ace.sid);
      const Guid guid = GuidOfNumber(ace.type.value_or(0));
      good = good && AppendAce(dacl.data(), kAclRevisionDs,
                               {.type = TypeOf(ace),
                                .flags = ace.inherit_only ? kInheritOnly : std::uint8_t{0},
                                .mask = ace.mask,
                                .sid = sid,
                                .object_type = ace.type ? &guid : nullptr}) == Fault::kNone;
    }
    view.control |= kDaclPresent;
    view.dacl = AclView::Read(dacl);
  }
  if (what.label) {
    const Sid sid(kLabelAuthority, {what.label->integrity});
    const AccessMask policy = (what.label->no_write_up ? kNoWriteUp : 0) |
                              (what.label->no_read_up ? kNoReadUp : 0) |
                              (what.label->no_execute_up ? kNoExecuteUp : 0);
    good =
        good && InitializeAcl(sacl, kAclRevision) == Fault::kNone &&
        AppendAce(sacl.data(), kAclRevision,
                  {.type = AceType::kMandatoryLabel, .mask = policy, .sid = sid}) == Fault::kNone;
    view.control |= kSaclPresent;
    view.sacl = AclView::Read(sacl);
  }
  descriptor_ = Descriptor::Create(view);
  KTLSIM_CHECK(good && descriptor_.has_value());
}

void BuiltCase::BuildToken(const PlainCase& what) {
  std::vector<TokenGroup> groups;
  for (const PlainGroup& group : what.groups) {
    if (group.sid == what.groups[0].sid) continue;
    groups.push_back({SidOfNumber(group.sid), (group.enabled ? kGroupEnabled : 0) |
                                                  (group.deny_only ? kGroupDenyOnly : 0)});
  }
  TokenContents contents;
  contents.user = SidOfNumber(what.groups[0].sid);
  contents.groups = groups;
  contents.integrity = what.integrity;
  if (what.security_privilege) contents.privileges.enabled.Add(Privilege::kSecurity);
  if (what.take_ownership_privilege) contents.privileges.enabled.Add(Privilege::kTakeOwnership);
  contents.privileges.held = contents.privileges.enabled;
  Token::Ref token;
  Token::Ref restricted;
  bool good = Token::Create(contents, &token) == Fault::kNone;
  std::vector<Sid> sids;
  if (what.restricting) {
    for (const int sid : *what.restricting) sids.push_back(SidOfNumber(sid));
  }
  const std::vector<SidView> restricting(sids.begin(), sids.end());
  std::vector<SidView> disable;
  if (what.groups[0].deny_only) disable.push_back(contents.user);
  if (disable.empty() && restricting.empty()) {
    token_ = token->state();
  } else {
    good = good && token->Restrict({.disable = disable,
                                    .restricting = restricting,
                                    .write_restricted = what.write_restricted},
                                   {}, &restricted) == Fault::kNone;
    token_ = restricted->state();
  }
  KTLSIM_CHECK(good);
}

std::vector<PlainResult> BuiltCase::Check() {
  AccessRequest request{
      descriptor(),
      token(),
      what_.desired,
      {what_.mapping.read, what_.mapping.write, what_.mapping.execute, what_.mapping.all},
      std::nullopt};
  const Sid self = SidOfNumber(what_.self.value_or(0));
  if (what_.self) request.self = self.view();
  std::vector<ObjectType> types;
  for (std::size_t i = 0; i < guids_.size(); ++i) {
    types.push_back({.level = static_cast<std::uint16_t>(what_.levels[i]), .type = &guids_[i]});
  }
  std::vector<TypeResult> room(types.size());
  AccessResult result;
  if (CheckAccessByType(request, types, room, &result) != Fault::kNone) return {};
  if (types.empty()) return {{.allowed = result.allowed, .granted = result.granted}};
  std::vector<PlainResult> results;
  for (const TypeResult& one : room) results.push_back({one.allowed, one.granted});
  return results;
}

std::string Describe(const PlainCase& what) {
  std::ostringstream text;
  text << std::hex << "owner " << what.owner << " desired " << what.desired << " mapping "
       << what.mapping.read << "," << what.mapping.write << "," << what.mapping.execute << ","
       << what.mapping.all << "\n";
  for (const PlainGroup& group : what.groups) {
    text << "  group " << group.sid << (group.enabled ? "" : " disabled")
         << (group.deny_only ? " deny-only" : "") << "\n";
  }
  if (what.restricting) {
    text << (what.write_restricted ? "  write-restricting" : "  restricting");
    for (const int sid : *what.restricting) text << " " << sid;
    text << "\n";
  }
  if (!what.dacl) text << "  no DACL\n";
  for (const PlainAce& ace : what.dacl.value_or(std::vector<PlainAce>())) {
    text << "  ACE kind " << ace.kind << (ace.inherit_only ? " inherit-only" : "") << " mask "
         << ace.mask << " sid " << ace.sid << " type " << ace.type.value_or(-1) << "\n";
  }
  if (what.label) {
    text << "  label " << what.label->integrity << " " << what.label->no_write_up
         << what.label->no_read_up << what.label->no_execute_up << "\n";
  }
  text << "  integrity " << what.integrity << " self " << what.self.value_or(-1) << " privileges "
       << what.security_privilege << what.take_ownership_privilege << " levels";
  for (const int level : what.levels) text << " " << level;
  return text.str();
}

}  // namespace ktlsim::security::test
