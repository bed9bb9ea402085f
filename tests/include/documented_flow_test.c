// The documented flow of an asynchronous accept: create, register, submit, query, free inside the
// callback. It needs only sspi.h, and declares its parameters as Windows programs do: annotated,
// and with an `unsigned long*` for the attributes. Compiled as C and as C++, never run.
#include <sspi.h>

#define ASSERT(condition) ((void)(condition))

void AcceptCompleted(_In_ SspiAsyncContext* AsyncContext, _In_opt_ PVOID pCallbackData);
void StartAccept(_In_opt_ PCredHandle phCredential, _In_opt_ PCtxtHandle phContext,
                 _In_opt_ PSecBufferDesc pInput, _In_opt_ PSecBufferDesc pOutput,
                 _Out_ unsigned long* pfContextAttr, _Out_opt_ PTimeStamp ptsExpiry);

void AcceptCompleted(_In_ SspiAsyncContext* AsyncContext, _In_opt_ PVOID pCallbackData) {
  (void)pCallbackData;
  SECURITY_STATUS Status = SspiGetAsyncCallStatus(AsyncContext);
  ASSERT(SEC_E_OK == Status);
  SspiFreeAsyncContext(AsyncContext);
}

void StartAccept(_In_opt_ PCredHandle phCredential, _In_opt_ PCtxtHandle phContext,
                 _In_opt_ PSecBufferDesc pInput, _In_opt_ PSecBufferDesc pOutput,
                 _Out_ unsigned long* pfContextAttr, _Out_opt_ PTimeStamp ptsExpiry) {
  SspiAsyncContext* AsyncContext = SspiCreateAsyncContext();
  ASSERT(AsyncContext);
  PVOID pCallbackData = NULL;
  SECURITY_STATUS Status = SspiSetAsyncNotifyCallback(AsyncContext, AcceptCompleted, pCallbackData);
  ASSERT(SEC_E_OK == Status);
  Status = SspiAcceptSecurityContextAsync(AsyncContext, phCredential, phContext, pInput,
                                          ASC_REQ_CONNECTION, SECURITY_NATIVE_DREP, phContext,
                                          pOutput, pfContextAttr, ptsExpiry);
  ASSERT(SEC_E_OK == Status);
  Status = SspiGetAsyncCallStatus(AsyncContext);
  ASSERT(SEC_I_ASYNC_CALL_PENDING == Status || SEC_E_OK == Status);
}
