#include "kernel_sim/command/access_reasons.h"

#include <fmt/format.h>

#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::command {
namespace {

using security::AccessMask;
using security::AceView;
using security::Decider;

std::optional<AceView> AceAt(const std::optional<security::AclView>& list, std::int32_t index) {
  if (!list) return std::nullopt;
  std::int32_t at = 0;
  for (const AceView ace : *list) {
    if (at++ == index) return ace;
  }
  return std::nullopt;
}

// What the SID of an ACE is to the token.
std::string RelationOf(const security::AccessRequest& request, security::SidView sid,
                       bool restricting) {
  if (restricting) return "a restricting SID of the token";
  if (sid == security::kOwnerRightsSid.view()) return "the owner of the object, as the token is";
  if (sid == security::kSelfSid.view() && request.self) return "the object itself, as the token is";
  const std::optional<std::size_t> index = request.token.IndexOf(sid);
  if (!index) return "not in the token";
  const bool deny_only = (request.token.attributes(*index) & security::kGroupDenyOnly) != 0;
  if (*index == 0) return deny_only ? "the user, for denying only" : "the user";
  return deny_only ? "a group for denying only" : "an enabled group";
}

std::string AceReason(const security::AccessRequest& request,
                      const security::AccessDecision& decision,
                      const std::optional<security::Sid>& domain) {
  const std::optional<AceView> ace = AceAt(request.descriptor.dacl, decision.ace);
  if (!ace) return "an entry";
  return fmt::format("entry {} {}: {} is {}", decision.ace + 1, AceText(*ace, domain),
                     SidInWords(ace->sid()), RelationOf(request, ace->sid(), decision.restricting));
}

std::string LabelReason(const security::AccessRequest& request,
                        const security::AccessDecision& decision) {
  const std::optional<AceView> ace = AceAt(request.descriptor.sacl, decision.ace);
  if (!ace) return "the token has less than the medium integrity of an object without a label";
  return fmt::format("the token has less integrity than the label {}", SidInWords(ace->sid()));
}

std::string ReasonText(const security::AccessRequest& request, const security::AccessResult& result,
                       const std::optional<security::Sid>& domain) {
  const security::AccessDecision& decision = result.decision;
  switch (decision.decider) {
    case Decider::kNothingAsked:
      return "nothing was asked for";
    case Decider::kNullDacl:
      return request.descriptor.dacl_present() ? "the DACL is NULL" : "there is no DACL";
    case Decider::kOwner:
      return "the token has the owner of the object";
    case Decider::kPrivilege: {
      const bool security = request.desired == security::kAccessSystemSecurity;
      return fmt::format("{} is {}enabled",
                         security ? "SeSecurityPrivilege" : "SeTakeOwnershipPrivilege",
                         result.allowed ? "" : "not ");
    }
    case Decider::kLabel:
      return LabelReason(request, decision);
    case Decider::kAce:
      return AceReason(request, decision, domain);
    case Decider::kEndOfList:
      return decision.restricting ? "no entry grants it to a restricting SID of the token"
                                  : "no entry for a SID of the token grants it";
  }
  return "?";
}

}  // namespace

const char* DeciderName(Decider decider) {
  switch (decider) {
    case Decider::kNothingAsked:
      return "nothing-asked";
    case Decider::kNullDacl:
      return "null-dacl";
    case Decider::kOwner:
      return "owner";
    case Decider::kPrivilege:
      return "privilege";
    case Decider::kLabel:
      return "label";
    case Decider::kAce:
      return "ace";
    case Decider::kEndOfList:
      return "end-of-list";
  }
  return "?";
}

security::Fault ExplainAccess(const security::AccessRequest& request, ObjectKind kind,
                              const std::optional<security::Sid>& domain, AccessReasons* reasons) {
  const security::Fault fault = security::CheckAccess(request, &reasons->result);
  if (fault != security::Fault::kNone) return fault;
  const AccessMask asked = request.desired & ~security::kMaximumAllowed;
  const bool maximum = asked != request.desired;
  // A right that the kind of object does not have is granted to nobody on purpose.
  const AccessMask known = MappingOf(kind).all;
  const AccessMask mask = maximum ? asked | (reasons->result.granted & known) : asked;
  for (unsigned i = 0; i < 32; ++i) {
    const AccessMask right = AccessMask{1} << i;
    if ((mask & right) == 0) continue;
    const security::AccessRequest one{request.descriptor, request.token, right, request.mapping,
                                      request.self};
    security::AccessResult result;
    const security::Fault checked = security::CheckAccess(one, &result);
    if (checked != security::Fault::kNone) return checked;
    reasons->rights.push_back({.right = right,
                               .granted = result.allowed,
                               .decision = result.decision,
                               .text = ReasonText(one, result, domain)});
  }
  return security::Fault::kNone;
}

}  // namespace ktlsim::command
