// Accesses that are checked and recorded, and what is recorded as it is told, for user mode.
// Records go to the trail of KtlsimOpenAuditTrail (ktlsim/sspi_ext.h); without one nothing is
// recorded, and everything else is the same.
//
// Two tokens count. The client's decides about the access, and whether the SACL asks for a record.
// The token of the process has to have SeAuditPrivilege, enabled, whoever the thread acts as. Both
// are in the record. `HandleId` is a value that records have, and nothing is read there; texts that
// are longer than 1,024 bytes, an object's name than 65,536, are cut. NULL is "".
#pragma once

#include <ktlsim/detail/security_constants.h>
#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// As AccessCheck, for the client as whom the calling thread acts, and records the access if the
/// SACL asks for it. `*pfGenerateOnClose` is for ObjectCloseAuditAlarm and ObjectDeleteAuditAlarm.
/// An access that has to be recorded and cannot be is refused, unless the trail counts such
/// accesses: `*AccessStatus` is FALSE, and the last error ERROR_NO_SYSTEM_RESOURCES.
/// Level: any. Returns: TRUE: the check was made, as of AccessCheck. FALSE, and nothing is stored,
/// with ERROR_NO_IMPERSONATION_TOKEN (the thread acts as the process), ERROR_PRIVILEGE_NOT_HELD,
/// ERROR_INVALID_PARAMETER (a text is no UTF-8); otherwise as AccessCheck.
KTLSIM_API BOOL AccessCheckAndAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId,
                                          LPSTR ObjectTypeName, LPSTR ObjectName,
                                          PSECURITY_DESCRIPTOR SecurityDescriptor,
                                          DWORD DesiredAccess, PGENERIC_MAPPING GenericMapping,
                                          BOOL ObjectCreation, LPDWORD GrantedAccess,
                                          LPBOOL AccessStatus, LPBOOL pfGenerateOnClose);
/// As AccessCheckAndAuditAlarmA, in UTF-16; what is malformed becomes U+FFFD.
KTLSIM_API BOOL AccessCheckAndAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId,
                                          LPWSTR ObjectTypeName, LPWSTR ObjectName,
                                          PSECURITY_DESCRIPTOR SecurityDescriptor,
                                          DWORD DesiredAccess, PGENERIC_MAPPING GenericMapping,
                                          BOOL ObjectCreation, LPDWORD GrantedAccess,
                                          LPBOOL AccessStatus, LPBOOL pfGenerateOnClose);

/// As AccessCheckByType, for the client as whom the calling thread acts, and recorded as
/// AccessCheckAndAuditAlarmA does. `AuditType` does not change the record. With
/// AUDIT_ALLOW_NO_PRIVILEGE the check is made without SeAuditPrivilege, too, and nothing recorded.
/// Level: any. Returns: as AccessCheckAndAuditAlarmA; also ERROR_INVALID_PARAMETER (another
/// `AuditType`, another flag, the list is none), ERROR_INVALID_SID.
KTLSIM_API BOOL AccessCheckByTypeAndAuditAlarmA(
    LPCSTR SubsystemName, LPVOID HandleId, LPCSTR ObjectTypeName, LPCSTR ObjectName,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PSID PrincipalSelfSid, DWORD DesiredAccess,
    AUDIT_EVENT_TYPE AuditType, DWORD Flags, POBJECT_TYPE_LIST ObjectTypeList,
    DWORD ObjectTypeListLength, PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
    LPDWORD GrantedAccess, LPBOOL AccessStatus, LPBOOL pfGenerateOnClose);
/// As AccessCheckByTypeAndAuditAlarmA, in UTF-16.
KTLSIM_API BOOL AccessCheckByTypeAndAuditAlarmW(
    LPCWSTR SubsystemName, LPVOID HandleId, LPCWSTR ObjectTypeName, LPCWSTR ObjectName,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PSID PrincipalSelfSid, DWORD DesiredAccess,
    AUDIT_EVENT_TYPE AuditType, DWORD Flags, POBJECT_TYPE_LIST ObjectTypeList,
    DWORD ObjectTypeListLength, PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
    LPDWORD GrantedAccess, LPBOOL AccessStatus, LPBOOL pfGenerateOnClose);
/// As AccessCheckByTypeAndAuditAlarmA, with a result for each type: as of
/// AccessCheckByTypeResultList, 0 or an error in `AccessStatusList`, which is
/// ERROR_NO_SYSTEM_RESOURCES where the access has to be recorded and cannot be. The access is
/// recorded once, and as a success if any type is granted. The last error stays as it was.
KTLSIM_API BOOL AccessCheckByTypeResultListAndAuditAlarmA(
    LPCSTR SubsystemName, LPVOID HandleId, LPCSTR ObjectTypeName, LPCSTR ObjectName,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PSID PrincipalSelfSid, DWORD DesiredAccess,
    AUDIT_EVENT_TYPE AuditType, DWORD Flags, POBJECT_TYPE_LIST ObjectTypeList,
    DWORD ObjectTypeListLength, PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
    LPDWORD GrantedAccessList, LPDWORD AccessStatusList, LPBOOL pfGenerateOnClose);
/// As AccessCheckByTypeResultListAndAuditAlarmA, in UTF-16.
KTLSIM_API BOOL AccessCheckByTypeResultListAndAuditAlarmW(
    LPCWSTR SubsystemName, LPVOID HandleId, LPCWSTR ObjectTypeName, LPCWSTR ObjectName,
    PSECURITY_DESCRIPTOR SecurityDescriptor, PSID PrincipalSelfSid, DWORD DesiredAccess,
    AUDIT_EVENT_TYPE AuditType, DWORD Flags, POBJECT_TYPE_LIST ObjectTypeList,
    DWORD ObjectTypeListLength, PGENERIC_MAPPING GenericMapping, BOOL ObjectCreation,
    LPDWORD GrantedAccessList, LPDWORD AccessStatusList, LPBOOL pfGenerateOnClose);

/// Records that a client, whose token was opened with TOKEN_QUERY, has opened an object, or was
/// refused it, as the caller says; if the SACL of the descriptor asks for it. Generic rights in the
/// SACL mean themselves. `Privileges` are those that were used; NULL: none. What does not exist,
/// and what is behind the 64th, is counted in the record.
/// Level: any. Returns: FALSE with ERROR_PRIVILEGE_NOT_HELD, ERROR_NO_SYSTEM_RESOURCES (it has to
/// be recorded and cannot be), ERROR_INVALID_PARAMETER, ERROR_INVALID_HANDLE, ERROR_ACCESS_DENIED
/// (the handle), ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY; for the descriptor as AccessCheck.
/// `*GenerateOnClose` is then as it was.
KTLSIM_API BOOL ObjectOpenAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, LPSTR ObjectTypeName,
                                      LPSTR ObjectName, PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                      HANDLE ClientToken, DWORD DesiredAccess, DWORD GrantedAccess,
                                      PPRIVILEGE_SET Privileges, BOOL ObjectCreation,
                                      BOOL AccessGranted, LPBOOL GenerateOnClose);
/// As ObjectOpenAuditAlarmA, in UTF-16.
KTLSIM_API BOOL ObjectOpenAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId, LPWSTR ObjectTypeName,
                                      LPWSTR ObjectName, PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                      HANDLE ClientToken, DWORD DesiredAccess, DWORD GrantedAccess,
                                      PPRIVILEGE_SET Privileges, BOOL ObjectCreation,
                                      BOOL AccessGranted, LPBOOL GenerateOnClose);

/// Records that a handle was closed, if opening it gave `GenerateOnClose`; else there is nothing to
/// do. The client is the one as whom the thread acts, if any.
/// Level: any. Returns: FALSE with ERROR_PRIVILEGE_NOT_HELD, ERROR_NO_SYSTEM_RESOURCES,
/// ERROR_INVALID_PARAMETER, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL ObjectCloseAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId, BOOL GenerateOnClose);
/// As ObjectCloseAuditAlarmA, in UTF-16.
KTLSIM_API BOOL ObjectCloseAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId,
                                       BOOL GenerateOnClose);
/// As ObjectCloseAuditAlarmA, for an object that is deleted.
KTLSIM_API BOOL ObjectDeleteAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId,
                                        BOOL GenerateOnClose);
/// As ObjectDeleteAuditAlarmA, in UTF-16.
KTLSIM_API BOOL ObjectDeleteAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId,
                                        BOOL GenerateOnClose);

/// Records that a client has used privileges on an object that is open, or tried to; always, and as
/// the caller says.
/// Level: any. Returns: as ObjectOpenAuditAlarmA, without a descriptor; ERROR_NOACCESS:
/// `Privileges` is NULL.
KTLSIM_API BOOL ObjectPrivilegeAuditAlarmA(LPCSTR SubsystemName, LPVOID HandleId,
                                           HANDLE ClientToken, DWORD DesiredAccess,
                                           PPRIVILEGE_SET Privileges, BOOL AccessGranted);
/// As ObjectPrivilegeAuditAlarmA, in UTF-16.
KTLSIM_API BOOL ObjectPrivilegeAuditAlarmW(LPCWSTR SubsystemName, LPVOID HandleId,
                                           HANDLE ClientToken, DWORD DesiredAccess,
                                           PPRIVILEGE_SET Privileges, BOOL AccessGranted);
/// As ObjectPrivilegeAuditAlarmA, for a service that needs privileges, in the place of an object.
KTLSIM_API BOOL PrivilegedServiceAuditAlarmA(LPCSTR SubsystemName, LPCSTR ServiceName,
                                             HANDLE ClientToken, PPRIVILEGE_SET Privileges,
                                             BOOL AccessGranted);
/// As PrivilegedServiceAuditAlarmA, in UTF-16.
KTLSIM_API BOOL PrivilegedServiceAuditAlarmW(LPCWSTR SubsystemName, LPCWSTR ServiceName,
                                             HANDLE ClientToken, PPRIVILEGE_SET Privileges,
                                             BOOL AccessGranted);

#ifdef __cplusplus
}  // extern "C"
#endif

#ifdef UNICODE
#define AccessCheckAndAuditAlarm AccessCheckAndAuditAlarmW
#define AccessCheckByTypeAndAuditAlarm AccessCheckByTypeAndAuditAlarmW
#define AccessCheckByTypeResultListAndAuditAlarm AccessCheckByTypeResultListAndAuditAlarmW
#define ObjectOpenAuditAlarm ObjectOpenAuditAlarmW
#define ObjectCloseAuditAlarm ObjectCloseAuditAlarmW
#define ObjectDeleteAuditAlarm ObjectDeleteAuditAlarmW
#define ObjectPrivilegeAuditAlarm ObjectPrivilegeAuditAlarmW
#define PrivilegedServiceAuditAlarm PrivilegedServiceAuditAlarmW
#else
#define AccessCheckAndAuditAlarm AccessCheckAndAuditAlarmA
#define AccessCheckByTypeAndAuditAlarm AccessCheckByTypeAndAuditAlarmA
#define AccessCheckByTypeResultListAndAuditAlarm AccessCheckByTypeResultListAndAuditAlarmA
#define ObjectOpenAuditAlarm ObjectOpenAuditAlarmA
#define ObjectCloseAuditAlarm ObjectCloseAuditAlarmA
#define ObjectDeleteAuditAlarm ObjectDeleteAuditAlarmA
#define ObjectPrivilegeAuditAlarm ObjectPrivilegeAuditAlarmA
#define PrivilegedServiceAuditAlarm PrivilegedServiceAuditAlarmA
#endif
