#include "kernel_sim/audit/object_audit.h"

namespace ktlsim::audit {
namespace {

using security::Fault;

// For a SACL whose object has no mapping.
constexpr security::GenericMapping kUnmapped = {security::kGenericRead, security::kGenericWrite,
                                                security::kGenericExecute, security::kGenericAll};

Fault CheckAuditPrivilege(const security::TokenState& process) {
  return process.privileges().enabled.Has(security::Privilege::kAudit) ? Fault::kNone
                                                                       : Fault::kPrivilegeNotHeld;
}

AuditRecord RecordOf(AuditEvent event, const AuditParties& parties, const AuditedObject& object,
                     const DecidedAccess& decided) {
  return {.event = event,
          .success = decided.allowed,
          .creation = decided.creation,
          .client = parties.client,
          .server = &parties.process,
          .client_name = parties.client_name,
          .subsystem = object.subsystem,
          .object_type = object.type,
          .object = object.name,
          .handle_id = object.handle_id,
          .desired = decided.desired,
          .granted = decided.granted,
          .privileges = decided.privileges,
          .unknown_privileges = decided.unknown_privileges,
          .context_id = parties.context_id,
          .connection_id = parties.connection_id};
}

Fault WriteTo(AuditTrail* trail, const AuditRecord& record) {
  if (trail == nullptr) return Fault::kNone;
  return trail->Write(record) == Taken::kRefused ? Fault::kNoSystemResources : Fault::kNone;
}

// With the privilege, whatever the SACL says.
Fault WriteAlways(AuditEvent event, const AuditParties& parties, const AuditedObject& object,
                  const DecidedAccess& decided) {
  const Fault fault = CheckAuditPrivilege(parties.process);
  return fault != Fault::kNone ? fault
                               : WriteTo(parties.trail, RecordOf(event, parties, object, decided));
}

// What has no record has not happened.
void Refuse(const AuditedRequest& request, AuditedAccess* access) {
  access->result.allowed = false;
  access->result.granted = 0;
  access->result.reason = Fault::kNoSystemResources;
  access->result.privileges = {};
  for (security::TypeResult& one : request.results) {
    one.allowed = false;
    one.granted = 0;
  }
}

// Whether any type was allowed, where each has its own verdict.
bool AnyAllowed(const AuditedRequest& request, const security::AccessResult& result) {
  if (!request.verdict_for_each) return result.allowed;
  for (const security::TypeResult& one : request.results) {
    if (one.allowed) return true;
  }
  return false;
}

}  // namespace

Fault CheckAccessAndAudit(const AuditParties& parties, const AuditedObject& object,
                          const AuditedRequest& request, AuditedAccess* access) {
  if (parties.client == nullptr) return Fault::kNoImpersonationToken;
  Fault fault = security::CheckClientToken(*parties.client);
  if (fault != Fault::kNone) return fault;
  const bool may_audit = CheckAuditPrivilege(parties.process) == Fault::kNone;
  if (!may_audit && !request.privilege_optional) return Fault::kPrivilegeNotHeld;
  const security::AccessRequest check{request.descriptor, *parties.client, request.desired,
                                      request.mapping, request.self};
  AuditedAccess made;
  fault = security::CheckAccessByType(check, request.types, request.results, &made.result);
  if (fault != Fault::kNone) return fault;
  const security::AccessOutcome outcome{.request = check,
                                        .allowed = made.result.allowed,
                                        .granted = made.result.granted,
                                        .types = request.types,
                                        .results = request.results};
  const auto counts =
      request.verdict_for_each ? security::AuditedResult::kByType : security::AuditedResult::kWhole;
  if (may_audit && security::FindAuditAce(outcome, counts) >= 0) {
    const bool allowed = AnyAllowed(request, made.result);
    made.generate_on_close = allowed;
    const DecidedAccess decided{
        .desired = request.desired,
        .granted = made.result.granted,
        .privileges = allowed ? made.result.privileges : security::PrivilegeSet(),
        .creation = request.creation,
        .allowed = allowed};
    fault = WriteTo(parties.trail, RecordOf(AuditEvent::kAccess, parties, object, decided));
    if (fault != Fault::kNone) {
      Refuse(request, &made);
      made.generate_on_close = false;
    }
  }
  *access = made;
  return Fault::kNone;
}

Fault AuditObjectOpen(const AuditParties& parties, const AuditedObject& object,
                      const security::DescriptorView& descriptor, const DecidedAccess& decided,
                      bool* generate_on_close) {
  Fault fault = CheckAuditPrivilege(parties.process);
  if (fault != Fault::kNone) return fault;
  if (parties.client == nullptr) return Fault::kNoImpersonationToken;
  const security::AccessRequest told{descriptor, *parties.client, decided.desired, kUnmapped,
                                     std::nullopt};
  const security::AccessOutcome outcome{.request = told,
                                        .allowed = decided.allowed,
                                        .granted = decided.granted,
                                        .types = {},
                                        .results = {}};
  const bool asked = security::FindAuditAce(outcome, security::AuditedResult::kWhole) >= 0;
  if (asked) {
    fault = WriteTo(parties.trail, RecordOf(AuditEvent::kOpen, parties, object, decided));
    if (fault != Fault::kNone) return fault;
  }
  *generate_on_close = asked && decided.allowed;
  return Fault::kNone;
}

Fault AuditObjectClose(const AuditParties& parties, const AuditedObject& object,
                       bool generate_on_close) {
  if (!generate_on_close) return Fault::kNone;
  return WriteAlways(AuditEvent::kClose, parties, object, {.allowed = true});
}

Fault AuditObjectDelete(const AuditParties& parties, const AuditedObject& object,
                        bool generate_on_close) {
  if (!generate_on_close) return Fault::kNone;
  return WriteAlways(AuditEvent::kDelete, parties, object, {.allowed = true});
}

Fault AuditObjectPrivilege(const AuditParties& parties, const AuditedObject& object,
                           const DecidedAccess& decided) {
  return WriteAlways(AuditEvent::kPrivilegeUse, parties, object, decided);
}

Fault AuditLogon(const AuditParties& parties, const AuditedObject& object, std::string_view claimed,
                 LogonFailure why_not) {
  const Fault fault = CheckAuditPrivilege(parties.process);
  if (fault != Fault::kNone) return fault;
  AuditParties told = parties;
  told.client_name = claimed;
  AuditRecord record =
      RecordOf(AuditEvent::kLogon, told, object, {.allowed = why_not == LogonFailure::kNone});
  record.reason = why_not;
  return WriteTo(parties.trail, record);
}

Fault AuditPrivilegedService(const AuditParties& parties, const AuditedObject& object,
                             const DecidedAccess& decided) {
  return WriteAlways(AuditEvent::kService, parties, object, decided);
}

}  // namespace ktlsim::audit
