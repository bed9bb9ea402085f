// The synchronous functions: credentials, legs, teardown, control.
//
// Legs are the same requests as the asynchronous ones, queued on the same strands; the caller waits
// for the end. A completion never needs the thread that waits, so this is safe on a notification
// thread too. Passive level: above it a wait would stop a processor.

#include <schannel.h>
#include <sspi.h>

#include <utility>

#include "kernel_sim/executive/executive.h"
#include "kernel_sim/executive/misuse.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/calls.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/handles.h"
#include "kernel_sim/sspi/kernel_mode.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/passive_level.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {
namespace {

using executive::Executive;
using executive::Request;

template <typename Prepare>
SECURITY_STATUS RunAndWait(Executive& executive, Prepare prepare) {
  executive::AsyncContextTable& contexts = Runtime::Instance().async_contexts();
  Request* request = contexts.TakeRequest();
  if (request == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  SECURITY_STATUS status = NothingThrown([&] { return prepare(*request); });
  if (status == SEC_E_OK) {
    status = executive.SubmitAndWait(*request) ? request->status() : SEC_E_SHUTDOWN_IN_PROGRESS;
    // The reason was found on a processor; it is noted here, on the thread that waits.
    if (status == request->status() && request->reason() != nullptr) NoteReason(request->reason());
  }
  request->Discard();
  contexts.GiveBackRequest(*request);
  return status;
}

template <typename String>
SECURITY_STATUS LegNow(LegParameters parameters, String target_name) {
  if (!AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  SECURITY_STATUS failure = SEC_E_OK;
  Executive* executive = Runtime::Instance().Executive(&failure);
  if (executive == nullptr) return failure;
  return RunAndWait(*executive, [&](Request& request) {
    if (!parameters.SetTargetName(target_name)) return SEC_E_INVALID_PARAMETER;
    return PrepareLeg(request, std::move(parameters));
  });
}

template <typename String>
SECURITY_STATUS Acquire(String principal, String package, AcquireParameters parameters) {
  if (!AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  SECURITY_STATUS failure = SEC_E_OK;
  Executive* const executive = Runtime::Instance().Executive(&failure);
  if (executive == nullptr) return failure;
  return NothingThrown([&] {
    const SECURITY_STATUS status = parameters.SetNames(principal, package);
    if (status != SEC_E_OK) return status;
    if (!AcquireMayWait(parameters)) return AcquireNow(parameters);
    return RunAndWait(*executive, [&](Request& request) {
      return PrepareAcquire(request, std::move(parameters));
    });
  });
}

SECURITY_STATUS Control(PCtxtHandle context, ControlKind kind, PSecBufferDesc token) {
  if (!LookupContext(context)) return SEC_E_INVALID_HANDLE;
  if (token == nullptr) return SEC_E_INTERNAL_ERROR;
  if (!AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  SECURITY_STATUS failure = SEC_E_OK;
  Executive* executive = Runtime::Instance().Executive(&failure);
  if (executive == nullptr) return failure;
  return RunAndWait(
      *executive, [&](Request& request) { return PrepareControl(request, context, kind, token); });
}

SECURITY_STATUS Verify(PCtxtHandle handle, PSecBufferDesc message, ULONG sequence,
                       KtlsimUlongOut qop) {
  {
    const auto context = LookupContext(handle);
    if (!context) return SEC_E_INVALID_HANDLE;
    if (!context->credential().package().Signs()) return SEC_E_UNSUPPORTED_FUNCTION;
  }
  if (!AtPassiveLevel()) return SEC_E_UNSUPPORTED_FUNCTION;
  SECURITY_STATUS failure = SEC_E_OK;
  Executive* executive = Runtime::Instance().Executive(&failure);
  if (executive == nullptr) return failure;
  return RunAndWait(*executive, [&](Request& request) {
    return PrepareVerify(request, handle, message, sequence, qop);
  });
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim;        // NOLINT: the C API below is this file's whole point
using namespace ktlsim::sspi;  // NOLINT

extern "C" {

SECURITY_STATUS AcquireCredentialsHandleA(LPSTR pszPrincipal, LPSTR pszPackage,
                                          ULONG fCredentialUse, void*, void* pAuthData,
                                          SEC_GET_KEY_FN, void*, PCredHandle phCredential,
                                          PTimeStamp ptsExpiry) {
  return Told(Acquire<const char*>(pszPrincipal, pszPackage,
                                   {.use = fCredentialUse,
                                    .auth_data = pAuthData,
                                    .credential = phCredential,
                                    .expiry = ptsExpiry}));
}

SECURITY_STATUS AcquireCredentialsHandleW(LPWSTR pszPrincipal, LPWSTR pszPackage,
                                          ULONG fCredentialUse, void*, void* pAuthData,
                                          SEC_GET_KEY_FN, void*, PCredHandle phCredential,
                                          PTimeStamp ptsExpiry) {
  return Told(Acquire<const SEC_WCHAR*>(pszPrincipal, pszPackage,
                                        {.use = fCredentialUse,
                                         .auth_data = pAuthData,
                                         .credential = phCredential,
                                         .expiry = ptsExpiry}));
}

SECURITY_STATUS Ktlsim_k_AcquireCredentialsHandleW(PSECURITY_STRING principal,
                                                   PSECURITY_STRING package, ULONG use, void*,
                                                   void* auth_data, SEC_GET_KEY_FN, void*,
                                                   PCredHandle credential, PTimeStamp expiry) {
  return Told(Acquire<const SECURITY_STRING*>(
      principal, package,
      {.use = use, .auth_data = auth_data, .credential = credential, .expiry = expiry}));
}

SECURITY_STATUS FreeCredentialsHandle(PCredHandle phCredential) {
  // Contexts made from it hold references of their own.
  return Told(CloseCredential(phCredential) ? SEC_E_OK : SEC_E_INVALID_HANDLE);
}

SECURITY_STATUS InitializeSecurityContextA(PCredHandle phCredential, PCtxtHandle phContext,
                                           LPSTR pszTargetName, ULONG fContextReq, ULONG, ULONG,
                                           PSecBufferDesc pInput, ULONG, PCtxtHandle phNewContext,
                                           PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
                                           PTimeStamp ptsExpiry) {
  return Told(LegNow<const char*>({.direction = Direction::kOutbound,
                                   .credential = phCredential,
                                   .context = phContext,
                                   .flags = fContextReq,
                                   .input = pInput,
                                   .new_context = phNewContext,
                                   .output = pOutput,
                                   .attributes = pfContextAttr,
                                   .expiry = ptsExpiry},
                                  pszTargetName));
}

SECURITY_STATUS InitializeSecurityContextW(PCredHandle phCredential, PCtxtHandle phContext,
                                           LPWSTR pszTargetName, ULONG fContextReq, ULONG, ULONG,
                                           PSecBufferDesc pInput, ULONG, PCtxtHandle phNewContext,
                                           PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
                                           PTimeStamp ptsExpiry) {
  return Told(LegNow<const SEC_WCHAR*>({.direction = Direction::kOutbound,
                                        .credential = phCredential,
                                        .context = phContext,
                                        .flags = fContextReq,
                                        .input = pInput,
                                        .new_context = phNewContext,
                                        .output = pOutput,
                                        .attributes = pfContextAttr,
                                        .expiry = ptsExpiry},
                                       pszTargetName));
}

SECURITY_STATUS Ktlsim_k_InitializeSecurityContextW(PCredHandle credential, PCtxtHandle context,
                                                    PSECURITY_STRING target, ULONG flags, ULONG,
                                                    ULONG, PSecBufferDesc input, ULONG,
                                                    PCtxtHandle new_context, PSecBufferDesc output,
                                                    KtlsimUlongOut attributes, PTimeStamp expiry) {
  return Told(LegNow<const SECURITY_STRING*>({.direction = Direction::kOutbound,
                                              .credential = credential,
                                              .context = context,
                                              .flags = flags,
                                              .input = input,
                                              .new_context = new_context,
                                              .output = output,
                                              .attributes = attributes,
                                              .expiry = expiry},
                                             target));
}

SECURITY_STATUS AcceptSecurityContext(PCredHandle phCredential, PCtxtHandle phContext,
                                      PSecBufferDesc pInput, ULONG fContextReq, ULONG,
                                      PCtxtHandle phNewContext, PSecBufferDesc pOutput,
                                      KtlsimUlongOut pfContextAttr, PTimeStamp ptsExpiry) {
  return Told(LegNow<const char*>({.direction = Direction::kInbound,
                                   .credential = phCredential,
                                   .context = phContext,
                                   .flags = fContextReq,
                                   .input = pInput,
                                   .new_context = phNewContext,
                                   .output = pOutput,
                                   .attributes = pfContextAttr,
                                   .expiry = ptsExpiry},
                                  nullptr));
}

SECURITY_STATUS DeleteSecurityContext(PCtxtHandle phContext) {
  if (phContext != nullptr && phContext->dwLower == SEC_DELETED_HANDLE &&
      phContext->dwUpper == SEC_DELETED_HANDLE) {
    return Told(SEC_E_OK);
  }
  if (!AtPassiveLevel()) return Told(SEC_E_UNSUPPORTED_FUNCTION);
  Executive* executive = Runtime::Instance().ExecutiveIfRunning();
  // Earlier calls that still run while the library stops have references of their own.
  if (executive == nullptr) return Told(CloseContext(phContext) ? SEC_E_OK : SEC_E_INVALID_HANDLE);
  const SECURITY_STATUS status = RunAndWait(*executive, [&](Request& request) {
    return PrepareDelete(request, phContext, /*may_suspend=*/false);
  });
  // The handle died when the request was prepared; a runtime that stops meanwhile drops it too.
  return Told(status == SEC_E_SHUTDOWN_IN_PROGRESS ? SEC_E_OK : status);
}

SECURITY_STATUS ApplyControlToken(PCtxtHandle phContext, PSecBufferDesc pInput) {
  return Told(Control(phContext, ControlKind::kApplyControlToken, pInput));
}

SECURITY_STATUS CompleteAuthToken(PCtxtHandle phContext, PSecBufferDesc pToken) {
  return Told(Control(phContext, ControlKind::kCompleteAuthToken, pToken));
}

SECURITY_STATUS EncryptMessage(PCtxtHandle phContext, ULONG fQOP, PSecBufferDesc pMessage,
                               ULONG MessageSeqNo) {
  const auto context = ClaimContext<ContextObject::kSealing>(phContext);
  if (!context) return Told(SEC_E_INVALID_HANDLE);
  if (pMessage == nullptr || TooManyBuffers(pMessage)) return Told(SEC_E_INVALID_PARAMETER);
  return Told(NothingThrown([&] { return context->Encrypt(fQOP, *pMessage, MessageSeqNo); }));
}

SECURITY_STATUS DecryptMessage(PCtxtHandle phContext, PSecBufferDesc pMessage, ULONG MessageSeqNo,
                               KtlsimUlongOut pfQOP) {
  const auto context = ClaimContext<ContextObject::kOpening>(phContext);
  if (!context) return Told(SEC_E_INVALID_HANDLE);
  if (pMessage == nullptr || TooManyBuffers(pMessage)) return Told(SEC_E_INVALID_PARAMETER);
  ULONG qop = 0;
  const SECURITY_STATUS status =
      NothingThrown([&] { return context->Decrypt(*pMessage, MessageSeqNo, &qop); });
  if (status >= 0) {
    pfQOP.Store(qop);
  } else if (const char* const why = context->WhyFailed()) {
    NoteReason(why);
  }
  return Told(status);
}

SECURITY_STATUS MakeSignature(PCtxtHandle phContext, ULONG fQOP, PSecBufferDesc pMessage,
                              ULONG MessageSeqNo) {
  const auto context = ClaimContext<ContextObject::kSealing>(phContext);
  if (!context) return Told(SEC_E_INVALID_HANDLE);
  if (!context->credential().package().Signs()) return Told(SEC_E_UNSUPPORTED_FUNCTION);
  if (pMessage == nullptr || TooManyBuffers(pMessage)) return Told(SEC_E_INVALID_PARAMETER);
  return Told(NothingThrown([&] { return context->MakeSignature(fQOP, *pMessage, MessageSeqNo); }));
}

SECURITY_STATUS VerifySignature(PCtxtHandle phContext, PSecBufferDesc pMessage, ULONG MessageSeqNo,
                                KtlsimUlongOut pfQOP) {
  return Told(Verify(phContext, pMessage, MessageSeqNo, pfQOP));
}

SECURITY_STATUS FreeContextBuffer(void* pvContextBuffer) {
  if (pvContextBuffer == nullptr) return Told(SEC_E_OK);
  if (ReleaseContextBuffer(pvContextBuffer)) return Told(SEC_E_OK);
  executive::ReportMisuse("FreeContextBuffer of memory that is not SSPI's");
  return Told(SEC_E_INVALID_HANDLE);
}

}  // extern "C"
