// Security descriptors: the functions of the C API that make them, and set and get their parts.

#include <ktlsim/security.h>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/security/security_descriptor.h"

namespace ktlsim::authorization {
namespace {

using security::AbsoluteDescriptor;
using security::Fault;
using security::RelativeDescriptor;

// What both forms begin with.
struct DescriptorHead {
  std::uint8_t revision;
  std::uint8_t rm_control;
  std::uint16_t control;

  bool relative() const { return (control & SE_SELF_RELATIVE) != 0; }
};

Fault ReadHead(const void* descriptor, DescriptorHead* head) {
  if (descriptor == nullptr) return Fault::kNoAccess;
  *head = LoadFrom<DescriptorHead>(descriptor);
  return head->revision == SECURITY_DESCRIPTOR_REVISION ? Fault::kNone : Fault::kUnknownRevision;
}

void SetBits(std::uint16_t bits, bool on, std::uint16_t* control) {
  *control = static_cast<std::uint16_t>(on ? *control | bits : *control & ~bits);
}

void StoreControl(std::uint16_t control, void* descriptor) {
  StoreTo(static_cast<std::byte*>(descriptor) + offsetof(DescriptorHead, control), control);
}

// Changes an absolute descriptor: `change` changes a copy of its control bits, and stores what else
// changes.
template <typename Change>
Fault ChangeAbsolute(void* descriptor, const Change& change) {
  DescriptorHead head{};
  if (const Fault fault = ReadHead(descriptor, &head); fault != Fault::kNone) return fault;
  if (head.relative()) return Fault::kInvalidSecurityDescriptor;
  change(&head.control);
  StoreControl(head.control, descriptor);
  return Fault::kNone;
}

// A part as it is named in both forms, where its address and its offset lie, and its bits. No bit
// of presence: it is there if it is not NULL.
struct DescriptorPart {
  std::size_t address;
  std::size_t offset;
  std::uint16_t defaulted;
  std::uint16_t present = 0;
};
constexpr DescriptorPart kOwnerPart = {offsetof(AbsoluteDescriptor, owner),
                                       offsetof(RelativeDescriptor, owner), SE_OWNER_DEFAULTED};
constexpr DescriptorPart kGroupPart = {offsetof(AbsoluteDescriptor, group),
                                       offsetof(RelativeDescriptor, group), SE_GROUP_DEFAULTED};
constexpr DescriptorPart kDaclPart = {offsetof(AbsoluteDescriptor, dacl),
                                      offsetof(RelativeDescriptor, dacl), SE_DACL_DEFAULTED,
                                      SE_DACL_PRESENT};
constexpr DescriptorPart kSaclPart = {offsetof(AbsoluteDescriptor, sacl),
                                      offsetof(RelativeDescriptor, sacl), SE_SACL_DEFAULTED,
                                      SE_SACL_PRESENT};

void StoreAddress(const DescriptorPart& part, void* address, void* descriptor) {
  StoreTo(static_cast<std::byte*>(descriptor) + part.address, address);
}

BOOL SetSidPart(const DescriptorPart& part, void* descriptor, PSID sid, BOOL defaulted) {
  return TellCaller([&] {
    return ChangeAbsolute(descriptor, [&](std::uint16_t* control) {
      StoreAddress(part, sid, descriptor);
      SetBits(part.defaulted, defaulted != FALSE, control);
    });
  });
}

BOOL SetAclPart(const DescriptorPart& part, void* descriptor, BOOL present, PACL acl,
                BOOL defaulted) {
  return TellCaller([&] {
    return ChangeAbsolute(descriptor, [&](std::uint16_t* control) {
      SetBits(part.present, present != FALSE, control);
      if (present == FALSE) return;
      StoreAddress(part, acl, descriptor);
      SetBits(part.defaulted, defaulted != FALSE, control);
    });
  });
}

// Where a part lies; null: it is not there.
void* AddressOfPart(const DescriptorPart& part, const DescriptorHead& head, void* descriptor) {
  auto* const begin = static_cast<std::byte*>(descriptor);
  if (!head.relative()) return LoadFrom<void*>(begin + part.address);
  const auto offset = LoadFrom<std::uint32_t>(begin + part.offset);
  return offset == 0 ? nullptr : begin + offset;
}

BOOL GetSidPart(const DescriptorPart& part, void* descriptor, PSID* sid, LPBOOL defaulted) {
  return TellCaller([&] {
    if (sid == nullptr || defaulted == nullptr) return Fault::kNoAccess;
    DescriptorHead head{};
    if (const Fault fault = ReadHead(descriptor, &head); fault != Fault::kNone) return fault;
    StoreTo(static_cast<void*>(sid), AddressOfPart(part, head, descriptor));
    StoreTo<BOOL>(defaulted, (head.control & part.defaulted) != 0 ? TRUE : FALSE);
    return Fault::kNone;
  });
}

BOOL GetAclPart(const DescriptorPart& part, void* descriptor, LPBOOL present, PACL* acl,
                LPBOOL defaulted) {
  return TellCaller([&] {
    if (present == nullptr || acl == nullptr || defaulted == nullptr) return Fault::kNoAccess;
    DescriptorHead head{};
    if (const Fault fault = ReadHead(descriptor, &head); fault != Fault::kNone) return fault;
    const bool there = (head.control & part.present) != 0;
    StoreTo<BOOL>(present, there ? TRUE : FALSE);
    if (!there) return Fault::kNone;
    StoreTo(static_cast<void*>(acl), AddressOfPart(part, head, descriptor));
    StoreTo<BOOL>(defaulted, (head.control & part.defaulted) != 0 ? TRUE : FALSE);
    return Fault::kNone;
  });
}

Fault SetControl(void* descriptor, std::uint16_t interest, std::uint16_t set) {
  constexpr std::uint16_t kMayBeSet = SE_DACL_AUTO_INHERIT_REQ | SE_SACL_AUTO_INHERIT_REQ |
                                      SE_DACL_AUTO_INHERITED | SE_SACL_AUTO_INHERITED |
                                      SE_DACL_PROTECTED | SE_SACL_PROTECTED;
  if ((interest & ~kMayBeSet) != 0 || (set & ~interest) != 0) return Fault::kInvalidParameter;
  return ChangeAbsolute(descriptor, [&](std::uint16_t* control) {
    *control = static_cast<std::uint16_t>((*control & ~interest) | set);
  });
}

// The three bytes lie in both forms alike.
Fault SetManager(void* descriptor, const UCHAR* manager) {
  DescriptorHead head{};
  if (const Fault fault = ReadHead(descriptor, &head); fault != Fault::kNone) return fault;
  const UCHAR value = manager != nullptr ? *manager : UCHAR{0};
  SetBits(SE_RM_CONTROL_VALID, manager != nullptr, &head.control);
  StoreTo(static_cast<std::byte*>(descriptor) + offsetof(DescriptorHead, rm_control), value);
  StoreControl(head.control, descriptor);
  return Fault::kNone;
}

// As a caller's descriptor, whose size nobody tells.
Fault ReadWhole(const void* descriptor, security::DescriptorView* view) {
  if (descriptor == nullptr) return Fault::kNoAccess;
  return security::ReadDescriptor(
      {static_cast<const std::byte*>(descriptor), security::kUnknownBytes}, view);
}

DWORD NumberOf(Fault fault) { return static_cast<DWORD>(fault); }

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim;                 // NOLINT: the C API below is this file's whole point
using namespace ktlsim::authorization;  // NOLINT

extern "C" {

BOOL InitializeSecurityDescriptor(PSECURITY_DESCRIPTOR pSecurityDescriptor, DWORD dwRevision) {
  return TellCaller([&] {
    if (pSecurityDescriptor == nullptr) return security::Fault::kNoAccess;
    if (dwRevision != SECURITY_DESCRIPTOR_REVISION) return security::Fault::kUnknownRevision;
    StoreTo(pSecurityDescriptor, security::AbsoluteDescriptor());
    return security::Fault::kNone;
  });
}

BOOL IsValidSecurityDescriptor(PSECURITY_DESCRIPTOR pSecurityDescriptor) {
  security::DescriptorView view;
  return ReadWhole(pSecurityDescriptor, &view) == security::Fault::kNone ? TRUE : FALSE;
}

DWORD GetSecurityDescriptorLength(PSECURITY_DESCRIPTOR pSecurityDescriptor) {
  DWORD bytes = 0;
  TellCaller([&] {
    security::DescriptorView view;
    const security::Fault fault = ReadWhole(pSecurityDescriptor, &view);
    if (fault == security::Fault::kNone) {
      bytes = static_cast<DWORD>(security::SelfRelativeBytes(view));
    }
    return fault;
  });
  return bytes;
}

BOOL SetSecurityDescriptorOwner(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID pOwner,
                                BOOL bOwnerDefaulted) {
  return SetSidPart(kOwnerPart, pSecurityDescriptor, pOwner, bOwnerDefaulted);
}
BOOL SetSecurityDescriptorGroup(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID pGroup,
                                BOOL bGroupDefaulted) {
  return SetSidPart(kGroupPart, pSecurityDescriptor, pGroup, bGroupDefaulted);
}
BOOL SetSecurityDescriptorDacl(PSECURITY_DESCRIPTOR pSecurityDescriptor, BOOL bDaclPresent,
                               PACL pDacl, BOOL bDaclDefaulted) {
  return SetAclPart(kDaclPart, pSecurityDescriptor, bDaclPresent, pDacl, bDaclDefaulted);
}
BOOL SetSecurityDescriptorSacl(PSECURITY_DESCRIPTOR pSecurityDescriptor, BOOL bSaclPresent,
                               PACL pSacl, BOOL bSaclDefaulted) {
  return SetAclPart(kSaclPart, pSecurityDescriptor, bSaclPresent, pSacl, bSaclDefaulted);
}
BOOL SetSecurityDescriptorControl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                  SECURITY_DESCRIPTOR_CONTROL ControlBitsOfInterest,
                                  SECURITY_DESCRIPTOR_CONTROL ControlBitsToSet) {
  return TellCaller(
      [&] { return SetControl(pSecurityDescriptor, ControlBitsOfInterest, ControlBitsToSet); });
}

BOOL GetSecurityDescriptorOwner(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID* pOwner,
                                LPBOOL lpbOwnerDefaulted) {
  return GetSidPart(kOwnerPart, pSecurityDescriptor, pOwner, lpbOwnerDefaulted);
}
BOOL GetSecurityDescriptorGroup(PSECURITY_DESCRIPTOR pSecurityDescriptor, PSID* pGroup,
                                LPBOOL lpbGroupDefaulted) {
  return GetSidPart(kGroupPart, pSecurityDescriptor, pGroup, lpbGroupDefaulted);
}
BOOL GetSecurityDescriptorDacl(PSECURITY_DESCRIPTOR pSecurityDescriptor, LPBOOL lpbDaclPresent,
                               PACL* pDacl, LPBOOL lpbDaclDefaulted) {
  return GetAclPart(kDaclPart, pSecurityDescriptor, lpbDaclPresent, pDacl, lpbDaclDefaulted);
}
BOOL GetSecurityDescriptorSacl(PSECURITY_DESCRIPTOR pSecurityDescriptor, LPBOOL lpbSaclPresent,
                               PACL* pSacl, LPBOOL lpbSaclDefaulted) {
  return GetAclPart(kSaclPart, pSecurityDescriptor, lpbSaclPresent, pSacl, lpbSaclDefaulted);
}

BOOL GetSecurityDescriptorControl(PSECURITY_DESCRIPTOR pSecurityDescriptor,
                                  PSECURITY_DESCRIPTOR_CONTROL pControl, LPDWORD lpdwRevision) {
  return TellCaller([&] {
    if (pControl == nullptr || lpdwRevision == nullptr) return security::Fault::kNoAccess;
    DescriptorHead head{};
    const security::Fault fault = ReadHead(pSecurityDescriptor, &head);
    if (fault != security::Fault::kNone) return fault;
    StoreTo(pControl, head.control);
    StoreTo<DWORD>(lpdwRevision, head.revision);
    return security::Fault::kNone;
  });
}

DWORD GetSecurityDescriptorRMControl(PSECURITY_DESCRIPTOR pSecurityDescriptor, PUCHAR RMControl) {
  if (RMControl == nullptr) return ERROR_NOACCESS;
  DescriptorHead head{};
  const security::Fault fault = ReadHead(pSecurityDescriptor, &head);
  if (fault != security::Fault::kNone) return NumberOf(fault);
  const bool valid = (head.control & SE_RM_CONTROL_VALID) != 0;
  *RMControl = valid ? head.rm_control : UCHAR{0};
  return valid ? ERROR_SUCCESS : ERROR_INVALID_DATA;
}

DWORD SetSecurityDescriptorRMControl(PSECURITY_DESCRIPTOR pSecurityDescriptor, PUCHAR RMControl) {
  return NumberOf(SetManager(pSecurityDescriptor, RMControl));
}

}  // extern "C"
