// Starting a process for somebody else, for user mode.
#pragma once

#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Starts a program in the logon session of a token: a primary one, opened with TOKEN_QUERY,
/// TOKEN_DUPLICATE and TOKEN_ASSIGN_PRIMARY. The token of the process has to have
/// SeIncreaseQuotaPrivilege, and SeAssignPrimaryTokenPrivilege as well unless the token is a copy
/// of its own that can do no more; they need not be enabled.
///
/// With KTLSIM_IMPERSONATE_OS (ktlsim/sspi_ext.h) the new process is the Unix user of the token's
/// account for good, or uid 65534 where that has none, and has no capability; the program has to be
/// one that this user may run. Otherwise it is with the operating system what this one is, and so
/// it is with a token of this process's own, whomever this thread acts as. It learns the token's
/// identity from its environment: the variables KTLSIM_TOKEN_USER and so on, which
/// kernel_sim/authorization/README.md lists, take the place of any that begin with KTLSIM_TOKEN_.
///
/// `lpApplicationName` is a path. With NULL the first word of `lpCommandLine` is the program,
/// looked for in PATH if it has no slash. A relative path begins in the folder of this process,
/// also where the program runs in another; entries of PATH that are empty or relative are left out.
/// The command line, of at most 32,767 characters, is split
/// at blanks; double quotes hold words together, a backslash before a quote makes it a character.
/// `lpEnvironment` has texts one behind the other and an empty one at the end, in UTF-8, or in
/// UTF-16 with CREATE_UNICODE_ENVIRONMENT; NULL is the environment of this process. The new process
/// begins with the default action for every signal, none of them blocked.
///
/// The new process has descriptors 0, 1 and 2 as this one has them, or, with STARTF_USESTDHANDLES,
/// the descriptors that `lpStartupInfo` names as handles ((HANDLE)(intptr_t)fd);
/// INVALID_HANDLE_VALUE is /dev/null, which also stands for what is not open. With
/// `bInheritHandles` it has those of the others that do not close on exec, else none. No handle of
/// this library is inherited, nor is a password or a key.
///
/// Of `dwCreationFlags` CREATE_NEW_PROCESS_GROUP makes a group, DETACHED_PROCESS a session of Unix,
/// and CREATE_NO_WINDOW changes nothing. `hProcess` is for CloseHandle, and keeps the token and its
/// session until then; `hThread` is NULL. `dwProcessId` is the process as Unix counts it: the
/// caller waits for it with waitpid, and learns its exit status there.
///
/// Level: passive; it waits until the program runs, 30 s at most. Returns: FALSE with
/// ERROR_BAD_TOKEN_TYPE (an impersonation token), ERROR_PRIVILEGE_NOT_HELD, ERROR_ACCESS_DENIED
/// (the token's handle, or the program or the folder may not be used), ERROR_INVALID_HANDLE (the
/// token's, or a standard handle), ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND (too long, or a loop
/// of links), ERROR_DIRECTORY (the folder is none), ERROR_BAD_EXE_FORMAT (nothing that can be run),
/// ERROR_INVALID_PARAMETER (another flag, CREATE_SUSPENDED too; security attributes; no program; a
/// text that is empty, malformed or too long; the size in `lpStartupInfo`; more texts than a
/// program can be given), ERROR_NOACCESS, ERROR_NOT_SUPPORTED (above passive level),
/// ERROR_NO_SYSTEM_RESOURCES (no more processes or descriptors), ERROR_NOT_ENOUGH_MEMORY,
/// ERROR_TIMEOUT (the program did not run within 30 s: its folder hangs, or somebody has stopped
/// it), ERROR_PROCESS_ABORTED (somebody has ended it before it ran).
/// `*lpProcessInformation` is then as it was, and there is no process: after ERROR_TIMEOUT it is
/// ended, except for one that has become another user already where this process lacks CAP_KILL.
/// That one runs nothing of the program's until it goes on, if it ever does.
KTLSIM_API BOOL CreateProcessAsUserA(HANDLE hToken, LPCSTR lpApplicationName, LPSTR lpCommandLine,
                                     LPSECURITY_ATTRIBUTES lpProcessAttributes,
                                     LPSECURITY_ATTRIBUTES lpThreadAttributes, BOOL bInheritHandles,
                                     DWORD dwCreationFlags, LPVOID lpEnvironment,
                                     LPCSTR lpCurrentDirectory, LPSTARTUPINFOA lpStartupInfo,
                                     LPPROCESS_INFORMATION lpProcessInformation);
/// As CreateProcessAsUserA, in UTF-16. `lpCommandLine` is not written to.
KTLSIM_API BOOL CreateProcessAsUserW(HANDLE hToken, LPCWSTR lpApplicationName, LPWSTR lpCommandLine,
                                     LPSECURITY_ATTRIBUTES lpProcessAttributes,
                                     LPSECURITY_ATTRIBUTES lpThreadAttributes, BOOL bInheritHandles,
                                     DWORD dwCreationFlags, LPVOID lpEnvironment,
                                     LPCWSTR lpCurrentDirectory, LPSTARTUPINFOW lpStartupInfo,
                                     LPPROCESS_INFORMATION lpProcessInformation);

#ifdef __cplusplus
}  // extern "C"
#endif

#ifdef UNICODE
#define CreateProcessAsUser CreateProcessAsUserW
#else
#define CreateProcessAsUser CreateProcessAsUserA
#endif
