// The certificate types that SCH_CREDENTIALS and the certificate attributes refer to.
#pragma once

#include <ktlsim/detail/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define X509_ASN_ENCODING 0x00000001
#define PKCS_7_ASN_ENCODING 0x00010000

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
