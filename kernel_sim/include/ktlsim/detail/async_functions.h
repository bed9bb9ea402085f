/// @file
/// The asynchronous functions.
///
/// There are two statuses, never mixed.
///
/// 1. What an operation returns says whether it was queued. SEC_E_OK means queued, never succeeded.
///    Anything else means that nothing was queued and no callback will come: SEC_E_INVALID_HANDLE
///    (a dead async context, credential or security context); SEC_E_INVALID_PARAMETER (a rule below
///    is broken, a required pointer is NULL, or a bound is exceeded); SEC_E_INSUFFICIENT_MEMORY
///    (memory is short, or the queue is full); SEC_E_SECPKG_NOT_FOUND; SEC_E_UNSUPPORTED_FUNCTION;
///    SEC_E_SHUTDOWN_IN_PROGRESS.
///
/// 2. SspiGetAsyncCallStatus is the outcome: SEC_I_ASYNC_CALL_PENDING while the call runs;
///    then what the synchronous function of the same name would have returned.
///
/// Life of an async context: idle after creation; in flight after a submission returned SEC_E_OK;
/// done when the callback has been entered (without a callback: when the status is final); idle
/// again after SspiReinitAsyncContext. One call at a time. Free, Reinit and
/// SspiSetAsyncNotifyCallback are legal when idle or done, on any thread, inside the callback too.
///
/// Ownership from submission to callback: credential, context and string arguments were copied or
/// referenced and may be used again at once. `SecBufferDesc` arrays, the buffers that they name,
/// `phNewContext`, `pfContextAttr`, `phCredential` and `ptsExpiry` belong to the library;
/// `pAuthData` and what it points to must stay alive. Nothing of the caller's is read or written
/// once the status is final. Out-parameters are written before that, and only on success where the
/// synchronous function does so.
///
/// Level: any level up to dispatch for everything here. A submission never blocks, and takes a
/// bounded time, because what it reads is bounded (ktlsim/sspi_ext.h): a principal or target name
/// of more than KTLSIM_NAME_UNITS_MAX units, or a descriptor of more than KTLSIM_BUFFERS_MAX
/// buffers, is SEC_E_INVALID_PARAMETER; a package name of more units is SEC_E_SECPKG_NOT_FOUND. A
/// name is read no further than that, so one without an end is refused as well.
///
/// Source: Microsoft's pages of the functions (sspi.h, kernel mode) document the two statuses, the
/// one callback, which calls need one, and freeing inside the callback. What each function returns
/// after misuse is not documented and was decided here.
#pragma once

#include <ktlsim/detail/function_table.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

// An opaque token, not an address: a stale one is an ordinary SEC_E_INVALID_HANDLE.
typedef struct _SspiAsyncContext SspiAsyncContext;

// Called exactly once for every accepted call, never for a refused one; possibly before the
// submitting call has returned, never on its stack. Runs at passive level on a notification thread,
// without an impersonation token: it may block, allocate and call SSPI, may free or reinitialise
// `Handle` and submit again. The status is final and the outputs are written. The library does not
// touch the async context any more. (Thread and level are undocumented by Microsoft and decided
// here.)
typedef void (*SspiAsyncNotifyCallback)(SspiAsyncContext* Handle, PVOID CallbackData);

// ---- The async context -------------------------------------------------------------------------

/// Makes an async context: idle, without a callback. The caller owns it and frees it with
/// SspiFreeAsyncContext.
/// Level: up to dispatch. Returns: NULL when memory is short.
KTLSIM_API SspiAsyncContext* SspiCreateAsyncContext(void);

/// Frees an async context; NULL and stale ones are ignored. In flight without a callback: the call
/// is detached and finishes by itself. In flight with a callback: misuse; the callback still comes
/// once, and the context is freed after it.
/// Level: up to dispatch.
KTLSIM_API void SspiFreeAsyncContext(SspiAsyncContext* Handle);

/// Makes a done context idle; the callback stays registered.
/// Level: up to dispatch. Returns: STATUS_SUCCESS, also when idle; STATUS_INVALID_HANDLE;
/// STATUS_DEVICE_BUSY while in flight, which ends when the callback is entered.
KTLSIM_API NTSTATUS SspiReinitAsyncContext(SspiAsyncContext* Handle);

/// Registers the callback of the next submissions; `Callback` and `CallbackData` may be NULL.
/// `CallbackData` is passed through.
/// Level: up to dispatch. Returns: SEC_E_OK; SEC_E_INVALID_HANDLE; SEC_E_INVALID_PARAMETER while in
/// flight, the registration unchanged.
KTLSIM_API SECURITY_STATUS SspiSetAsyncNotifyCallback(SspiAsyncContext* Context,
                                                      SspiAsyncNotifyCallback Callback,
                                                      void* CallbackData);

/// Whether a callback is registered, whatever the state.
/// Level: up to dispatch. Returns: TRUE or FALSE; FALSE for a dead context.
KTLSIM_API BOOLEAN SspiAsyncContextRequiresNotify(SspiAsyncContext* AsyncContext);

/// The outcome of the last call (see above), and an acquire fence for its outputs. Where a callback
/// is registered, a final status alone does not permit freeing: the callback must have been
/// entered.
/// Level: up to dispatch. Returns: SEC_I_ASYNC_CALL_PENDING; what the synchronous function returns;
/// SEC_E_INVALID_PARAMETER before any submission; SEC_E_INVALID_HANDLE for a dead context. A freed
/// context returns its final status until its slot is used again.
KTLSIM_API SECURITY_STATUS SspiGetAsyncCallStatus(SspiAsyncContext* Handle);

// ---- Operations --------------------------------------------------------------------------------
//
// All need a callback, except SspiDeleteSecurityContextAsync: without one,
// SEC_E_INVALID_PARAMETER.
//
// In kernel mode a package can be without asynchronous calls, as every one but TLS is on Windows.
// Acquire and the legs then return SEC_E_UNSUPPORTED_FUNCTION.
//
// A call that waits for something outside the process can be suspended. KtlsimStop ends it with the
// outcome SEC_E_SHUTDOWN_IN_PROGRESS.
//
// While the library stops, and when it is stopped, every submission is SEC_E_SHUTDOWN_IN_PROGRESS
// (ktlsim/sspi_ext.h). The two teardown functions do their work nevertheless: the handle is dead,
// and the object behind it is freed as soon as no call in flight uses it. There is no callback and
// no outcome, and the async context is idle.

/// AcquireCredentialsHandleA, queued. `*phCredential` and `*ptsExpiry` are untouched on failure.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; a status of a submission (above). Outcome: as
/// AcquireCredentialsHandleA.
KTLSIM_API SECURITY_STATUS SspiAcquireCredentialsHandleAsyncA(
    SspiAsyncContext* AsyncContext, LPSTR pszPrincipal, LPSTR pszPackage, ULONG fCredentialUse,
    void* pvLogonId, void* pAuthData, SEC_GET_KEY_FN pGetKeyFn, void* pvGetKeyArgument,
    PCredHandle phCredential, PTimeStamp ptsExpiry);
/// As SspiAcquireCredentialsHandleAsyncA, with UTF-16 strings (kernel mode: counted ones).
KTLSIM_API SECURITY_STATUS SspiAcquireCredentialsHandleAsyncW(
    SspiAsyncContext* AsyncContext, KTLSIM_STRING_W pszPrincipal, KTLSIM_STRING_W pszPackage,
    ULONG fCredentialUse, void* pvLogonId, void* pAuthData, SEC_GET_KEY_FN pGetKeyFn,
    void* pvGetKeyArgument, PCredHandle phCredential, PTimeStamp ptsExpiry)
    KTLSIM_MODE_SYMBOL(SspiAcquireCredentialsHandleAsyncW);

/// InitializeSecurityContextA, queued. Calls on one security context run one after the other, in
/// the order of submission. `phNewContext` may be NULL on later legs, not on the first.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; a status of a submission (above). Outcome: as
/// InitializeSecurityContextA.
KTLSIM_OUT_API SECURITY_STATUS SspiInitializeSecurityContextAsyncA(
    SspiAsyncContext* AsyncContext, PCredHandle phCredential, PCtxtHandle phContext,
    LPSTR pszTargetName, ULONG fContextReq, ULONG Reserved1, ULONG TargetDataRep,
    PSecBufferDesc pInput, ULONG Reserved2, PCtxtHandle phNewContext, PSecBufferDesc pOutput,
    KTLSIM_ULONG_OUT pfContextAttr, PTimeStamp ptsExpiry);
/// As SspiInitializeSecurityContextAsyncA, with UTF-16 strings (kernel mode: counted ones).
KTLSIM_OUT_API SECURITY_STATUS SspiInitializeSecurityContextAsyncW(
    SspiAsyncContext* AsyncContext, PCredHandle phCredential, PCtxtHandle phContext,
    KTLSIM_STRING_W pszTargetName, ULONG fContextReq, ULONG Reserved1, ULONG TargetDataRep,
    PSecBufferDesc pInput, ULONG Reserved2, PCtxtHandle phNewContext, PSecBufferDesc pOutput,
    KTLSIM_ULONG_OUT pfContextAttr, PTimeStamp ptsExpiry)
    KTLSIM_MODE_SYMBOL(SspiInitializeSecurityContextAsyncW);

/// AcceptSecurityContext, queued; otherwise as SspiInitializeSecurityContextAsyncA.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; a status of a submission (above). Outcome: as
/// AcceptSecurityContext.
KTLSIM_OUT_API SECURITY_STATUS SspiAcceptSecurityContextAsync(
    SspiAsyncContext* AsyncContext, PCredHandle phCredential, PCtxtHandle phContext,
    PSecBufferDesc pInput, ULONG fContextReq, ULONG TargetDataRep, PCtxtHandle phNewContext,
    PSecBufferDesc pOutput, KTLSIM_ULONG_OUT pfContextAttr, PTimeStamp ptsExpiry)
    KTLSIM_MODE_SYMBOL(SspiAcceptSecurityContextAsync);

/// The handle dies at submission; contexts made from the credential keep the credential alive.
/// Never refused because a queue is full.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; a status of a submission (above). Outcome:
/// SEC_E_OK.
KTLSIM_API SECURITY_STATUS SspiFreeCredentialsHandleAsync(SspiAsyncContext* AsyncContext,
                                                          PCredHandle phCredential);

/// The handle dies at submission, and `*phContext` is read before the call returns; the teardown
/// waits for the call in flight on that context. Never refused because a queue is full. Fire and
/// forget: create an async context, submit without a callback, free the async context at once.
/// Level: up to dispatch. Returns: SEC_E_OK: queued; a status of a submission (above). Outcome:
/// SEC_E_OK.
KTLSIM_API SECURITY_STATUS SspiDeleteSecurityContextAsync(SspiAsyncContext* AsyncContext,
                                                          PCtxtHandle phContext);

#ifdef __cplusplus
}  // extern "C"
#endif

// See out_ulong.h.
#ifndef __cplusplus
#define SspiInitializeSecurityContextAsyncA(async, credential, context, target, request, zero1, \
                                            representation, input, zero2, new_context, output,  \
                                            attributes, expiry)                                 \
  SspiInitializeSecurityContextAsyncA(async, credential, context, target, request, zero1,       \
                                      representation, input, zero2, new_context, output,        \
                                      KTLSIM_ULONG_OUT_ARGUMENT(attributes), expiry)
#define SspiInitializeSecurityContextAsyncW(async, credential, context, target, request, zero1, \
                                            representation, input, zero2, new_context, output,  \
                                            attributes, expiry)                                 \
  SspiInitializeSecurityContextAsyncW(async, credential, context, target, request, zero1,       \
                                      representation, input, zero2, new_context, output,        \
                                      KTLSIM_ULONG_OUT_ARGUMENT(attributes), expiry)
#define SspiAcceptSecurityContextAsync(async, credential, context, input, request, representation, \
                                       new_context, output, attributes, expiry)                    \
  SspiAcceptSecurityContextAsync(async, credential, context, input, request, representation,       \
                                 new_context, output, KTLSIM_ULONG_OUT_ARGUMENT(attributes),       \
                                 expiry)
#endif

#ifdef UNICODE
#define SspiAcquireCredentialsHandleAsync SspiAcquireCredentialsHandleAsyncW
#define SspiInitializeSecurityContextAsync SspiInitializeSecurityContextAsyncW
#else
#define SspiAcquireCredentialsHandleAsync SspiAcquireCredentialsHandleAsyncA
#define SspiInitializeSecurityContextAsync SspiInitializeSecurityContextAsyncA
#endif
