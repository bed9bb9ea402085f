// Accesses that are checked and recorded: the functions of the C API.

#include <ktlsim/security.h>

#include <optional>
#include <vector>

#include "kernel_sim/audit/object_audit.h"
#include "kernel_sim/authority/audit_caller.h"
#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/captured_descriptor.h"
#include "kernel_sim/authorization/captured_types.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/security/access_check.h"

namespace ktlsim::authority {
namespace {

using authorization::LoadFrom;
using authorization::StoreTo;
using authorization::TellCaller;
using security::Fault;

// What the functions are given. The texts are of char or WCHAR.
template <typename Unit>
struct ObjectArguments {
  const Unit* subsystem;
  LPVOID handle_id;
  const Unit* type;
  const Unit* name;
};

struct CheckArguments {
  PSECURITY_DESCRIPTOR descriptor;
  PSID self = nullptr;  // what S-1-5-10 stands for
  DWORD desired;
  DWORD event = AuditEventObjectAccess;  // a C caller's may be any number
  DWORD flags = 0;
  const OBJECT_TYPE_LIST* types = nullptr;
  DWORD count = 0;    // of types
  bool each = false;  // each type has a result of its own
  PGENERIC_MAPPING mapping;
  BOOL creation;
};

struct CheckResults {
  LPDWORD granted;  // one, or one for each type
  LPBOOL status;    // the same: BOOL, or DWORD for each type
  LPBOOL generate_on_close;
};

// Whether the thread acts as somebody whose access can be checked.
Fault CheckThread() {
  const security::Token::Ref token = authorization::ThreadToken();
  return token != nullptr ? security::CheckClientToken(*token->state())
                          : Fault::kNoImpersonationToken;
}

Fault JudgeArguments(const CheckArguments& arguments, const CheckResults& results) {
  if (arguments.descriptor == nullptr || arguments.mapping == nullptr ||
      results.granted == nullptr || results.status == nullptr ||
      results.generate_on_close == nullptr) {
    return Fault::kNoAccess;
  }
  if (arguments.each && arguments.count != 0 && arguments.types == nullptr) return Fault::kNoAccess;
  // As AccessCheck: who asks comes before what is asked for.
  if (const Fault fault = CheckThread(); fault != Fault::kNone) return fault;
  const bool known_event = arguments.event == AuditEventObjectAccess ||
                           arguments.event == AuditEventDirectoryServiceAccess;
  const bool known_flags = (arguments.flags & ~DWORD{AUDIT_ALLOW_NO_PRIVILEGE}) == 0;
  const bool has_types = !arguments.each || arguments.count != 0;
  return known_event && known_flags && has_types ? Fault::kNone : Fault::kInvalidParameter;
}

// What has been decided.
struct Decision {
  audit::AuditedAccess access;
  std::vector<security::TypeResult> by_type;
};

Fault Decide(const audit::AuditedObject& object, const CheckArguments& arguments,
             Decision* decision) {
  if ((arguments.desired & security::kGenericRights) != 0) return Fault::kGenericNotMapped;
  authorization::CapturedDescriptor descriptor;
  Fault fault = descriptor.Capture(arguments.descriptor);
  if (fault != Fault::kNone) return fault;
  security::Sid self_sid;
  std::optional<security::SidView> self;
  fault = authorization::CaptureSelf(arguments.self, &self_sid, &self);
  if (fault != Fault::kNone) return fault;
  authorization::CapturedTypes types;
  fault = types.Capture(arguments.types, arguments.count);
  if (fault != Fault::kNone) return fault;
  decision->by_type.resize(arguments.count);
  const audit::AuditedRequest request{
      .descriptor = descriptor.view(),
      .desired = arguments.desired,
      .mapping = authorization::MappingOf(LoadFrom<GENERIC_MAPPING>(arguments.mapping)),
      .self = self,
      .creation = arguments.creation != FALSE,
      .privilege_optional = (arguments.flags & AUDIT_ALLOW_NO_PRIVILEGE) != 0,
      .types = types.get(),
      .results = decision->by_type,
      .verdict_for_each = arguments.each};
  return AsThread([&](const audit::AuditParties& parties) {
    return audit::CheckAccessAndAudit(parties, object, request, &decision->access);
  });
}

void StoreWhole(const Decision& decision, const CheckResults& results) {
  const security::AccessResult& result = decision.access.result;
  StoreTo<DWORD>(results.granted, result.granted);
  StoreTo<BOOL>(results.status, result.allowed ? TRUE : FALSE);
  if (!result.allowed) SetLastError(static_cast<DWORD>(result.reason));
}

void StoreEach(const Decision& decision, const CheckResults& results) {
  LPDWORD granted = results.granted;
  LPBOOL status = results.status;
  for (const security::TypeResult& type : decision.by_type) {
    StoreTo<DWORD>(granted++, type.granted);
    StoreTo<DWORD>(status++, authorization::ReasonOf(decision.access.result, type));
  }
}

template <typename Unit>
BOOL CheckForCaller(const ObjectArguments<Unit>& object, const CheckArguments& arguments,
                    const CheckResults& results) noexcept {
  return TellCaller([&] {
    Fault fault = JudgeArguments(arguments, results);
    if (fault != Fault::kNone) return fault;
    ObjectTexts texts;
    fault = texts.Read(object.subsystem, object.type, object.name);
    if (fault != Fault::kNone) return fault;
    Decision decision;
    fault = Decide(texts.With(object.handle_id), arguments, &decision);
    if (fault != Fault::kNone) return fault;
    arguments.each ? StoreEach(decision, results) : StoreWhole(decision, results);
    StoreTo<BOOL>(results.generate_on_close, decision.access.generate_on_close ? TRUE : FALSE);
    return Fault::kNone;
  });
}

}  // namespace
}  // namespace ktlsim::authority

using namespace ktlsim;             // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authority;  // NOLINT

extern "C" {

BOOL AccessCheckAndAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, LPSTR ObjectTypeName,
                               LPSTR ObjectName, PSECURITY_DESCRIPTOR SecurityDescriptor,
                               DWORD DesiredAccess, PGENERIC_MAPPING GenericMapping,
                               BOOL ObjectCreation, LPDWORD GrantedAccess, LPBOOL AccessStatus,
                               LPBOOL pfGenerateOnClose) {
  return CheckForCaller<char>({SubsystemName, HandleId, ObjectTypeName, ObjectName},
                              {.descriptor = SecurityDescriptor,
                               .desired = DesiredAccess,
                               .mapping = GenericMapping,
                               .creation = ObjectCreation},
                              {GrantedAccess, AccessStatus, pfGenerateOnClose});
}

BOOL AccessCheckAndAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, LPWSTR ObjectTypeName,
                               LPWSTR ObjectName, PSECURITY_DESCRIPTOR SecurityDescriptor,
                               DWORD DesiredAccess, PGENERIC_MAPPING GenericMapping,
                               BOOL ObjectCreation, LPDWORD GrantedAccess, LPBOOL AccessStatus,
                               LPBOOL pfGenerateOnClose) {
  return CheckForCaller<WCHAR>({SubsystemName, HandleId, ObjectTypeName, ObjectName},
                               {.descriptor = SecurityDescriptor,
                                .desired = DesiredAccess,
                                .mapping = GenericMapping,
                                .creation = ObjectCreation},
                               {GrantedAccess, AccessStatus, pfGenerateOnClose});
}

BOOL AccessCheckByTypeAndAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, LPCSTR ObjectTypeName,
                                     LPCSTR ObjectName, PSECURITY_DESCRIPTOR SecurityDescriptor,
                                     PSID PrincipalSelfSid, DWORD DesiredAccess,
                                     AUDIT_EVENT_TYPE AuditType, DWORD Flags,
                                     POBJECT_TYPE_LIST ObjectTypeList, DWORD ObjectTypeListLength,
                                     PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
                                     LPDWORD GrantedAccess, LPBOOL AccessStatus,
                                     LPBOOL pfGenerateOnClose) {
  return CheckForCaller<char>({SubsystemName, HandleId, ObjectTypeName, ObjectName},
                              {.descriptor = SecurityDescriptor,
                               .self = PrincipalSelfSid,
                               .desired = DesiredAccess,
                               .event = static_cast<DWORD>(AuditType),
                               .flags = Flags,
                               .types = ObjectTypeList,
                               .count = ObjectTypeList != nullptr ? ObjectTypeListLength : 0,
                               .mapping = GenericMapping,
                               .creation = ObjectCreation},
                              {GrantedAccess, AccessStatus, pfGenerateOnClose});
}

BOOL AccessCheckByTypeAndAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, LPCWSTR ObjectTypeName,
                                     LPCWSTR ObjectName, PSECURITY_DESCRIPTOR SecurityDescriptor,
                                     PSID PrincipalSelfSid, DWORD DesiredAccess,
                                     AUDIT_EVENT_TYPE AuditType, DWORD Flags,
                                     POBJECT_TYPE_LIST ObjectTypeList, DWORD ObjectTypeListLength,
                                     PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
                                     LPDWORD GrantedAccess, LPBOOL AccessStatus,
                                     LPBOOL pfGenerateOnClose) {
  return CheckForCaller<WCHAR>({SubsystemName, HandleId, ObjectTypeName, ObjectName},
                               {.descriptor = SecurityDescriptor,
                                .self = PrincipalSelfSid,
                                .desired = DesiredAccess,
                                .event = static_cast<DWORD>(AuditType),
                                .flags = Flags,
                                .types = ObjectTypeList,
                                .count = ObjectTypeList != nullptr ? ObjectTypeListLength : 0,
                                .mapping = GenericMapping,
                                .creation = ObjectCreation},
                               {GrantedAccess, AccessStatus, pfGenerateOnClose});
}

BOOL AccessCheckByTypeResultListAndAuditAlarmA(
    LPCSTR SubsystemName, LPVOID HandleId, LPCSTR ObjectTypeName, LPCSTR ObjectName,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PSID PrincipalSelfSid, DWORD DesiredAccess,
    AUDIT_EVENT_TYPE AuditType, DWORD Flags, POBJECT_TYPE_LIST ObjectTypeList,
    DWORD ObjectTypeListLength, PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
    LPDWORD GrantedAccessList, LPDWORD AccessStatusList, LPBOOL pfGenerateOnClose) {
  return CheckForCaller<char>(
      {SubsystemName, HandleId, ObjectTypeName, ObjectName},
      {.descriptor = SecurityDescriptor,
       .self = PrincipalSelfSid,
       .desired = DesiredAccess,
       .event = static_cast<DWORD>(AuditType),
       .flags = Flags,
       .types = ObjectTypeList,
       .count = ObjectTypeListLength,
       .each = true,
       .mapping = GenericMapping,
       .creation = ObjectCreation},
      {GrantedAccessList, reinterpret_cast<LPBOOL>(AccessStatusList), pfGenerateOnClose});
}

BOOL AccessCheckByTypeResultListAndAuditAlarmW(
    LPCWSTR SubsystemName, LPVOID HandleId, LPCWSTR ObjectTypeName, LPCWSTR ObjectName,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PSID PrincipalSelfSid, DWORD DesiredAccess,
    AUDIT_EVENT_TYPE AuditType, DWORD Flags, POBJECT_TYPE_LIST ObjectTypeList,
    DWORD ObjectTypeListLength, PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
    LPDWORD GrantedAccessList, LPDWORD AccessStatusList, LPBOOL pfGenerateOnClose) {
  return CheckForCaller<WCHAR>(
      {SubsystemName, HandleId, ObjectTypeName, ObjectName},
      {.descriptor = SecurityDescriptor,
       .self = PrincipalSelfSid,
       .desired = DesiredAccess,
       .event = static_cast<DWORD>(AuditType),
       .flags = Flags,
       .types = ObjectTypeList,
       .count = ObjectTypeListLength,
       .each = true,
       .mapping = GenericMapping,
       .creation = ObjectCreation},
      {GrantedAccessList, reinterpret_cast<LPBOOL>(AccessStatusList), pfGenerateOnClose});
}

}  // extern "C"
