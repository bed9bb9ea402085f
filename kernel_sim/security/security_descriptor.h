// Security descriptors: owner, group, DACL and SACL of an object, in one of two forms
// (MS-DTYP 2.4.6).
//
// The absolute form has pointers and 40 bytes, the self-relative form has offsets and is one block.
// DescriptorView reads either; Descriptor owns one of the self-relative form.
//
// What a newcomer gets wrong: no DACL and a NULL DACL grant everything, an empty DACL grants
// nothing.
//
// Any level, any thread, no state; Descriptor::Create alone allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>

#include "kernel_sim/security/acl.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/sid.h"

namespace ktlsim::security {

inline constexpr std::uint8_t kDescriptorRevision = 1;

inline constexpr std::uint16_t kOwnerDefaulted = 0x0001;
inline constexpr std::uint16_t kGroupDefaulted = 0x0002;
inline constexpr std::uint16_t kDaclPresent = 0x0004;
inline constexpr std::uint16_t kDaclDefaulted = 0x0008;
inline constexpr std::uint16_t kSaclPresent = 0x0010;
inline constexpr std::uint16_t kSaclDefaulted = 0x0020;
inline constexpr std::uint16_t kDaclAutoInheritReq = 0x0100;
inline constexpr std::uint16_t kSaclAutoInheritReq = 0x0200;
inline constexpr std::uint16_t kDaclAutoInherited = 0x0400;
inline constexpr std::uint16_t kSaclAutoInherited = 0x0800;
inline constexpr std::uint16_t kDaclProtected = 0x1000;
inline constexpr std::uint16_t kSaclProtected = 0x2000;
inline constexpr std::uint16_t kRmControlValid = 0x4000;
inline constexpr std::uint16_t kSelfRelative = 0x8000;

// Which parts of a descriptor are meant.
inline constexpr std::uint32_t kOwnerInformation = 1;
inline constexpr std::uint32_t kGroupInformation = 2;
inline constexpr std::uint32_t kDaclInformation = 4;
inline constexpr std::uint32_t kSaclInformation = 8;
inline constexpr std::uint32_t kLabelInformation = 0x10;

// The layout of SECURITY_DESCRIPTOR.
struct AbsoluteDescriptor {
  std::uint8_t revision = kDescriptorRevision;
  std::uint8_t rm_control = 0;
  std::uint16_t control = 0;
  const void* owner = nullptr;
  const void* group = nullptr;
  const void* sacl = nullptr;
  const void* dacl = nullptr;
};
static_assert(sizeof(AbsoluteDescriptor) == 40 && offsetof(AbsoluteDescriptor, dacl) == 32);

// The layout of SECURITY_DESCRIPTOR_RELATIVE: offsets from its start, 0 for what is absent.
struct RelativeDescriptor {
  std::uint8_t revision = kDescriptorRevision;
  std::uint8_t rm_control = 0;
  std::uint16_t control = kSelfRelative;
  std::uint32_t owner = 0;
  std::uint32_t group = 0;
  std::uint32_t sacl = 0;
  std::uint32_t dacl = 0;
};
static_assert(sizeof(RelativeDescriptor) == 20 && offsetof(RelativeDescriptor, dacl) == 16);

// Does not own the bytes. Copy it freely.
struct DescriptorView {
  std::uint16_t control = 0;
  std::uint8_t rm_control = 0;
  std::optional<SidView> owner;
  std::optional<SidView> group;
  // The lists, of which there is none too when a present one is NULL.
  std::optional<AclView> sacl;
  std::optional<AclView> dacl;

  bool sacl_present() const { return (control & kSaclPresent) != 0; }
  bool dacl_present() const { return (control & kDaclPresent) != 0; }
};

// For a descriptor whose size nobody told: its own offsets and sizes are believed.
inline constexpr std::size_t kUnknownBytes = std::numeric_limits<std::uint32_t>::max();

// What a self-relative descriptor can need: its head, two lists and two SIDs. Where nobody told its
// size, it ends there.
inline constexpr std::size_t kSelfRelativeBytesMax =
    sizeof(RelativeDescriptor) + 2 * (std::size_t{1} << 16) + 2 * kSidBytesMax;

// Where the parts of a descriptor begin, and how far they may reach; of what is absent, nothing.
struct DescriptorParts {
  std::uint16_t control = 0;
  std::uint8_t rm_control = 0;
  std::span<const std::byte> owner;
  std::span<const std::byte> group;
  std::span<const std::byte> sacl;
  std::span<const std::byte> dacl;
};

// Finds the parts of a descriptor of either form, whose head is read once, and looks at none of
// them. kUnknownRevision; kInvalidSecurityDescriptor: an offset leads outside.
Fault LocateParts(std::span<const std::byte> bytes, DescriptorParts* parts);

// Reads a descriptor of either form. `bytes` bound a self-relative one; the parts of an absolute
// one lie elsewhere, and their own sizes are believed. kUnknownRevision; kInvalidSid, kInvalidAcl:
// such a part is there and is none; kInvalidSecurityDescriptor: an offset leads outside.
Fault ReadDescriptor(std::span<const std::byte> bytes, DescriptorView* view);

// As it is in the self-relative form, in which the order is SACL, DACL, owner, group.
std::size_t SelfRelativeBytes(const DescriptorView& view);
// kInsufficientBuffer: nothing is written.
Fault WriteSelfRelative(const DescriptorView& view, std::span<std::byte> memory);

// A descriptor of the self-relative form and its memory, which does not move.
class Descriptor {
 public:
  // None: no memory.
  static std::optional<Descriptor> Create(const DescriptorView& view);

  const DescriptorView& view() const { return view_; }
  std::span<const std::byte> image() const { return {bytes_.get(), size_}; }

 private:
  Descriptor() = default;

  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
  DescriptorView view_;
};

}  // namespace ktlsim::security
