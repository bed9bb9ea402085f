/// @file
/// The synchronous functions.
///
/// Level: passive, because a call may wait for the strand of its context and for a provider. At
/// dispatch level such a function returns SEC_E_UNSUPPORTED_FUNCTION. Those that never block say
/// "any level".
///
/// Ownership: arguments are used during the call only. What a call allocates for the caller
/// (package information, tokens with ALLOCATE_MEMORY, attribute strings) is released with
/// FreeContextBuffer.
///
/// Bounds: those of the asynchronous functions, with the same statuses (async_functions.h).
///
/// Statuses that every function may return besides its own: SEC_E_INVALID_HANDLE for a stale,
/// zeroed or foreign handle; SEC_E_INSUFFICIENT_MEMORY, after which the same call may be made
/// again; and, where a function needs the running library, SEC_E_SHUTDOWN_IN_PROGRESS while or
/// after it stops and SEC_E_INTERNAL_ERROR when io_uring cannot be used, or in a forked child
/// before KtlsimStart.
///
/// Out-parameters are untouched on failure unless a function says otherwise.
///
/// Source: Microsoft's pages of the same names (sspi.h, "Authentication functions"); SSPI pages
/// name the statuses, and where they leave one open, this file decides.
#pragma once

#include <ktlsim/detail/function_table.h>
#include <ktlsim/detail/visibility.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Packages ----------------------------------------------------------------------------------

/// The function table of the A functions: static, nothing to release.
/// Level: any. Returns: never NULL.
KTLSIM_API PSecurityFunctionTableA SEC_ENTRY InitSecurityInterfaceA(void);
/// As InitSecurityInterfaceA, of the W functions.
KTLSIM_API PSecurityFunctionTableW SEC_ENTRY InitSecurityInterfaceW(void)
    KTLSIM_MODE_SYMBOL(InitSecurityInterfaceW);

/// The packages that can be acquired. One allocation holds the array and its strings; release it
/// with FreeContextBuffer.
/// Level: any. Returns: SEC_E_OK; SEC_E_INVALID_PARAMETER: a pointer is NULL.
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY EnumerateSecurityPackagesA(KTLSIM_ULONG_OUT pcPackages,
                                                                    PSecPkgInfoA* ppPackageInfo);
/// As EnumerateSecurityPackagesA, with UTF-16 strings.
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY EnumerateSecurityPackagesW(KTLSIM_ULONG_OUT pcPackages,
                                                                    PSecPkgInfoW* ppPackageInfo);

/// What EnumerateSecurityPackages says about one package, without regard to case. Release it with
/// FreeContextBuffer.
/// Level: any. Returns: SEC_E_OK; SEC_E_SECPKG_NOT_FOUND: NULL or an unknown name;
/// SEC_E_INVALID_PARAMETER: `ppPackageInfo` is NULL.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QuerySecurityPackageInfoA(LPSTR pszPackageName,
                                                               PSecPkgInfoA* ppPackageInfo);
/// As QuerySecurityPackageInfoA, with UTF-16 strings (kernel mode: counted ones).
KTLSIM_API SECURITY_STATUS SEC_ENTRY QuerySecurityPackageInfoW(KTLSIM_STRING_W pszPackageName,
                                                               PSecPkgInfoW* ppPackageInfo)
    KTLSIM_MODE_SYMBOL(QuerySecurityPackageInfoW);

/// Releases what a function allocated for the caller; NULL is accepted.
/// Level: any. Returns: SEC_E_OK; SEC_E_INVALID_HANDLE: memory that is not SSPI's, or was released
/// before.
KTLSIM_API SECURITY_STATUS SEC_ENTRY FreeContextBuffer(void* pvContextBuffer);

// ---- Credentials -------------------------------------------------------------------------------

/// Makes a credential. `fCredentialUse` is SECPKG_CRED_INBOUND for a server or SECPKG_CRED_OUTBOUND
/// for a client; `pAuthData` is an SCH_CREDENTIALS or SCHANNEL_CRED for TLS. The caller owns the
/// handle and frees it with FreeCredentialsHandle. `*phCredential` and `*ptsExpiry` are written on
/// success only; `ptsExpiry` may be NULL.
/// Level: passive. Returns: SEC_E_OK; SEC_E_SECPKG_NOT_FOUND; SEC_E_UNKNOWN_CREDENTIALS: a version
/// or a form of `pAuthData` that is not known; SEC_E_NO_CREDENTIALS: a server without a certificate
/// and its key; SEC_E_CERT_EXPIRED; SEC_E_ALGORITHM_MISMATCH: no version or suite is left;
/// SEC_E_UNSUPPORTED_FUNCTION: a setting that is refused (the table in schannel.h);
/// SEC_E_INVALID_PARAMETER.
KTLSIM_API SECURITY_STATUS SEC_ENTRY
AcquireCredentialsHandleA(LPSTR pszPrincipal, LPSTR pszPackage, ULONG fCredentialUse,
                          void* pvLogonId, void* pAuthData, SEC_GET_KEY_FN pGetKeyFn,
                          void* pvGetKeyArgument, PCredHandle phCredential, PTimeStamp ptsExpiry);
/// As AcquireCredentialsHandleA, with UTF-16 strings (kernel mode: counted ones).
KTLSIM_API SECURITY_STATUS SEC_ENTRY AcquireCredentialsHandleW(
    KTLSIM_STRING_W pszPrincipal, KTLSIM_STRING_W pszPackage, ULONG fCredentialUse, void* pvLogonId,
    void* pAuthData, SEC_GET_KEY_FN pGetKeyFn, void* pvGetKeyArgument, PCredHandle phCredential,
    PTimeStamp ptsExpiry) KTLSIM_MODE_SYMBOL(AcquireCredentialsHandleW);

/// No package here adds to a credential.
/// Level: any. Returns: SEC_E_UNSUPPORTED_FUNCTION; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS SEC_ENTRY AddCredentialsA(PCredHandle hCredentials, LPSTR pszPrincipal,
                                                     LPSTR pszPackage, ULONG fCredentialUse,
                                                     void* pAuthData, SEC_GET_KEY_FN pGetKeyFn,
                                                     void* pvGetKeyArgument, PTimeStamp ptsExpiry);
/// As AddCredentialsA, with UTF-16 strings (kernel mode: counted ones).
KTLSIM_API SECURITY_STATUS SEC_ENTRY
AddCredentialsW(PCredHandle hCredentials, KTLSIM_STRING_W pszPrincipal, KTLSIM_STRING_W pszPackage,
                ULONG fCredentialUse, void* pAuthData, SEC_GET_KEY_FN pGetKeyFn,
                void* pvGetKeyArgument, PTimeStamp ptsExpiry) KTLSIM_MODE_SYMBOL(AddCredentialsW);

/// The handle is dead at once. Contexts made from the credential keep the credential alive and go
/// on working.
/// Level: any. Returns: SEC_E_OK; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS SEC_ENTRY FreeCredentialsHandle(PCredHandle phCredential);

/// Reads an attribute of a credential into the structure that belongs to it: SECPKG_CRED_ATTR_NAMES
/// (release the string with FreeContextBuffer), SECPKG_ATTR_SUPPORTED_ALGS,
/// SECPKG_ATTR_CIPHER_STRENGTHS, SECPKG_ATTR_SUPPORTED_PROTOCOLS.
/// Level: any. Returns: SEC_E_OK; SEC_E_NO_CREDENTIALS: the credential has no name;
/// SEC_E_UNSUPPORTED_FUNCTION: an attribute that the package does not have; SEC_E_INTERNAL_ERROR:
/// `pBuffer` is NULL.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesA(PCredHandle phCredential,
                                                                 ULONG ulAttribute, void* pBuffer);
/// As QueryCredentialsAttributesA, with UTF-16 strings.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesW(PCredHandle phCredential,
                                                                 ULONG ulAttribute, void* pBuffer);
/// As QueryCredentialsAttributesA, with the size of the structure.
/// Level: any. Returns: also SEC_E_BUFFER_TOO_SMALL: `cbBuffer` is less than the structure needs.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesExA(PCredHandle phCredential,
                                                                   ULONG ulAttribute, void* pBuffer,
                                                                   ULONG cbBuffer);
/// As QueryCredentialsAttributesExA, with UTF-16 strings.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryCredentialsAttributesExW(PCredHandle phCredential,
                                                                   ULONG ulAttribute, void* pBuffer,
                                                                   ULONG cbBuffer);
/// Sets an attribute of a credential, before the first context is made from it. The attributes are
/// ktlsim's own (ktlsim/sspi_ext.h). Everything is copied; a call that fails changes nothing.
/// Level: passive. Returns: SEC_E_OK; SEC_E_UNSUPPORTED_FUNCTION: an attribute that the package
/// does not have; SEC_E_INVALID_PARAMETER: `pBuffer` is NULL, too short, or holds a value that is
/// refused; and what the attribute itself says.
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetCredentialsAttributesA(PCredHandle phCredential,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);
/// As SetCredentialsAttributesA, with UTF-16 strings.
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetCredentialsAttributesW(PCredHandle phCredential,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);

/// User mode only. No package here has accounts.
/// Level: any. Returns: SEC_E_UNSUPPORTED_FUNCTION.
KTLSIM_API SECURITY_STATUS SEC_ENTRY
ChangeAccountPasswordA(SEC_CHAR* pszPackageName, SEC_CHAR* pszDomainName, SEC_CHAR* pszAccountName,
                       SEC_CHAR* pszOldPassword, SEC_CHAR* pszNewPassword, BOOLEAN bImpersonating,
                       ULONG dwReserved, PSecBufferDesc pOutput);
/// As ChangeAccountPasswordA, with UTF-16 strings.
KTLSIM_API SECURITY_STATUS SEC_ENTRY ChangeAccountPasswordW(
    SEC_WCHAR* pszPackageName, SEC_WCHAR* pszDomainName, SEC_WCHAR* pszAccountName,
    SEC_WCHAR* pszOldPassword, SEC_WCHAR* pszNewPassword, BOOLEAN bImpersonating, ULONG dwReserved,
    PSecBufferDesc pOutput);

// ---- Security contexts -------------------------------------------------------------------------

/// One leg of a client's handshake. First leg: `phContext` is NULL and `phNewContext` receives the
/// handle. Later legs: `phContext` names the context; `phNewContext` may be the same variable or
/// NULL. Every context that a first leg returned must be deleted, one that failed too. A
/// SECBUFFER_EXTRA in the input array says how many bytes at the end of the token were not used.
/// Level: passive. Returns: SEC_E_OK: established, send the output token if there is one;
/// SEC_I_CONTINUE_NEEDED: send the token, call again with the peer's; SEC_E_INCOMPLETE_MESSAGE:
/// nothing was consumed or changed, call again with more bytes; SEC_E_BUFFER_TOO_SMALL: call again
/// with the same input and a larger output buffer; SEC_I_INCOMPLETE_CREDENTIALS: the server asks
/// for a certificate, call again with or without one; SEC_E_UNSUPPORTED_FUNCTION: a request that is
/// refused (schannel.h); SEC_E_INVALID_TOKEN, SEC_E_ILLEGAL_MESSAGE, SEC_E_UNTRUSTED_ROOT,
/// SEC_E_CERT_EXPIRED, SEC_E_WRONG_PRINCIPAL, SEC_E_ALGORITHM_MISMATCH and others: the handshake
/// has failed; send the output token, if there is one: it is the alert.
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY InitializeSecurityContextA(
    PCredHandle phCredential, PCtxtHandle phContext, LPSTR pszTargetName, ULONG fContextReq,
    ULONG Reserved1, ULONG TargetDataRep, PSecBufferDesc pInput, ULONG Reserved2,
    PCtxtHandle phNewContext, PSecBufferDesc pOutput, KTLSIM_ULONG_OUT pfContextAttr,
    PTimeStamp ptsExpiry);
/// As InitializeSecurityContextA, with UTF-16 strings (kernel mode: counted ones).
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY InitializeSecurityContextW(
    PCredHandle phCredential, PCtxtHandle phContext, KTLSIM_STRING_W pszTargetName,
    ULONG fContextReq, ULONG Reserved1, ULONG TargetDataRep, PSecBufferDesc pInput, ULONG Reserved2,
    PCtxtHandle phNewContext, PSecBufferDesc pOutput, KTLSIM_ULONG_OUT pfContextAttr,
    PTimeStamp ptsExpiry) KTLSIM_MODE_SYMBOL(InitializeSecurityContextW);
/// One leg of a server's handshake; otherwise as InitializeSecurityContextA.
/// Level: passive. Returns: as InitializeSecurityContextA; also SEC_E_NO_CREDENTIALS: a certificate
/// is required and the client sent none; SEC_E_TARGET_UNKNOWN: no certificate for the name
/// (KTLSIM_SERVER_NAMES_STRICT).
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY
AcceptSecurityContext(PCredHandle phCredential, PCtxtHandle phContext, PSecBufferDesc pInput,
                      ULONG fContextReq, ULONG TargetDataRep, PCtxtHandle phNewContext,
                      PSecBufferDesc pOutput, KTLSIM_ULONG_OUT pfContextAttr, PTimeStamp ptsExpiry);

/// Completes a token, or checks one, after a leg returned SEC_I_COMPLETE_NEEDED or
/// SEC_I_COMPLETE_AND_CONTINUE. It waits for the calls before it on the context, and for what the
/// package waits for; SspiCompleteAuthTokenAsync does not (ktlsim/sspi_ext.h). TLS completes its
/// tokens itself.
/// Level: passive. Returns: SEC_E_OK or another status of the package; SEC_E_UNSUPPORTED_FUNCTION:
/// TLS; SEC_E_INVALID_HANDLE; SEC_E_INTERNAL_ERROR: `pToken` is NULL; SEC_E_INVALID_PARAMETER: it
/// has too many buffers; SEC_E_SHUTDOWN_IN_PROGRESS: also when the library stops while it waits.
KTLSIM_API SECURITY_STATUS SEC_ENTRY CompleteAuthToken(PCtxtHandle phContext,
                                                       PSecBufferDesc pToken);
/// A control token, SCHANNEL_SHUTDOWN, SCHANNEL_ALERT_TOKEN or KtlsimControl_KeyUpdate, that takes
/// effect in the next InitializeSecurityContext or AcceptSecurityContext, which returns the bytes
/// to send. Kernel mode: SEC_E_UNSUPPORTED_FUNCTION, as in kernel Schannel; the same holds for
/// SetContextAttributes, ExportSecurityContext and ImpersonateSecurityContext.
/// Level: passive. Returns: SEC_E_OK; SEC_E_INVALID_TOKEN: not one of these tokens;
/// SEC_E_UNSUPPORTED_FUNCTION: one that does not fit the state; SEC_E_INTERNAL_ERROR: `pInput` is
/// NULL.
KTLSIM_API SECURITY_STATUS SEC_ENTRY ApplyControlToken(PCtxtHandle phContext, PSecBufferDesc pInput)
    KTLSIM_MODE_SYMBOL(ApplyControlToken);
/// Ends a context; sends nothing. The handle is dead when the call returns, and the context is
/// freed as soon as no call in flight uses it.
/// Level: passive. Returns: SEC_E_OK, also when the library has stopped and for a handle that
/// SspiDeleteSecurityContextAsync has marked as deleted; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS SEC_ENTRY DeleteSecurityContext(PCtxtHandle phContext);

/// Reads an attribute of an established context into the structure that belongs to it:
/// SECPKG_ATTR_STREAM_SIZES, _CONNECTION_INFO, _CIPHER_INFO, _APPLICATION_PROTOCOL, _SESSION_INFO,
/// _REMOTE_CERT_CONTEXT, _LOCAL_CERT_CONTEXT, _REMOTE_CERTIFICATES, _CERT_CHECK_RESULT and ktlsim's
/// own. Strings and arrays are released with FreeContextBuffer, certificates with
/// CertFreeCertificateContext.
/// Level: any; never blocks. Returns: SEC_E_OK; SEC_E_NO_CREDENTIALS: there is no such certificate;
/// SEC_E_UNSUPPORTED_FUNCTION: an attribute that the package does not have, or the handshake is not
/// over; SEC_E_INTERNAL_ERROR: `pBuffer` is NULL.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesA(PCtxtHandle phContext,
                                                             ULONG ulAttribute, void* pBuffer);
/// As QueryContextAttributesA, with UTF-16 strings.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesW(PCtxtHandle phContext,
                                                             ULONG ulAttribute, void* pBuffer);
/// As QueryContextAttributesA, with the size of the structure.
/// Level: any; never blocks. Returns: also SEC_E_BUFFER_TOO_SMALL: `cbBuffer` is less than the
/// structure needs.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesExA(PCtxtHandle phContext,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);
/// As QueryContextAttributesExA, with UTF-16 strings.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QueryContextAttributesExW(PCtxtHandle phContext,
                                                               ULONG ulAttribute, void* pBuffer,
                                                               ULONG cbBuffer);
/// No attribute of a context can be set.
/// Level: any. Returns: SEC_E_UNSUPPORTED_FUNCTION; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetContextAttributesA(PCtxtHandle phContext, ULONG ulAttribute,
                                                           void* pBuffer, ULONG cbBuffer)
    KTLSIM_MODE_SYMBOL(SetContextAttributesA);
/// As SetContextAttributesA, with UTF-16 strings.
KTLSIM_API SECURITY_STATUS SEC_ENTRY SetContextAttributesW(PCtxtHandle phContext, ULONG ulAttribute,
                                                           void* pBuffer, ULONG cbBuffer)
    KTLSIM_MODE_SYMBOL(SetContextAttributesW);

/// No package here moves its contexts between processes.
/// Level: any. Returns: SEC_E_UNSUPPORTED_FUNCTION; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS SEC_ENTRY ExportSecurityContext(PCtxtHandle phContext, ULONG fFlags,
                                                           PSecBuffer pPackedContext, void** pToken)
    KTLSIM_MODE_SYMBOL(ExportSecurityContext);
/// No package here moves its contexts between processes.
/// Level: any. Returns: SEC_E_UNSUPPORTED_FUNCTION.
KTLSIM_API SECURITY_STATUS SEC_ENTRY ImportSecurityContextA(LPSTR pszPackage,
                                                            PSecBuffer pPackedContext, void* Token,
                                                            PCtxtHandle phContext);
/// As ImportSecurityContextA, with UTF-16 strings (kernel mode: counted ones).
KTLSIM_API SECURITY_STATUS SEC_ENTRY ImportSecurityContextW(KTLSIM_STRING_W pszPackage,
                                                            PSecBuffer pPackedContext, void* Token,
                                                            PCtxtHandle phContext)
    KTLSIM_MODE_SYMBOL(ImportSecurityContextW);
/// TLS delegates nothing. User mode takes a string where kernel mode takes a counted one.
/// Level: any. Returns: SEC_E_UNSUPPORTED_FUNCTION; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS SEC_ENTRY DelegateSecurityContext(
    PCtxtHandle phContext, KTLSIM_STRING_DELEGATE pszTarget, SecDelegationType DelegationType,
    PTimeStamp pExpiry, PSecBuffer pPackageParameters, PSecBufferDesc pOutput)
    KTLSIM_MODE_SYMBOL(DelegateSecurityContext);

// ---- Identity ----------------------------------------------------------------------------------

/// The calling thread acts as the client of an established server's context from now on, instead of
/// as anybody else, until it reverts or ends: at the level of identification where the process
/// lacks SeImpersonatePrivilege or the server asked for ASC_REQ_IDENTIFY. A client has an account
/// where the program has installed a mapper, and TLS has verified its certificate, or Digest its
/// password. On failure the thread acts as before, which may be as the server: look at the result.
/// With KTLSIM_IMPERSONATE_OS (ktlsim/sspi_ext.h) the thread acts as the client's Unix user, too.
/// Level: any. Returns: SEC_E_NO_IMPERSONATION: no account is the client's, or none is looked for
/// (SCH_CRED_NO_SYSTEM_MAPPER), or its Unix user could not be taken on; SEC_E_MULTIPLE_ACCOUNTS;
/// SEC_E_LOGON_DENIED: its account is disabled; SEC_E_NO_AUTHENTICATING_AUTHORITY: the accounts
/// were not to be had; SEC_E_INSUFFICIENT_MEMORY; SEC_E_UNSUPPORTED_FUNCTION: a client's context,
/// or kernel mode; SEC_E_INVALID_HANDLE.
KTLSIM_API SECURITY_STATUS SEC_ENTRY ImpersonateSecurityContext(PCtxtHandle phContext)
    KTLSIM_MODE_SYMBOL(ImpersonateSecurityContext);
/// The calling thread acts as the process again, whichever context it has impersonated last, and
/// also if it has impersonated none.
/// Level: any. Returns: SEC_E_INVALID_HANDLE: the context is gone, and the thread acts as before.
KTLSIM_API SECURITY_STATUS SEC_ENTRY RevertSecurityContext(PCtxtHandle phContext);
/// Stores a handle of the client's access token, which the caller closes. It outlives the context.
/// Level: any. Returns: as ImpersonateSecurityContext, also in kernel mode, and
/// SEC_E_INVALID_PARAMETER: no place for it.
KTLSIM_API SECURITY_STATUS SEC_ENTRY QuerySecurityContextToken(PCtxtHandle phContext, void** Token);

// ---- Messages (any level and never blocks, but for VerifySignature) ----------------------------

/// Signs a message, at once; the package says how it uses the buffers, `fQOP` and `MessageSeqNo`.
/// Two calls of MakeSignature and EncryptMessage on one context run one after the other. TLS
/// protects messages with EncryptMessage only.
/// Level: any; never blocks. Returns: SEC_E_OK or another status of the package;
/// SEC_E_UNSUPPORTED_FUNCTION: TLS, whatever the other arguments; SEC_E_INVALID_HANDLE: also before
/// the context is established; SEC_E_INVALID_PARAMETER: `pMessage` is NULL or has too many buffers.
KTLSIM_API SECURITY_STATUS SEC_ENTRY MakeSignature(PCtxtHandle phContext, ULONG fQOP,
                                                   PSecBufferDesc pMessage, ULONG MessageSeqNo);
/// Checks a message that MakeSignature has signed. It waits for the calls before it on the context,
/// and for what the package waits for; SspiVerifySignatureAsync does not (ktlsim/sspi_ext.h). TLS
/// protects messages with DecryptMessage only.
/// Level: passive. Returns: SEC_E_OK or another status of the package; SEC_E_UNSUPPORTED_FUNCTION:
/// TLS, whatever the level and the other arguments; SEC_E_INVALID_HANDLE: also before the context
/// is established; SEC_E_INVALID_PARAMETER: `pMessage` is NULL or has too many buffers;
/// SEC_E_SHUTDOWN_IN_PROGRESS: also when the library stops while it waits.
KTLSIM_OUT_API SECURITY_STATUS SEC_ENTRY VerifySignature(PCtxtHandle phContext,
                                                         PSecBufferDesc pMessage,
                                                         ULONG MessageSeqNo,
                                                         KTLSIM_ULONG_OUT pfQOP);
/// Seals records in place: {STREAM_HEADER, DATA, STREAM_TRAILER}, sized by
/// SECPKG_ATTR_STREAM_SIZES, once for each record. The buffers' cbBuffer become the sizes written.
/// `fQOP` is 0, or SECQOP_WRAP_OOB_DATA to send an alert (two bytes of data); `MessageSeqNo` means
/// nothing. Two calls of EncryptMessage on one context run one after the other; EncryptMessage and
/// DecryptMessage may run at the same time.
/// Level: any; never blocks. Returns: SEC_E_OK; SEC_E_INVALID_TOKEN: the buffers are not of this
/// form; SEC_E_BUFFER_TOO_SMALL: header or trailer have no room; SEC_E_CONTEXT_EXPIRED: the
/// connection was closed, or its key has sealed as much as it may; SEC_E_ENCRYPT_FAILURE: more data
/// than a record holds; SEC_E_QOP_NOT_SUPPORTED; SEC_E_INVALID_HANDLE: also before the handshake is
/// over; SEC_E_INVALID_PARAMETER: `pMessage` is NULL or has too many buffers.
KTLSIM_API SECURITY_STATUS SEC_ENTRY EncryptMessage(PCtxtHandle phContext, ULONG fQOP,
                                                    PSecBufferDesc pMessage, ULONG MessageSeqNo);
/// Opens records in place: one DATA buffer that holds what was received, and three EMPTY ones for
/// each record. The types are rewritten to where header, data, trailer and the bytes after them
/// (SECBUFFER_EXTRA) lie.
/// Level: any; never blocks. Returns: SEC_E_OK; SEC_E_INCOMPLETE_MESSAGE: nothing was consumed or
/// changed, a SECBUFFER_MISSING says how many bytes are missing; SEC_I_CONTEXT_EXPIRED: the peer
/// has sent close_notify; SEC_I_RENEGOTIATE: a message for InitializeSecurityContext or
/// AcceptSecurityContext, as the EXTRA buffer; SEC_E_MESSAGE_ALTERED: the record is not the peer's;
/// SEC_E_ILLEGAL_MESSAGE: it breaks the protocol, and a leg without input returns the alert; a
/// status of the alert that the peer sent; SEC_E_CONTEXT_EXPIRED: the connection has already ended,
/// or a leg is owed first; SEC_E_INVALID_TOKEN: not this form of buffers; SEC_E_INVALID_HANDLE:
/// also before the handshake is over; SEC_E_INVALID_PARAMETER: `pMessage` is NULL or has too many
/// buffers.
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
