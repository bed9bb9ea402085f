// Query and set functions for contexts and credentials. A and W forms answer alike until an
// attribute carries strings of the caller's choice: those that exist today are wide in both.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <new>

#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/passive_level.h"

namespace ktlsim::sspi {
namespace {

// Bytes that the caller's structure must have for the Ex forms; 0: not an attribute we answer.
ULONG BytesOf(ULONG attribute) {
  switch (attribute) {
    case SECPKG_ATTR_STREAM_SIZES:
      return sizeof(SecPkgContext_StreamSizes);
    case SECPKG_ATTR_CONNECTION_INFO:
      return sizeof(SecPkgContext_ConnectionInfo);
    case SECPKG_ATTR_CIPHER_INFO:
      return sizeof(SecPkgContext_CipherInfo);
    case SECPKG_ATTR_APPLICATION_PROTOCOL:
      return sizeof(SecPkgContext_ApplicationProtocol);
    case SECPKG_ATTR_SESSION_INFO:
      return sizeof(SecPkgContext_SessionInfo);
    default:
      return 0;
  }
}

SECURITY_STATUS QueryContext(PCtxtHandle handle, ULONG attribute, void* buffer) {
  const auto context = LookupContext(handle);
  if (!context) return SEC_E_INVALID_HANDLE;
  if (buffer == nullptr) return SEC_E_INTERNAL_ERROR;
  return context->Query(attribute, buffer);
}

SECURITY_STATUS QueryContextEx(PCtxtHandle handle, ULONG attribute, void* buffer, ULONG bytes) {
  const ULONG needed = BytesOf(attribute);
  if (needed != 0 && bytes < needed && LookupContext(handle)) return SEC_E_BUFFER_TOO_SMALL;
  return QueryContext(handle, attribute, buffer);
}

SECURITY_STATUS SetCredential(PCredHandle handle, ULONG attribute, void* buffer, ULONG bytes) {
  const auto credential = LookupCredential(handle);
  if (!credential) return SEC_E_INVALID_HANDLE;
  if (buffer == nullptr) return SEC_E_INVALID_PARAMETER;
  if (!AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  try {
    return credential->credential().SetAttribute(attribute, buffer, bytes);
  } catch (const std::bad_alloc&) {
    return SEC_E_INSUFFICIENT_MEMORY;
  }
}

SECURITY_STATUS QueryCredential(PCredHandle handle, ULONG attribute, void* buffer) {
  const auto credential = LookupCredential(handle);
  if (!credential) return SEC_E_INVALID_HANDLE;
  if (buffer == nullptr) return SEC_E_INTERNAL_ERROR;
  return credential->credential().QueryAttribute(attribute, buffer);
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim::sspi;  // NOLINT: the C API below is this file's whole point

extern "C" {

SECURITY_STATUS QueryContextAttributesA(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer) {
  return QueryContext(phContext, ulAttribute, pBuffer);
}
SECURITY_STATUS QueryContextAttributesW(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer) {
  return QueryContext(phContext, ulAttribute, pBuffer);
}
SECURITY_STATUS QueryContextAttributesExA(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer,
                                          ULONG cbBuffer) {
  return QueryContextEx(phContext, ulAttribute, pBuffer, cbBuffer);
}
SECURITY_STATUS QueryContextAttributesExW(PCtxtHandle phContext, ULONG ulAttribute, void* pBuffer,
                                          ULONG cbBuffer) {
  return QueryContextEx(phContext, ulAttribute, pBuffer, cbBuffer);
}
SECURITY_STATUS SetCredentialsAttributesA(PCredHandle phCredential, ULONG ulAttribute,
                                          void* pBuffer, ULONG cbBuffer) {
  return SetCredential(phCredential, ulAttribute, pBuffer, cbBuffer);
}
SECURITY_STATUS SetCredentialsAttributesW(PCredHandle phCredential, ULONG ulAttribute,
                                          void* pBuffer, ULONG cbBuffer) {
  return SetCredential(phCredential, ulAttribute, pBuffer, cbBuffer);
}
SECURITY_STATUS QueryCredentialsAttributesA(PCredHandle phCredential, ULONG ulAttribute,
                                            void* pBuffer) {
  return QueryCredential(phCredential, ulAttribute, pBuffer);
}
SECURITY_STATUS QueryCredentialsAttributesW(PCredHandle phCredential, ULONG ulAttribute,
                                            void* pBuffer) {
  return QueryCredential(phCredential, ulAttribute, pBuffer);
}
SECURITY_STATUS QueryCredentialsAttributesExA(PCredHandle phCredential, ULONG ulAttribute,
                                              void* pBuffer, ULONG cbBuffer) {
  if (ulAttribute == SECPKG_ATTR_SUPPORTED_PROTOCOLS &&
      cbBuffer < sizeof(SecPkgCred_SupportedProtocols)) {
    return SEC_E_BUFFER_TOO_SMALL;
  }
  return QueryCredential(phCredential, ulAttribute, pBuffer);
}
SECURITY_STATUS QueryCredentialsAttributesExW(PCredHandle phCredential, ULONG ulAttribute,
                                              void* pBuffer, ULONG cbBuffer) {
  return QueryCredentialsAttributesExA(phCredential, ulAttribute, pBuffer, cbBuffer);
}

// The sessions of one target cannot be told apart from the others': all are forgotten, which is
// more than was asked for and never less.
BOOL SslEmptyCacheA(LPSTR, DWORD) {
  TlsCredential::ForgetSessions();
  return TRUE;
}
BOOL SslEmptyCacheW(LPWSTR, DWORD) {
  TlsCredential::ForgetSessions();
  return TRUE;
}

}  // extern "C"
