// The forms of a security descriptor: self-relative, absolute, and as text.

#include <ktlsim/security.h>

#include <utility>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/caller_text.h"
#include "kernel_sim/authorization/captured_descriptor.h"
#include "kernel_sim/authorization/local_memory.h"
#include "kernel_sim/security/sddl.h"

namespace ktlsim::authorization {
namespace {

using security::Descriptor;
using security::DescriptorView;
using security::Fault;

// Which form a function takes.
enum class DescriptorForm : std::uint8_t { kAbsolute, kSelfRelative, kEither };

// A copy of a caller's descriptor, which may lie where the result is going to be.
// kBadDescriptorFormat: it is of the other form.
Fault CaptureDescriptor(const void* from, DescriptorForm form, std::optional<Descriptor>* copy) {
  CapturedDescriptor captured;
  const Fault fault = captured.Capture(from);
  if (fault != Fault::kNone) return fault;
  const bool relative = (captured.view().control & SE_SELF_RELATIVE) != 0;
  if (form != DescriptorForm::kEither && relative != (form == DescriptorForm::kSelfRelative)) {
    return Fault::kBadDescriptorFormat;
  }
  *copy = Descriptor::Create(captured.view());
  return *copy ? Fault::kNone : Fault::kNoMemory;
}

Fault MakeSelfRelative(const void* from, void* to, LPDWORD bytes) {
  if (bytes == nullptr) return Fault::kNoAccess;
  std::optional<Descriptor> made;
  const Fault fault = CaptureDescriptor(from, DescriptorForm::kAbsolute, &made);
  if (fault != Fault::kNone || !made) return fault;
  const std::span<const std::byte> image = made->image();
  if (LoadFrom<DWORD>(bytes) < image.size()) {
    StoreTo(bytes, static_cast<DWORD>(image.size()));
    return Fault::kInsufficientBuffer;
  }
  if (to == nullptr) return Fault::kNoAccess;
  std::memcpy(to, image.data(), image.size());
  return Fault::kNone;
}

// A part of what MakeAbsoluteSD makes: where it goes, and its bytes.
struct PartOfAbsolute {
  void* to;
  LPDWORD room;
  std::span<const std::byte> image = {};

  bool Fits() const { return LoadFrom<DWORD>(room) >= image.size(); }
  void StoreSize() const { StoreTo(room, static_cast<DWORD>(image.size())); }
  // Returns where it is. Null: it is not there.
  void* Store() const {
    if (image.empty()) return nullptr;
    std::memcpy(to, image.data(), image.size());
    return to;
  }
};

template <typename View>
std::span<const std::byte> ImageOf(const std::optional<View>& part) {
  return part ? part->image() : std::span<const std::byte>();
}

// Descriptor, DACL, SACL, owner, group.
using PartsOfAbsolute = std::array<PartOfAbsolute, 5>;

Fault JudgeParts(const PartsOfAbsolute& parts) {
  for (const PartOfAbsolute& part : parts) {
    if (part.Fits()) continue;
    for (const PartOfAbsolute& one : parts) one.StoreSize();
    return Fault::kInsufficientBuffer;
  }
  for (const PartOfAbsolute& part : parts) {
    if (part.to == nullptr && !part.image.empty()) return Fault::kNoAccess;
  }
  return Fault::kNone;
}

Fault MakeAbsolute(const void* from, PartsOfAbsolute parts) {
  for (const PartOfAbsolute& part : parts) {
    if (part.room == nullptr) return Fault::kNoAccess;
  }
  std::optional<Descriptor> source;
  Fault fault = CaptureDescriptor(from, DescriptorForm::kSelfRelative, &source);
  if (fault != Fault::kNone || !source) return fault;
  const DescriptorView& view = source->view();
  security::AbsoluteDescriptor absolute;
  parts[0].image = std::as_bytes(std::span(&absolute, 1));
  parts[1].image = ImageOf(view.dacl);
  parts[2].image = ImageOf(view.sacl);
  parts[3].image = ImageOf(view.owner);
  parts[4].image = ImageOf(view.group);
  fault = JudgeParts(parts);
  if (fault != Fault::kNone) return fault;
  absolute.rm_control = view.rm_control;
  absolute.control = static_cast<std::uint16_t>(view.control & ~SE_SELF_RELATIVE);
  absolute.dacl = parts[1].Store();
  absolute.sacl = parts[2].Store();
  absolute.owner = parts[3].Store();
  absolute.group = parts[4].Store();
  static_cast<void>(parts[0].Store());
  return Fault::kNone;
}

// A descriptor of its text, in a block for LocalFree.
Fault ParseText(const std::string& text, void** block, std::size_t* bytes) {
  std::optional<Descriptor> descriptor;
  const Fault fault = security::ParseSddl(text, std::nullopt, &descriptor).fault;
  if (fault != Fault::kNone || !descriptor) return fault;
  const std::span<const std::byte> image = descriptor->image();
  *block = AllocateLocal(image.size());
  if (*block == nullptr) return Fault::kNoMemory;
  std::memcpy(*block, image.data(), image.size());
  *bytes = image.size();
  return Fault::kNone;
}

template <typename Unit>
Fault TextToDescriptor(const Unit* from, DWORD revision, PSECURITY_DESCRIPTOR* out,
                       KtlsimUlongOut size) {
  if (from == nullptr || out == nullptr) return Fault::kInvalidParameter;
  StoreTo<void*>(static_cast<void*>(out), nullptr);
  if (revision != SDDL_REVISION_1) return Fault::kUnknownRevision;
  std::string text;
  Fault fault = ReadText(from, &text);
  if (fault != Fault::kNone) return fault;
  void* block = nullptr;
  std::size_t bytes = 0;
  fault = ParseText(text, &block, &bytes);
  if (fault != Fault::kNone) return fault;
  StoreTo(static_cast<void*>(out), block);
  size.Store(static_cast<std::uint32_t>(bytes));
  return Fault::kNone;
}

template <typename Unit>
Fault DescriptorToText(const void* from, DWORD revision, SECURITY_INFORMATION which, Unit** out,
                       KtlsimUlongOut size) {
  if (out == nullptr) return Fault::kInvalidParameter;
  StoreTo<void*>(static_cast<void*>(out), nullptr);
  if (revision != SDDL_REVISION_1) return Fault::kUnknownRevision;
  if (from == nullptr) return Fault::kInvalidParameter;
  std::optional<Descriptor> descriptor;
  Fault fault = CaptureDescriptor(from, DescriptorForm::kEither, &descriptor);
  if (fault != Fault::kNone || !descriptor) return fault;
  std::string text;
  fault = security::FormatSddl(descriptor->view(), which, std::nullopt, &text);
  if (fault != Fault::kNone) return fault;
  std::size_t units = 0;
  fault = GiveText(text, out, &units);
  if (fault == Fault::kNone) size.Store(static_cast<std::uint32_t>(units));
  return fault;
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim::authorization;  // NOLINT: the C API below is this file's whole point

extern "C" {

BOOL MakeSelfRelativeSD(PSECURITY_DESCRIPTOR pAbsoluteSecurityDescriptor,
                        PSECURITY_DESCRIPTOR pSelfRelativeSecurityDescriptor,
                        LPDWORD lpdwBufferLength) {
  return TellCaller([&] {
    return MakeSelfRelative(pAbsoluteSecurityDescriptor, pSelfRelativeSecurityDescriptor,
                            lpdwBufferLength);
  });
}

BOOL MakeAbsoluteSD(PSECURITY_DESCRIPTOR pSelfRelativeSecurityDescriptor,
                    PSECURITY_DESCRIPTOR pAbsoluteSecurityDescriptor,
                    LPDWORD lpdwAbsoluteSecurityDescriptorSize, PACL pDacl, LPDWORD lpdwDaclSize,
                    PACL pSacl, LPDWORD lpdwSaclSize, PSID pOwner, LPDWORD lpdwOwnerSize,
                    PSID pPrimaryGroup, LPDWORD lpdwPrimaryGroupSize) {
  return TellCaller([&] {
    return MakeAbsolute(pSelfRelativeSecurityDescriptor,
                        {{{pAbsoluteSecurityDescriptor, lpdwAbsoluteSecurityDescriptorSize},
                          {pDacl, lpdwDaclSize},
                          {pSacl, lpdwSaclSize},
                          {pOwner, lpdwOwnerSize},
                          {pPrimaryGroup, lpdwPrimaryGroupSize}}});
  });
}

BOOL ConvertStringSecurityDescriptorToSecurityDescriptorA(LPCSTR StringSecurityDescriptor,
                                                          DWORD StringSDRevision,
                                                          PSECURITY_DESCRIPTOR* SecurityDescriptor,
                                                          KTLSIM_ULONG_OUT SecurityDescriptorSize) {
  return TellCaller([&] {
    return TextToDescriptor(StringSecurityDescriptor, StringSDRevision, SecurityDescriptor,
                            SecurityDescriptorSize);
  });
}
BOOL ConvertStringSecurityDescriptorToSecurityDescriptorW(LPCWSTR StringSecurityDescriptor,
                                                          DWORD StringSDRevision,
                                                          PSECURITY_DESCRIPTOR* SecurityDescriptor,
                                                          KTLSIM_ULONG_OUT SecurityDescriptorSize) {
  return TellCaller([&] {
    return TextToDescriptor(StringSecurityDescriptor, StringSDRevision, SecurityDescriptor,
                            SecurityDescriptorSize);
  });
}

BOOL ConvertSecurityDescriptorToStringSecurityDescriptorA(
    PSECURITY_DESCRIPTOR SecurityDescriptor, DWORD RequestedStringSDRevision,
    SECURITY_INFORMATION SecurityInformation, LPSTR* StringSecurityDescriptor,
    KTLSIM_ULONG_OUT StringSecurityDescriptorLen) {
  return TellCaller([&] {
    return DescriptorToText(SecurityDescriptor, RequestedStringSDRevision, SecurityInformation,
                            StringSecurityDescriptor, StringSecurityDescriptorLen);
  });
}
BOOL ConvertSecurityDescriptorToStringSecurityDescriptorW(
    PSECURITY_DESCRIPTOR SecurityDescriptor, DWORD RequestedStringSDRevision,
    SECURITY_INFORMATION SecurityInformation, LPWSTR* StringSecurityDescriptor,
    KTLSIM_ULONG_OUT StringSecurityDescriptorLen) {
  return TellCaller([&] {
    return DescriptorToText(SecurityDescriptor, RequestedStringSDRevision, SecurityInformation,
                            StringSecurityDescriptor, StringSecurityDescriptorLen);
  });
}

}  // extern "C"
