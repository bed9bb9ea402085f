#include "kernel_sim/security/access_check.h"

#include <algorithm>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/security/access_subject.h"
#include "kernel_sim/security/type_tree.h"

namespace ktlsim::security {
namespace {

// What no ACE can grant.
constexpr AccessMask kNotByAce = kGenericRights | kMaximumAllowed | kAccessSystemSecurity;
constexpr AccessMask kOwnersRights = kReadControl | kWriteDac;

// A mandatory label, or what an object without one has.
struct Label {
  std::uint32_t integrity = kMediumIntegrity;
  AccessMask policy = kNoWriteUp;
  std::int32_t ace = -1;
};

Label LabelOf(const DescriptorView& descriptor) {
  if (!descriptor.sacl) return {};
  std::int32_t index = 0;
  for (const AceView ace : *descriptor.sacl) {
    if (ace.type() == AceType::kMandatoryLabel && !ace.inherit_only() &&
        ace.sid().authority() == kLabelAuthority && ace.sid().sub_authorities() == 1) {
      return {.integrity = ace.sid().last(), .policy = ace.mask(), .ace = index};
    }
    ++index;
  }
  return {};
}

// Besides what is writing, whatever is neither reading nor executing.
AccessMask WritesOf(const GenericMapping& mapping) {
  return ~(mapping.read | mapping.execute) | mapping.write;
}

AccessMask RefusedByLabel(const Label& label, const AccessRequest& request) {
  if (request.token.integrity() >= label.integrity) return 0;
  AccessMask allowed = 0;
  if ((label.policy & kNoReadUp) == 0) allowed |= request.mapping.read;
  if ((label.policy & kNoExecuteUp) == 0) allowed |= request.mapping.execute;
  if ((label.policy & kNoWriteUp) == 0) allowed |= WritesOf(request.mapping);
  return ~allowed;
}

bool HasOwnerRights(const AclView& dacl) {
  for (const AceView ace : dacl) {
    if (!ace.inherit_only() && ace.layout() != AceLayout::kOther &&
        ace.sid() == kOwnerRightsSid.view()) {
      return true;
    }
  }
  return false;
}

enum class AceEffect : std::uint8_t { kNone, kAllow, kDeny };

// What an ACE of this type does to those whose SID it has. There is nobody to judge the condition
// of a callback ACE: it neither allows nor stays without effect where it denies.
AceEffect EffectOf(AceType type) {
  switch (type) {
    case AceType::kAllowed:
    case AceType::kAllowedObject:
      return AceEffect::kAllow;
    case AceType::kDenied:
    case AceType::kDeniedObject:
    case AceType::kDeniedCallback:
    case AceType::kDeniedCallbackObject:
      return AceEffect::kDeny;
    case AceType::kAudit:
    case AceType::kAlarm:
    case AceType::kAllowedCompound:
    case AceType::kAuditObject:
    case AceType::kAlarmObject:
    case AceType::kAllowedCallback:
    case AceType::kAllowedCallbackObject:
    case AceType::kAuditCallback:
    case AceType::kAlarmCallback:
    case AceType::kAuditCallbackObject:
    case AceType::kAlarmCallbackObject:
    case AceType::kMandatoryLabel:
    case AceType::kResourceAttribute:
    case AceType::kScopedPolicyId:
      break;
  }
  return AceEffect::kNone;
}

AceEffect EffectOn(const AccessSubject& subject, const AceView& ace) {
  const AceEffect effect = EffectOf(ace.type());
  if (effect == AceEffect::kNone) return effect;
  const SidMatch match = subject.Match(ace.sid());
  const bool counts =
      effect == AceEffect::kAllow ? match == SidMatch::kEnabled : match != SidMatch::kNone;
  return counts ? effect : AceEffect::kNone;
}

class AccessCheck {
 public:
  AccessCheck(const AccessRequest& request, std::span<const ObjectType> types,
              std::span<TypeResult> results, bool by_type)
      : request_(request),
        by_type_(by_type),
        maximum_((request.desired & kMaximumAllowed) != 0),
        tree_(types, results),
        results_(results) {}

  AccessResult Run() {
    required_ = request_.desired & ~kMaximumAllowed;
    if (!TakeSystemSecurity() || !PassLabel()) return Finish();
    TakeOwnership();
    wanted_ &= maximum_ ? ~kNotByAce : required_;
    required_ &= ~by_privilege_;
    Pass(AccessSubject(request_.token, false, request_.descriptor.owner, request_.self));
    for (TypeResult& one : results_) one.first_pass = one.counts.granted;
    if (request_.token.restricted() && MayStillBeGranted()) PassRestricting();
    return Finish();
  }

 private:
  // False: the privilege is missing.
  bool TakeSystemSecurity() {
    if ((required_ & kAccessSystemSecurity) == 0) return true;
    if (TakePrivilege(Privilege::kSecurity, kAccessSystemSecurity)) return true;
    result_.reason = Fault::kPrivilegeNotHeld;
    result_.decision = {.decider = Decider::kPrivilege, .missing = kAccessSystemSecurity};
    return false;
  }

  void TakeOwnership() {
    if ((required_ & kWriteOwner) != 0) TakePrivilege(Privilege::kTakeOwnership, kWriteOwner);
  }

  bool TakePrivilege(Privilege privilege, AccessMask right) {
    if (!request_.token.privileges().enabled.Has(privilege)) return false;
    result_.privileges.Add(privilege);
    result_.decision = {.decider = Decider::kPrivilege};
    by_privilege_ |= right;
    return true;
  }

  // False: the label refuses what is required. What it refuses is not wanted any more.
  bool PassLabel() {
    const Label label = LabelOf(request_.descriptor);
    const AccessMask refused = RefusedByLabel(label, request_) & ~kAccessSystemSecurity;
    wanted_ = ~refused;
    if ((required_ & refused) == 0) return true;
    result_.decision = {
        .decider = Decider::kLabel, .ace = label.ace, .missing = required_ & refused};
    return false;
  }

  bool IsGranted() const { return (required_ & ~tree_.granted(0)) == 0; }
  // One object and no further right: the walk ends with its verdict.
  bool MayEndEarly() const { return !by_type_ && !maximum_; }
  bool MayStillBeGranted() const { return !MayEndEarly() || IsGranted(); }

  void Decide(const AccessSubject& subject, Decider decider, std::int32_t ace) {
    result_.decision = {.decider = decider, .ace = ace, .restricting = subject.restricting()};
  }

  void Pass(const AccessSubject& subject) {
    if (!request_.descriptor.dacl) {
      tree_.Allow(0, maximum_ ? (request_.mapping.all | required_) & wanted_ : wanted_);
      if (required_ != 0 || maximum_) Decide(subject, Decider::kNullDacl, -1);
      return;
    }
    GrantOwner(subject, *request_.descriptor.dacl);
    if (MayEndEarly() && IsGranted()) return;
    const bool denied = WalkDacl(subject, *request_.descriptor.dacl);
    if (!denied && (!IsGranted() || (maximum_ && tree_.granted(0) == 0))) {
      Decide(subject, Decider::kEndOfList, -1);
    }
  }

  void GrantOwner(const AccessSubject& subject, const AclView& dacl) {
    const AccessMask rights = wanted_ & kOwnersRights;
    if (rights == 0 || !subject.owns() || HasOwnerRights(dacl)) return;
    tree_.Allow(0, rights);
    if ((rights & required_) != 0 || maximum_) Decide(subject, Decider::kOwner, -1);
  }

  // True: an ACE has denied what is required.
  bool WalkDacl(const AccessSubject& subject, const AclView& dacl) {
    bool denied = false;
    std::int32_t index = -1;
    for (const AceView ace : dacl) {
      ++index;
      if (ace.inherit_only() || ace.layout() == AceLayout::kOther) continue;
      const AccessMask mask = MapGeneric(ace.mask(), request_.mapping) & wanted_;
      if (tree_.Decided(mask)) continue;
      const AccessMask changed = Apply(subject, ace, mask);
      if (denied || changed == 0) continue;
      denied = (tree_.denied(0) & changed & required_) != 0;
      if (denied || maximum_ || (changed & required_) != 0) {
        Decide(subject, Decider::kAce, index);
      }
      if (MayEndEarly() && (denied || IsGranted())) break;
    }
    return denied;
  }

  // Returns what the ACE decided for the object as a whole.
  AccessMask Apply(const AccessSubject& subject, const AceView& ace, AccessMask mask) {
    const AceEffect effect = EffectOn(subject, ace);
    const std::optional<std::size_t> at = effect == AceEffect::kNone ? std::nullopt : PlaceOf(ace);
    if (!at) return 0;
    const AccessMask before = tree_.granted(0) | tree_.denied(0);
    if (effect == AceEffect::kAllow) {
      tree_.Allow(*at, mask);
    } else {
      tree_.Deny(*at, mask);
    }
    return (tree_.granted(0) | tree_.denied(0)) & ~before;
  }

  // Where in the tree an ACE counts. None: nowhere.
  std::optional<std::size_t> PlaceOf(const AceView& ace) const {
    if (ace.layout() != AceLayout::kObject) return 0;
    const std::optional<Guid> type = ace.object_type();
    if (!type) return 0;
    return by_type_ ? tree_.Find(*type) : std::nullopt;
  }

  // Both passes have to grant a right, save for what a write-restricted token does besides writing.
  void PassRestricting() {
    const AccessMask exempt = request_.token.write_restricted()
                                  ? request_.mapping.read | request_.mapping.execute
                                  : AccessMask{0};
    const AccessMask required = required_;
    const AccessDecision first = result_.decision;
    wanted_ &= ~exempt;
    required_ &= ~exempt;
    tree_.Clear();
    Pass(AccessSubject(request_.token, true, request_.descriptor.owner, request_.self));
    const bool granted = IsGranted();
    required_ = required;
    for (TypeResult& one : results_) one.first_pass &= one.counts.granted | exempt;
    if (!granted) return;
    const bool nothing = maximum_ && results_[0].first_pass == 0;
    result_.decision =
        nothing ? AccessDecision{.decider = Decider::kEndOfList, .restricting = true} : first;
  }

  // What both passes and the privileges grant.
  AccessMask GrantedTo(const TypeResult& one) const { return one.first_pass | by_privilege_; }

  AccessResult Finish() {
    const AccessMask asked = request_.desired & ~kMaximumAllowed;
    const bool refused = result_.decision.missing != 0;
    for (TypeResult& one : results_) {
      const AccessMask granted = refused ? 0 : GrantedTo(one);
      one.allowed = !refused && (asked & ~granted) == 0 && (!maximum_ || granted != 0);
      one.granted = one.allowed ? (maximum_ ? granted : asked) : 0;
    }
    result_.allowed = results_[0].allowed;
    result_.granted = results_[0].granted;
    if (result_.allowed) {
      result_.reason = Fault::kNone;
      return result_;
    }
    // A privilege may have been used for a type below that is allowed.
    if (std::ranges::none_of(results_, &TypeResult::allowed)) result_.privileges = {};
    if (!refused) result_.decision.missing = asked & ~GrantedTo(results_[0]);
    return result_;
  }

  const AccessRequest& request_;
  const bool by_type_;
  const bool maximum_;
  TypeTree tree_;
  std::span<TypeResult> results_;
  AccessMask required_ = 0;  // asked for, and no privilege grants it
  AccessMask wanted_ = 0;    // what ACEs are looked at for
  AccessMask by_privilege_ = 0;
  AccessResult result_;
};

Fault CheckArguments(const AccessRequest& request) {
  if ((request.desired & kGenericRights) != 0) return Fault::kGenericNotMapped;
  if (!request.descriptor.owner || !request.descriptor.group) {
    return Fault::kInvalidSecurityDescriptor;
  }
  return Fault::kNone;
}

}  // namespace

Fault CheckAccess(const AccessRequest& request, AccessResult* result) {
  const Fault fault = CheckArguments(request);
  if (fault != Fault::kNone) return fault;
  static constexpr Guid kNoType;
  const ObjectType whole[] = {{.type = &kNoType}};
  TypeResult room[1];
  *result = AccessCheck(request, whole, room, false).Run();
  return Fault::kNone;
}

Fault CheckAccessByType(const AccessRequest& request, std::span<const ObjectType> types,
                        std::span<TypeResult> results, AccessResult* result) {
  if (types.empty()) return CheckAccess(request, result);
  KTLSIM_CHECK(results.size() == types.size());
  Fault fault = CheckArguments(request);
  if (fault == Fault::kNone) fault = TypeTree::Check(types);
  if (fault != Fault::kNone) return fault;
  std::ranges::fill(results, TypeResult());
  *result = AccessCheck(request, types, results, true).Run();
  return Fault::kNone;
}

Fault CheckClientToken(const TokenState& token) {
  if (token.type() != TokenType::kImpersonation) return Fault::kNoImpersonationToken;
  if (token.level() == ImpersonationLevel::kAnonymous) return Fault::kBadImpersonationLevel;
  return Fault::kNone;
}

}  // namespace ktlsim::security
