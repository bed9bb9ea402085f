// Names of privileges and accounts, for user mode.
//
// Each returns TRUE, or FALSE with the reason as the thread's last error (GetLastError). A length
// of a text is in characters: when the buffer is too small it becomes what is needed with the null
// at the end, otherwise what is stored, without it. A system's name is NULL or "": this machine.
//
// Accounts are those that mean the same everywhere, such as BUILTIN\Administrators; those of the
// file of KtlsimLoadAccounts (ktlsim/sspi_ext.h), users and groups, in its own domain; and the
// users and groups of this machine, in the domains "Unix User" and "Unix Group". A name without a
// domain is looked for in this order.
#pragma once

#include <ktlsim/detail/security_constants.h>
#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The number of a privilege by its name, such as SE_AUDIT_NAME, in either case. Level: any.
/// Returns: FALSE with ERROR_NO_SUCH_PRIVILEGE, ERROR_INVALID_PARAMETER (another machine, a NULL
/// name), ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL LookupPrivilegeValueA(LPCSTR lpSystemName, LPCSTR lpName, PLUID lpLuid);
/// As LookupPrivilegeValueA, in UTF-16.
KTLSIM_API BOOL LookupPrivilegeValueW(LPCWSTR lpSystemName, LPCWSTR lpName, PLUID lpLuid);
/// The name of a privilege by its number. Level: any. Returns: FALSE with
/// ERROR_INSUFFICIENT_BUFFER; otherwise as LookupPrivilegeValueA.
KTLSIM_API BOOL LookupPrivilegeNameA(LPCSTR lpSystemName, PLUID lpLuid, LPSTR lpName,
                                     LPDWORD cchName);
/// As LookupPrivilegeNameA, in UTF-16.
KTLSIM_API BOOL LookupPrivilegeNameW(LPCWSTR lpSystemName, PLUID lpLuid, LPWSTR lpName,
                                     LPDWORD cchName);

/// The name and the domain of an account by its SID. Without a buffer that would be large enough
/// only the length is stored. Level: passive; the machine may ask a server. Returns: FALSE with
/// ERROR_NONE_MAPPED, ERROR_INSUFFICIENT_BUFFER (both lengths are what is needed),
/// ERROR_INVALID_SID, ERROR_INVALID_PARAMETER (another machine), ERROR_NOACCESS,
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL LookupAccountSidA(LPCSTR lpSystemName, PSID Sid, LPSTR Name, LPDWORD cchName,
                                  LPSTR ReferencedDomainName, LPDWORD cchReferencedDomainName,
                                  PSID_NAME_USE peUse);
/// As LookupAccountSidA, in UTF-16.
KTLSIM_API BOOL LookupAccountSidW(LPCWSTR lpSystemName, PSID Sid, LPWSTR Name, LPDWORD cchName,
                                  LPWSTR ReferencedDomainName, LPDWORD cchReferencedDomainName,
                                  PSID_NAME_USE peUse);
/// The SID and the domain of an account by its name: name, domain\name or name@domain, also the
/// user principal name of a loaded account. Case counts in names of Unix only. Level: passive; the
/// machine may ask a server. Returns: FALSE with ERROR_NONE_MAPPED, ERROR_INSUFFICIENT_BUFFER (both
/// lengths are what is needed), ERROR_INVALID_PARAMETER (another machine, a NULL name),
/// ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL LookupAccountNameA(LPCSTR lpSystemName, LPCSTR lpAccountName, PSID Sid,
                                   LPDWORD cbSid, LPSTR ReferencedDomainName,
                                   LPDWORD cchReferencedDomainName, PSID_NAME_USE peUse);
/// As LookupAccountNameA, in UTF-16.
KTLSIM_API BOOL LookupAccountNameW(LPCWSTR lpSystemName, LPCWSTR lpAccountName, PSID Sid,
                                   LPDWORD cbSid, LPWSTR ReferencedDomainName,
                                   LPDWORD cchReferencedDomainName, PSID_NAME_USE peUse);
/// The name, without a domain, of whoever the calling thread acts as. Level: passive; the machine
/// may ask a server. Returns: FALSE with ERROR_NONE_MAPPED, ERROR_INSUFFICIENT_BUFFER,
/// ERROR_NOACCESS, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL GetUserNameA(LPSTR lpBuffer, LPDWORD pcbBuffer);
/// As GetUserNameA, in UTF-16.
KTLSIM_API BOOL GetUserNameW(LPWSTR lpBuffer, LPDWORD pcbBuffer);
/// A number that nothing else in this process has had. Level: any. Returns: FALSE with
/// ERROR_NOACCESS.
KTLSIM_API BOOL AllocateLocallyUniqueId(PLUID Luid);

#ifdef __cplusplus
}  // extern "C"
#endif

#ifdef UNICODE
#define LookupPrivilegeValue LookupPrivilegeValueW
#define LookupPrivilegeName LookupPrivilegeNameW
#define LookupAccountSid LookupAccountSidW
#define LookupAccountName LookupAccountNameW
#define GetUserName GetUserNameW
#else
#define LookupPrivilegeValue LookupPrivilegeValueA
#define LookupPrivilegeName LookupPrivilegeNameA
#define LookupAccountSid LookupAccountSidA
#define LookupAccountName LookupAccountNameA
#define GetUserName GetUserNameA
#endif
