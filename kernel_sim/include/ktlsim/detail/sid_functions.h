// SIDs and their text, and the memory that functions of this API give; for user mode.
//
// Each returns TRUE, or FALSE with the reason as the thread's last error (GetLastError), unless it
// says otherwise. A SID that is NULL, of another revision or of more than 15 sub-authorities is
// invalid. No SID needs to be aligned, and what is stored may overlap what is read.
#pragma once

#include <ktlsim/detail/security_constants.h>
#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Memory -------------------------------------------------------------------------------------

/// Allocates memory for LocalFree, always filled with zeros. The flags may be LMEM_FIXED and
/// LMEM_ZEROINIT. Level: any. Returns: NULL with ERROR_INVALID_PARAMETER (another flag),
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API HLOCAL KtlsimLocalAlloc(UINT uFlags, SIZE_T uBytes);
/// Frees what a function of this API has given for it, never what is FreeContextBuffer's or
/// FreeSid's. Level: any. Returns: NULL; the pointer itself with ERROR_INVALID_HANDLE: it is
/// another one, or freed already.
KTLSIM_API HLOCAL KtlsimLocalFree(HLOCAL hMem);

#ifndef KTLSIM_NO_KERNEL32_NAMES
/// As KtlsimLocalAlloc, under the name that it has on Windows.
KTLSIM_API HLOCAL LocalAlloc(UINT uFlags, SIZE_T uBytes);
/// As KtlsimLocalFree, under the name that it has on Windows.
KTLSIM_API HLOCAL LocalFree(HLOCAL hMem);
#endif

// ---- SIDs ---------------------------------------------------------------------------------------

/// Makes a SID of 0 to 8 sub-authorities, for FreeSid.
/// Level: any. Returns: FALSE with ERROR_INVALID_SID (more than 8), ERROR_NOACCESS,
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL AllocateAndInitializeSid(PSID_IDENTIFIER_AUTHORITY pIdentifierAuthority,
                                         BYTE nSubAuthorityCount, DWORD nSubAuthority0,
                                         DWORD nSubAuthority1, DWORD nSubAuthority2,
                                         DWORD nSubAuthority3, DWORD nSubAuthority4,
                                         DWORD nSubAuthority5, DWORD nSubAuthority6,
                                         DWORD nSubAuthority7, PSID* pSid);
/// Frees a SID that AllocateAndInitializeSid has made, and nothing else.
/// Level: any. Returns: NULL, whatever it was given.
KTLSIM_API PVOID FreeSid(PSID pSid);
/// Writes the head of a SID into the caller's memory; the sub-authorities follow with
/// GetSidSubAuthority. Level: any. Returns: FALSE with ERROR_INVALID_PARAMETER (more than 15
/// sub-authorities), ERROR_NOACCESS.
KTLSIM_API BOOL InitializeSid(PSID Sid, PSID_IDENTIFIER_AUTHORITY pIdentifierAuthority,
                              BYTE nSubAuthorityCount);
/// The address of a sub-authority. Level: any. Returns: NULL with ERROR_INVALID_SID: NULL, or no
/// such sub-authority.
KTLSIM_API PDWORD GetSidSubAuthority(PSID pSid, DWORD nSubAuthority);
/// The address of the number of sub-authorities. Level: any. Returns: NULL with ERROR_INVALID_SID:
/// NULL.
KTLSIM_API PUCHAR GetSidSubAuthorityCount(PSID pSid);
/// The address of the authority. Level: any. Returns: NULL with ERROR_INVALID_SID: NULL.
KTLSIM_API PSID_IDENTIFIER_AUTHORITY GetSidIdentifierAuthority(PSID pSid);
/// The bytes of a SID with so many sub-authorities. Level: any. Returns: them.
KTLSIM_API DWORD GetSidLengthRequired(UCHAR nSubAuthorityCount);
/// The bytes of a SID. Level: any. Returns: them; 0 with ERROR_INVALID_SID.
KTLSIM_API DWORD GetLengthSid(PSID pSid);
/// Whether it is a SID. Level: any. Returns: FALSE without an error: it is none.
KTLSIM_API BOOL IsValidSid(PSID pSid);
/// Whether two SIDs are the same. Level: any. Returns: FALSE with ERROR_SUCCESS: they are not;
/// ERROR_INVALID_SID.
KTLSIM_API BOOL EqualSid(PSID pSid1, PSID pSid2);
/// Whether two SIDs differ in the last sub-authority at most. Level: any. Returns: as EqualSid.
KTLSIM_API BOOL EqualPrefixSid(PSID pSid1, PSID pSid2);
/// Whether two SIDs are of one domain, S-1-5-32 being one. Level: any. Returns: FALSE with
/// ERROR_NON_DOMAIN_SID (one of them is of none), ERROR_INVALID_SID, ERROR_NOACCESS.
KTLSIM_API BOOL EqualDomainSid(PSID pSid1, PSID pSid2, BOOL* pfEqual);
/// Copies a SID. Level: any. Returns: FALSE with ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_SID,
/// ERROR_NOACCESS.
KTLSIM_API BOOL CopySid(DWORD nDestinationSidLength, PSID pDestinationSid, PSID pSourceSid);
/// Whether a SID is this one; of a domain's types, in whichever domain. Level: any. Returns: FALSE
/// with ERROR_SUCCESS: it is not; ERROR_INVALID_SID.
KTLSIM_API BOOL IsWellKnownSid(PSID pSid, WELL_KNOWN_SID_TYPE WellKnownSidType);
/// Makes a well-known SID in the caller's memory of `*cbSid` bytes, which becomes its length. A
/// type of a domain needs `DomainSid`, any other ignores it. Level: any. Returns: FALSE with
/// ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER (no such type, no domain, or NULL where there
/// is room), ERROR_INVALID_SID, ERROR_NOACCESS.
KTLSIM_API BOOL CreateWellKnownSid(WELL_KNOWN_SID_TYPE WellKnownSidType, PSID DomainSid, PSID pSid,
                                   DWORD* cbSid);
/// The domain of an account, or of itself, in the caller's memory of `*cbDomainSid` bytes, which
/// becomes its length. Level: any. Returns: FALSE with ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_SID
/// (also one of no domain), ERROR_INVALID_PARAMETER (NULL).
KTLSIM_API BOOL GetWindowsAccountDomainSid(PSID pSid, PSID pDomainSid, DWORD* cbDomainSid);

// ---- Their text ---------------------------------------------------------------------------------

/// A SID as S-1-authority-..., for LocalFree. Level: any. Returns: FALSE with ERROR_INVALID_SID,
/// ERROR_INVALID_PARAMETER (NULL), ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL ConvertSidToStringSidA(PSID Sid, LPSTR* StringSid);
/// As ConvertSidToStringSidA, in UTF-16.
KTLSIM_API BOOL ConvertSidToStringSidW(PSID Sid, LPWSTR* StringSid);
/// A SID of its text, or of its two letters in SDDL, for LocalFree. Level: any. Returns: FALSE with
/// ERROR_INVALID_SID, ERROR_NONE_MAPPED (letters of a domain's account),
/// ERROR_INVALID_PARAMETER (NULL), ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL ConvertStringSidToSidA(LPCSTR StringSid, PSID* Sid);
/// As ConvertStringSidToSidA, in UTF-16.
KTLSIM_API BOOL ConvertStringSidToSidW(LPCWSTR StringSid, PSID* Sid);

#ifdef __cplusplus
}  // extern "C"
#endif

#ifdef UNICODE
#define ConvertSidToStringSid ConvertSidToStringSidW
#define ConvertStringSidToSid ConvertStringSidToSidW
#else
#define ConvertSidToStringSid ConvertSidToStringSidA
#define ConvertStringSidToSid ConvertStringSidToSidA
#endif
