// Functions of the interface that no package here offers yet: SEC_E_INVALID_HANDLE for a dead
// handle, and for a live one what Schannel returns (SSPI documentation of each function).

#include <schannel.h>
#include <sspi.h>

#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/kernel_mode.h"
#include "kernel_sim/sspi/last_error.h"

namespace ktlsim::sspi {
namespace {

SECURITY_STATUS UnsupportedFor(PCtxtHandle context) {
  return LookupContext(context) ? SEC_E_UNSUPPORTED_FUNCTION : SEC_E_INVALID_HANDLE;
}
SECURITY_STATUS UnsupportedForCredential(PCredHandle credential) {
  return LookupCredential(credential) ? SEC_E_UNSUPPORTED_FUNCTION : SEC_E_INVALID_HANDLE;
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim::sspi;  // NOLINT: the C API below is this file's whole point

extern "C" {

SECURITY_STATUS ExportSecurityContext(PCtxtHandle phContext, ULONG, PSecBuffer, void**) {
  return Told(UnsupportedFor(phContext));
}
SECURITY_STATUS ImportSecurityContextA(LPSTR, PSecBuffer, void*, PCtxtHandle) {
  return Told(SEC_E_UNSUPPORTED_FUNCTION);
}
SECURITY_STATUS ImportSecurityContextW(LPWSTR, PSecBuffer, void*, PCtxtHandle) {
  return Told(SEC_E_UNSUPPORTED_FUNCTION);
}
SECURITY_STATUS DelegateSecurityContext(PCtxtHandle phContext, LPSTR, SecDelegationType, PTimeStamp,
                                        PSecBuffer, PSecBufferDesc) {
  return Told(UnsupportedFor(phContext));
}
SECURITY_STATUS SetContextAttributesA(PCtxtHandle phContext, ULONG, void*, ULONG) {
  return Told(UnsupportedFor(phContext));
}
SECURITY_STATUS SetContextAttributesW(PCtxtHandle phContext, ULONG, void*, ULONG) {
  return Told(UnsupportedFor(phContext));
}
SECURITY_STATUS AddCredentialsA(PCredHandle hCredentials, LPSTR, LPSTR, ULONG, void*,
                                SEC_GET_KEY_FN, void*, PTimeStamp) {
  return Told(UnsupportedForCredential(hCredentials));
}
SECURITY_STATUS AddCredentialsW(PCredHandle hCredentials, LPWSTR, LPWSTR, ULONG, void*,
                                SEC_GET_KEY_FN, void*, PTimeStamp) {
  return Told(UnsupportedForCredential(hCredentials));
}
SECURITY_STATUS ChangeAccountPasswordA(SEC_CHAR*, SEC_CHAR*, SEC_CHAR*, SEC_CHAR*, SEC_CHAR*,
                                       BOOLEAN, ULONG, PSecBufferDesc) {
  return Told(SEC_E_UNSUPPORTED_FUNCTION);
}
SECURITY_STATUS ChangeAccountPasswordW(SEC_WCHAR*, SEC_WCHAR*, SEC_WCHAR*, SEC_WCHAR*, SEC_WCHAR*,
                                       BOOLEAN, ULONG, PSecBufferDesc) {
  return Told(SEC_E_UNSUPPORTED_FUNCTION);
}

// ---- Kernel mode: what Schannel does not offer there

SECURITY_STATUS Ktlsim_k_ApplyControlToken(PCtxtHandle context, PSecBufferDesc) {
  return Told(UnsupportedFor(context));
}
SECURITY_STATUS Ktlsim_k_ImpersonateSecurityContext(PCtxtHandle context) {
  return Told(UnsupportedFor(context));
}
SECURITY_STATUS Ktlsim_k_SetContextAttributesA(PCtxtHandle context, ULONG, void*, ULONG) {
  return Told(UnsupportedFor(context));
}
SECURITY_STATUS Ktlsim_k_SetContextAttributesW(PCtxtHandle context, ULONG, void*, ULONG) {
  return Told(UnsupportedFor(context));
}
SECURITY_STATUS Ktlsim_k_ExportSecurityContext(PCtxtHandle context, ULONG, PSecBuffer, void**) {
  return Told(UnsupportedFor(context));
}
SECURITY_STATUS Ktlsim_k_ImportSecurityContextW(PSECURITY_STRING, PSecBuffer, void*, PCtxtHandle) {
  return Told(SEC_E_UNSUPPORTED_FUNCTION);
}
SECURITY_STATUS Ktlsim_k_DelegateSecurityContext(PCtxtHandle context, PSECURITY_STRING,
                                                 SecDelegationType, PTimeStamp, PSecBuffer,
                                                 PSecBufferDesc) {
  return Told(UnsupportedFor(context));
}
SECURITY_STATUS Ktlsim_k_AddCredentialsW(PCredHandle credential, PSECURITY_STRING, PSECURITY_STRING,
                                         ULONG, void*, SEC_GET_KEY_FN, void*, PTimeStamp) {
  return Told(UnsupportedForCredential(credential));
}

}  // extern "C"
