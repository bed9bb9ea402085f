// What callers pass to an access check beside the descriptor, copied. For what is a border to C:
// this folder and authority/.
#pragma once

#include <ktlsim/security.h>

#include <optional>
#include <span>
#include <vector>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/security/access_check.h"

namespace ktlsim::authorization {

inline security::GenericMapping MappingOf(const GENERIC_MAPPING& mapping) {
  return {mapping.GenericRead, mapping.GenericWrite, mapping.GenericExecute, mapping.GenericAll};
}

// A caller's list of types, copied.
class CapturedTypes {
 public:
  // kInvalidParameter: too many, or an entry without a type. May throw std::bad_alloc.
  security::Fault Capture(const OBJECT_TYPE_LIST* from, DWORD count) {
    if (count > security::kObjectTypesMax) return security::Fault::kInvalidParameter;
    guids_.reserve(count);
    types_.reserve(count);
    for (DWORD i = 0; i < count; ++i) {
      const auto one = LoadElement<OBJECT_TYPE_LIST>(from, 0, i);
      if (one.ObjectType == nullptr) return security::Fault::kInvalidParameter;
      guids_.push_back(LoadFrom<security::Guid>(one.ObjectType));
      types_.push_back({.level = one.Level, .reserved = 0, .type = &guids_.back()});
    }
    return security::Fault::kNone;
  }
  std::span<const security::ObjectType> get() const { return types_; }

 private:
  std::vector<security::Guid> guids_;  // do not move once they are there
  std::vector<security::ObjectType> types_;
};

// The SID of the object itself, or none.
inline security::Fault CaptureSelf(PSID from, security::Sid* sid,
                                   std::optional<security::SidView>* self) {
  if (from == nullptr) return security::Fault::kNone;
  const security::Fault fault = CaptureSid(from, sid);
  if (fault == security::Fault::kNone) *self = sid->view();
  return fault;
}

// ERROR_SUCCESS, or why one of the types was denied.
inline DWORD ReasonOf(const security::AccessResult& result, const security::TypeResult& type) {
  using security::Fault;
  if (type.allowed) return ERROR_SUCCESS;
  const bool told =
      result.reason == Fault::kPrivilegeNotHeld || result.reason == Fault::kNoSystemResources;
  return told ? static_cast<DWORD>(result.reason) : ERROR_ACCESS_DENIED;
}

}  // namespace ktlsim::authorization
