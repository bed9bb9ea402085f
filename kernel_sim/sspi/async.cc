// The asynchronous functions: async contexts, and the operations that are queued.
//
// Each operation claims its async context, prepares the request that belongs to it, and submits.
// A refusal at any point puts everything back: no callback, and the context stays idle.

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <utility>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/executive/async_context.h"
#include "kernel_sim/executive/executive.h"
#include "kernel_sim/executive/misuse.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/calls.h"
#include "kernel_sim/sspi/kernel_mode.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {
namespace {

using executive::AsyncHandle;
using executive::AsyncResult;
using executive::Executive;
using executive::Request;

static_assert(executive::kCancelledStatus == KTLSIM_E_CANCELLED);
static_assert(executive::kQueueTimeoutStatus == KTLSIM_E_QUEUE_TIMEOUT);

AsyncHandle HandleOf(SspiAsyncContext* context) { return reinterpret_cast<AsyncHandle>(context); }
executive::AsyncContextTable& Contexts() { return Runtime::Instance().async_contexts(); }

// The one table from async-context results to SECURITY_STATUS (the contract's misuse matrix).
SECURITY_STATUS ToStatus(AsyncResult result) {
  switch (result) {
    case AsyncResult::kOk:
      return SEC_E_OK;
    case AsyncResult::kInvalidHandle:
      executive::ReportMisuse("null or stale async context");
      return SEC_E_INVALID_HANDLE;
    case AsyncResult::kInUse:
      executive::ReportMisuse("async context is in flight");
      return SEC_E_INVALID_PARAMETER;
    case AsyncResult::kNotReinitialised:
      executive::ReportMisuse("async context submitted again without reinit");
      return SEC_E_INVALID_PARAMETER;
    case AsyncResult::kNoCallback:
      executive::ReportMisuse("operation needs a callback");
      return SEC_E_INVALID_PARAMETER;
    case AsyncResult::kNeverSubmitted:
      executive::ReportMisuse("nothing was submitted with this async context");
      return SEC_E_INVALID_PARAMETER;
    case AsyncResult::kTooLate:
      return KTLSIM_E_TOO_LATE;  // no misuse: the caller cannot know
  }
  return SEC_E_INTERNAL_ERROR;
}

SECURITY_STATUS Submit(Executive& executive, Request& request, Executive::Bound bound) {
  switch (executive.Submit(request, bound)) {
    case Executive::Admission::kAccepted:
      return SEC_E_OK;
    case Executive::Admission::kQueueFull:
      return SEC_E_INSUFFICIENT_MEMORY;
    case Executive::Admission::kStopping:
      return SEC_E_SHUTDOWN_IN_PROGRESS;
  }
  return SEC_E_INTERNAL_ERROR;
}

// `prepare(request)` fills the request and returns a submission status.
//
// Teardown (kAlways) is prepared even when the library does not run: giving the request up again
// frees its object, as when the library stops at that moment. Its callers usually ignore the
// status.
template <typename Prepare>
SECURITY_STATUS SubmitAsync(SspiAsyncContext* context, bool callback_required,
                            Executive::Bound bound, Prepare prepare) {
  SECURITY_STATUS failure = SEC_E_OK;
  Executive* executive = Runtime::Instance().Executive(&failure);
  if (executive == nullptr && bound == Executive::Bound::kBounded) return failure;
  Request* request = nullptr;
  const AsyncResult claimed =
      Contexts().BeginSubmit(HandleOf(context), callback_required, &request);
  if (claimed != AsyncResult::kOk) return ToStatus(claimed);
  SECURITY_STATUS status = NothingThrown([&] { return prepare(*request); });
  if (status == SEC_E_OK) {
    status = executive != nullptr ? Submit(*executive, *request, bound) : failure;
    if (status == SEC_E_OK) return SEC_E_OK;
  }
  Contexts().AbandonSubmit(*request);
  return status;
}

template <typename String>
SECURITY_STATUS AcquireAsync(SspiAsyncContext* context, String principal, String package,
                             AcquireParameters parameters) {
  return SubmitAsync(context, true, Executive::Bound::kBounded, [&](Request& request) {
    const SECURITY_STATUS status = parameters.SetNames(principal, package);
    if (status != SEC_E_OK) return status;
    return PrepareAcquire(request, std::move(parameters));
  });
}

template <typename String>
SECURITY_STATUS LegAsync(SspiAsyncContext* context, LegParameters parameters, String target_name) {
  return SubmitAsync(context, true, Executive::Bound::kBounded, [&](Request& request) {
    if (!parameters.SetTargetName(target_name)) return SEC_E_INVALID_PARAMETER;
    return PrepareLeg(request, std::move(parameters));
  });
}

}  // namespace
}  // namespace ktlsim::sspi

using namespace ktlsim;        // NOLINT: the C API below is this file's whole point
using namespace ktlsim::sspi;  // NOLINT

extern "C" {

SspiAsyncContext* SspiCreateAsyncContext(void) {
  const AsyncHandle handle = Contexts().Create();
  static_cast<void>(Told(handle != 0 ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY));
  return reinterpret_cast<SspiAsyncContext*>(handle);
}

void SspiFreeAsyncContext(SspiAsyncContext* Handle) { Contexts().Free(HandleOf(Handle)); }

NTSTATUS SspiReinitAsyncContext(SspiAsyncContext* Handle) {
  switch (Contexts().Reinit(HandleOf(Handle))) {
    case AsyncResult::kOk:
      return Told(STATUS_SUCCESS);
    case AsyncResult::kInUse:
      executive::ReportMisuse("reinit of an async context in flight");
      return Told(STATUS_DEVICE_BUSY);
    case AsyncResult::kInvalidHandle:
    case AsyncResult::kNotReinitialised:
    case AsyncResult::kNoCallback:
    case AsyncResult::kNeverSubmitted:
    case AsyncResult::kTooLate:
      break;
  }
  executive::ReportMisuse("reinit of a null or stale async context");
  return Told(STATUS_INVALID_HANDLE);
}

SECURITY_STATUS SspiSetAsyncNotifyCallback(SspiAsyncContext* Context,
                                           SspiAsyncNotifyCallback Callback, void* CallbackData) {
  return Told(ToStatus(Contexts().SetCallback(HandleOf(Context), Callback, CallbackData)));
}

BOOLEAN SspiAsyncContextRequiresNotify(SspiAsyncContext* AsyncContext) {
  return Contexts().RequiresNotify(HandleOf(AsyncContext)) ? TRUE : FALSE;
}

SECURITY_STATUS SspiGetAsyncCallStatus(SspiAsyncContext* Handle) {
  std::int32_t status = 0;
  const AsyncResult result = Contexts().GetStatus(HandleOf(Handle), &status);
  if (result == AsyncResult::kOk) return Told(status);
  return Told(result == AsyncResult::kInUse ? SEC_I_ASYNC_CALL_PENDING : ToStatus(result));
}

SECURITY_STATUS KtlsimSetNotifyMode(SspiAsyncContext* Context, ULONG Mode) {
  if (Mode != KTLSIM_NOTIFY_POOL && Mode != KTLSIM_NOTIFY_ON_PROCESSOR) {
    return Told(SEC_E_INVALID_PARAMETER);
  }
  const auto mode = Mode == KTLSIM_NOTIFY_POOL ? executive::NotifyMode::kPool
                                               : executive::NotifyMode::kOnProcessor;
  return Told(ToStatus(Contexts().SetMode(HandleOf(Context), mode)));
}

SECURITY_STATUS KtlsimSetQueueWaitLimit(SspiAsyncContext* AsyncContext, ULONG milliseconds) {
  std::uint64_t limit_ns = milliseconds * kNsPerMs;
  if (milliseconds == 0) limit_ns = executive::kDefaultWaitLimit;
  if (milliseconds == KTLSIM_NO_WAIT_LIMIT) limit_ns = executive::kNoWaitLimit;
  return Told(ToStatus(Contexts().SetWaitLimit(HandleOf(AsyncContext), limit_ns)));
}

SECURITY_STATUS KtlsimCancelAsyncCall(SspiAsyncContext* AsyncContext) {
  Request* request = nullptr;
  const AsyncResult result = Contexts().Recall(HandleOf(AsyncContext), &request);
  // A recalled call is in flight until the recall has ended: its executive cannot go away.
  if (result == AsyncResult::kOk) Runtime::Instance().ExecutiveInFlight().EndRecall(*request);
  return Told(ToStatus(result));
}

SECURITY_STATUS SspiAcquireCredentialsHandleAsyncA(SspiAsyncContext* AsyncContext,
                                                   LPSTR pszPrincipal, LPSTR pszPackage,
                                                   ULONG fCredentialUse, void*, void* pAuthData,
                                                   SEC_GET_KEY_FN, void*, PCredHandle phCredential,
                                                   PTimeStamp ptsExpiry) {
  return Told(AcquireAsync<const char*>(AsyncContext, pszPrincipal, pszPackage,
                                        {.use = fCredentialUse,
                                         .auth_data = pAuthData,
                                         .credential = phCredential,
                                         .expiry = ptsExpiry}));
}

SECURITY_STATUS SspiAcquireCredentialsHandleAsyncW(SspiAsyncContext* AsyncContext,
                                                   LPWSTR pszPrincipal, LPWSTR pszPackage,
                                                   ULONG fCredentialUse, void*, void* pAuthData,
                                                   SEC_GET_KEY_FN, void*, PCredHandle phCredential,
                                                   PTimeStamp ptsExpiry) {
  return Told(AcquireAsync<const SEC_WCHAR*>(AsyncContext, pszPrincipal, pszPackage,
                                             {.use = fCredentialUse,
                                              .auth_data = pAuthData,
                                              .credential = phCredential,
                                              .expiry = ptsExpiry}));
}

SECURITY_STATUS Ktlsim_k_SspiAcquireCredentialsHandleAsyncW(
    SspiAsyncContext* async, PSECURITY_STRING principal, PSECURITY_STRING package, ULONG use, void*,
    void* auth_data, SEC_GET_KEY_FN, void*, PCredHandle credential, PTimeStamp expiry) {
  return Told(AcquireAsync<const SECURITY_STRING*>(async, principal, package,
                                                   {.use = use,
                                                    .auth_data = auth_data,
                                                    .credential = credential,
                                                    .expiry = expiry,
                                                    .kernel_mode = true}));
}

SECURITY_STATUS SspiInitializeSecurityContextAsyncA(
    SspiAsyncContext* AsyncContext, PCredHandle phCredential, PCtxtHandle phContext,
    LPSTR pszTargetName, ULONG fContextReq, ULONG, ULONG, PSecBufferDesc pInput, ULONG,
    PCtxtHandle phNewContext, PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
    PTimeStamp ptsExpiry) {
  return Told(LegAsync<const char*>(AsyncContext,
                                    {.direction = Direction::kOutbound,
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

SECURITY_STATUS SspiInitializeSecurityContextAsyncW(
    SspiAsyncContext* AsyncContext, PCredHandle phCredential, PCtxtHandle phContext,
    LPWSTR pszTargetName, ULONG fContextReq, ULONG, ULONG, PSecBufferDesc pInput, ULONG,
    PCtxtHandle phNewContext, PSecBufferDesc pOutput, KtlsimUlongOut pfContextAttr,
    PTimeStamp ptsExpiry) {
  return Told(LegAsync<const SEC_WCHAR*>(AsyncContext,
                                         {.direction = Direction::kOutbound,
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

SECURITY_STATUS Ktlsim_k_SspiInitializeSecurityContextAsyncW(
    SspiAsyncContext* async, PCredHandle credential, PCtxtHandle context, PSECURITY_STRING target,
    ULONG flags, ULONG, ULONG, PSecBufferDesc input, ULONG, PCtxtHandle new_context,
    PSecBufferDesc output, KtlsimUlongOut attributes, PTimeStamp expiry) {
  return Told(LegAsync<const SECURITY_STRING*>(async,
                                               {.direction = Direction::kOutbound,
                                                .credential = credential,
                                                .context = context,
                                                .flags = flags,
                                                .input = input,
                                                .new_context = new_context,
                                                .output = output,
                                                .attributes = attributes,
                                                .expiry = expiry,
                                                .kernel_mode = true},
                                               target));
}

SECURITY_STATUS SspiAcceptSecurityContextAsync(SspiAsyncContext* AsyncContext,
                                               PCredHandle phCredential, PCtxtHandle phContext,
                                               PSecBufferDesc pInput, ULONG fContextReq, ULONG,
                                               PCtxtHandle phNewContext, PSecBufferDesc pOutput,
                                               KtlsimUlongOut pfContextAttr, PTimeStamp ptsExpiry) {
  return Told(LegAsync<const char*>(AsyncContext,
                                    {.direction = Direction::kInbound,
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

SECURITY_STATUS Ktlsim_k_SspiAcceptSecurityContextAsync(
    SspiAsyncContext* async, PCredHandle credential, PCtxtHandle context, PSecBufferDesc input,
    ULONG flags, ULONG, PCtxtHandle new_context, PSecBufferDesc output, KtlsimUlongOut attributes,
    PTimeStamp expiry) {
  return Told(LegAsync<const char*>(async,
                                    {.direction = Direction::kInbound,
                                     .credential = credential,
                                     .context = context,
                                     .flags = flags,
                                     .input = input,
                                     .new_context = new_context,
                                     .output = output,
                                     .attributes = attributes,
                                     .expiry = expiry,
                                     .kernel_mode = true},
                                    nullptr));
}

SECURITY_STATUS SspiFreeCredentialsHandleAsync(SspiAsyncContext* AsyncContext,
                                               PCredHandle phCredential) {
  return Told(SubmitAsync(AsyncContext, true, Executive::Bound::kAlways, [&](Request& request) {
    return PrepareFreeCredentials(request, phCredential);
  }));
}

SECURITY_STATUS SspiDeleteSecurityContextAsync(SspiAsyncContext* AsyncContext,
                                               PCtxtHandle phContext) {
  return Told(SubmitAsync(AsyncContext, false, Executive::Bound::kAlways, [&](Request& request) {
    return PrepareDelete(request, phContext, /*may_suspend=*/true);
  }));
}

SECURITY_STATUS SspiEncryptMessageAsync(SspiAsyncContext* AsyncContext, PCtxtHandle phContext,
                                        ULONG fQOP, PSecBufferDesc pMessage, ULONG MessageSeqNo) {
  return Told(SubmitAsync(AsyncContext, true, Executive::Bound::kBounded, [&](Request& request) {
    return PrepareEncrypt(request, phContext, fQOP, pMessage, MessageSeqNo);
  }));
}

SECURITY_STATUS SspiDecryptMessageAsync(SspiAsyncContext* AsyncContext, PCtxtHandle phContext,
                                        PSecBufferDesc pMessage, ULONG MessageSeqNo,
                                        KtlsimUlongOut pfQOP) {
  return Told(SubmitAsync(AsyncContext, true, Executive::Bound::kBounded, [&](Request& request) {
    return PrepareDecrypt(request, phContext, pMessage, MessageSeqNo, pfQOP);
  }));
}

SECURITY_STATUS SspiCompleteAuthTokenAsync(SspiAsyncContext* AsyncContext, PCtxtHandle phContext,
                                           PSecBufferDesc pToken) {
  return Told(SubmitAsync(AsyncContext, true, Executive::Bound::kBounded, [&](Request& request) {
    if (pToken == nullptr) return SEC_E_INVALID_PARAMETER;
    return PrepareControl(request, phContext, ControlKind::kCompleteAuthToken, pToken);
  }));
}

SECURITY_STATUS SspiVerifySignatureAsync(SspiAsyncContext* AsyncContext, PCtxtHandle phContext,
                                         PSecBufferDesc pMessage, ULONG MessageSeqNo,
                                         KtlsimUlongOut pfQOP) {
  return Told(SubmitAsync(AsyncContext, true, Executive::Bound::kBounded, [&](Request& request) {
    return PrepareVerify(request, phContext, pMessage, MessageSeqNo, pfQOP);
  }));
}

}  // extern "C"
