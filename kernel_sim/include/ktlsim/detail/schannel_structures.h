// Structures of schannel.h: TLS credentials, control tokens, attributes of TLS contexts and
// credentials.
#pragma once

#include <ktlsim/detail/application_protocol.h>
#include <ktlsim/detail/certificate.h>
#include <ktlsim/detail/schannel_constants.h>
#include <ktlsim/detail/structures.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---- Credentials -------------------------------------------------------------------------------

struct _HMAPPER;

// TLS 1.2 and earlier. dwVersion is SCHANNEL_CRED_VERSION.
typedef struct _SCHANNEL_CRED {
  DWORD dwVersion;
  DWORD cCreds;
  PCCERT_CONTEXT* paCred;
  HCERTSTORE hRootStore;
  DWORD cMappers;
  struct _HMAPPER** aphMappers;
  DWORD cSupportedAlgs;
  ALG_ID* palgSupportedAlgs;
  DWORD grbitEnabledProtocols;  // SP_PROT_*, 0: defaults
  DWORD dwMinimumCipherStrength;
  DWORD dwMaximumCipherStrength;
  DWORD dwSessionLifespan;  // milliseconds, 0: default
  DWORD dwFlags;            // SCH_*
  DWORD dwCredFormat;       // SCH_CRED_FORMAT_*
} SCHANNEL_CRED, *PSCHANNEL_CRED;

typedef enum _eTlsAlgorithmUsage {
  TlsParametersCngAlgUsageKeyExchange = 0,
  TlsParametersCngAlgUsageSignature = 1,
  TlsParametersCngAlgUsageCipher = 2,
  TlsParametersCngAlgUsageDigest = 3,
  TlsParametersCngAlgUsageCertSig = 4
} eTlsAlgorithmUsage,
    *PeTlsAlgorithmUsage;

// One disabled algorithm. A pair of bit lengths names the range that stays permitted.
typedef struct _CRYPTO_SETTINGS {
  eTlsAlgorithmUsage eAlgorithmUsage;
  UNICODE_STRING strCngAlgId;
  DWORD cChainingModes;
  PUNICODE_STRING rgstrChainingModes;
  DWORD dwMinBitLength;
  DWORD dwMaxBitLength;
} CRYPTO_SETTINGS, *PCRYPTO_SETTINGS;

typedef struct _TLS_PARAMETERS {
  DWORD cAlpnIds;
  PUNICODE_STRING rgstrAlpnIds;
  DWORD grbitDisabledProtocols;  // SP_PROT_*, the ones switched off
  DWORD cDisabledCrypto;
  PCRYPTO_SETTINGS pDisabledCrypto;
  DWORD dwFlags;  // TLS_PARAMS_OPTIONAL
} TLS_PARAMETERS, *PTLS_PARAMETERS;

// TLS 1.3 and earlier. dwVersion is SCH_CREDENTIALS_VERSION. With SCH_CRED_FORMAT_CERT_HASH_STORE
// `paCred` points at the SCHANNEL_CERT_HASH_STORE itself, not at an array of pointers.
typedef struct _SCH_CREDENTIALS {
  DWORD dwVersion;
  DWORD dwCredFormat;
  DWORD cCreds;
  PCCERT_CONTEXT* paCred;
  HCERTSTORE hRootStore;
  DWORD cMappers;
  struct _HMAPPER** aphMappers;
  DWORD dwSessionLifespan;
  DWORD dwFlags;
  DWORD cTlsParameters;
  PTLS_PARAMETERS pTlsParameters;
} SCH_CREDENTIALS, *PSCH_CREDENTIALS;

typedef struct _SCHANNEL_CERT_HASH {
  DWORD dwLength;
  DWORD dwFlags;
  HCRYPTPROV hProv;
  BYTE ShaHash[20];
} SCHANNEL_CERT_HASH, *PSCHANNEL_CERT_HASH;

typedef struct _SCHANNEL_CERT_HASH_STORE {
  DWORD dwLength;
  DWORD dwFlags;
  HCRYPTPROV hProv;
  BYTE ShaHash[20];
  WCHAR pwszStoreName[SCH_CRED_MAX_STORE_NAME_SIZE];
} SCHANNEL_CERT_HASH_STORE, *PSCHANNEL_CERT_HASH_STORE;

typedef enum _eTlsSignatureAlgorithm {
  TlsSignatureAlgorithm_Anonymous = 0,
  TlsSignatureAlgorithm_Rsa = 1,
  TlsSignatureAlgorithm_Dsa = 2,
  TlsSignatureAlgorithm_Ecdsa = 3
} eTlsSignatureAlgorithm,
    *PeTlsSignatureAlgorithm;

typedef enum _eTlsHashAlgorithm {
  TlsHashAlgorithm_None = 0,
  TlsHashAlgorithm_Md5 = 1,
  TlsHashAlgorithm_Sha1 = 2,
  TlsHashAlgorithm_Sha224 = 3,
  TlsHashAlgorithm_Sha256 = 4,
  TlsHashAlgorithm_Sha384 = 5,
  TlsHashAlgorithm_Sha512 = 6
} eTlsHashAlgorithm,
    *PeTlsHashAlgorithm;

// ---- Control tokens and extensions -------------------------------------------------------------

typedef struct _SCHANNEL_ALERT_TOKEN {
  DWORD dwTokenType;  // SCHANNEL_ALERT
  DWORD dwAlertType;
  DWORD dwAlertNumber;
} SCHANNEL_ALERT_TOKEN, *PSCHANNEL_ALERT_TOKEN;

// SSL_SESSION_DISABLE_RECONNECTS: the connection's session is not resumed later. A server applies
// it before its handshake is over (SEC_E_UNSUPPORTED_FUNCTION afterwards, since the client then has
// its tickets).
typedef struct _SCHANNEL_SESSION_TOKEN {
  DWORD dwTokenType;  // SCHANNEL_SESSION
  DWORD dwFlags;
} SCHANNEL_SESSION_TOKEN, *PSCHANNEL_SESSION_TOKEN;

typedef struct _SEND_GENERIC_TLS_EXTENSION {
  WORD ExtensionType;
  WORD HandshakeType;
  DWORD Flags;
  WORD BufferSize;
  UCHAR Buffer[ANYSIZE_ARRAY];
} SEND_GENERIC_TLS_EXTENSION, *PSEND_GENERIC_TLS_EXTENSION;

typedef struct _TLS_EXTENSION_SUBSCRIPTION {
  WORD ExtensionType;
  WORD HandshakeType;
} TLS_EXTENSION_SUBSCRIPTION, *PTLS_EXTENSION_SUBSCRIPTION;

// At most SCH_MAX_EXT_SUBSCRIPTIONS.
typedef struct _SUBSCRIBE_GENERIC_TLS_EXTENSION {
  DWORD Flags;
  DWORD SubscriptionsCount;
  TLS_EXTENSION_SUBSCRIPTION Subscriptions[ANYSIZE_ARRAY];
} SUBSCRIBE_GENERIC_TLS_EXTENSION, *PSUBSCRIBE_GENERIC_TLS_EXTENSION;

// ---- Attributes of a context -------------------------------------------------------------------

typedef struct _SecPkgContext_RemoteCredentialInfo {
  DWORD cbCertificateChain;
  BYTE* pbCertificateChain;
  DWORD cCertificates;
  DWORD fFlags;  // RCRED_*
  DWORD dwBits;
} SecPkgContext_RemoteCredentialInfo, *PSecPkgContext_RemoteCredentialInfo;

typedef struct _SecPkgContext_LocalCredentialInfo {
  DWORD cbCertificateChain;
  BYTE* pbCertificateChain;
  DWORD cCertificates;
  DWORD fFlags;  // LCRED_*
  DWORD dwBits;
} SecPkgContext_LocalCredentialInfo, *PSecPkgContext_LocalCredentialInfo;

// Each certificate is preceded by its length in four bytes.
typedef struct _SecPkgContext_Certificates {
  DWORD cCertificates;
  DWORD cbCertificateChain;
  BYTE* pbCertificateChain;
} SecPkgContext_Certificates, *PSecPkgContext_Certificates;

typedef struct _SecPkgContext_CertInfo {
  DWORD dwVersion;
  DWORD cbSubjectName;
  LPWSTR pwszSubjectName;
  DWORD cbIssuerName;
  LPWSTR pwszIssuerName;
  DWORD dwKeySize;
} SecPkgContext_CertInfo, *PSecPkgContext_CertInfo;

typedef struct _SecPkgContext_CertificateValidationResult {
  DWORD dwChainErrorStatus;
  HRESULT hrVerifyChainStatus;
} SecPkgContext_CertificateValidationResult, *PSecPkgContext_CertificateValidationResult;

typedef struct _SecPkgContext_IssuerListInfoEx {
  PCERT_NAME_BLOB aIssuers;
  DWORD cIssuers;
} SecPkgContext_IssuerListInfoEx, *PSecPkgContext_IssuerListInfoEx;

// dwProtocol is an SP_PROT_ bit here, the number on the wire in SecPkgContext_CipherInfo.
typedef struct _SecPkgContext_ConnectionInfo {
  DWORD dwProtocol;
  ALG_ID aiCipher;
  DWORD dwCipherStrength;
  ALG_ID aiHash;
  DWORD dwHashStrength;
  ALG_ID aiExch;
  DWORD dwExchStrength;
} SecPkgContext_ConnectionInfo, *PSecPkgContext_ConnectionInfo;

// The caller sets dwVersion to SECPKGCONTEXT_CONNECTION_INFO_EX_V1.
typedef struct _SecPkgContext_ConnectionInfoEx {
  DWORD dwVersion;
  DWORD dwProtocol;
  WCHAR szCipher[SZ_ALG_MAX_SIZE];
  DWORD dwCipherStrength;
  WCHAR szHash[SZ_ALG_MAX_SIZE];
  DWORD dwHashStrength;
  WCHAR szExchange[SZ_ALG_MAX_SIZE];
  DWORD dwExchStrength;
} SecPkgContext_ConnectionInfoEx, *PSecPkgContext_ConnectionInfoEx;

// The caller sets dwVersion to SECPKGCONTEXT_CIPHERINFO_V1.
typedef struct _SecPkgContext_CipherInfo {
  DWORD dwVersion;
  DWORD dwProtocol;
  DWORD dwCipherSuite;
  DWORD dwBaseCipherSuite;
  WCHAR szCipherSuite[SZ_ALG_MAX_SIZE];
  WCHAR szCipher[SZ_ALG_MAX_SIZE];
  DWORD dwCipherLen;
  DWORD dwCipherBlockLen;
  WCHAR szHash[SZ_ALG_MAX_SIZE];
  DWORD dwHashLen;
  WCHAR szExchange[SZ_ALG_MAX_SIZE];
  DWORD dwMinExchangeLen;
  DWORD dwMaxExchangeLen;
  WCHAR szCertificate[SZ_ALG_MAX_SIZE];
  DWORD dwKeyType;
} SecPkgContext_CipherInfo, *PSecPkgContext_CipherInfo;

typedef struct _SecPkgContext_EapKeyBlock {
  BYTE rgbKeys[128];
  BYTE rgbIVs[64];
} SecPkgContext_EapKeyBlock, *PSecPkgContext_EapKeyBlock;

typedef struct _SecPkgContext_EapPrfInfo {
  DWORD dwVersion;
  DWORD cbPrfData;
  BYTE* pbPrfData;
} SecPkgContext_EapPrfInfo, *PSecPkgContext_EapPrfInfo;

typedef struct _SecPkgContext_MappedCredAttr {
  DWORD dwAttribute;
  PVOID pvBuffer;
} SecPkgContext_MappedCredAttr, *PSecPkgContext_MappedCredAttr;

typedef struct _SecPkgContext_SessionInfo {
  DWORD dwFlags;  // SSL_SESSION_RECONNECT
  DWORD cbSessionId;
  BYTE rgbSessionId[32];
} SecPkgContext_SessionInfo, *PSecPkgContext_SessionInfo;

typedef struct _SecPkgContext_SessionAppData {
  DWORD dwFlags;
  DWORD cbAppData;
  BYTE* pbAppData;
} SecPkgContext_SessionAppData, *PSecPkgContext_SessionAppData;

typedef struct _SecPkgContext_SupportedSignatures {
  WORD cSignatureAndHashAlgorithms;
  WORD* pSignatureAndHashAlgorithms;
} SecPkgContext_SupportedSignatures, *PSecPkgContext_SupportedSignatures;

typedef struct _SecPkgContext_ClientCertPolicyResult {
  HRESULT dwPolicyResult;
  GUID guidPolicyId;
} SecPkgContext_ClientCertPolicyResult, *PSecPkgContext_ClientCertPolicyResult;

typedef struct _SecPkgContext_UiInfo {
  HWND hParentWindow;
} SecPkgContext_UiInfo, *PSecPkgContext_UiInfo;

typedef struct _SecPkgContext_EarlyStart {
  DWORD dwEarlyStartFlags;
} SecPkgContext_EarlyStart, *PSecPkgContext_EarlyStart;

// cbLabel counts the null character, which is not part of the label (RFC 5705 4).
typedef struct _SecPkgContext_KeyingMaterialInfo {
  WORD cbLabel;
  LPSTR pszLabel;
  WORD cbContextValue;
  PBYTE pbContextValue;
  DWORD cbKeyingMaterial;
} SecPkgContext_KeyingMaterialInfo, *PSecPkgContext_KeyingMaterialInfo;

typedef struct _SecPkgContext_KeyingMaterial {
  DWORD cbKeyingMaterial;
  PBYTE pbKeyingMaterial;
} SecPkgContext_KeyingMaterial, *PSecPkgContext_KeyingMaterial;

typedef struct _SecPkgContext_KeyingMaterial_Inproc {
  WORD cbLabel;
  LPSTR pszLabel;
  WORD cbContextValue;
  PBYTE pbContextValue;
  DWORD cbKeyingMaterial;
  PBYTE pbKeyingMaterial;
} SecPkgContext_KeyingMaterial_Inproc, *PSecPkgContext_KeyingMaterial_Inproc;

typedef struct _SecPkgContext_SrtpParameters {
  WORD ProtectionProfile;
  BYTE MasterKeyIdentifierSize;
  PBYTE MasterKeyIdentifier;
} SecPkgContext_SrtpParameters, *PSecPkgContext_SrtpParameters;

typedef struct _SecPkgContext_TokenBinding {
  BYTE MajorVersion;
  BYTE MinorVersion;
  WORD KeyParametersSize;
  PBYTE KeyParameters;
} SecPkgContext_TokenBinding, *PSecPkgContext_TokenBinding;

// ---- Attributes of a credential ----------------------------------------------------------------

typedef struct _SecPkgCred_SupportedAlgs {
  DWORD cSupportedAlgs;
  ALG_ID* palgSupportedAlgs;
} SecPkgCred_SupportedAlgs, *PSecPkgCred_SupportedAlgs;

typedef struct _SecPkgCred_CipherStrengths {
  DWORD dwMinimumCipherStrength;
  DWORD dwMaximumCipherStrength;
} SecPkgCred_CipherStrengths, *PSecPkgCred_CipherStrengths;

typedef struct _SecPkgCred_SupportedProtocols {
  DWORD grbitProtocol;
} SecPkgCred_SupportedProtocols, *PSecPkgCred_SupportedProtocols;

typedef struct _SecPkgCred_ClientCertPolicy {
  DWORD dwFlags;
  GUID guidPolicyId;
  DWORD dwCertFlags;
  DWORD dwUrlRetrievalTimeout;
  BOOL fCheckRevocationFreshnessTime;
  DWORD dwRevocationFreshnessTime;
  BOOL fOmitUsageCheck;
  LPWSTR pwszSslCtlStoreName;
  LPWSTR pwszSslCtlIdentifier;
} SecPkgCred_ClientCertPolicy, *PSecPkgCred_ClientCertPolicy;

// KeyingMaterialSize is 32 to 64.
typedef struct _SecPkgCred_SessionTicketKey {
  DWORD TicketInfoVersion;  // SESSION_TICKET_INFO_V0
  BYTE KeyId[16];
  BYTE KeyingMaterial[64];
  BYTE KeyingMaterialSize;
} SecPkgCred_SessionTicketKey, *PSecPkgCred_SessionTicketKey;

// The first key seals new tickets, all of them open old ones.
typedef struct _SecPkgCred_SessionTicketKeys {
  DWORD cSessionTicketKeys;
  PSecPkgCred_SessionTicketKey pSessionTicketKeys;
} SecPkgCred_SessionTicketKeys, *PSecPkgCred_SessionTicketKeys;

#ifdef __cplusplus
}  // extern "C"
#endif
