// Access control lists, for user mode.
//
// Each returns TRUE, or FALSE with the reason as the thread's last error (GetLastError), unless it
// says otherwise. A list is as long as its own header says, and is checked as a whole each time:
// ERROR_INVALID_ACL is one that is NULL, of another revision than 2 to 4, or whose entries do not
// fit. Entries are appended, and never sorted: their order decides. No list needs to be aligned.
#pragma once

#include <ktlsim/detail/security_constants.h>
#include <ktlsim/detail/security_structures.h>
#include <ktlsim/detail/types.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Makes an empty list of all of the caller's memory, rounded down to a multiple of four. Level:
/// any. Returns: FALSE with ERROR_INSUFFICIENT_BUFFER (below 8 bytes), ERROR_INVALID_PARAMETER
/// (above 65,535, or no such revision), ERROR_NOACCESS.
KTLSIM_API BOOL InitializeAcl(PACL pAcl, DWORD nAclLength, DWORD dwAclRevision);
/// Whether it is a list; the SIDs of its entries have to fit into them, and nothing else in them is
/// judged. Level: any. Returns: FALSE without an error: it is none.
KTLSIM_API BOOL IsValidAcl(PACL pAcl);

/// Appends an entry that allows. The list's revision becomes the larger one. Level: any. Returns:
/// FALSE with ERROR_ALLOTTED_SPACE_EXCEEDED (no room), ERROR_INVALID_ACL, ERROR_INVALID_SID,
/// ERROR_REVISION_MISMATCH (not 2 to 4).
KTLSIM_API BOOL AddAccessAllowedAce(PACL pAcl, DWORD dwAceRevision, DWORD AccessMask, PSID pSid);
/// As AddAccessAllowedAce, with the flags of VALID_INHERIT_FLAGS. Level: any. Returns: also FALSE
/// with ERROR_INVALID_FLAGS: there are others.
KTLSIM_API BOOL AddAccessAllowedAceEx(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags,
                                      DWORD AccessMask, PSID pSid);
/// As AddAccessAllowedAceEx, for a type of object, and for whoever inherits it; without either it
/// is a plain entry. Level: any. Returns: also FALSE with ERROR_REVISION_MISMATCH: below 4.
KTLSIM_API BOOL AddAccessAllowedObjectAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags,
                                          DWORD AccessMask, GUID* ObjectTypeGuid,
                                          GUID* InheritedObjectTypeGuid, PSID pSid);
/// As AddAccessAllowedAce, an entry that denies.
KTLSIM_API BOOL AddAccessDeniedAce(PACL pAcl, DWORD dwAceRevision, DWORD AccessMask, PSID pSid);
/// As AddAccessAllowedAceEx, an entry that denies.
KTLSIM_API BOOL AddAccessDeniedAceEx(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags,
                                     DWORD AccessMask, PSID pSid);
/// As AddAccessAllowedObjectAce, an entry that denies.
KTLSIM_API BOOL AddAccessDeniedObjectAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags,
                                         DWORD AccessMask, GUID* ObjectTypeGuid,
                                         GUID* InheritedObjectTypeGuid, PSID pSid);
/// As AddAccessAllowedAce, an entry of a SACL that asks for records of accesses.
KTLSIM_API BOOL AddAuditAccessAce(PACL pAcl, DWORD dwAceRevision, DWORD dwAccessMask, PSID pSid,
                                  BOOL bAuditSuccess, BOOL bAuditFailure);
/// As AddAuditAccessAce, with flags, among which those of the two last arguments may be. Level:
/// any. Returns: also FALSE with ERROR_INVALID_FLAGS: there are others.
KTLSIM_API BOOL AddAuditAccessAceEx(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags,
                                    DWORD dwAccessMask, PSID pSid, BOOL bAuditSuccess,
                                    BOOL bAuditFailure);
/// As AddAuditAccessAceEx, for a type of object. Level: any. Returns: also FALSE with
/// ERROR_REVISION_MISMATCH: below 4.
KTLSIM_API BOOL AddAuditAccessObjectAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags,
                                        DWORD AccessMask, GUID* ObjectTypeGuid,
                                        GUID* InheritedObjectTypeGuid, PSID pSid,
                                        BOOL bAuditSuccess, BOOL bAuditFailure);
/// As AddAccessAllowedAceEx, an entry of a SACL with the object's integrity, S-1-16-x, and what is
/// refused to whoever has less. Level: any. Returns: also FALSE with ERROR_INVALID_PARAMETER (no
/// such policy), ERROR_INVALID_SID (no label).
KTLSIM_API BOOL AddMandatoryAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags,
                                DWORD MandatoryPolicy, PSID pLabelSid);

/// Inserts whole entries in front of the one at an index; MAXDWORD appends them. They are checked
/// and copied first, and may be the list's own. Level: any. Returns: FALSE with
/// ERROR_INVALID_PARAMETER (no such index, or no whole entries), ERROR_NOACCESS; otherwise as
/// AddAccessAllowedAce.
KTLSIM_API BOOL AddAce(PACL pAcl, DWORD dwAceRevision, DWORD dwStartingAceIndex, LPVOID pAceList,
                       DWORD nAceListLength);
/// Takes an entry away. Level: any. Returns: FALSE with ERROR_INVALID_PARAMETER (no such index),
/// ERROR_INVALID_ACL.
KTLSIM_API BOOL DeleteAce(PACL pAcl, DWORD dwAceIndex);
/// The address of an entry, in the list. Level: any. Returns: as DeleteAce, and FALSE with
/// ERROR_NOACCESS.
KTLSIM_API BOOL GetAce(PACL pAcl, DWORD dwAceIndex, LPVOID* pAce);
/// The address behind the last entry; NULL when the list is full. Level: any. Returns: FALSE with
/// ERROR_INVALID_ACL, ERROR_NOACCESS.
KTLSIM_API BOOL FindFirstFreeAce(PACL pAcl, LPVOID* pAce);
/// Stores the ACL_REVISION_INFORMATION or ACL_SIZE_INFORMATION of a list. Level: any. Returns:
/// FALSE with ERROR_INSUFFICIENT_BUFFER, ERROR_INVALID_PARAMETER (another class),
/// ERROR_INVALID_ACL, ERROR_NOACCESS.
KTLSIM_API BOOL GetAclInformation(PACL pAcl, LPVOID pAclInformation, DWORD nAclInformationLength,
                                  ACL_INFORMATION_CLASS dwAclInformationClass);
/// Sets the revision of a list, by its ACL_REVISION_INFORMATION. Level: any. Returns: FALSE with
/// ERROR_INVALID_PARAMETER (another class, above 4, or below the list's own); otherwise as
/// GetAclInformation.
KTLSIM_API BOOL SetAclInformation(PACL pAcl, LPVOID pAclInformation, DWORD nAclInformationLength,
                                  ACL_INFORMATION_CLASS dwAclInformationClass);

#ifdef __cplusplus
}  // extern "C"
#endif
