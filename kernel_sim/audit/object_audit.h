// Accesses that are checked and recorded: what AccessCheckAndAuditAlarm and the object alarms of
// Windows do, for C++ callers. Handles, texts of other encodings and the thread's token are the
// C functions' business.
//
// What a newcomer gets wrong: two tokens count. The client's decides whether access is allowed and
// whether the SACL asks for a record; the process's own has to have SeAuditPrivilege, whoever the
// thread acts as.
//
// Any level, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/security/audit_policy.h"

namespace ktlsim::audit {

// Who acts. All of it is the caller's, and has to live as long as the call.
struct AuditParties {
  // The trail; null: nothing is recorded.
  AuditTrail* trail = nullptr;
  const security::TokenState& process;
  // The token that the thread impersonates with; null: it does not.
  const security::TokenState* client = nullptr;
  std::string_view client_name = {};
  std::uint64_t context_id = 0;
  std::uint64_t connection_id = 0;
};

struct AuditedObject {
  std::string_view subsystem;
  std::uint64_t handle_id = 0;  // a value
  std::string_view type;
  std::string_view name;
};

// As AccessRequest, for the client of AuditParties.
struct AuditedRequest {
  const security::DescriptorView& descriptor;
  security::AccessMask desired = 0;
  security::GenericMapping mapping;
  std::optional<security::SidView> self = std::nullopt;
  bool creation = false;
  // AUDIT_ALLOW_NO_PRIVILEGE: without SeAuditPrivilege the check is made and nothing recorded.
  bool privilege_optional = false;
  // By type: as for CheckAccessByType. `verdict_for_each`: a result list, whose types are allowed
  // or denied each by itself.
  std::span<const security::ObjectType> types = {};
  std::span<security::TypeResult> results = {};
  bool verdict_for_each = false;
};

struct AuditedAccess {
  // If it could not be recorded and has to be refused for that, the reason is kNoSystemResources.
  security::AccessResult result;
  bool generate_on_close = false;
};

// Checks, and writes a record if the SACL asks for one. kNone: the check was made. *access is
// untouched otherwise: kNoImpersonationToken: the thread does not act as anybody;
// kBadImpersonationLevel: it acts as somebody anonymous; kPrivilegeNotHeld: the process has no
// SeAuditPrivilege that is enabled; else as CheckAccess and CheckAccessByType.
security::Fault CheckAccessAndAudit(const AuditParties& parties, const AuditedObject& object,
                                    const AuditedRequest& request, AuditedAccess* access);

// What a caller has decided itself.
struct DecidedAccess {
  security::AccessMask desired = 0;
  security::AccessMask granted = 0;
  security::PrivilegeSet privileges = {};
  std::uint32_t unknown_privileges = 0;  // named beside them
  bool creation = false;
  bool allowed = false;
};

// The following record what they are told. kPrivilegeNotHeld, as above; kNoSystemResources: it
// could not be recorded, and the policy is to refuse.

// If the SACL of `descriptor` asks for it. Generic rights in the SACL mean themselves. Needs a
// client: kNoImpersonationToken.
security::Fault AuditObjectOpen(const AuditParties& parties, const AuditedObject& object,
                                const security::DescriptorView& descriptor,
                                const DecidedAccess& decided, bool* generate_on_close);
// If opening it gave `generate_on_close`.
security::Fault AuditObjectClose(const AuditParties& parties, const AuditedObject& object,
                                 bool generate_on_close);
security::Fault AuditObjectDelete(const AuditParties& parties, const AuditedObject& object,
                                  bool generate_on_close);
// Always.
security::Fault AuditObjectPrivilege(const AuditParties& parties, const AuditedObject& object,
                                     const DecidedAccess& decided);
// Somebody that claims to be `claimed`, and whom `object.type` (a way to authenticate) has believed
// (kNone) or not. `object.name` is what it wanted.
security::Fault AuditLogon(const AuditParties& parties, const AuditedObject& object,
                           std::string_view claimed, LogonFailure why_not);
// `object.name` is the service's.
security::Fault AuditPrivilegedService(const AuditParties& parties, const AuditedObject& object,
                                       const DecidedAccess& decided);

}  // namespace ktlsim::audit
