#include "kernel_sim/security/acl.h"

#include <algorithm>

namespace ktlsim::security {
namespace {

constexpr bool IsRevision(std::uint32_t revision) {
  return revision >= kAclRevision && revision <= kAclRevisionDs;
}

// Of `count` ACEs at the front of `bytes`. None: they are not all there, or one is invalid.
std::optional<std::size_t> BytesOfAces(std::span<const std::byte> bytes, std::size_t count) {
  std::size_t used = 0;
  for (; count > 0; --count) {
    const std::optional<std::size_t> size = ReadAceSize(bytes.subspan(used));
    if (!size) return std::nullopt;
    used += *size;
  }
  return used;
}

// What a sequence of ACEs is made of.
struct AceSequence {
  std::size_t count = 0;
  bool has_object_aces = false;
};

// None: `bytes` are of no ACE, or of something else as well.
std::optional<AceSequence> ReadSequence(std::span<const std::byte> bytes) {
  AceSequence sequence;
  while (!bytes.empty()) {
    const std::optional<AceView> ace = AceView::Read(bytes);
    if (!ace) return std::nullopt;
    sequence.has_object_aces = sequence.has_object_aces || ace->layout() == AceLayout::kObject;
    bytes = bytes.subspan(ace->bytes());
    ++sequence.count;
  }
  return sequence.count == 0 ? std::nullopt : std::optional(sequence);
}

// Of the list at the front of `bytes`.
std::optional<AclExtent> Measure(std::span<const std::byte> bytes) {
  if (bytes.size() < kAclHeaderBytes) return std::nullopt;
  AclExtent extent;
  extent.revision = LoadOnce<std::uint8_t>(bytes.data());
  extent.bytes = LoadOnce<std::uint16_t>(bytes.data() + 2);
  extent.count = LoadOnce<std::uint16_t>(bytes.data() + 4);
  if (!IsRevision(extent.revision) || extent.bytes < kAclHeaderBytes ||
      extent.bytes > bytes.size()) {
    return std::nullopt;
  }
  const auto aces = BytesOfAces(bytes.first(extent.bytes).subspan(kAclHeaderBytes), extent.count);
  if (!aces) return std::nullopt;
  extent.used = kAclHeaderBytes + *aces;
  return extent;
}

bool IsAudit(AceType type) { return type == AceType::kAudit || type == AceType::kAuditObject; }

// The plain type of an object ACE's kind.
AceType WithoutObject(AceType type) {
  if (type == AceType::kAllowedObject) return AceType::kAllowed;
  if (type == AceType::kDeniedObject) return AceType::kDenied;
  if (type == AceType::kAuditObject) return AceType::kAudit;
  return type;
}

std::uint32_t ObjectFlagsOf(const NewAce& ace) {
  return (ace.object_type != nullptr ? kObjectTypePresent : 0) |
         (ace.inherited_object_type != nullptr ? kInheritedObjectTypePresent : 0);
}

std::size_t SidOffsetOf(const NewAce& ace) {
  return LayoutOf(TypeToWrite(ace)) == AceLayout::kObject ? ObjectSidOffset(ObjectFlagsOf(ace))
                                                          : kAcePrefixBytes;
}

void StoreHead(std::byte* acl, std::uint32_t revision, std::size_t count) {
  acl[0] = static_cast<std::byte>(revision);
  Store(acl + 4, static_cast<std::uint16_t>(count));
}

// Makes `bytes` of room in the list at `offset`. False: it has too little, or too many ACEs.
bool MakeRoom(std::byte* acl, const AclExtent& extent, std::size_t offset, std::size_t bytes,
              std::size_t more_aces) {
  if (bytes > extent.room() || extent.count + more_aces > UINT16_MAX) return false;
  std::copy_backward(acl + offset, acl + extent.used, acl + extent.used + bytes);
  return true;
}

}  // namespace

std::optional<AclExtent> MeasureAcl(const std::byte* at) {
  return Measure({at, std::max<std::size_t>(kAclHeaderBytes, LoadOnce<std::uint16_t>(at + 2))});
}

std::optional<std::size_t> OffsetOfAce(const std::byte* acl, const AclExtent& extent,
                                       std::size_t index) {
  const std::span<const std::byte> aces(acl + kAclHeaderBytes, extent.used - kAclHeaderBytes);
  const std::optional<std::size_t> before = BytesOfAces(aces, index);
  return before ? std::optional(kAclHeaderBytes + *before) : std::nullopt;
}

std::optional<AclView> AclView::Read(std::span<const std::byte> bytes) {
  return Measure(bytes) ? std::optional(AclView(bytes.data())) : std::nullopt;
}

std::optional<AclView> AclView::ReadUnbounded(const std::byte* at) {
  return Read({at, std::max<std::size_t>(kAclHeaderBytes, LoadOnce<std::uint16_t>(at + 2))});
}

std::size_t AclView::bytes_in_use() const {
  const std::optional<AclExtent> extent = Measure(image());
  return extent ? extent->used : kAclHeaderBytes;
}

AceType TypeToWrite(const NewAce& ace) {
  return ObjectFlagsOf(ace) == 0 ? WithoutObject(ace.type) : ace.type;
}

std::size_t BytesOf(const NewAce& ace) { return SidOffsetOf(ace) + ace.sid.bytes(); }

void WriteAce(const NewAce& ace, std::byte* at) {
  const AceType type = TypeToWrite(ace);
  at[0] = static_cast<std::byte>(type);
  at[1] = static_cast<std::byte>(ace.flags);
  Store(at + 2, static_cast<std::uint16_t>(BytesOf(ace)));
  Store(at + 4, ace.mask);
  std::byte* const sid = at + SidOffsetOf(ace);
  if (LayoutOf(type) == AceLayout::kObject) {
    Store(at + kAcePrefixBytes, ObjectFlagsOf(ace));
    if (ace.object_type != nullptr) Store(at + kAcePrefixBytes + 4, *ace.object_type);
    if (ace.inherited_object_type != nullptr) Store(sid - 16, *ace.inherited_object_type);
  }
  std::ranges::copy(ace.sid.image(), sid);
}

Fault InitializeAcl(std::span<std::byte> memory, std::uint32_t revision) {
  if (memory.size() < kAclHeaderBytes) return Fault::kInsufficientBuffer;
  if (memory.size() > kAclBytesMax || !IsRevision(revision)) return Fault::kInvalidParameter;
  std::ranges::fill(memory.first(kAclHeaderBytes), std::byte{0});
  memory[0] = static_cast<std::byte>(revision);
  Store(memory.data() + 2, static_cast<std::uint16_t>(memory.size() & ~std::size_t{3}));
  return Fault::kNone;
}

Fault AppendAce(std::byte* acl, std::uint32_t revision, const NewAce& ace) {
  const std::optional<AclExtent> extent = MeasureAcl(acl);
  if (!extent) return Fault::kInvalidAcl;
  const AceType type = TypeToWrite(ace);
  if (!IsRevision(revision) ||
      (LayoutOf(type) == AceLayout::kObject && revision < kAclRevisionDs)) {
    return Fault::kRevisionMismatch;
  }
  const std::uint8_t legal = kInheritFlags | (IsAudit(type) ? kAuditFlags : 0);
  if ((ace.flags & ~legal) != 0) return Fault::kInvalidFlags;
  if (!MakeRoom(acl, *extent, extent->used, BytesOf(ace), 1)) {
    return Fault::kAllottedSpaceExceeded;
  }
  WriteAce(ace, acl + extent->used);
  StoreHead(acl, std::max<std::uint32_t>(extent->revision, revision), extent->count + 1);
  return Fault::kNone;
}

Fault InsertAces(std::byte* acl, std::uint32_t revision, std::uint32_t index,
                 std::span<const std::byte> aces) {
  const std::optional<AclExtent> extent = MeasureAcl(acl);
  if (!extent) return Fault::kInvalidAcl;
  if (!IsRevision(revision)) return Fault::kRevisionMismatch;
  const std::optional<AceSequence> more = ReadSequence(aces);
  if (!more || (index > extent->count && index != kAtEnd)) return Fault::kInvalidParameter;
  const std::uint32_t raised = std::max<std::uint32_t>(extent->revision, revision);
  if (more->has_object_aces && raised < kAclRevisionDs) return Fault::kRevisionMismatch;
  const auto offset =
      index == kAtEnd ? std::optional(extent->used) : OffsetOfAce(acl, *extent, index);
  if (!offset) return Fault::kInvalidAcl;
  if (!MakeRoom(acl, *extent, *offset, aces.size(), more->count)) {
    return Fault::kAllottedSpaceExceeded;
  }
  std::ranges::copy(aces, acl + *offset);
  StoreHead(acl, raised, extent->count + more->count);
  return Fault::kNone;
}

Fault DeleteAce(std::byte* acl, std::uint32_t index) {
  const std::optional<AclExtent> extent = MeasureAcl(acl);
  if (!extent) return Fault::kInvalidAcl;
  if (index >= extent->count) return Fault::kInvalidParameter;
  const std::optional<std::size_t> from = OffsetOfAce(acl, *extent, index);
  if (!from) return Fault::kInvalidAcl;
  const auto bytes = BytesOfAces({acl + *from, extent->used - *from}, 1);
  if (!bytes) return Fault::kInvalidAcl;
  std::copy(acl + *from + *bytes, acl + extent->used, acl + *from);
  StoreHead(acl, extent->revision, extent->count - 1);
  return Fault::kNone;
}

}  // namespace ktlsim::security
