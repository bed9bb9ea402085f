// Access control entries, as they lie in a list (MS-DTYP 2.4.4).
//
// What a newcomer gets wrong: in an object ACE a GUID that its flags do not announce is not there,
// so the SID begins where the GUID would be.
//
// Any level, any thread, no state, no allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernel_sim/security/access_mask.h"
#include "kernel_sim/security/guid.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::security {

enum class AceType : std::uint8_t {
  kAllowed = 0,
  kDenied = 1,
  kAudit = 2,
  kAlarm = 3,
  kAllowedCompound = 4,
  kAllowedObject = 5,
  kDeniedObject = 6,
  kAuditObject = 7,
  kAlarmObject = 8,
  kAllowedCallback = 9,
  kDeniedCallback = 0xA,
  kAllowedCallbackObject = 0xB,
  kDeniedCallbackObject = 0xC,
  kAuditCallback = 0xD,
  kAlarmCallback = 0xE,
  kAuditCallbackObject = 0xF,
  kAlarmCallbackObject = 0x10,
  kMandatoryLabel = 0x11,
  kResourceAttribute = 0x12,
  kScopedPolicyId = 0x13,
};

inline constexpr std::uint8_t kObjectInherit = 0x01;
inline constexpr std::uint8_t kContainerInherit = 0x02;
inline constexpr std::uint8_t kNoPropagateInherit = 0x04;
inline constexpr std::uint8_t kInheritOnly = 0x08;
inline constexpr std::uint8_t kInherited = 0x10;
inline constexpr std::uint8_t kSuccessfulAccess = 0x40;
inline constexpr std::uint8_t kFailedAccess = 0x80;
inline constexpr std::uint8_t kInheritFlags = 0x1F;
inline constexpr std::uint8_t kAuditFlags = kSuccessfulAccess | kFailedAccess;

inline constexpr std::uint32_t kObjectTypePresent = 1;
inline constexpr std::uint32_t kInheritedObjectTypePresent = 2;

// What a mandatory label refuses to a subject of lower integrity.
inline constexpr AccessMask kNoWriteUp = 1;
inline constexpr AccessMask kNoReadUp = 2;
inline constexpr AccessMask kNoExecuteUp = 4;

inline constexpr std::size_t kAceHeaderBytes = 4;
// Type, flags, size, mask; then the SID, or in an object ACE its flags.
inline constexpr std::size_t kAcePrefixBytes = 8;

// What follows an ACE's header.
enum class AceLayout : std::uint8_t { kPlain, kObject, kOther };

constexpr AceLayout LayoutOf(AceType type) {
  switch (type) {
    case AceType::kAllowedObject:
    case AceType::kDeniedObject:
    case AceType::kAuditObject:
    case AceType::kAlarmObject:
    case AceType::kAllowedCallbackObject:
    case AceType::kDeniedCallbackObject:
    case AceType::kAuditCallbackObject:
    case AceType::kAlarmCallbackObject:
      return AceLayout::kObject;
    case AceType::kAllowed:
    case AceType::kDenied:
    case AceType::kAudit:
    case AceType::kAlarm:
    case AceType::kAllowedCallback:
    case AceType::kDeniedCallback:
    case AceType::kAuditCallback:
    case AceType::kAlarmCallback:
    case AceType::kMandatoryLabel:
    case AceType::kResourceAttribute:
    case AceType::kScopedPolicyId:
      return AceLayout::kPlain;
    case AceType::kAllowedCompound:
      break;
  }
  return AceLayout::kOther;  // its rest is not looked at
}

// The size of the ACE at the front of `bytes`, which is read once. None: as AceView::Read.
std::optional<std::size_t> ReadAceSize(std::span<const std::byte> bytes);

// Does not own the bytes. A valid one has its size, and its SID if it has one, inside its list.
class AceView {
 public:
  // The ACE at the front of `bytes`. None: it ends behind them, its size is no multiple of four,
  // or its SID does not fit.
  static std::optional<AceView> Read(std::span<const std::byte> bytes);

  AceType type() const { return static_cast<AceType>(at_[0]); }
  std::uint8_t flags() const { return static_cast<std::uint8_t>(at_[1]); }
  std::size_t bytes() const { return Load<std::uint16_t>(at_ + 2); }
  AceLayout layout() const { return LayoutOf(type()); }
  bool inherit_only() const { return (flags() & kInheritOnly) != 0; }
  std::span<const std::byte> image() const { return {at_, bytes()}; }

  // For kPlain and kObject only.
  AccessMask mask() const { return Load<AccessMask>(at_ + 4); }
  SidView sid() const { return SidView(at_ + sid_offset()); }
  // What follows the SID: the condition of a callback ACE, for example.
  std::size_t bytes_after_sid() const { return bytes() - sid_offset() - sid().bytes(); }

  // Of kObject only. None: the GUID is not there.
  std::optional<Guid> object_type() const;
  std::optional<Guid> inherited_object_type() const;

 private:
  friend class AclView;
  friend class AceIterator;
  explicit AceView(const std::byte* at) : at_(at) {}

  std::uint32_t object_flags() const { return Load<std::uint32_t>(at_ + kAcePrefixBytes); }
  std::size_t sid_offset() const;

  const std::byte* at_;
};

// Where the SID of an object ACE with these flags begins.
constexpr std::size_t ObjectSidOffset(std::uint32_t object_flags) {
  return kAcePrefixBytes + 4 + ((object_flags & kObjectTypePresent) != 0 ? 16U : 0U) +
         ((object_flags & kInheritedObjectTypePresent) != 0 ? 16U : 0U);
}

inline std::size_t AceView::sid_offset() const {
  return layout() == AceLayout::kObject ? ObjectSidOffset(object_flags()) : kAcePrefixBytes;
}

}  // namespace ktlsim::security
