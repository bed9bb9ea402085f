// Schannel: the TLS package behind SSPI. Names, credentials, attributes, control tokens.
//
// The SCH_CREDENTIALS family is always visible, with or without SCHANNEL_USE_BLACKLISTS.
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

// Forgets the clients' cached sessions for a target name, without regard to case, or all of them
// (NULL or empty). `dwFlags` is not looked at. FALSE: no memory, or the name has more
// than KTLSIM_NAME_UNITS_MAX units. Passive level.
KTLSIM_API BOOL SslEmptyCacheA(LPSTR pszTargetName, DWORD dwFlags);
KTLSIM_API BOOL SslEmptyCacheW(LPWSTR pszTargetName, DWORD dwFlags);
typedef BOOL(WINAPI* SSL_EMPTY_CACHE_FN_A)(LPSTR pszTargetName, DWORD dwFlags);
typedef BOOL(WINAPI* SSL_EMPTY_CACHE_FN_W)(LPWSTR pszTargetName, DWORD dwFlags);

// Finds the server name (RFC 6066 3) in a ClientHello record. `*ServerIdentity` then points into
// `ClientHello` and is not null-terminated. Any level. SEC_E_INCOMPLETE_MESSAGE when bytes are
// missing.
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
