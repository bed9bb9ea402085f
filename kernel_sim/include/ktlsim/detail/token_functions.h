// Functions that change a token, ask what it has, and make one that can do less; for user mode.
//
// Each returns TRUE, or FALSE with the reason as the thread's last error (GetLastError). What is
// passed in is read once, and need not be aligned; what is stored may overlap it. A change holds
// for everybody who has the token, the next time they ask.
#pragma once

#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Enables, disables and removes privileges that a token has; none is added.
/// SE_PRIVILEGE_REMOVED takes one away for good, whatever else is asked for it.
/// TOKEN_ADJUST_PRIVILEGES, and TOKEN_QUERY where `PreviousState` is wanted: the privileges that
/// have changed and are still there, as they were. `*ReturnLength` receives its bytes, and is not
/// looked at without it. Level: any. Returns: TRUE with the last error ERROR_SUCCESS, or
/// ERROR_NOT_ALL_ASSIGNED: the token lacks some of them, the others are done. FALSE, and nothing
/// has changed, with ERROR_INSUFFICIENT_BUFFER (of `PreviousState`), ERROR_INVALID_PARAMETER
/// (`NewState` is NULL or names more than 64), ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE,
/// ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL AdjustTokenPrivileges(HANDLE TokenHandle, BOOL DisableAllPrivileges,
                                      PTOKEN_PRIVILEGES NewState, DWORD BufferLength,
                                      PTOKEN_PRIVILEGES PreviousState, PDWORD ReturnLength);
/// Enables (SE_GROUP_ENABLED) and disables groups that a token has, or makes all as they were by
/// default. TOKEN_ADJUST_GROUPS, and TOKEN_QUERY where `PreviousState` is wanted.
/// Level: any. Returns: TRUE with the last error ERROR_SUCCESS, or ERROR_NOT_ALL_ASSIGNED: it lacks
/// some, or they only deny. FALSE, and nothing has changed, with ERROR_CANT_DISABLE_MANDATORY,
/// ERROR_INVALID_SID, ERROR_INVALID_PARAMETER (`NewState` is NULL or names more than 1,024);
/// otherwise as AdjustTokenPrivileges.
KTLSIM_API BOOL AdjustTokenGroups(HANDLE TokenHandle, BOOL ResetToDefault, PTOKEN_GROUPS NewState,
                                  DWORD BufferLength, PTOKEN_GROUPS PreviousState,
                                  PDWORD ReturnLength);
/// Sets TokenOwner, TokenPrimaryGroup and TokenDefaultDacl (TOKEN_ADJUST_DEFAULT; a DACL may be
/// NULL), and TokenSessionId (TOKEN_ADJUST_SESSIONID, and SeTcbPrivilege of the process). All is
/// copied.
/// Level: any. Returns: FALSE with ERROR_BAD_LENGTH (too short), ERROR_NOACCESS (NULL),
/// ERROR_INVALID_PARAMETER (another class), ERROR_INVALID_OWNER (neither the user nor a group with
/// SE_GROUP_OWNER), ERROR_INVALID_PRIMARY_GROUP (not in the token), ERROR_INVALID_SID,
/// ERROR_INVALID_ACL, ERROR_PRIVILEGE_NOT_HELD, ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE,
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL SetTokenInformation(HANDLE TokenHandle,
                                    TOKEN_INFORMATION_CLASS TokenInformationClass,
                                    LPVOID TokenInformation, DWORD TokenInformationLength);
/// Whether a token has privileges enabled: all of them with PRIVILEGE_SET_ALL_NECESSARY in
/// `Control`, else any. Those that it has get SE_PRIVILEGE_USED_FOR_ACCESS. TOKEN_QUERY, on a token
/// of either type.
/// Level: any. Returns: TRUE: `*pfResult` says it. FALSE, and nothing is stored, with
/// ERROR_BAD_IMPERSONATION_LEVEL (anonymous), ERROR_INVALID_PARAMETER (more than 64),
/// ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE, ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL PrivilegeCheck(HANDLE ClientToken, PPRIVILEGE_SET RequiredPrivileges,
                               LPBOOL pfResult);
/// Whether a SID is in an impersonation token and enabled, and in a restricted one among the
/// restricting SIDs as well. TOKEN_QUERY. Without a token: in that under which the thread acts.
/// Level: any. Returns: FALSE, `*IsMember` too, with ERROR_NO_IMPERSONATION_TOKEN (a primary one),
/// ERROR_BAD_IMPERSONATION_LEVEL (anonymous), ERROR_INVALID_SID, ERROR_ACCESS_DENIED,
/// ERROR_INVALID_HANDLE, ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL CheckTokenMembership(HANDLE TokenHandle, PSID SidToCheck, PBOOL IsMember);
/// Makes a copy that can do less, of the same type and for the same access. TOKEN_DUPLICATE. SIDs
/// to disable only deny from then on, the user and mandatory groups too; what the token lacks is
/// ignored. DISABLE_MAX_PRIVILEGE leaves SeChangeNotifyPrivilege, whatever is named. Of the SIDs to
/// restrict and those that restrict the token already the common ones do; with WRITE_RESTRICTED for
/// write access only. LUA_TOKEN makes an administrator a standard user, beside what is named: the
/// groups that administer only deny, SeChangeNotify, SeShutdown, SeUndock, SeIncreaseWorkingSet and
/// SeTimeZone stay of the privileges, and the integrity is medium at most.
/// Level: any. Returns: FALSE with ERROR_INVALID_PARAMETER (a flag, attributes of a SID to
/// restrict, more than 1,024 SIDs or 64 privileges), ERROR_INVALID_SID, ERROR_ACCESS_DENIED,
/// ERROR_INVALID_HANDLE, ERROR_NOACCESS (a NULL array that has elements, no place for the handle),
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL CreateRestrictedToken(HANDLE ExistingTokenHandle, DWORD Flags,
                                      DWORD DisableSidCount, PSID_AND_ATTRIBUTES SidsToDisable,
                                      DWORD DeletePrivilegeCount,
                                      PLUID_AND_ATTRIBUTES PrivilegesToDelete,
                                      DWORD RestrictedSidCount, PSID_AND_ATTRIBUTES SidsToRestrict,
                                      PHANDLE NewTokenHandle);
/// The calling thread acts as nobody: S-1-5-7 without a group, of the lowest integrity. Without
/// SeImpersonatePrivilege in the process's token at the level of identification. `ThreadHandle` is
/// the pseudo handle of the calling thread.
/// Level: any. Returns: FALSE with ERROR_INVALID_HANDLE, ERROR_ACCESS_DENIED (the process's token
/// is restricted), ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL ImpersonateAnonymousToken(HANDLE ThreadHandle);

#ifdef __cplusplus
}  // extern "C"
#endif
