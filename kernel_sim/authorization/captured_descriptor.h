// CapturedDescriptor: a caller's descriptor, copied, so that nothing of it is read twice. For what
// is a border to C: this folder and authority/.
//
// Any thread, up to dispatch level as long as the lists are short: what fits is kept in the object
// itself, for longer lists it allocates.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/security/security_descriptor.h"

namespace ktlsim::authorization {

// Does not move: its view leads into it.
class CapturedDescriptor {
 public:
  CapturedDescriptor() = default;
  CapturedDescriptor(const CapturedDescriptor&) = delete;
  CapturedDescriptor& operator=(const CapturedDescriptor&) = delete;

  // Once, from a descriptor of either form, whose own offsets and sizes are believed. kNoAccess:
  // null; otherwise as ReadDescriptor. May throw std::bad_alloc.
  security::Fault Capture(const void* from) {
    using security::Fault;
    if (from == nullptr) return Fault::kNoAccess;
    security::DescriptorParts parts;
    Fault fault = security::LocateParts(
        {static_cast<const std::byte*>(from), security::kUnknownBytes}, &parts);
    if (fault != Fault::kNone) return fault;
    view_.control = parts.control;
    view_.rm_control = parts.rm_control;
    fault = CaptureOne(parts.owner, &owner_, &view_.owner);
    if (fault == Fault::kNone) fault = CaptureOne(parts.group, &group_, &view_.group);
    if (fault == Fault::kNone) fault = CaptureOne(parts.sacl, &sacl_, &view_.sacl);
    if (fault == Fault::kNone) fault = CaptureOne(parts.dacl, &dacl_, &view_.dacl);
    return fault;
  }

  const security::DescriptorView& view() const { return view_; }

 private:
  struct SidRoom {
    alignas(8) std::array<std::byte, security::kSidBytesMax> bytes;
  };
  // For a list of the usual length.
  static constexpr std::size_t kRoomBytes = 1024;
  struct ListRoom {
    std::byte* Of(std::size_t bytes) {
      if (bytes <= sizeof(near)) return near.data();
      far.reset(new std::byte[bytes]);
      return far.get();
    }

    alignas(8) std::array<std::byte, kRoomBytes> near;
    std::unique_ptr<std::byte[]> far;
  };

  static security::Fault CaptureOne(std::span<const std::byte> from, SidRoom* room,
                                    std::optional<security::SidView>* view) {
    if (from.empty()) return security::Fault::kNone;
    const auto head = LoadFrom<std::array<std::byte, 2>>(from.data());
    const auto count = static_cast<std::size_t>(head[1]);
    if (count > security::kSubAuthoritiesMax) return security::Fault::kInvalidSid;
    const std::span<std::byte> copy = std::span(room->bytes).first(security::SidBytes(count));
    std::memcpy(copy.data(), from.data(), copy.size());
    *view = security::SidView::Read(copy);
    return *view ? security::Fault::kNone : security::Fault::kInvalidSid;
  }
  static security::Fault CaptureOne(std::span<const std::byte> from, ListRoom* room,
                                    std::optional<security::AclView>* view) {
    if (from.empty()) return security::Fault::kNone;
    if (from.size() < security::kAclHeaderBytes) return security::Fault::kInvalidAcl;
    const std::size_t bytes = LoadFrom<ACL>(from.data()).AclSize;
    if (bytes < security::kAclHeaderBytes || bytes > from.size()) {
      return security::Fault::kInvalidAcl;
    }
    std::byte* const copy = room->Of(bytes);
    std::memcpy(copy, from.data(), bytes);
    *view = security::AclView::Read({copy, bytes});
    return *view ? security::Fault::kNone : security::Fault::kInvalidAcl;
  }

  SidRoom owner_;
  SidRoom group_;
  ListRoom sacl_;
  ListRoom dacl_;
  security::DescriptorView view_;
};

}  // namespace ktlsim::authorization
