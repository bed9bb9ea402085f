/// @file
/// Schannel: the TLS package of SSPI. Names, credentials, attributes, control tokens.
///
/// The SCH_CREDENTIALS family is always visible, with or without SCHANNEL_USE_BLACKLISTS. The table
/// at the end says how each flag and member is treated.
#pragma once

#include <ktlsim/detail/certificate.h>
#include <ktlsim/detail/schannel_constants.h>
#include <ktlsim/detail/schannel_structures.h>
#include <sspi.h>

#define UNISP_NAME_A "Microsoft Unified Security Protocol Provider"
#define UNISP_NAME_W KTLSIM_WIDE("Microsoft Unified Security Protocol Provider")
#define SCHANNEL_NAME_A "Schannel"
#define SCHANNEL_NAME_W KTLSIM_WIDE("Schannel")
#define DEFAULT_TLS_SSP_NAME_A "Default TLS SSP"
#define DEFAULT_TLS_SSP_NAME_W KTLSIM_WIDE("Default TLS SSP")
#define SSL2SP_NAME_A "Microsoft SSL 2.0"
#define SSL2SP_NAME_W KTLSIM_WIDE("Microsoft SSL 2.0")
#define SSL3SP_NAME_A "Microsoft SSL 3.0"
#define SSL3SP_NAME_W KTLSIM_WIDE("Microsoft SSL 3.0")
#define TLS1SP_NAME_A "Microsoft TLS 1.0"
#define TLS1SP_NAME_W KTLSIM_WIDE("Microsoft TLS 1.0")
#define PCT1SP_NAME_A "Microsoft PCT 1.0"
#define PCT1SP_NAME_W KTLSIM_WIDE("Microsoft PCT 1.0")

#ifdef UNICODE
#define UNISP_NAME UNISP_NAME_W
#define SCHANNEL_NAME SCHANNEL_NAME_W
#define DEFAULT_TLS_SSP_NAME DEFAULT_TLS_SSP_NAME_W
#define SSL2SP_NAME SSL2SP_NAME_W
#define SSL3SP_NAME SSL3SP_NAME_W
#define TLS1SP_NAME TLS1SP_NAME_W
#define PCT1SP_NAME PCT1SP_NAME_W
#else
#define UNISP_NAME UNISP_NAME_A
#define SCHANNEL_NAME SCHANNEL_NAME_A
#define DEFAULT_TLS_SSP_NAME DEFAULT_TLS_SSP_NAME_A
#define SSL2SP_NAME SSL2SP_NAME_A
#define SSL3SP_NAME SSL3SP_NAME_A
#define TLS1SP_NAME TLS1SP_NAME_A
#define PCT1SP_NAME PCT1SP_NAME_A
#endif

// Padding schemes that CRYPTO_SETTINGS can name.
#define SCHANNEL_RSA_PSS_PADDING_ALGORITHM KTLSIM_WIDE("SCH_RSA_PSS_PAD")
#define SCHANNEL_RSA_PKCS_PADDING_ALGORITHM KTLSIM_WIDE("SCH_RSA_PKCS_PAD")

#ifdef __cplusplus
extern "C" {
#endif

/// Forgets the clients' cached sessions for a target name, without regard to case, or all of them
/// (NULL or empty). `dwFlags` means nothing.
/// Level: passive. Returns: TRUE; FALSE: memory is short, or the name has more than
/// KTLSIM_NAME_UNITS_MAX units.
KTLSIM_API BOOL SslEmptyCacheA(LPSTR pszTargetName, DWORD dwFlags);
/// As SslEmptyCacheA, with a UTF-16 string.
KTLSIM_API BOOL SslEmptyCacheW(LPWSTR pszTargetName, DWORD dwFlags);
typedef BOOL(WINAPI* SSL_EMPTY_CACHE_FN_A)(LPSTR pszTargetName, DWORD dwFlags);
typedef BOOL(WINAPI* SSL_EMPTY_CACHE_FN_W)(LPWSTR pszTargetName, DWORD dwFlags);

/// Finds the server name (RFC 6066 3) in a ClientHello record. `*ServerIdentity` then points into
/// `ClientHello` and is not ended by a NUL; without a name it is NULL and the size 0.
/// Level: any. Returns: SEC_E_OK; SEC_E_INCOMPLETE_MESSAGE: bytes are missing; SEC_E_INVALID_TOKEN:
/// no ClientHello; SEC_E_INVALID_PARAMETER: a pointer is NULL, or `Flags` is not 0.
KTLSIM_OUT_API SECURITY_STATUS SslGetServerIdentity(PBYTE ClientHello, DWORD ClientHelloSize,
                                                    PBYTE* ServerIdentity,
                                                    KTLSIM_ULONG_OUT ServerIdentitySize,
                                                    DWORD Flags);
typedef SECURITY_STATUS(WINAPI* SSL_GET_SERVER_IDENTITY_FN)(PBYTE ClientHello,
                                                            DWORD ClientHelloSize,
                                                            PBYTE* ServerIdentity,
                                                            KTLSIM_ULONG_OUT ServerIdentitySize,
                                                            DWORD Flags);

#ifdef __cplusplus
}  // extern "C"
#endif

// See ktlsim/detail/out_ulong.h.
#ifndef __cplusplus
#define SslGetServerIdentity(hello, hello_size, identity, identity_size, flags) \
  SslGetServerIdentity(hello, hello_size, identity, KTLSIM_ULONG_OUT_ARGUMENT(identity_size), flags)
#endif

#ifdef UNICODE
#define SslEmptyCache SslEmptyCacheW
#define SSL_EMPTY_CACHE_FN SSL_EMPTY_CACHE_FN_W
#else
#define SslEmptyCache SslEmptyCacheA
#define SSL_EMPTY_CACHE_FN SSL_EMPTY_CACHE_FN_A
#endif

// ---- How every setting is treated --------------------------------------------------------------
//
// No setting is silently ignored. It is honoured; or harmless: accepted, because it asks for what
// holds anyway or permits what is never used; or refused: with SEC_E_UNSUPPORTED_FUNCTION where the
// table names no other status. AcquireCredentialsHandle judges the structures, each call of
// Initialize- or AcceptSecurityContext its flags and buffers; a refused call has changed nothing,
// and KtlsimLastErrorText names the setting. Unknown bits are refused.
//
// dwFlags of SCHANNEL_CRED and SCH_CREDENTIALS:
//
//   SCH_MACHINE_CERT_HASH (0x1)                   harmless  belongs to hashes, which are refused
//   SCH_CRED_NO_SYSTEM_MAPPER                     honoured  the server judges certificates itself
//   SCH_CRED_NO_SERVERNAME_CHECK                  honoured  by clients; servers check no name
//   SCH_CRED_MANUAL_CRED_VALIDATION               honoured  not beside AUTO: _INVALID_PARAMETER
//   SCH_CRED_NO_DEFAULT_CREDS                     harmless  there are none
//   SCH_CRED_AUTO_CRED_VALIDATION                 honoured  it is the default
//   SCH_CRED_USE_DEFAULT_CREDS                    harmless  there are none to find
//   SCH_CRED_DISABLE_RECONNECTS                   honoured
//   SCH_CRED_REVOCATION_CHECK_END_CERT            honoured  see below
//   SCH_CRED_REVOCATION_CHECK_CHAIN               honoured  see below
//   SCH_CRED_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT  honoured  see below
//   SCH_CRED_IGNORE_NO_REVOCATION_CHECK           honoured  see below
//   SCH_CRED_IGNORE_REVOCATION_OFFLINE            harmless  no revocation server is asked
//   SCH_CRED_RESTRICTED_ROOTS                     refused   KTLSIM_ATTR_TRUST restricts
//   SCH_CRED_REVOCATION_CHECK_CACHE_ONLY          harmless  nothing is fetched
//   SCH_CRED_CACHE_ONLY_URL_RETRIEVAL             harmless  nothing is fetched
//   SCH_CRED_MEMORY_STORE_CERT                    harmless  a chain is what the certificate brings
//   SCH_CRED_CACHE_ONLY_URL_RETRIEVAL_ON_CREATE   harmless  nothing is fetched
//   SCH_SEND_ROOT_CERT                            refused   a chain is sent as it was loaded
//   SCH_CRED_SNI_CREDENTIAL                       harmless  servers choose by name anyway
//   SCH_CRED_SNI_ENABLE_OCSP                      refused   no OCSP
//   SCH_SEND_AUX_RECORD                           harmless  for CBC, which there is not
//   SCH_USE_STRONG_CRYPTO                         harmless  there is no other
//   SCH_USE_PRESHAREDKEY_ONLY                     refused
//   SCH_USE_DTLS_ONLY                             refused   SEC_E_ALGORITHM_MISMATCH: no DTLS
//   SCH_ALLOW_NULL_ENCRYPTION                     harmless  permitted, never chosen
//   SCH_CRED_DEFERRED_CRED_VALIDATION             honoured  SECPKG_ATTR_CERT_CHECK_RESULT has it
//   KTLSIM_CRED_ACCEPT_EXPIRED                    honoured  ktlsim/sspi_ext.h
//
// Revocation cannot be looked up yet. A credential with one of the three checks is acquired, since
// real clients set them by default; the leg that judges the peer's certificate then finds it good
// in everything else and ends with CRYPT_E_NO_REVOCATION_CHECK and the alert certificate_unknown,
// unless SCH_CRED_IGNORE_NO_REVOCATION_CHECK is set. Where the verdict is left to the caller
// (manual or deferred validation) the handshake goes on; SECPKG_ATTR_CERT_CHECK_RESULT says so.
//
// Members of the two structures:
//
//   cCreds, paCred, dwCredFormat   honoured  SCH_CRED_FORMAT_CERT_CONTEXT; the others are
//                                            SEC_E_UNKNOWN_CREDENTIALS
//   hRootStore                     refused   unless NULL; KTLSIM_ATTR_TRUST
//   cMappers, aphMappers           refused   unless none
//   cSupportedAlgs,                honoured  ciphers, hashes and key exchanges: where the list
//   palgSupportedAlgs                        names any of a kind, only those are permitted.
//                                            Signature algorithms in it are refused
//   grbitEnabledProtocols,         honoured
//   grbitDisabledProtocols
//   dwMinimumCipherStrength,       honoured  in bits; 0: no bound; -1: no encryption
//   dwMaximumCipherStrength
//   dwSessionLifespan              honoured
//   cTlsParameters                 honoured  0 or 1; more are refused
//   cAlpnIds, TLS_PARAMETERS       refused   unless 0: no sets for some protocols only
//   ::dwFlags
//   CRYPTO_SETTINGS                honoured  usage cipher: AES (also by chaining mode and length)
//                                            and CHACHA20_POLY1305; usage digest: SHA256, SHA384;
//                                            others are never offered. Usage key exchange: RSA, DH,
//                                            usage signature, certificate signature: DSA (never
//                                            offered); all else is refused: KTLSIM_ATTR_GROUPS
//
// When nothing is left the status is SEC_E_ALGORITHM_MISMATCH. Principal, logon identifier and key
// function of AcquireCredentialsHandle, data representation and reserved parameters of the legs
// mean nothing to this package, on Windows too.
//
// Requests of InitializeSecurityContext, in `fContextReq` and in SECBUFFER_FLAGS, which add up:
//
//   ISC_REQ_DELEGATE                  refused
//   ISC_REQ_MUTUAL_AUTH               honoured  servers always prove who they are
//   ISC_REQ_REPLAY_DETECT             honoured  always
//   ISC_REQ_SEQUENCE_DETECT           honoured  always
//   ISC_REQ_CONFIDENTIALITY           honoured  always
//   ISC_REQ_USE_SESSION_KEY           harmless  every connection has keys of its own
//   ISC_REQ_PROMPT_FOR_CREDS          refused
//   ISC_REQ_USE_SUPPLIED_CREDS        honoured
//   ISC_REQ_ALLOCATE_MEMORY           honoured
//   ISC_REQ_USE_DCE_STYLE             refused
//   ISC_REQ_DATAGRAM                  refused   no DTLS
//   ISC_REQ_CONNECTION                honoured  always
//   ISC_REQ_CALL_LEVEL                refused
//   ISC_REQ_FRAGMENT_SUPPLIED         harmless  input may always come in pieces
//   ISC_REQ_EXTENDED_ERROR            honoured
//   ISC_REQ_STREAM                    honoured  always
//   ISC_REQ_INTEGRITY                 honoured  always
//   ISC_REQ_IDENTIFY                  harmless  a certificate permits no more
//   ISC_REQ_NULL_SESSION              refused   acquire a credential without a certificate
//   ISC_REQ_MANUAL_CRED_VALIDATION    honoured
//   ISC_REQ_RESERVED1                 refused
//   ISC_REQ_FRAGMENT_TO_FIT           refused
//   ISC_REQ_FORWARD_CREDENTIALS       refused
//   ISC_REQ_NO_INTEGRITY              refused
//   ISC_REQ_USE_HTTP_STYLE            refused
//   ISC_REQ_HTTP                      refused   belongs to another package
//   ISC_REQ_UNVERIFIED_TARGET_NAME    harmless  the name chooses no credential
//   ISC_REQ_CONFIDENTIALITY_ONLY      refused
//   ISC_REQ_MESSAGES                  refused   no handshake without records
//   ISC_REQ_DEFERRED_CRED_VALIDATION  honoured
//   ISC_REQ_NO_POST_HANDSHAKE_AUTH    harmless  it is never offered
//   ISC_REQ_REUSE_SESSION_TICKETS     refused
//   ISC_REQ_EXPLICIT_SESSION          refused
//
// Requests of AcceptSecurityContext:
//
//   ASC_REQ_DELEGATE                refused
//   ASC_REQ_MUTUAL_AUTH             honoured
//   ASC_REQ_REPLAY_DETECT           honoured  always
//   ASC_REQ_SEQUENCE_DETECT         honoured  always
//   ASC_REQ_CONFIDENTIALITY         honoured  always
//   ASC_REQ_USE_SESSION_KEY         harmless  every connection has keys of its own
//   ASC_REQ_SESSION_TICKET          harmless  the credential decides: KTLSIM_ATTR_TICKETS
//   ASC_REQ_ALLOCATE_MEMORY         honoured
//   ASC_REQ_USE_DCE_STYLE           refused
//   ASC_REQ_DATAGRAM                refused   no DTLS
//   ASC_REQ_CONNECTION              honoured  always
//   ASC_REQ_CALL_LEVEL              refused
//   ASC_REQ_FRAGMENT_SUPPLIED       harmless  input may always come in pieces
//   ASC_REQ_EXTENDED_ERROR          honoured
//   ASC_REQ_STREAM                  honoured  always
//   ASC_REQ_INTEGRITY               honoured  always
//   ASC_REQ_LICENSING               refused
//   ASC_REQ_IDENTIFY                honoured  the client's token is for identification
//   ASC_REQ_ALLOW_NULL_SESSION      harmless  clients are anonymous unless asked
//   ASC_REQ_ALLOW_NON_USER_LOGONS   harmless  nobody is logged on
//   ASC_REQ_ALLOW_CONTEXT_REPLAY    harmless  permitted, never done
//   ASC_REQ_FRAGMENT_TO_FIT         refused
//   ASC_REQ_NO_TOKEN                refused
//   ASC_REQ_PROXY_BINDINGS          refused
//   ASC_REQ_ALLOW_MISSING_BINDINGS  harmless  none are looked for
//   ASC_REQ_HTTP                    harmless  the bit of ALLOW_MISSING_BINDINGS
//   ASC_REQ_MESSAGES                refused   no handshake without records
//
// Input buffers of both functions that are not empty; types that are not in this list are not read:
//
//   SECBUFFER_TOKEN                            honoured
//   SECBUFFER_APPLICATION_PROTOCOLS            honoured
//   SECBUFFER_FLAGS                            honoured  SEC_E_INVALID_TOKEN: no SEC_FLAGS
//   SECBUFFER_CHANNEL_BINDINGS                 refused
//   SECBUFFER_SRTP_PROTECTION_PROFILES         refused
//   SECBUFFER_SRTP_MASTER_KEY_IDENTIFIER       refused
//   SECBUFFER_TOKEN_BINDING                    refused
//   SECBUFFER_PRESHARED_KEY                    refused
//   SECBUFFER_PRESHARED_KEY_IDENTITY           refused
//   SECBUFFER_DTLS_MTU                         refused
//   SECBUFFER_SEND_GENERIC_TLS_EXTENSION       refused
//   SECBUFFER_SUBSCRIBE_GENERIC_TLS_EXTENSION  refused
//   SECBUFFER_CERTIFICATE_REQUEST_CONTEXT      refused
//   SECBUFFER_APP_SESSION_STATE                refused
//   SECBUFFER_SESSION_TICKET                   refused
