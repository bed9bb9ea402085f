// Tokens, impersonation, access checks, SIDs, access control lists and security descriptors, with
// the names, values and layouts of 64-bit Windows (winnt.h, winerror.h, securitybaseapi.h). C11 and
// C++20; needs no other header, and can be included beside sspi.h in any order. In kernel mode
// (SECURITY_KERNEL) types and constants only.
//
// KTLSIM_NO_KERNEL32_NAMES, defined before, leaves out GetLastError, SetLastError, CloseHandle,
// LocalAlloc, LocalFree, GetCurrentProcess and GetCurrentThread, for programs that have their own:
// KtlsimGetLastError and so on do the same.
//
// A newcomer's mistakes: the array of TOKEN_PRIVILEGES begins at offset 4, its elements have 12
// bytes; a self-relative descriptor has a header of 20 bytes, an absolute one has 40.
#pragma once

#include <ktlsim/detail/access.h>
#include <ktlsim/detail/mode.h>
#include <ktlsim/detail/security_constants.h>
#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>

#if ISSP_MODE != 0
#include <ktlsim/detail/access_type_functions.h>
#include <ktlsim/detail/acl_functions.h>
#include <ktlsim/detail/audit_functions.h>
#include <ktlsim/detail/descriptor_functions.h>
#include <ktlsim/detail/logon_functions.h>
#include <ktlsim/detail/lookup_functions.h>
#include <ktlsim/detail/process_functions.h>
#include <ktlsim/detail/security_functions.h>
#include <ktlsim/detail/sid_functions.h>
#include <ktlsim/detail/token_functions.h>
#endif
