#include "kernel_sim/security/ace.h"

namespace ktlsim::security {
namespace {

Guid LoadGuid(const std::byte* at) { return Load<Guid>(at); }

bool SidFits(std::span<const std::byte> ace, std::size_t offset) {
  return offset <= ace.size() && SidView::Read(ace.subspan(offset)).has_value();
}

bool ContentFits(std::span<const std::byte> ace) {
  const AceLayout layout = LayoutOf(static_cast<AceType>(ace[0]));
  if (layout == AceLayout::kOther) return true;
  if (ace.size() < kAcePrefixBytes) return false;
  if (layout == AceLayout::kPlain) return SidFits(ace, kAcePrefixBytes);
  if (ace.size() < kAcePrefixBytes + 4) return false;
  return SidFits(ace, ObjectSidOffset(Load<std::uint32_t>(ace.data() + kAcePrefixBytes)));
}

}  // namespace

std::optional<std::size_t> ReadAceSize(std::span<const std::byte> bytes) {
  if (bytes.size() < kAceHeaderBytes) return std::nullopt;
  const std::size_t size = LoadOnce<std::uint16_t>(bytes.data() + 2);
  if (size < kAceHeaderBytes || size % 4 != 0 || size > bytes.size()) return std::nullopt;
  return ContentFits(bytes.first(size)) ? std::optional(size) : std::nullopt;
}

std::optional<AceView> AceView::Read(std::span<const std::byte> bytes) {
  return ReadAceSize(bytes) ? std::optional(AceView(bytes.data())) : std::nullopt;
}

std::optional<Guid> AceView::object_type() const {
  if ((object_flags() & kObjectTypePresent) == 0) return std::nullopt;
  return LoadGuid(at_ + kAcePrefixBytes + 4);
}

std::optional<Guid> AceView::inherited_object_type() const {
  if ((object_flags() & kInheritedObjectTypePresent) == 0) return std::nullopt;
  return LoadGuid(at_ + ObjectSidOffset(object_flags()) - 16);
}

}  // namespace ktlsim::security
