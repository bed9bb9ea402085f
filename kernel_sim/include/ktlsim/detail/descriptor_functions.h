// Security descriptors and their text, for user mode.
//
// Each returns TRUE, or FALSE with the reason as the thread's last error (GetLastError), unless it
// says otherwise. A descriptor is of the absolute form, with addresses, or of the self-relative
// one, with offsets; nobody tells its size, so the sizes in it are believed. Neither needs to be
// aligned.
//
// A newcomer's mistake: a descriptor without a DACL, or with a NULL one, grants everything to
// everybody, and one with an empty DACL grants nothing.
#pragma once

#include <ktlsim/detail/out_ulong.h>
#include <ktlsim/detail/security_constants.h>
#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Makes an absolute descriptor of nothing in the caller's memory. Level: any. Returns: FALSE with
/// ERROR_UNKNOWN_REVISION (not SECURITY_DESCRIPTOR_REVISION), ERROR_NOACCESS.
KTLSIM_API BOOL InitializeSecurityDescriptor(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                             DWORD dwRevision);
/// Whether it is a descriptor, of which every part that is there is valid. Level: any. Returns:
/// FALSE without an error: it is none.
KTLSIM_API BOOL IsValidSecurityDescriptor(PSECURITY_DESCRIPTOR pSecurityDescriptor);
/// The bytes of a descriptor in the self-relative form. Level: any. Returns: them; 0 with
/// ERROR_UNKNOWN_REVISION, ERROR_INVALID_SID, ERROR_INVALID_ACL, ERROR_INVALID_SECURITY_DESCR,
/// ERROR_NOACCESS.
KTLSIM_API DWORD GetSecurityDescriptorLength(PSECURITY_DESCRIPTOR pSecurityDescriptor);

// ---- Parts of a descriptor ----------------------------------------------------------------------

/// Sets the owner of an absolute descriptor, which refers to the SID and does not copy it. Level:
/// any. Returns: FALSE with ERROR_INVALID_SECURITY_DESCR (a self-relative one),
/// ERROR_UNKNOWN_REVISION, ERROR_NOACCESS.
KTLSIM_API BOOL SetSecurityDescriptorOwner(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID pOwner,
                                           BOOL bOwnerDefaulted);
/// As SetSecurityDescriptorOwner, the primary group.
KTLSIM_API BOOL SetSecurityDescriptorGroup(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID pGroup,
                                           BOOL bGroupDefaulted);
/// As SetSecurityDescriptorOwner, the DACL. One that is present and NULL grants everything. Without
/// `bDaclPresent` the rest is ignored.
KTLSIM_API BOOL SetSecurityDescriptorDacl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                          BOOL bDaclPresent, PACL pDacl, BOOL bDaclDefaulted);
/// As SetSecurityDescriptorDacl, the SACL.
KTLSIM_API BOOL SetSecurityDescriptorSacl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                          BOOL bSaclPresent, PACL pSacl, BOOL bSaclDefaulted);
/// As SetSecurityDescriptorOwner, control bits: those that say how lists are inherited. Level: any.
/// Returns: also FALSE with ERROR_INVALID_PARAMETER: others, or one that is not of interest.
KTLSIM_API BOOL SetSecurityDescriptorControl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                             SECURITY_DESCRIPTOR_CONTROL ControlBitsOfInterest,
                                             SECURITY_DESCRIPTOR_CONTROL ControlBitsToSet);

/// The address of the owner in a descriptor, NULL if it has none. Level: any. Returns: FALSE with
/// ERROR_UNKNOWN_REVISION, ERROR_NOACCESS.
KTLSIM_API BOOL GetSecurityDescriptorOwner(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID* pOwner,
                                           LPBOOL lpbOwnerDefaulted);
/// As GetSecurityDescriptorOwner, the primary group.
KTLSIM_API BOOL GetSecurityDescriptorGroup(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID* pGroup,
                                           LPBOOL lpbGroupDefaulted);
/// As GetSecurityDescriptorOwner, the DACL. When none is present, only that is stored.
KTLSIM_API BOOL GetSecurityDescriptorDacl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                          LPBOOL lpbDaclPresent, PACL* pDacl,
                                          LPBOOL lpbDaclDefaulted);
/// As GetSecurityDescriptorDacl, the SACL.
KTLSIM_API BOOL GetSecurityDescriptorSacl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                          LPBOOL lpbSaclPresent, PACL* pSacl,
                                          LPBOOL lpbSaclDefaulted);
/// As GetSecurityDescriptorOwner, the control bits and the revision.
KTLSIM_API BOOL GetSecurityDescriptorControl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                             PSECURITY_DESCRIPTOR_CONTROL pControl,
                                             LPDWORD lpdwRevision);
/// The byte of the resource manager. Level: any. Returns: an error number, not the last error:
/// ERROR_SUCCESS; ERROR_INVALID_DATA: there is none, and 0 is stored; ERROR_UNKNOWN_REVISION;
/// ERROR_NOACCESS.
KTLSIM_API DWORD GetSecurityDescriptorRMControl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                                PUCHAR RMControl);
/// Sets the byte of the resource manager in an absolute descriptor; NULL takes it away. Level: any.
/// Returns: an error number, not the last error: ERROR_SUCCESS, ERROR_INVALID_SECURITY_DESCR (a
/// self-relative one), ERROR_UNKNOWN_REVISION, ERROR_NOACCESS.
KTLSIM_API DWORD SetSecurityDescriptorRMControl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                                PUCHAR RMControl);

// ---- The other form -----------------------------------------------------------------------------

/// Makes a self-relative descriptor of an absolute one, in the caller's memory of
/// `*lpdwBufferLength` bytes. Level: any. Returns: FALSE with ERROR_INSUFFICIENT_BUFFER (the length
/// is what it needs), ERROR_BAD_DESCRIPTOR_FORMAT (it is self-relative already),
/// ERROR_UNKNOWN_REVISION, ERROR_INVALID_SID, ERROR_INVALID_ACL, ERROR_NOACCESS,
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_API BOOL MakeSelfRelativeSD(PSECURITY_DESCRIPTOR pAbsoluteSecurityDescriptor,
                                   PSECURITY_DESCRIPTOR pSelfRelativeSecurityDescriptor,
                                   LPDWORD lpdwBufferLength);
/// Makes an absolute descriptor of a self-relative one, each part in the caller's memory. Level:
/// any. Returns: FALSE with ERROR_INSUFFICIENT_BUFFER (all five lengths are what they need, and
/// nothing else is stored), ERROR_INVALID_SECURITY_DESCR (an offset that leads outside); otherwise
/// as MakeSelfRelativeSD.
KTLSIM_API BOOL MakeAbsoluteSD(PSECURITY_DESCRIPTOR pSelfRelativeSecurityDescriptor,
                               PSECURITY_DESCRIPTOR pAbsoluteSecurityDescriptor,
                               LPDWORD lpdwAbsoluteSecurityDescriptorSize, PACL pDacl,
                               LPDWORD lpdwDaclSize, PACL pSacl, LPDWORD lpdwSaclSize, PSID pOwner,
                               LPDWORD lpdwOwnerSize, PSID pPrimaryGroup,
                               LPDWORD lpdwPrimaryGroupSize);

// ---- Text (SDDL) --------------------------------------------------------------------------------

/// A self-relative descriptor of its text, for LocalFree; NULL on failure. The size may be NULL.
/// Level: any. Returns: FALSE with ERROR_UNKNOWN_REVISION (not SDDL_REVISION_1),
/// ERROR_INVALID_PARAMETER (NULL, no UTF-8, or no such component), ERROR_INVALID_ACL (an entry that
/// is none), ERROR_INVALID_SID (of the owner or the group), ERROR_NOT_SUPPORTED (conditions,
/// attributes, policies, alarms), ERROR_NONE_MAPPED (letters of a domain's account),
/// ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_OUT_API BOOL ConvertStringSecurityDescriptorToSecurityDescriptorA(
    LPCSTR StringSecurityDescriptor, DWORD StringSDRevision,
    PSECURITY_DESCRIPTOR* SecurityDescriptor, KTLSIM_ULONG_OUT SecurityDescriptorSize);
/// As ConvertStringSecurityDescriptorToSecurityDescriptorA, of UTF-16.
KTLSIM_OUT_API BOOL ConvertStringSecurityDescriptorToSecurityDescriptorW(
    LPCWSTR StringSecurityDescriptor, DWORD StringSDRevision,
    PSECURITY_DESCRIPTOR* SecurityDescriptor, KTLSIM_ULONG_OUT SecurityDescriptorSize);
/// The text of a descriptor of either form, for LocalFree; NULL on failure. The length, which may
/// be NULL, counts characters with the null at the end. What is named and not there is left out.
/// Level: any. Returns: FALSE with ERROR_UNKNOWN_REVISION, ERROR_INVALID_PARAMETER (NULL),
/// ERROR_NOT_SUPPORTED (what has no text here), ERROR_INVALID_SID, ERROR_INVALID_ACL,
/// ERROR_INVALID_SECURITY_DESCR, ERROR_NOT_ENOUGH_MEMORY.
KTLSIM_OUT_API BOOL ConvertSecurityDescriptorToStringSecurityDescriptorA(
    PSECURITY_DESCRIPTOR SecurityDescriptor, DWORD RequestedStringSDRevision,
    SECURITY_INFORMATION SecurityInformation, LPSTR* StringSecurityDescriptor,
    KTLSIM_ULONG_OUT StringSecurityDescriptorLen);
/// As ConvertSecurityDescriptorToStringSecurityDescriptorA, in UTF-16.
KTLSIM_OUT_API BOOL ConvertSecurityDescriptorToStringSecurityDescriptorW(
    PSECURITY_DESCRIPTOR SecurityDescriptor, DWORD RequestedStringSDRevision,
    SECURITY_INFORMATION SecurityInformation, LPWSTR* StringSecurityDescriptor,
    KTLSIM_ULONG_OUT StringSecurityDescriptorLen);

#ifdef __cplusplus
}  // extern "C"
#endif

// See out_ulong.h. A name is not expanded again inside its own expansion.
#ifndef __cplusplus
#define ConvertStringSecurityDescriptorToSecurityDescriptorA(text, revision, descriptor, size) \
  ConvertStringSecurityDescriptorToSecurityDescriptorA(text, revision, descriptor,             \
                                                       KTLSIM_ULONG_OUT_ARGUMENT(size))
#define ConvertStringSecurityDescriptorToSecurityDescriptorW(text, revision, descriptor, size) \
  ConvertStringSecurityDescriptorToSecurityDescriptorW(text, revision, descriptor,             \
                                                       KTLSIM_ULONG_OUT_ARGUMENT(size))
#define ConvertSecurityDescriptorToStringSecurityDescriptorA(descriptor, revision, information, \
                                                             text, length)                      \
  ConvertSecurityDescriptorToStringSecurityDescriptorA(descriptor, revision, information, text, \
                                                       KTLSIM_ULONG_OUT_ARGUMENT(length))
#define ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, revision, information, \
                                                             text, length)                      \
  ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, revision, information, text, \
                                                       KTLSIM_ULONG_OUT_ARGUMENT(length))
#endif

#ifdef UNICODE
#define ConvertStringSecurityDescriptorToSecurityDescriptor \
  ConvertStringSecurityDescriptorToSecurityDescriptorW
#define ConvertSecurityDescriptorToStringSecurityDescriptor \
  ConvertSecurityDescriptorToStringSecurityDescriptorW
#else
#define ConvertStringSecurityDescriptorToSecurityDescriptor \
  ConvertStringSecurityDescriptorToSecurityDescriptorA
#define ConvertSecurityDescriptorToStringSecurityDescriptor \
  ConvertSecurityDescriptorToStringSecurityDescriptorA
#endif
