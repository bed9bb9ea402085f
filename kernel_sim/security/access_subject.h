// AccessSubject: which SIDs a token has, in one pass of an access check.
//
// Private to security/.
#pragma once

#include <cstdint>
#include <optional>

#include "kernel_sim/security/token.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::security {

class AccessSubject {
 public:
  // With `restricting`, the restricting SIDs are all that it has.
  AccessSubject(const TokenState& token, bool restricting, std::optional<SidView> owner,
                std::optional<SidView> self)
      : token_(token), restricting_(restricting) {
    if (self) self_ = Find(*self);
    if (owner) owner_ = MatchSelf(*owner);
  }

  bool restricting() const { return restricting_; }
  bool owns() const { return owner_ == SidMatch::kEnabled; }

  // Owner rights are the owner's, and S-1-5-10 is the object's own SID.
  SidMatch Match(SidView sid) const {
    if (sid == kOwnerRightsSid.view()) return owner_;
    return MatchSelf(sid);
  }

 private:
  SidMatch Find(SidView sid) const {
    const std::uint64_t hash = sid.hash();
    return restricting_ ? token_.MatchRestricting(sid, hash) : token_.Match(sid, hash);
  }

  SidMatch MatchSelf(SidView sid) const {
    return self_ && sid == kSelfSid.view() ? *self_ : Find(sid);
  }

  const TokenState& token_;
  const bool restricting_;
  std::optional<SidMatch> self_;  // none: the object is no principal
  SidMatch owner_ = SidMatch::kNone;
};

}  // namespace ktlsim::security
