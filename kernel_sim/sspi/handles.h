// SecHandle on the outside, table handle inside: dwLower says what kind, dwUpper names the object.
#pragma once

#include <sspi.h>

#include <utility>

#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/sspi/objects.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {

inline constexpr ULONG_PTR kContextKind = 0x4B544C53'43540001;     // "KTLS" "CT"
inline constexpr ULONG_PTR kCredentialKind = 0x4B544C53'43520001;  // "KTLS" "CR"

inline SecHandle MakeContextHandle(executive::ObjectTable::Handle handle) {
  return {kContextKind, handle};
}
inline SecHandle MakeCredentialHandle(executive::ObjectTable::Handle handle) {
  return {kCredentialKind, handle};
}

// Counted references, or null for null, stale and foreign handles. Any thread, any level.
inline executive::Reference<ContextObject> LookupContext(const SecHandle* handle) {
  if (handle == nullptr || handle->dwLower != kContextKind) return {};
  return executive::Reference<ContextObject>(
      static_cast<ContextObject*>(Runtime::Instance().security_contexts().Lookup(handle->dwUpper)));
}
// The same, claimed for a record: no other thread seals, or opens, with it meanwhile.
template <executive::Claim claim>
executive::Claimed<ContextObject, claim> ClaimContext(const SecHandle* handle) {
  ContextObject* context = nullptr;
  if (handle != nullptr && handle->dwLower == kContextKind) {
    context = static_cast<ContextObject*>(
        Runtime::Instance().security_contexts().Lookup(handle->dwUpper, claim));
  }
  return executive::Claimed<ContextObject, claim>(context);
}
inline executive::Reference<CredentialObject> LookupCredential(const SecHandle* handle) {
  if (handle == nullptr || handle->dwLower != kCredentialKind) return {};
  return executive::Reference<CredentialObject>(
      static_cast<CredentialObject*>(Runtime::Instance().credentials().Lookup(handle->dwUpper)));
}

// The handle dies; its own reference goes to the one caller for whom it was still alive.
inline executive::Reference<ContextObject> CloseContext(const SecHandle* handle) {
  executive::Object* object = nullptr;
  if (handle == nullptr || handle->dwLower != kContextKind ||
      !Runtime::Instance().security_contexts().Close(handle->dwUpper, &object)) {
    return {};
  }
  return executive::Reference<ContextObject>(static_cast<ContextObject*>(object));
}
inline executive::Reference<CredentialObject> CloseCredential(const SecHandle* handle) {
  executive::Object* object = nullptr;
  if (handle == nullptr || handle->dwLower != kCredentialKind ||
      !Runtime::Instance().credentials().Close(handle->dwUpper, &object)) {
    return {};
  }
  return executive::Reference<CredentialObject>(static_cast<CredentialObject*>(object));
}

}  // namespace ktlsim::sspi
