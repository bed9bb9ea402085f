// Query and set functions for contexts and credentials. A and W forms differ only for attributes
// with strings in the caller's width: the strings of most attributes are wide in both.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <algorithm>
#include <optional>
#include <string>

#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/passive_level.h"
#include "kernel_sim/sspi/runtime.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

SECURITY_STATUS QueryContext(PCtxtHandle handle, const AttributeQuery& query) {
  const auto context = LookupContext(handle);
  if (!context) return SEC_E_INVALID_HANDLE;
  if (query.buffer == nullptr) return SEC_E_INTERNAL_ERROR;
  return NothingThrown([&] {
    if (query.attribute != SECPKG_ATTR_ACCESS_TOKEN) return context->Query(query);
    return context->LendClientToken(
        &static_cast<SecPkgContext_AccessToken*>(query.buffer)->AccessToken);
  });
}

// Of an attribute that every package has, or of one of this package's.
ULONG AttributeBytes(const ContextObject& context, ULONG attribute) {
  return attribute == SECPKG_ATTR_ACCESS_TOKEN
             ? sizeof(SecPkgContext_AccessToken)
             : context.credential().package().ContextAttributeBytes(attribute);
}

SECURITY_STATUS QueryContextEx(PCtxtHandle handle, const AttributeQuery& query, ULONG bytes) {
  const auto context = LookupContext(handle);
  if (context && bytes < AttributeBytes(*context, query.attribute)) {
    return SEC_E_BUFFER_TOO_SMALL;
  }
  return QueryContext(handle, query);
}

SECURITY_STATUS SetCredential(PCredHandle handle, ULONG attribute, void* buffer, ULONG bytes) {
  const auto credential = LookupCredential(handle);
  if (!credential) return SEC_E_INVALID_HANDLE;
  if (buffer == nullptr) return SEC_E_INVALID_PARAMETER;
  if (!AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  return NothingThrown(
      [&] { return credential->credential().SetAttribute(attribute, buffer, bytes); });
}

// A copy for FreeContextBuffer, of `Char`s; a certificate's names are ASCII.
template <typename Char>
SECURITY_STATUS StoreName(PackageCredential& credential, void* buffer) {
  std::string name;
  const SECURITY_STATUS status = credential.Name(&name);
  if (status != SEC_E_OK) return status;
  auto* copy = static_cast<Char*>(AllocateContextBuffer((name.size() + 1) * sizeof(Char)));
  if (copy == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  std::ranges::transform(name, copy, [](char c) { return static_cast<Char>(c); });
  copy[name.size()] = 0;
  *static_cast<Char**>(buffer) = copy;  // the structure's one member
  return SEC_E_OK;
}
static_assert(sizeof(SecPkgCredentials_NamesA) == sizeof(char*));
static_assert(sizeof(SecPkgCredentials_NamesW) == sizeof(SEC_WCHAR*));

template <typename Char>
SECURITY_STATUS QueryCredential(PCredHandle handle, ULONG attribute, void* buffer) {
  const auto credential = LookupCredential(handle);
  if (!credential) return SEC_E_INVALID_HANDLE;
  if (buffer == nullptr) return SEC_E_INTERNAL_ERROR;
  PackageCredential& asked = credential->credential();
  return NothingThrown([&] {
    return attribute == SECPKG_CRED_ATTR_NAMES ? StoreName<Char>(asked, buffer)
                                               : asked.QueryAttribute(attribute, buffer);
  });
}

template <typename Char>
SECURITY_STATUS QueryCredentialEx(PCredHandle handle, ULONG attribute, void* buffer, ULONG bytes) {
  const auto credential = LookupCredential(handle);
  const ULONG needed = attribute == SECPKG_CRED_ATTR_NAMES ? sizeof(SecPkgCredentials_NamesA)
                       : credential ? credential->package().CredentialAttributeBytes(attribute)
                                    : 0;
  if (credential && bytes < needed) return SEC_E_BUFFER_TOO_SMALL;
  return QueryCredential<Char>(handle, attribute, buffer);
}

SECURITY_STATUS EmptyCache(const auto* target_name) {
  return NothingThrown([target_name] {
    const std::optional<std::string> name = ReadName(target_name);
    if (!name) return SEC_E_INVALID_PARAMETER;
    for (Package* package : Runtime::Instance().Packages()) package->ForgetSessions(*name);
    return SEC_E_OK;
  });
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim::sspi;  // NOLINT: the C API below is this file's whole point

extern "C" {

SECURITY_STATUS QueryContextAttributesA(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer) {
  return Told(QueryContext(phContext, {.attribute = ulAttribute, .buffer = pBuffer}));
}
SECURITY_STATUS QueryContextAttributesW(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer) {
  return Told(QueryContext(phContext, {.attribute = ulAttribute, .buffer = pBuffer, .wide = true}));
}
SECURITY_STATUS QueryContextAttributesExA(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer,
                                          ULONG cbBuffer) {
  return Told(QueryContextEx(phContext, {.attribute = ulAttribute, .buffer = pBuffer}, cbBuffer));
}
SECURITY_STATUS QueryContextAttributesExW(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer,
                                          ULONG cbBuffer) {
  return Told(QueryContextEx(phContext, {.attribute = ulAttribute, .buffer = pBuffer, .wide = true},
                             cbBuffer));
}
SECURITY_STATUS SetCredentialsAttributesA(PCredHandle phCredential, ULONG ulAttribute,
                                          void* pBuffer, ULONG cbBuffer) {
  return Told(SetCredential(phCredential, ulAttribute, pBuffer, cbBuffer));
}
SECURITY_STATUS SetCredentialsAttributesW(PCredHandle phCredential, ULONG ulAttribute,
                                          void* pBuffer, ULONG cbBuffer) {
  return Told(SetCredential(phCredential, ulAttribute, pBuffer, cbBuffer));
}
SECURITY_STATUS QueryCredentialsAttributesA(PCredHandle phCredential, ULONG ulAttribute,
                                            void* pBuffer) {
  return Told(QueryCredential<char>(phCredential, ulAttribute, pBuffer));
}
SECURITY_STATUS QueryCredentialsAttributesW(PCredHandle phCredential, ULONG ulAttribute,
                                            void* pBuffer) {
  return Told(QueryCredential<SEC_WCHAR>(phCredential, ulAttribute, pBuffer));
}
SECURITY_STATUS QueryCredentialsAttributesExA(PCredHandle phCredential, ULONG ulAttribute,
                                              void* pBuffer, ULONG cbBuffer) {
  return Told(QueryCredentialEx<char>(phCredential, ulAttribute, pBuffer, cbBuffer));
}
SECURITY_STATUS QueryCredentialsAttributesExW(PCredHandle phCredential, ULONG ulAttribute,
                                              void* pBuffer, ULONG cbBuffer) {
  return Told(QueryCredentialEx<SEC_WCHAR>(phCredential, ulAttribute, pBuffer, cbBuffer));
}

BOOL SslEmptyCacheA(LPSTR pszTargetName, DWORD) {
  return Told(EmptyCache(pszTargetName)) == SEC_E_OK ? TRUE : FALSE;
}
BOOL SslEmptyCacheW(LPWSTR pszTargetName, DWORD) {
  return Told(EmptyCache(pszTargetName)) == SEC_E_OK ? TRUE : FALSE;
}

}  // extern "C"
