// Logging on with a name and a password, for user mode. The accounts are those of
// KtlsimLoadAccounts (ktlsim/sspi_ext.h).
#pragma once

#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Logs an account on, in a session of its own that lives as long as a token of it, and opens its
/// token for everything: an impersonation token for LOGON32_LOGON_NETWORK, otherwise a primary one.
/// Texts are UTF-8, at most 1,024 bytes long; a domain of NULL, "" or "." is that of the accounts,
/// and without a domain the name may be a user principal name; a password of NULL is "".
///
/// The session keeps the password, in locked memory, so that whoever acts as the account has it as
/// the default credentials of "WDigest" (AcquireCredentialsHandle without pAuthData);
/// LOGON32_LOGON_NETWORK keeps none. LOGON32_LOGON_NEW_CREDENTIALS verifies nothing: the token is
/// the caller's own, a primary copy, with these credentials for the network.
///
/// It waits, for some seconds where many log on, and up to 30 after wrong passwords of this name.
/// KtlsimStop ends that. Level: passive. Returns: FALSE with ERROR_LOGON_FAILURE (the name or the
/// password is wrong; which, nobody is told); after the right password ERROR_ACCOUNT_DISABLED,
/// ERROR_ACCOUNT_LOCKED_OUT, ERROR_ACCOUNT_EXPIRED, ERROR_LOGON_TYPE_NOT_GRANTED,
/// ERROR_PASSWORD_MUST_CHANGE, ERROR_PASSWORD_EXPIRED; ERROR_NO_LOGON_SERVERS (there are no
/// accounts, or KtlsimStop came), ERROR_NO_SYSTEM_RESOURCES (too many log on, or no memory can be
/// locked), ERROR_INVALID_LOGON_TYPE (another type, LOGON32_LOGON_UNLOCK too),
/// ERROR_INVALID_PARAMETER (no name, a text that is too long or malformed, another provider),
/// ERROR_NOACCESS (no place for the handle), ERROR_NOT_SUPPORTED (above passive level),
/// ERROR_NOT_ENOUGH_MEMORY. `*phToken` is then as it was.
KTLSIM_API BOOL LogonUserA(LPCSTR lpszUsername, LPCSTR lpszDomain, LPCSTR lpszPassword,
                           DWORD dwLogonType, DWORD dwLogonProvider, PHANDLE phToken);
/// As LogonUserA, in UTF-16.
KTLSIM_API BOOL LogonUserW(LPCWSTR lpszUsername, LPCWSTR lpszDomain, LPCWSTR lpszPassword,
                           DWORD dwLogonType, DWORD dwLogonProvider, PHANDLE phToken);

#ifdef __cplusplus
}  // extern "C"
#endif

#ifdef UNICODE
#define LogonUser LogonUserW
#else
#define LogonUser LogonUserA
#endif
