// Access control lists: the functions of the C API that make, change and read them.

#include <ktlsim/security.h>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::authorization {
namespace {

using security::AceType;
using security::AclExtent;
using security::Fault;
using security::Guid;
using security::Sid;

std::byte* BytesOfAcl(PACL acl) { return reinterpret_cast<std::byte*>(acl); }

// None: there is no list at `acl`.
std::optional<AclExtent> ExtentOf(PACL acl) {
  return acl != nullptr ? security::MeasureAcl(BytesOfAcl(acl)) : std::nullopt;
}

// A caller's GUID, or none.
struct CapturedGuid {
  explicit CapturedGuid(const GUID* from) : there(from != nullptr) {
    if (there) guid = LoadFrom<Guid>(from);
  }
  const Guid* get() const { return there ? &guid : nullptr; }

  bool there;
  Guid guid;
};

// What the functions that append an ACE are given.
struct AceArguments {
  AceType type = AceType::kAllowed;
  DWORD revision = 0;
  DWORD flags = 0;
  DWORD mask = 0;
  PSID sid = nullptr;
  const GUID* object_type = nullptr;
  const GUID* inherited_object_type = nullptr;
};

Fault Append(PACL acl, const AceArguments& ace) {
  if (acl == nullptr) return Fault::kInvalidAcl;
  if (ace.flags > 0xFF) return Fault::kInvalidFlags;
  Sid sid;
  if (const Fault fault = CaptureSid(ace.sid, &sid); fault != Fault::kNone) return fault;
  const CapturedGuid object_type(ace.object_type);
  const CapturedGuid inherited_object_type(ace.inherited_object_type);
  return security::AppendAce(BytesOfAcl(acl), ace.revision,
                             {.type = ace.type,
                              .flags = static_cast<std::uint8_t>(ace.flags),
                              .mask = ace.mask,
                              .sid = sid,
                              .object_type = object_type.get(),
                              .inherited_object_type = inherited_object_type.get()});
}

BOOL TellAppended(PACL acl, const AceArguments& ace) {
  return TellCaller([&] { return Append(acl, ace); });
}

DWORD AuditFlags(DWORD flags, BOOL success, BOOL failure) {
  return flags | (success != FALSE ? DWORD{SUCCESSFUL_ACCESS_ACE_FLAG} : 0) |
         (failure != FALSE ? DWORD{FAILED_ACCESS_ACE_FLAG} : 0);
}

// The SID says which integrity the object has.
Fault AppendLabel(PACL acl, DWORD revision, DWORD flags, DWORD policy, PSID label) {
  constexpr DWORD kPolicies = SYSTEM_MANDATORY_LABEL_NO_WRITE_UP |
                              SYSTEM_MANDATORY_LABEL_NO_READ_UP |
                              SYSTEM_MANDATORY_LABEL_NO_EXECUTE_UP;
  Sid sid;
  if (const Fault fault = CaptureSid(label, &sid); fault != Fault::kNone) return fault;
  if ((policy & ~kPolicies) != 0) return Fault::kInvalidParameter;
  if (sid.view().authority() != security::kLabelAuthority || sid.view().sub_authorities() != 1) {
    return Fault::kInvalidSid;
  }
  return Append(acl, {.type = AceType::kMandatoryLabel,
                      .revision = revision,
                      .flags = flags,
                      .mask = policy,
                      .sid = &sid});
}

Fault Initialize(PACL acl, DWORD bytes, DWORD revision) {
  if (acl == nullptr) return Fault::kNoAccess;
  return security::InitializeAcl({BytesOfAcl(acl), bytes}, revision);
}

// The ACEs are copied first: they may lie in the list itself.
Fault Insert(PACL acl, DWORD revision, DWORD index, const void* aces, DWORD bytes) {
  if (acl == nullptr) return Fault::kInvalidAcl;
  if (bytes > security::kAclBytesMax) return Fault::kAllottedSpaceExceeded;
  if (aces == nullptr && bytes != 0) return Fault::kNoAccess;
  std::vector<std::byte> copy(bytes);
  if (bytes != 0) std::memcpy(copy.data(), aces, bytes);
  return security::InsertAces(BytesOfAcl(acl), revision, index, copy);
}

Fault Find(PACL acl, DWORD index, LPVOID* out) {
  if (out == nullptr) return Fault::kNoAccess;
  const std::optional<AclExtent> extent = ExtentOf(acl);
  if (!extent) return Fault::kInvalidAcl;
  if (index >= extent->count) return Fault::kInvalidParameter;
  const std::optional<std::size_t> offset = security::OffsetOfAce(BytesOfAcl(acl), *extent, index);
  if (!offset) return Fault::kInvalidAcl;
  StoreTo(static_cast<void*>(out), static_cast<void*>(BytesOfAcl(acl) + *offset));
  return Fault::kNone;
}

// Null is stored when the list is full.
Fault FindFree(PACL acl, LPVOID* out) {
  if (out == nullptr) return Fault::kNoAccess;
  const std::optional<AclExtent> extent = ExtentOf(acl);
  if (!extent) return Fault::kInvalidAcl;
  void* const free = extent->room() != 0 ? BytesOfAcl(acl) + extent->used : nullptr;
  StoreTo(static_cast<void*>(out), free);
  return Fault::kNone;
}

template <typename Information>
Fault StoreInformation(const Information& information, void* to, DWORD room) {
  if (room < sizeof(information)) return Fault::kInsufficientBuffer;
  if (to == nullptr) return Fault::kNoAccess;
  StoreTo(to, information);
  return Fault::kNone;
}

Fault Describe(PACL acl, void* to, DWORD room, ACL_INFORMATION_CLASS which) {
  const std::optional<AclExtent> extent = ExtentOf(acl);
  if (!extent) return Fault::kInvalidAcl;
  switch (which) {
    case AclRevisionInformation:
      return StoreInformation(ACL_REVISION_INFORMATION{extent->revision}, to, room);
    case AclSizeInformation:
      return StoreInformation(
          ACL_SIZE_INFORMATION{static_cast<DWORD>(extent->count), static_cast<DWORD>(extent->used),
                               static_cast<DWORD>(extent->room())},
          to, room);
  }
  return Fault::kInvalidParameter;
}

// A list keeps the revision that its ACEs need.
Fault SetRevision(PACL acl, const void* from, DWORD bytes, ACL_INFORMATION_CLASS which) {
  const std::optional<AclExtent> extent = ExtentOf(acl);
  if (!extent) return Fault::kInvalidAcl;
  if (which != AclRevisionInformation) return Fault::kInvalidParameter;
  if (bytes < sizeof(ACL_REVISION_INFORMATION)) return Fault::kInsufficientBuffer;
  if (from == nullptr) return Fault::kNoAccess;
  const DWORD revision = LoadFrom<ACL_REVISION_INFORMATION>(from).AclRevision;
  if (revision < extent->revision || revision > security::kAclRevisionDs) {
    return Fault::kInvalidParameter;
  }
  BytesOfAcl(acl)[0] = static_cast<std::byte>(revision);
  return Fault::kNone;
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim;                 // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authorization;  // NOLINT

extern "C" {

BOOL InitializeAcl(PACL pAcl, DWORD nAclLength, DWORD dwAclRevision) {
  return TellCaller([&] { return Initialize(pAcl, nAclLength, dwAclRevision); });
}

BOOL IsValidAcl(PACL pAcl) { return ExtentOf(pAcl) ? TRUE : FALSE; }

BOOL AddAccessAllowedAce(PACL pAcl, DWORD dwAceRevision, DWORD AccessMask, PSID pSid) {
  return AddAccessAllowedAceEx(pAcl, dwAceRevision, 0, AccessMask, pSid);
}

BOOL AddAccessAllowedAceEx(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags, DWORD AccessMask,
                           PSID pSid) {
  return TellAppended(pAcl, {.type = security::AceType::kAllowed,
                             .revision = dwAceRevision,
                             .flags = AceFlags,
                             .mask = AccessMask,
                             .sid = pSid});
}

BOOL AddAccessAllowedObjectAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags, DWORD AccessMask,
                               GUID* ObjectTypeGuid, GUID* InheritedObjectTypeGuid, PSID pSid) {
  return TellAppended(pAcl, {.type = security::AceType::kAllowedObject,
                             .revision = dwAceRevision,
                             .flags = AceFlags,
                             .mask = AccessMask,
                             .sid = pSid,
                             .object_type = ObjectTypeGuid,
                             .inherited_object_type = InheritedObjectTypeGuid});
}

BOOL AddAccessDeniedAce(PACL pAcl, DWORD dwAceRevision, DWORD AccessMask, PSID pSid) {
  return AddAccessDeniedAceEx(pAcl, dwAceRevision, 0, AccessMask, pSid);
}

BOOL AddAccessDeniedAceEx(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags, DWORD AccessMask,
                          PSID pSid) {
  return TellAppended(pAcl, {.type = security::AceType::kDenied,
                             .revision = dwAceRevision,
                             .flags = AceFlags,
                             .mask = AccessMask,
                             .sid = pSid});
}

BOOL AddAccessDeniedObjectAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags, DWORD AccessMask,
                              GUID* ObjectTypeGuid, GUID* InheritedObjectTypeGuid, PSID pSid) {
  return TellAppended(pAcl, {.type = security::AceType::kDeniedObject,
                             .revision = dwAceRevision,
                             .flags = AceFlags,
                             .mask = AccessMask,
                             .sid = pSid,
                             .object_type = ObjectTypeGuid,
                             .inherited_object_type = InheritedObjectTypeGuid});
}

BOOL AddAuditAccessAce(PACL pAcl, DWORD dwAceRevision, DWORD dwAccessMask, PSID pSid,
                       BOOL bAuditSuccess, BOOL bAuditFailure) {
  return AddAuditAccessAceEx(pAcl, dwAceRevision, 0, dwAccessMask, pSid, bAuditSuccess,
                             bAuditFailure);
}

BOOL AddAuditAccessAceEx(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags, DWORD dwAccessMask,
                         PSID pSid, BOOL bAuditSuccess, BOOL bAuditFailure) {
  return TellAppended(pAcl, {.type = security::AceType::kAudit,
                             .revision = dwAceRevision,
                             .flags = AuditFlags(AceFlags, bAuditSuccess, bAuditFailure),
                             .mask = dwAccessMask,
                             .sid = pSid});
}

BOOL AddAuditAccessObjectAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags, DWORD AccessMask,
                             GUID* ObjectTypeGuid, GUID* InheritedObjectTypeGuid, PSID pSid,
                             BOOL bAuditSuccess, BOOL bAuditFailure) {
  return TellAppended(pAcl, {.type = security::AceType::kAuditObject,
                             .revision = dwAceRevision,
                             .flags = AuditFlags(AceFlags, bAuditSuccess, bAuditFailure),
                             .mask = AccessMask,
                             .sid = pSid,
                             .object_type = ObjectTypeGuid,
                             .inherited_object_type = InheritedObjectTypeGuid});
}

BOOL AddMandatoryAce(PACL pAcl, DWORD dwAceRevision, DWORD AceFlags, DWORD MandatoryPolicy,
                     PSID pLabelSid) {
  return TellCaller(
      [&] { return AppendLabel(pAcl, dwAceRevision, AceFlags, MandatoryPolicy, pLabelSid); });
}

BOOL AddAce(PACL pAcl, DWORD dwAceRevision, DWORD dwStartingAceIndex, LPVOID pAceList,
            DWORD nAceListLength) {
  return TellCaller(
      [&] { return Insert(pAcl, dwAceRevision, dwStartingAceIndex, pAceList, nAceListLength); });
}

BOOL DeleteAce(PACL pAcl, DWORD dwAceIndex) {
  return TellCaller([&] {
    return pAcl != nullptr ? security::DeleteAce(BytesOfAcl(pAcl), dwAceIndex)
                           : security::Fault::kInvalidAcl;
  });
}

BOOL GetAce(PACL pAcl, DWORD dwAceIndex, LPVOID* pAce) {
  return TellCaller([&] { return Find(pAcl, dwAceIndex, pAce); });
}

BOOL FindFirstFreeAce(PACL pAcl, LPVOID* pAce) {
  return TellCaller([&] { return FindFree(pAcl, pAce); });
}

BOOL GetAclInformation(PACL pAcl, LPVOID pAclInformation, DWORD nAclInformationLength,
                       ACL_INFORMATION_CLASS dwAclInformationClass) {
  return TellCaller([&] {
    return Describe(pAcl, pAclInformation, nAclInformationLength, dwAclInformationClass);
  });
}

BOOL SetAclInformation(PACL pAcl, LPVOID pAclInformation, DWORD nAclInformationLength,
                       ACL_INFORMATION_CLASS dwAclInformationClass) {
  return TellCaller([&] {
    return SetRevision(pAcl, pAclInformation, nAclInformationLength, dwAclInformationClass);
  });
}

}  // extern "C"
