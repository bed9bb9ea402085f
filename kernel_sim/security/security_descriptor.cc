#include "kernel_sim/security/security_descriptor.h"

#include <algorithm>
#include <new>

#include "kernel_sim/base/assert.h"

namespace ktlsim::security {
namespace {

Fault ReadPart(std::span<const std::byte> bytes, std::optional<SidView>* sid) {
  if (bytes.empty()) return Fault::kNone;
  *sid = SidView::Read(bytes);
  return *sid ? Fault::kNone : Fault::kInvalidSid;
}

Fault ReadPart(std::span<const std::byte> bytes, std::optional<AclView>* acl) {
  if (bytes.empty()) return Fault::kNone;
  *acl = AclView::Read(bytes);
  return *acl ? Fault::kNone : Fault::kInvalidAcl;
}

// A part of a self-relative descriptor lies at its offset, one of an absolute one at its address.
class PartFinder {
 public:
  explicit PartFinder(std::span<const std::byte> descriptor) : descriptor_(descriptor) {
    if (descriptor.size() == kUnknownBytes) descriptor_ = descriptor.first(kSelfRelativeBytesMax);
  }

  Fault At(std::uint32_t offset, std::span<const std::byte>* part) const {
    if (offset == 0) return Fault::kNone;
    if (offset % 4 != 0 || offset < sizeof(RelativeDescriptor) || offset >= descriptor_.size()) {
      return Fault::kInvalidSecurityDescriptor;
    }
    *part = descriptor_.subspan(offset);
    return Fault::kNone;
  }

  Fault At(const void* address, std::span<const std::byte>* part) const {
    // A SID says its size in the first two bytes, a list in the first four.
    if (address != nullptr) *part = {static_cast<const std::byte*>(address), kUnknownBytes};
    return Fault::kNone;
  }

 private:
  std::span<const std::byte> descriptor_;
};

// `parts` has the control bits already, which say the form.
template <typename Form>
Fault LocateIn(std::span<const std::byte> bytes, DescriptorParts* parts) {
  if (bytes.size() < sizeof(Form)) return Fault::kInvalidSecurityDescriptor;
  const auto form = Load<Form>(bytes.data());
  const PartFinder finder(bytes);
  Fault fault = finder.At(form.owner, &parts->owner);
  if (fault == Fault::kNone) fault = finder.At(form.group, &parts->group);
  if (fault == Fault::kNone && (parts->control & kSaclPresent) != 0) {
    fault = finder.At(form.sacl, &parts->sacl);
  }
  if (fault == Fault::kNone && (parts->control & kDaclPresent) != 0) {
    fault = finder.At(form.dacl, &parts->dacl);
  }
  return fault;
}

// The bytes with which both forms begin.
struct DescriptorHead {
  std::uint8_t revision;
  std::uint8_t rm_control;
  std::uint16_t control;
};

// Lists end at a multiple of four, whatever their header says.
std::size_t Padded(std::size_t bytes) { return (bytes + 3) & ~std::size_t{3}; }

template <typename Part>
std::size_t PartBytes(const std::optional<Part>& part) {
  return part ? Padded(part->image().size()) : 0;
}

// Writes the parts one behind the other.
class PartWriter {
 public:
  explicit PartWriter(std::span<std::byte> memory) : memory_(memory) {}

  // Returns the part's offset.
  template <typename Part>
  std::uint32_t Write(const std::optional<Part>& part) {
    if (!part) return 0;
    const auto offset = static_cast<std::uint32_t>(used_);
    std::ranges::copy(part->image(), memory_.data() + used_);
    std::ranges::fill(
        memory_.subspan(used_ + part->image().size(), PartBytes(part) - part->image().size()),
        std::byte{0});
    used_ += PartBytes(part);
    return offset;
  }

 private:
  std::span<std::byte> memory_;
  std::size_t used_ = sizeof(RelativeDescriptor);
};

}  // namespace

Fault LocateParts(std::span<const std::byte> bytes, DescriptorParts* parts) {
  if (bytes.size() < sizeof(RelativeDescriptor)) return Fault::kInvalidSecurityDescriptor;
  const auto head = Load<DescriptorHead>(bytes.data());
  if (head.revision != kDescriptorRevision) return Fault::kUnknownRevision;
  *parts = DescriptorParts();
  parts->control = head.control;
  parts->rm_control = head.rm_control;
  return (head.control & kSelfRelative) != 0 ? LocateIn<RelativeDescriptor>(bytes, parts)
                                             : LocateIn<AbsoluteDescriptor>(bytes, parts);
}

Fault ReadDescriptor(std::span<const std::byte> bytes, DescriptorView* view) {
  DescriptorParts parts;
  Fault fault = LocateParts(bytes, &parts);
  if (fault != Fault::kNone) return fault;
  DescriptorView read;
  read.control = parts.control;
  read.rm_control = parts.rm_control;
  fault = ReadPart(parts.owner, &read.owner);
  if (fault == Fault::kNone) fault = ReadPart(parts.group, &read.group);
  if (fault == Fault::kNone) fault = ReadPart(parts.sacl, &read.sacl);
  if (fault == Fault::kNone) fault = ReadPart(parts.dacl, &read.dacl);
  if (fault == Fault::kNone) *view = read;
  return fault;
}

std::size_t SelfRelativeBytes(const DescriptorView& view) {
  return sizeof(RelativeDescriptor) + PartBytes(view.sacl) + PartBytes(view.dacl) +
         PartBytes(view.owner) + PartBytes(view.group);
}

Fault WriteSelfRelative(const DescriptorView& view, std::span<std::byte> memory) {
  if (memory.size() < SelfRelativeBytes(view)) return Fault::kInsufficientBuffer;
  PartWriter writer(memory);
  RelativeDescriptor form;
  form.control = view.control | kSelfRelative;
  form.rm_control = view.rm_control;
  form.sacl = writer.Write(view.sacl);
  form.dacl = writer.Write(view.dacl);
  form.owner = writer.Write(view.owner);
  form.group = writer.Write(view.group);
  Store(memory.data(), form);
  return Fault::kNone;
}

std::optional<Descriptor> Descriptor::Create(const DescriptorView& view) {
  Descriptor made;
  made.size_ = SelfRelativeBytes(view);
  made.bytes_.reset(new (std::nothrow) std::byte[made.size_]);
  if (made.bytes_ == nullptr) return std::nullopt;
  const std::span memory(made.bytes_.get(), made.size_);
  const bool good = WriteSelfRelative(view, memory) == Fault::kNone &&
                    ReadDescriptor(memory, &made.view_) == Fault::kNone;
  KTLSIM_CHECK(good);
  return made;
}

}  // namespace ktlsim::security
