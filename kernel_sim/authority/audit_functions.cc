// What is recorded as callers tell it: the functions of the C API.

#include <ktlsim/security.h>

#include <algorithm>
#include <cstddef>

#include "kernel_sim/audit/object_audit.h"
#include "kernel_sim/authority/audit_caller.h"
#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/captured_descriptor.h"

namespace ktlsim::authority {
namespace {

using authorization::CapturedDescriptor;
using authorization::LoadElement;
using authorization::LoadFrom;
using authorization::StoreTo;
using authorization::TellCaller;
using security::Fault;

// With the client that a handle names.
template <typename Call>
Fault AsNamed(HANDLE client, const Call& call) {
  authorization::NamedToken named;
  const Fault fault = authorization::FindNamed(client, TOKEN_QUERY, &named);
  if (fault != Fault::kNone) return fault;
  const Parties parties(named.token);
  return parties.complete() ? call(parties.get()) : Fault::kNoMemory;
}

// Those of `set`, which may be null. Nothing is a mistake: what there is no such privilege for is
// counted, and so is what is left of a list that is longer than any is.
void ReadPrivileges(const PRIVILEGE_SET* set, audit::DecidedAccess* decided) {
  if (set == nullptr) return;
  const auto count = LoadFrom<DWORD>(set);
  const DWORD read = std::min(count, authorization::kPrivilegesToNameMax);
  decided->unknown_privileges = count - read;
  for (DWORD i = 0; i < read; ++i) {
    const LUID luid =
        LoadElement<LUID_AND_ATTRIBUTES>(set, offsetof(PRIVILEGE_SET, Privilege), i).Luid;
    const auto one = security::PrivilegeOf({luid.LowPart, luid.HighPart});
    if (one) {
      decided->privileges.Add(*one);
    } else {
      ++decided->unknown_privileges;
    }
  }
}

Fault AuditOpen(const audit::AuditedObject& object, PSECURITY_DESCRIPTOR descriptor, HANDLE client,
                const audit::DecidedAccess& decided, LPBOOL generate_on_close) {
  CapturedDescriptor captured;
  Fault fault = captured.Capture(descriptor);
  if (fault != Fault::kNone) return fault;
  bool generates = false;
  fault = AsNamed(client, [&](const audit::AuditParties& parties) {
    return audit::AuditObjectOpen(parties, object, captured.view(), decided, &generates);
  });
  if (fault == Fault::kNone) StoreTo<BOOL>(generate_on_close, generates ? TRUE : FALSE);
  return fault;
}

template <typename Unit>
BOOL OpenForCaller(const Unit* subsystem, LPVOID handle_id, const Unit* type, const Unit* name,
                   PSECURITY_DESCRIPTOR descriptor, HANDLE client, audit::DecidedAccess decided,
                   PPRIVILEGE_SET privileges, LPBOOL generate_on_close) noexcept {
  return TellCaller([&] {
    if (descriptor == nullptr || generate_on_close == nullptr) return Fault::kNoAccess;
    ObjectTexts texts;
    const Fault fault = texts.Read(subsystem, type, name);
    ReadPrivileges(privileges, &decided);
    return fault != Fault::kNone
               ? fault
               : AuditOpen(texts.With(handle_id), descriptor, client, decided, generate_on_close);
  });
}

using EndAudit = Fault (*)(const audit::AuditParties&, const audit::AuditedObject&, bool);

// Of AuditObjectClose and AuditObjectDelete.
template <typename Unit>
BOOL EndForCaller(EndAudit end, const Unit* subsystem, LPVOID handle_id,
                  BOOL generate_on_close) noexcept {
  return TellCaller([&] {
    const Unit* const none = nullptr;
    ObjectTexts texts;
    const Fault fault = texts.Read(subsystem, none, none);
    return fault != Fault::kNone ? fault : AsThread([&](const audit::AuditParties& parties) {
      return end(parties, texts.With(handle_id), generate_on_close != FALSE);
    });
  });
}

using UseAudit = Fault (*)(const audit::AuditParties&, const audit::AuditedObject&,
                           const audit::DecidedAccess&);

// Of AuditObjectPrivilege and AuditPrivilegedService.
template <typename Unit>
BOOL UseForCaller(UseAudit use, const Unit* subsystem, LPVOID handle_id, const Unit* service,
                  HANDLE client, audit::DecidedAccess decided, PPRIVILEGE_SET privileges) noexcept {
  return TellCaller([&] {
    if (privileges == nullptr) return Fault::kNoAccess;
    const Unit* const none = nullptr;
    ObjectTexts texts;
    const Fault fault = texts.Read(subsystem, none, service);
    ReadPrivileges(privileges, &decided);
    return fault != Fault::kNone ? fault : AsNamed(client, [&](const audit::AuditParties& parties) {
      return use(parties, texts.With(handle_id), decided);
    });
  });
}

}  // namespace
}  // namespace ktlsim::authority

using namespace ktlsim;             // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authority;  // NOLINT

extern "C" {

BOOL ObjectOpenAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, LPSTR ObjectTypeName,
                           LPSTR ObjectName, PSECURITY_DESCRIPTOR pSecurityDescriptor,
                           HANDLE ClientToken, DWORD DesiredAccess, DWORD GrantedAccess,
                           PPRIVILEGE_SET Privileges, BOOL ObjectCreation, BOOL AccessGranted,
                           LPBOOL GenerateOnClose) {
  return OpenForCaller<char>(SubsystemName, HandleId, ObjectTypeName, ObjectName,
                             pSecurityDescriptor, ClientToken,
                             {.desired = DesiredAccess,
                              .granted = GrantedAccess,
                              .creation = ObjectCreation != FALSE,
                              .allowed = AccessGranted != FALSE},
                             Privileges, GenerateOnClose);
}

BOOL ObjectOpenAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, LPWSTR ObjectTypeName,
                           LPWSTR ObjectName, PSECURITY_DESCRIPTOR pSecurityDescriptor,
                           HANDLE ClientToken, DWORD DesiredAccess, DWORD GrantedAccess,
                           PPRIVILEGE_SET Privileges, BOOL ObjectCreation, BOOL AccessGranted,
                           LPBOOL GenerateOnClose) {
  return OpenForCaller<WCHAR>(SubsystemName, HandleId, ObjectTypeName, ObjectName,
                              pSecurityDescriptor, ClientToken,
                              {.desired = DesiredAccess,
                               .granted = GrantedAccess,
                               .creation = ObjectCreation != FALSE,
                               .allowed = AccessGranted != FALSE},
                              Privileges, GenerateOnClose);
}

BOOL ObjectCloseAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectClose, SubsystemName, HandleId, GenerateOnClose);
}
BOOL ObjectCloseAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectClose, SubsystemName, HandleId, GenerateOnClose);
}
BOOL ObjectDeleteAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectDelete, SubsystemName, HandleId, GenerateOnClose);
}
BOOL ObjectDeleteAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose) {
  return EndForCaller(&audit::AuditObjectDelete, SubsystemName, HandleId, GenerateOnClose);
}

BOOL ObjectPrivilegeAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, HANDLE ClientToken,
                                DWORD DesiredAccess, PPRIVILEGE_SET Privileges,
                                BOOL AccessGranted) {
  return UseForCaller<char>(
      &audit::AuditObjectPrivilege, SubsystemName, HandleId, nullptr, ClientToken,
      {.desired = DesiredAccess, .allowed = AccessGranted != FALSE}, Privileges);
}
BOOL ObjectPrivilegeAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, HANDLE ClientToken,
                                DWORD DesiredAccess, PPRIVILEGE_SET Privileges,
                                BOOL AccessGranted) {
  return UseForCaller<WCHAR>(
      &audit::AuditObjectPrivilege, SubsystemName, HandleId, nullptr, ClientToken,
      {.desired = DesiredAccess, .allowed = AccessGranted != FALSE}, Privileges);
}
BOOL PrivilegedServiceAuditAlarmA(LPCSTR SubsystemName, LPCSTR ServiceName, HANDLE ClientToken,
                                  PPRIVILEGE_SET Privileges, BOOL AccessGranted) {
  return UseForCaller<char>(&audit::AuditPrivilegedService, SubsystemName, nullptr, ServiceName,
                            ClientToken, {.allowed = AccessGranted != FALSE}, Privileges);
}
BOOL PrivilegedServiceAuditAlarmW(LPCWSTR SubsystemName, LPCWSTR ServiceName, HANDLE ClientToken,
                                  PPRIVILEGE_SET Privileges, BOOL AccessGranted) {
  return UseForCaller<WCHAR>(&audit::AuditPrivilegedService, SubsystemName, nullptr, ServiceName,
                             ClientToken, {.allowed = AccessGranted != FALSE}, Privileges);
}

}  // extern "C"
