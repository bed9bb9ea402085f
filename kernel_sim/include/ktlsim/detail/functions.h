// The synchronous functions.
//
// Level: passive, because a call may wait for the strand of its context and for a provider.
// Exceptions, which never block and are legal at any level: EncryptMessage, DecryptMessage,
// MakeSignature, VerifySignature, QueryContextAttributes and QueryContextAttributesEx.
//
// Ownership: arguments are only used during the call. What a call allocates for the caller (package
// information, tokens with ALLOCATE_MEMORY, attribute strings) is released with FreeContextBuffer.
//
// Bounds: those of the asynchronous functions, with the same statuses (async_functions.h).
//
// Every call on a stale, zeroed or foreign handle answers SEC_E_INVALID_HANDLE. Out-parameters are
// untouched on failure unless a function says otherwise.
#pragma once

#include <ktlsim/detail/function_table.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Packages ----------------------------------------------------------------------------------

// A static table; nothing to release. Passive level.
KTLSIM_API PSecurityFunctionTableA SEC_ENTRY InitSecurityInterfaceA(void);
KTLSIM_API PSecurityFunctionTableW SEC_ENTRY InitSecurityInterfaceW(void)
    KTLSIM_MODE_SYMBOL(InitSecurityInterfaceW);

// One allocation holds the array and its strings.
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY EnumerateSecurityPackagesA(KTLSIM_ULONG_OUT pcPackages,
                                                                    PSecPkgInfoA* ppPackageInfo);
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY EnumerateSecurityPackagesW(KTLSIM_ULONG_OUT pcPackages,
                                                                    PSecPkgInfoW* ppPackageInfo);

// SEC_E_SECPKG_NOT_FOUND for an unknown name.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QuerySecurityPackageInfoA(LPSTR pszPackageName,
                                                               PSecPkgInfoA* ppPackageInfo);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QuerySecurityPackageInfoW(KTLSIM_STRING_W pszPackageName,
                                                               PSecPkgInfoW* ppPackageInfo)
    KTLSIM_MODE_SYMBOL(QuerySecurityPackageInfoW);

// Accepts NULL and anything the functions allocated; SEC_E_OK.
KTLSIM_API SECURITY_STATUS SEC_ENTRY FreeContextBuffer(void* pvContextBuffer);

// ---- Credentials -------------------------------------------------------------------------------

// Writes `*phCredential` and `*ptsExpiry` on success only. `fCredentialUse` is SECPKG_CRED_INBOUND
// for a server or SECPKG_CRED_OUTBOUND for a client; `pAuthData` is an SCH_CREDENTIALS or
// SCHANNEL_CRED for TLS.
KTLSIM_API SECURITY_STATUS SEC_ENTRY
AcquireCredentialsHandleA(LPSTR pszPrincipal, LPSTR pszPackage, ULONG fCredentialUse,
                          void* pvLogonId, void* pAuthData, SEC_GET_KEY_FN pGetKeyFn,
                          void* pvGetKeyArgument, PCredHandle phCredential, PTimeStamp ptsExpiry);
KTLSIM_API SECURITY_STATUS SEC_ENTRY AcquireCredentialsHandleW(
    KTLSIM_STRING_W pszPrincipal, KTLSIM_STRING_W pszPackage, ULONG fCredentialUse, void* pvLogonId,
    void* pAuthData, SEC_GET_KEY_FN pGetKeyFn, void* pvGetKeyArgument, PCredHandle phCredential,
    PTimeStamp ptsExpiry) KTLSIM_MODE_SYMBOL(AcquireCredentialsHandleW);

KTLSIM_API SECURITY_STATUS SEC_ENTRY AddCredentialsA(PCredHandle hCredentials, LPSTR pszPrincipal,
                                                     LPSTR pszPackage, ULONG fCredentialUse,
                                                     void* pAuthData, SEC_GET_KEY_FN pGetKeyFn,
                                                     void* pvGetKeyArgument, PTimeStamp ptsExpiry);
KTLSIM_API SECURITY_STATUS SEC_ENTRY
AddCredentialsW(PCredHandle hCredentials, KTLSIM_STRING_W pszPrincipal, KTLSIM_STRING_W pszPackage,
                ULONG fCredentialUse, void* pAuthData, SEC_GET_KEY_FN pGetKeyFn,
                void* pvGetKeyArgument, PTimeStamp ptsExpiry) KTLSIM_MODE_SYMBOL(AddCredentialsW);

// The handle is dead at once. Contexts made from the credential keep it alive and go on working.
KTLSIM_API SECURITY_STATUS SEC_ENTRY FreeCredentialsHandle(PCredHandle phCredential);

KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesA(PCredHandle phCredential,
                                                                 ULONG ulAttribute, void* pBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesW(PCredHandle phCredential,
                                                                 ULONG ulAttribute, void* pBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesExA(PCredHandle phCredential,
                                                                   ULONG ulAttribute, void* pBuffer,
                                                                   ULONG cbBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesExW(PCredHandle phCredential,
                                                                   ULONG ulAttribute, void* pBuffer,
                                                                   ULONG cbBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetCredentialsAttributesA(PCredHandle phCredential,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetCredentialsAttributesW(PCredHandle phCredential,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);

// User mode only.
KTLSIM_API SECURITY_STATUS SEC_ENTRY
ChangeAccountPasswordA(SEC_CHAR* pszPackageName, SEC_CHAR* pszDomainName, SEC_CHAR* pszAccountName,
                       SEC_CHAR* pszOldPassword, SEC_CHAR* pszNewPassword, BOOLEAN bImpersonating,
                       ULONG dwReserved, PSecBufferDesc pOutput);
KTLSIM_API SECURITY_STATUS SEC_ENTRY ChangeAccountPasswordW(
    SEC_WCHAR* pszPackageName, SEC_WCHAR* pszDomainName, SEC_WCHAR* pszAccountName,
    SEC_WCHAR* pszOldPassword, SEC_WCHAR* pszNewPassword, BOOLEAN bImpersonating, ULONG dwReserved,
    PSecBufferDesc pOutput);

// ---- Security contexts -------------------------------------------------------------------------

// One leg of a handshake. First leg: `phContext` NULL, `phNewContext` receives the handle. Later
// legs: `phContext` names it, `phNewContext` may be the same variable or NULL. SEC_E_OK,
// SEC_I_CONTINUE_NEEDED: send the output token, also with SEC_E_OK, also with an error.
// SEC_E_INCOMPLETE_MESSAGE: nothing was consumed or changed; call again with more bytes.
// SEC_E_BUFFER_TOO_SMALL: call again with the same input and a larger output buffer.
// A SECBUFFER_EXTRA in the input array tells how many bytes at the end of the token were not used.
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY InitializeSecurityContextA(
    PCredHandle phCredential, PCtxtHandle phContext, LPSTR pszTargetName, ULONG fContextReq,
    ULONG Reserved1, ULONG TargetDataRep, PSecBufferDesc pInput, ULONG Reserved2,
    PCtxtHandle phNewContext, PSecBufferDesc pOutput, KTLSIM_ULONG_OUT pfContextAttr,
    PTimeStamp ptsExpiry);
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY InitializeSecurityContextW(
    PCredHandle phCredential, PCtxtHandle phContext, KTLSIM_STRING_W pszTargetName,
    ULONG fContextReq, ULONG Reserved1, ULONG TargetDataRep, PSecBufferDesc pInput, ULONG Reserved2,
    PCtxtHandle phNewContext, PSecBufferDesc pOutput, KTLSIM_ULONG_OUT pfContextAttr,
    PTimeStamp ptsExpiry) KTLSIM_MODE_SYMBOL(InitializeSecurityContextW);
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY
AcceptSecurityContext(PCredHandle phCredential, PCtxtHandle phContext, PSecBufferDesc pInput,
                      ULONG fContextReq, ULONG TargetDataRep, PCtxtHandle phNewContext,
                      PSecBufferDesc pOutput, KTLSIM_ULONG_OUT pfContextAttr, PTimeStamp ptsExpiry);

KTLSIM_API SECURITY_STATUS SEC_ENTRY CompleteAuthToken(PCtxtHandle phContext,
                                                       PSecBufferDesc pToken);
// Kernel mode has none of ApplyControlToken, SetContextAttributes, ExportSecurityContext and
// ImpersonateSecurityContext: SEC_E_UNSUPPORTED_FUNCTION, as of kernel Schannel.
//
// Takes effect in the next InitializeSecurityContext or AcceptSecurityContext, which returns the
// token.
KTLSIM_API SECURITY_STATUS SEC_ENTRY ApplyControlToken(PCtxtHandle phContext, PSecBufferDesc pInput)
    KTLSIM_MODE_SYMBOL(ApplyControlToken);
// Sends nothing. Every context that a first leg returned must be deleted, failed ones too.
KTLSIM_API SECURITY_STATUS SEC_ENTRY DeleteSecurityContext(PCtxtHandle phContext);

// Any level: never blocks. Strings and arrays in the answer go back with FreeContextBuffer.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesA(PCtxtHandle phContext,
                                                             ULONG ulAttribute, void* pBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesW(PCtxtHandle phContext,
                                                             ULONG ulAttribute, void* pBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesExA(PCtxtHandle phContext,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesExW(PCtxtHandle phContext,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetContextAttributesA(PCtxtHandle phContext, ULONG ulAttribute,
                                                           void* pBuffer, ULONG cbBuffer)
    KTLSIM_MODE_SYMBOL(SetContextAttributesA);
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetContextAttributesW(PCtxtHandle phContext, ULONG ulAttribute,
                                                           void* pBuffer, ULONG cbBuffer)
    KTLSIM_MODE_SYMBOL(SetContextAttributesW);

KTLSIM_API SECURITY_STATUS SEC_ENTRY ExportSecurityContext(PCtxtHandle phContext, ULONG fFlags,
                                                           PSecBuffer pPackedContext, void** pToken)
    KTLSIM_MODE_SYMBOL(ExportSecurityContext);
KTLSIM_API SECURITY_STATUS SEC_ENTRY ImportSecurityContextA(LPSTR pszPackage,
                                                            PSecBuffer pPackedContext, void* Token,
                                                            PCtxtHandle phContext);
KTLSIM_API SECURITY_STATUS SEC_ENTRY ImportSecurityContextW(KTLSIM_STRING_W pszPackage,
                                                            PSecBuffer pPackedContext, void* Token,
                                                            PCtxtHandle phContext)
    KTLSIM_MODE_SYMBOL(ImportSecurityContextW);
KTLSIM_API SECURITY_STATUS SEC_ENTRY DelegateSecurityContext(
    PCtxtHandle phContext, KTLSIM_STRING_DELEGATE pszTarget, SecDelegationType DelegationType,
    PTimeStamp pExpiry, PSecBuffer pPackageParameters, PSecBufferDesc pOutput)
    KTLSIM_MODE_SYMBOL(DelegateSecurityContext);

// ---- Identity ----------------------------------------------------------------------------------

KTLSIM_API SECURITY_STATUS SEC_ENTRY ImpersonateSecurityContext(PCtxtHandle phContext)
    KTLSIM_MODE_SYMBOL(ImpersonateSecurityContext);
KTLSIM_API SECURITY_STATUS SEC_ENTRY RevertSecurityContext(PCtxtHandle phContext);
KTLSIM_API SECURITY_STATUS SEC_ENTRY QuerySecurityContextToken(PCtxtHandle phContext, void** Token);

// ---- Messages (any level: never blocks) --------------------------------------------------------

KTLSIM_API SECURITY_STATUS SEC_ENTRY MakeSignature(PCtxtHandle phContext, ULONG fQOP,
                                                   PSecBufferDesc pMessage, ULONG MessageSeqNo);
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY VerifySignature(PCtxtHandle phContext,
                                                         PSecBufferDesc pMessage,
                                                         ULONG MessageSeqNo,
                                                         KTLSIM_ULONG_OUT pfQOP);
// In place. The buffers' cbBuffer become the sizes written.
KTLSIM_API SECURITY_STATUS SEC_ENTRY EncryptMessage(PCtxtHandle phContext, ULONG fQOP,
                                                    PSecBufferDesc pMessage, ULONG MessageSeqNo);
// In place. The buffer types are rewritten to where header, data, trailer and the bytes beyond lie.
// SEC_E_INCOMPLETE_MESSAGE: nothing was consumed or changed.
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY DecryptMessage(PCtxtHandle phContext,
                                                        PSecBufferDesc pMessage, ULONG MessageSeqNo,
                                                        KTLSIM_ULONG_OUT pfQOP);

#ifdef __cplusplus
}  // extern "C"
#endif

// See out_ulong.h. A name is not expanded again inside its own expansion.
#ifndef __cplusplus
#define EnumerateSecurityPackagesA(count, packages) \
  EnumerateSecurityPackagesA(KTLSIM_ULONG_OUT_ARGUMENT(count), packages)
#define EnumerateSecurityPackagesW(count, packages) \
  EnumerateSecurityPackagesW(KTLSIM_ULONG_OUT_ARGUMENT(count), packages)
#define InitializeSecurityContextA(credential, context, target, request, zero1, representation,  \
                                   input, zero2, new_context, output, attributes, expiry)        \
  InitializeSecurityContextA(credential, context, target, request, zero1, representation, input, \
                             zero2, new_context, output, KTLSIM_ULONG_OUT_ARGUMENT(attributes),  \
                             expiry)
#define InitializeSecurityContextW(credential, context, target, request, zero1, representation,  \
                                   input, zero2, new_context, output, attributes, expiry)        \
  InitializeSecurityContextW(credential, context, target, request, zero1, representation, input, \
                             zero2, new_context, output, KTLSIM_ULONG_OUT_ARGUMENT(attributes),  \
                             expiry)
#define AcceptSecurityContext(credential, context, input, request, representation, new_context,   \
                              output, attributes, expiry)                                         \
  AcceptSecurityContext(credential, context, input, request, representation, new_context, output, \
                        KTLSIM_ULONG_OUT_ARGUMENT(attributes), expiry)
#define VerifySignature(context, message, sequence, qop) \
  VerifySignature(context, message, sequence, KTLSIM_ULONG_OUT_ARGUMENT(qop))
#define DecryptMessage(context, message, sequence, qop) \
  DecryptMessage(context, message, sequence, KTLSIM_ULONG_OUT_ARGUMENT(qop))
#endif

#ifdef UNICODE
#define AcquireCredentialsHandle AcquireCredentialsHandleW
#define AddCredentials AddCredentialsW
#define InitializeSecurityContext InitializeSecurityContextW
#define QueryContextAttributes QueryContextAttributesW
#define QueryContextAttributesEx QueryContextAttributesExW
#define SetContextAttributes SetContextAttributesW
#define QueryCredentialsAttributes QueryCredentialsAttributesW
#define QueryCredentialsAttributesEx QueryCredentialsAttributesExW
#define SetCredentialsAttributes SetCredentialsAttributesW
#define EnumerateSecurityPackages EnumerateSecurityPackagesW
#define QuerySecurityPackageInfo QuerySecurityPackageInfoW
#define ImportSecurityContext ImportSecurityContextW
#define ChangeAccountPassword ChangeAccountPasswordW
#define InitSecurityInterface InitSecurityInterfaceW
#else
#define AcquireCredentialsHandle AcquireCredentialsHandleA
#define AddCredentials AddCredentialsA
#define InitializeSecurityContext InitializeSecurityContextA
#define QueryContextAttributes QueryContextAttributesA
#define QueryContextAttributesEx QueryContextAttributesExA
#define SetContextAttributes SetContextAttributesA
#define QueryCredentialsAttributes QueryCredentialsAttributesA
#define QueryCredentialsAttributesEx QueryCredentialsAttributesExA
#define SetCredentialsAttributes SetCredentialsAttributesA
#define EnumerateSecurityPackages EnumerateSecurityPackagesA
#define QuerySecurityPackageInfo QuerySecurityPackageInfoA
#define ImportSecurityContext ImportSecurityContextA
#define ChangeAccountPassword ChangeAccountPasswordA
#define InitSecurityInterface InitSecurityInterfaceA
#endif
