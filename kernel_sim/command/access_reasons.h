// Why an access is allowed or denied, right by right.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kernel_sim/command/policy_words.h"
#include "kernel_sim/security/access_check.h"

namespace ktlsim::command {

// One right of a request. Each is decided by itself, so a check for it alone tells why.
struct RightReason {
  security::AccessMask right = 0;
  bool granted = false;
  security::AccessDecision decision;
  std::string text;
};

struct AccessReasons {
  security::AccessResult result;
  std::vector<RightReason> rights;
};

// kNone: *reasons is written; otherwise as CheckAccess. With kMaximumAllowed the rights are those
// that are granted.
security::Fault ExplainAccess(const security::AccessRequest& request, ObjectKind kind,
                              const std::optional<security::Sid>& domain, AccessReasons* reasons);

// Such as "ace", for JSON.
const char* DeciderName(security::Decider decider);

}  // namespace ktlsim::command
