// Access checks: the functions of the C API.

#include <ktlsim/security.h>

#include <algorithm>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/captured_descriptor.h"
#include "kernel_sim/authorization/captured_types.h"
#include "kernel_sim/security/access_check.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;

struct PrivilegeRoom {
  PPRIVILEGE_SET set;
  LPDWORD bytes;
};

// kInsufficientBuffer: nothing but the size is stored.
Fault StorePrivileges(security::PrivilegeSet used, const PrivilegeRoom& room) {
  const auto count = static_cast<DWORD>(used.count());
  const std::size_t needed =
      std::max(sizeof(PRIVILEGE_SET),
               offsetof(PRIVILEGE_SET, Privilege) + count * sizeof(LUID_AND_ATTRIBUTES));
  if (LoadFrom<DWORD>(room.bytes) < needed) {
    StoreTo<DWORD>(room.bytes, static_cast<DWORD>(needed));
    return Fault::kInsufficientBuffer;
  }
  auto* at = reinterpret_cast<std::byte*>(room.set);
  StoreTo(at, std::array<DWORD, 2>{count, 0});  // the count, and no control bits
  at += offsetof(PRIVILEGE_SET, Privilege);
  used.ForEach([&at](security::Privilege one) {
    const security::Luid luid = security::LuidOf(one);
    StoreTo(at, LUID_AND_ATTRIBUTES{{luid.low, luid.high}, SE_PRIVILEGE_USED_FOR_ACCESS});
    at += sizeof(LUID_AND_ATTRIBUTES);
  });
  return Fault::kNone;
}

// What the access checks are given.
struct CheckArguments {
  const void* descriptor;
  PSID self = nullptr;  // what S-1-5-10 stands for
  HANDLE client;
  DWORD desired;
  const OBJECT_TYPE_LIST* types = nullptr;
  DWORD count = 0;    // of types
  bool each = false;  // each type has a result of its own
  const GENERIC_MAPPING* mapping;
  PrivilegeRoom room;

  bool complete() const {
    return room.set != nullptr && room.bytes != nullptr && mapping != nullptr &&
           descriptor != nullptr;
  }
};

// What a check has decided.
struct Decision {
  security::AccessResult result;
  std::vector<security::TypeResult> by_type;

  // ERROR_SUCCESS, or why it was denied.
  DWORD Reason() const { return static_cast<DWORD>(result.reason); }
  DWORD ReasonOf(const security::TypeResult& type) const {
    return authorization::ReasonOf(result, type);
  }
};

Fault FindClient(HANDLE client, security::TokenStateRef* state) {
  NamedToken named;
  const Fault fault = FindNamed(client, TOKEN_QUERY, &named);
  if (fault != Fault::kNone) return fault;
  *state = named.token->state();
  return security::CheckClientToken(**state);
}

Fault Decide(const CheckArguments& arguments, Decision* decision) {
  security::TokenStateRef state;
  Fault fault = FindClient(arguments.client, &state);
  if (fault != Fault::kNone) return fault;
  if ((arguments.desired & security::kGenericRights) != 0) return Fault::kGenericNotMapped;
  CapturedDescriptor descriptor;
  fault = descriptor.Capture(arguments.descriptor);
  if (fault != Fault::kNone) return fault;
  security::Sid self_sid;
  std::optional<security::SidView> self;
  fault = CaptureSelf(arguments.self, &self_sid, &self);
  if (fault != Fault::kNone) return fault;
  CapturedTypes types;
  fault = types.Capture(arguments.types, arguments.count);
  if (fault != Fault::kNone) return fault;
  decision->by_type.resize(arguments.count);
  fault = security::CheckAccessByType(
      {.descriptor = descriptor.view(),
       .token = *state,
       .desired = arguments.desired,
       .mapping = MappingOf(LoadFrom<GENERIC_MAPPING>(arguments.mapping)),
       .self = self},
      types.get(), decision->by_type, &decision->result);
  if (fault != Fault::kNone) return fault;
  const bool used = arguments.each || decision->result.allowed;
  return StorePrivileges(used ? decision->result.privileges : security::PrivilegeSet(),
                         arguments.room);
}

// Of the object as a whole.
Fault Check(const CheckArguments& arguments, LPDWORD granted, LPBOOL status) {
  if (!arguments.complete() || granted == nullptr || status == nullptr) return Fault::kNoAccess;
  Decision decision;
  const Fault fault = Decide(arguments, &decision);
  if (fault != Fault::kNone) return fault;
  StoreTo<DWORD>(granted, decision.result.granted);
  StoreTo<BOOL>(status, decision.result.allowed ? TRUE : FALSE);
  if (!decision.result.allowed) SetLastError(decision.Reason());
  return Fault::kNone;
}

// Of each type by itself.
Fault CheckEach(const CheckArguments& arguments, LPDWORD granted, LPDWORD status) {
  if (!arguments.complete() || granted == nullptr || status == nullptr) return Fault::kNoAccess;
  if (arguments.count == 0) return Fault::kInvalidParameter;
  if (arguments.types == nullptr) return Fault::kNoAccess;
  Decision decision;
  const Fault fault = Decide(arguments, &decision);
  if (fault != Fault::kNone) return fault;
  for (const security::TypeResult& type : decision.by_type) {
    StoreTo<DWORD>(granted++, type.granted);
    StoreTo<DWORD>(status++, decision.ReasonOf(type));
  }
  return Fault::kNone;
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim::authorization;  // NOLINT: the C API below is this file's whole point

extern "C" {

void MapGenericMask(PDWORD AccessMask, PGENERIC_MAPPING GenericMapping) {
  if (AccessMask == nullptr || GenericMapping == nullptr) return;
  *AccessMask = ktlsim::security::MapGeneric(*AccessMask, MappingOf(*GenericMapping));
}

BOOL AccessCheck(PSECURITY_DESCRIPTOR pSecurityDescriptor, HANDLE ClientToken, DWORD DesiredAccess,
                 PGENERIC_MAPPING GenericMapping, PPRIVILEGE_SET PrivilegeSet,
                 LPDWORD PrivilegeSetLength, LPDWORD GrantedAccess, LPBOOL AccessStatus) {
  return TellCaller([&] {
    return Check({.descriptor = pSecurityDescriptor,
                  .client = ClientToken,
                  .desired = DesiredAccess,
                  .mapping = GenericMapping,
                  .room = {PrivilegeSet, PrivilegeSetLength}},
                 GrantedAccess, AccessStatus);
  });
}

BOOL AccessCheckByType(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID PrincipalSelfSid,
                       HANDLE ClientToken, DWORD DesiredAccess, POBJECT_TYPE_LIST ObjectTypeList,
                       DWORD ObjectTypeListLength, PGENERIC_MAPPING GenericMapping,
                       PPRIVILEGE_SET PrivilegeSet, LPDWORD PrivilegeSetLength,
                       LPDWORD GrantedAccess, LPBOOL AccessStatus) {
  return TellCaller([&] {
    return Check({.descriptor = pSecurityDescriptor,
                  .self = PrincipalSelfSid,
                  .client = ClientToken,
                  .desired = DesiredAccess,
                  .types = ObjectTypeList,
                  .count = ObjectTypeList != nullptr ? ObjectTypeListLength : 0,
                  .mapping = GenericMapping,
                  .room = {PrivilegeSet, PrivilegeSetLength}},
                 GrantedAccess, AccessStatus);
  });
}

BOOL AccessCheckByTypeResultList(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID PrincipalSelfSid,
                                 HANDLE ClientToken, DWORD DesiredAccess,
                                 POBJECT_TYPE_LIST ObjectTypeList, DWORD ObjectTypeListLength,
                                 PGENERIC_MAPPING GenericMapping, PPRIVILEGE_SET PrivilegeSet,
                                 LPDWORD PrivilegeSetLength, LPDWORD GrantedAccessList,
                                 LPDWORD AccessStatusList) {
  return TellCaller([&] {
    return CheckEach({.descriptor = pSecurityDescriptor,
                      .self = PrincipalSelfSid,
                      .client = ClientToken,
                      .desired = DesiredAccess,
                      .types = ObjectTypeList,
                      .count = ObjectTypeListLength,
                      .each = true,
                      .mapping = GenericMapping,
                      .room = {PrivilegeSet, PrivilegeSetLength}},
                     GrantedAccessList, AccessStatusList);
  });
}

BOOL AreAllAccessesGranted(DWORD GrantedAccess, DWORD DesiredAccess) {
  return (GrantedAccess & DesiredAccess) == DesiredAccess ? TRUE : FALSE;
}

BOOL AreAnyAccessesGranted(DWORD GrantedAccess, DWORD DesiredAccess) {
  return (GrantedAccess & DesiredAccess) != 0 ? TRUE : FALSE;
}

}  // extern "C"
