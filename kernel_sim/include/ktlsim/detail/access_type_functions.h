// Access checks of an object's parts, for user mode: its property sets and properties, in a list.
//
// The first entry alone has level 0, and names the object. Each entry is at most one level deeper
// than the one before it, and no level is above ACCESS_MAX_LEVEL; no type is there twice. An entry
// of an access control list for a type counts for that type and all below it.
#pragma once

#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// As AccessCheck, of the object with its parts. `PrincipalSelfSid`, which may be NULL, is what
/// S-1-5-10 stands for; without a list it is AccessCheck.
/// Level: any. Returns: also FALSE with ERROR_INVALID_PARAMETER (no such list, or above 1,024
/// entries), ERROR_INVALID_SID, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL AccessCheckByType(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID PrincipalSelfSid,
                                  HANDLE ClientToken, DWORD DesiredAccess,
                                  POBJECT_TYPE_LIST ObjectTypeList, DWORD ObjectTypeListLength,
                                  PGENERIC_MAPPING GenericMapping, PPRIVILEGE_SET PrivilegeSet,
                                  LPDWORD PrivilegeSetLength, LPDWORD GrantedAccess,
                                  LPBOOL AccessStatus);
/// As AccessCheckByType, for each entry of the list by itself: what is granted, and an error
/// number, ERROR_SUCCESS if it is all that was asked for. The last error stays as it was. Level:
/// any. Returns: as AccessCheckByType; an empty list is ERROR_INVALID_PARAMETER.
KTLSIM_API BOOL AccessCheckByTypeResultList(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                            PSID PrincipalSelfSid, HANDLE ClientToken,
                                            DWORD DesiredAccess, POBJECT_TYPE_LIST ObjectTypeList,
                                            DWORD ObjectTypeListLength,
                                            PGENERIC_MAPPING GenericMapping,
                                            PPRIVILEGE_SET PrivilegeSet, LPDWORD PrivilegeSetLength,
                                            LPDWORD GrantedAccessList, LPDWORD AccessStatusList);
/// Whether all desired rights are among the granted ones. Level: any. Returns: TRUE or FALSE, no
/// error.
KTLSIM_API BOOL AreAllAccessesGranted(DWORD GrantedAccess, DWORD DesiredAccess);
/// Whether one of the desired rights is among the granted ones. Level: any. Returns: TRUE or FALSE,
/// no error.
KTLSIM_API BOOL AreAnyAccessesGranted(DWORD GrantedAccess, DWORD DesiredAccess);

#ifdef __cplusplus
}  // extern "C"
#endif
