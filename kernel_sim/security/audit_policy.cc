#include "kernel_sim/security/audit_policy.h"

#include "kernel_sim/base/assert.h"
#include "kernel_sim/security/access_subject.h"

namespace ktlsim::security {
namespace {

bool IsAuditAce(AceType type) {
  return type == AceType::kAudit || type == AceType::kAuditObject ||
         type == AceType::kAuditCallback || type == AceType::kAuditCallbackObject;
}

// A range of types: that of an ACE and all below it.
struct TypeRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

class AuditSearch {
 public:
  AuditSearch(const AccessOutcome& outcome, AuditedResult counts)
      : outcome_(outcome),
        by_type_(counts == AuditedResult::kByType && !outcome.types.empty()),
        subject_(outcome.request.token, false, outcome.request.descriptor.owner,
                 outcome.request.self) {
    KTLSIM_CHECK(!by_type_ || outcome.results.size() == outcome.types.size());
  }

  std::int32_t Run() const {
    if (!outcome_.request.descriptor.sacl) return -1;
    std::int32_t index = 0;
    for (const AceView ace : *outcome_.request.descriptor.sacl) {
      if (IsAuditAce(ace.type()) && !ace.inherit_only() && AsksForRecord(ace)) return index;
      ++index;
    }
    return -1;
  }

 private:
  bool AsksForRecord(const AceView& ace) const {
    if ((ace.flags() & kAuditFlags) == 0 || subject_.Match(ace.sid()) == SidMatch::kNone) {
      return false;
    }
    TypeRange range{0, outcome_.types.size()};
    if (!FindRange(ace, &range)) return false;
    const AccessMask mask = MapGeneric(ace.mask(), outcome_.request.mapping);
    if (!by_type_) return Covers(ace.flags(), mask, outcome_.allowed, outcome_.granted);
    for (std::size_t i = range.begin; i < range.end; ++i) {
      const TypeResult& one = outcome_.results[i];
      if (Covers(ace.flags(), mask, one.allowed, one.granted)) return true;
    }
    return false;
  }

  bool Covers(std::uint8_t flags, AccessMask mask, bool allowed, AccessMask granted) const {
    if (allowed) return (flags & kSuccessfulAccess) != 0 && (mask & granted) != 0;
    if ((flags & kFailedAccess) == 0) return false;
    const AccessMask desired = outcome_.request.desired;
    return (mask & desired) != 0 || ((desired & kMaximumAllowed) != 0 && mask != 0);
  }

  // False: the ACE is for a type that nobody asked for.
  bool FindRange(const AceView& ace, TypeRange* range) const {
    if (ace.layout() != AceLayout::kObject) return true;
    const std::optional<Guid> type = ace.object_type();
    if (!type) return true;
    const std::span<const ObjectType> types = outcome_.types;
    std::size_t begin = 0;
    while (begin < types.size() && *types[begin].type != *type) ++begin;
    if (begin == types.size()) return false;
    std::size_t end = begin + 1;
    while (end < types.size() && types[end].level > types[begin].level) ++end;
    *range = {begin, end};
    return true;
  }

  const AccessOutcome& outcome_;
  const bool by_type_;
  const AccessSubject subject_;
};

}  // namespace

std::int32_t FindAuditAce(const AccessOutcome& outcome, AuditedResult counts) {
  return AuditSearch(outcome, counts).Run();
}

}  // namespace ktlsim::security
