// The certificate types that SCH_CREDENTIALS and the certificate attributes refer to.
#pragma once

#include <ktlsim/detail/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define X509_ASN_ENCODING 0x00000001
#define PKCS_7_ASN_ENCODING 0x00010000

// SecPkgCred_ClientCertPolicy::dwCertFlags: which certificates of a chain are checked for
// revocation.
#define CERT_CHAIN_REVOCATION_CHECK_END_CERT 0x10000000
#define CERT_CHAIN_REVOCATION_CHECK_CHAIN 0x20000000
#define CERT_CHAIN_REVOCATION_CHECK_CHAIN_EXCLUDE_ROOT 0x40000000
#define CERT_CHAIN_REVOCATION_CHECK_CACHE_ONLY 0x80000000

typedef struct _CERT_INFO CERT_INFO, *PCERT_INFO;

// Made by the functions of ktlsim/sspi_ext.h; reference counted, immutable. pbCertEncoded is DER.
typedef struct _CERT_CONTEXT {
  DWORD dwCertEncodingType;  // X509_ASN_ENCODING
  BYTE* pbCertEncoded;
  DWORD cbCertEncoded;
  PCERT_INFO pCertInfo;  // NULL here
  HCERTSTORE hCertStore;
} CERT_CONTEXT, *PCERT_CONTEXT;
typedef const CERT_CONTEXT* PCCERT_CONTEXT;

typedef struct _CERT_CHAIN_CONTEXT CERT_CHAIN_CONTEXT, *PCERT_CHAIN_CONTEXT;
typedef const CERT_CHAIN_CONTEXT* PCCERT_CHAIN_CONTEXT;

// A distinguished name in DER.
typedef struct _CRYPTOAPI_BLOB {
  DWORD cbData;
  BYTE* pbData;
} CERT_NAME_BLOB, *PCERT_NAME_BLOB;

#ifdef __cplusplus
}  // extern "C"
#endif
