// Functions of tokens, impersonation and access checks, for user mode.
//
// Each returns TRUE, or FALSE with the reason as the thread's last error (GetLastError); a function
// that succeeds leaves the last error as it was, unless it says otherwise. A handle of a token
// belongs to whoever opened it, until CloseHandle; it is good for what it was opened for.
#pragma once

#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- The last error and handles -----------------------------------------------------------------

/// The last error of the calling thread, an ERROR_ number; 0 when the thread has begun or a
/// callback was entered. Level: any. Returns: it.
KTLSIM_API DWORD KtlsimGetLastError(void);
/// Sets the last error of the calling thread. Level: any.
KTLSIM_API void KtlsimSetLastError(DWORD dwErrCode);
/// Closes a handle that the caller has opened; who got the token through it keeps it. A pseudo
/// handle is closed without effect. Level: any. Returns: FALSE with ERROR_INVALID_HANDLE: it is
/// closed already, none, or belongs to somebody else, as that of SECPKG_ATTR_ACCESS_TOKEN does.
KTLSIM_API BOOL KtlsimCloseHandle(HANDLE hObject);
/// The pseudo handle of this process. Level: any. Returns: it; there is nothing to close.
KTLSIM_API HANDLE KtlsimGetCurrentProcess(void);
/// The pseudo handle of the calling thread. Level: any. Returns: it; there is nothing to close.
KTLSIM_API HANDLE KtlsimGetCurrentThread(void);

#ifndef KTLSIM_NO_KERNEL32_NAMES
/// As KtlsimGetLastError, under the name that it has on Windows.
KTLSIM_API DWORD GetLastError(void);
/// As KtlsimSetLastError, under the name that it has on Windows.
KTLSIM_API void SetLastError(DWORD dwErrCode);
/// As KtlsimCloseHandle, under the name that it has on Windows.
KTLSIM_API BOOL CloseHandle(HANDLE hObject);
/// As KtlsimGetCurrentProcess, under the name that it has on Windows.
KTLSIM_API HANDLE GetCurrentProcess(void);
/// As KtlsimGetCurrentThread, under the name that it has on Windows.
KTLSIM_API HANDLE GetCurrentThread(void);
#endif

// The pseudo handles of the process's token, of the thread's, and of the one under which the thread
// acts: for queries, and nothing to close.
static inline HANDLE GetCurrentProcessToken(void) { return (HANDLE)(intptr_t)-4; }
static inline HANDLE GetCurrentThreadToken(void) { return (HANDLE)(intptr_t)-5; }
static inline HANDLE GetCurrentThreadEffectiveToken(void) { return (HANDLE)(intptr_t)-6; }

// ---- Tokens -------------------------------------------------------------------------------------

/// Opens the token of this process, as whoever the thread acts as: its user, the system and the
/// user of the process may do everything with a token, and others nothing.
/// Level: any. Returns: FALSE with ERROR_ACCESS_DENIED, ERROR_BAD_IMPERSONATION_LEVEL (it acts at
/// anonymous or identification level), ERROR_INVALID_HANDLE (another process), ERROR_NOACCESS (no
/// place for the handle), ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL OpenProcessToken(HANDLE ProcessHandle, DWORD DesiredAccess, PHANDLE TokenHandle);
/// Opens the token under which the calling thread acts; with `OpenAsSelf` as the process, otherwise
/// as the thread itself, which it may not do at the level of identification.
/// Level: any. Returns: FALSE with ERROR_NO_TOKEN (it acts as the process),
/// ERROR_CANT_OPEN_ANONYMOUS, ERROR_BAD_IMPERSONATION_LEVEL; otherwise as OpenProcessToken.
KTLSIM_API BOOL OpenThreadToken(HANDLE ThreadHandle, DWORD DesiredAccess, BOOL OpenAsSelf,
                                PHANDLE TokenHandle);
/// As DuplicateTokenEx, an impersonation token for TOKEN_QUERY and TOKEN_IMPERSONATE.
KTLSIM_API BOOL DuplicateToken(HANDLE ExistingTokenHandle,
                               SECURITY_IMPERSONATION_LEVEL ImpersonationLevel,
                               PHANDLE DuplicateTokenHandle);
/// Makes a copy of a token that was opened with TOKEN_DUPLICATE. An access of 0 is that of the
/// handle. The attributes are not looked at: no process inherits a handle.
/// Level: any. Returns: FALSE with ERROR_BAD_IMPERSONATION_LEVEL (a copy can do no more than the
/// token, and a primary one needs SecurityImpersonation), ERROR_INVALID_PARAMETER (no such type or
/// level), ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE, ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL DuplicateTokenEx(HANDLE hExistingToken, DWORD dwDesiredAccess,
                                 LPSECURITY_ATTRIBUTES lpTokenAttributes,
                                 SECURITY_IMPERSONATION_LEVEL ImpersonationLevel,
                                 TOKEN_TYPE TokenType, PHANDLE phNewToken);
/// Stores what a token has: the classes 1 to 13, 15, 17, 18, 20, 21, 25, 27 to 29 and 40. All of it
/// is in the one buffer, and pointers in it point into it. TOKEN_QUERY; TokenSource needs
/// TOKEN_QUERY_SOURCE. `ReturnLength` receives the bytes that are needed.
/// Level: any. Returns: FALSE with ERROR_INSUFFICIENT_BUFFER (nothing but the length is stored),
/// ERROR_INVALID_PARAMETER (another class, or the level of a primary token), ERROR_ACCESS_DENIED,
/// ERROR_INVALID_HANDLE, ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL GetTokenInformation(HANDLE TokenHandle,
                                    TOKEN_INFORMATION_CLASS TokenInformationClass,
                                    LPVOID TokenInformation, DWORD TokenInformationLength,
                                    PDWORD ReturnLength);
/// Whether a token has restricting SIDs. TOKEN_QUERY. Level: any. Returns: FALSE with
/// ERROR_SUCCESS: it has none; otherwise ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE.
KTLSIM_API BOOL IsTokenRestricted(HANDLE TokenHandle);

// ---- Acting as somebody else --------------------------------------------------------------------

/// The calling thread acts as this token from now on, or as a copy of a primary one, instead of as
/// anybody else. A primary token needs TOKEN_QUERY and TOKEN_DUPLICATE, an impersonation token
/// TOKEN_QUERY and TOKEN_IMPERSONATE. Without SeImpersonatePrivilege in the process's token it is
/// at the level of identification, unless it is its own user. On failure the thread acts as before.
/// Level: any. Returns: FALSE with ERROR_ACCESS_DENIED, ERROR_INVALID_HANDLE,
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL ImpersonateLoggedOnUser(HANDLE hToken);
/// The calling thread acts as a copy of the process's token.
/// Level: any. Returns: FALSE with ERROR_INVALID_PARAMETER (no such level),
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL ImpersonateSelf(SECURITY_IMPERSONATION_LEVEL ImpersonationLevel);
/// The calling thread acts as the process again. Level: any. Returns: TRUE, also if it did so.
KTLSIM_API BOOL RevertToSelf(void);
/// As ImpersonateLoggedOnUser, for an impersonation token with TOKEN_IMPERSONATE; a NULL token is
/// RevertToSelf. `Thread` is NULL or points to the pseudo handle of the calling thread.
/// Level: any. Returns: also FALSE with ERROR_BAD_TOKEN_TYPE: it is a primary token.
KTLSIM_API BOOL SetThreadToken(PHANDLE Thread, HANDLE Token);

// ---- Access checks ------------------------------------------------------------------------------

/// Replaces the generic rights in `*AccessMask`. Level: any.
KTLSIM_API void MapGenericMask(PDWORD AccessMask, PGENERIC_MAPPING GenericMapping);
/// Whether the client of an impersonation token, opened with TOKEN_QUERY, has these rights to an
/// object with this descriptor of either form. Level: any. Returns: TRUE: the check was made;
/// `*AccessStatus` says how it ended, and if FALSE, the last error why (ERROR_ACCESS_DENIED or
/// ERROR_PRIVILEGE_NOT_HELD). FALSE, and nothing is stored, with ERROR_NOACCESS (NULL),
/// ERROR_INVALID_HANDLE, ERROR_ACCESS_DENIED, ERROR_NO_IMPERSONATION_TOKEN,
/// ERROR_BAD_IMPERSONATION_LEVEL (anonymous), ERROR_GENERIC_NOT_MAPPED,
/// ERROR_INVALID_SECURITY_DESCR (without an owner or a group), ERROR_UNKNOWN_REVISION,
/// ERROR_INVALID_SID, ERROR_INVALID_ACL; with ERROR_INSUFFICIENT_BUFFER `*PrivilegeSetLength` is
/// what the privileges need.
KTLSIM_API BOOL AccessCheck(PSECURITY_DESCRIPTOR pSecurityDescriptor, HANDLE ClientToken,
                            DWORD DesiredAccess, PGENERIC_MAPPING GenericMapping,
                            PPRIVILEGE_SET PrivilegeSet, LPDWORD PrivilegeSetLength,
                            LPDWORD GrantedAccess, LPBOOL AccessStatus);

#ifdef __cplusplus
}  // extern "C"
#endif
