// What QueryContextAttributes returns for an established TLS connection.

#include <schannel.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/certificates.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/packages/tls_context.h"
#include "kernel_sim/sspi/packages/tls_package.h"
#include "kernel_sim/sspi/packages/tls_status.h"
#include "kernel_sim/sspi/text.h"

namespace ktlsim::sspi {
namespace {

using tls::ConnectionFacts;

// wincrypt's numbers; ChaCha20 has none.
constexpr ALG_ID kAlgAes128 = 0x660e;
constexpr ALG_ID kAlgAes256 = 0x6610;
constexpr ALG_ID kAlgSha256 = 0x800c;
constexpr ALG_ID kAlgSha384 = 0x800d;
constexpr ALG_ID kAlgEcdhEphemeral = 0xae06;

constexpr std::uint16_t kGroupX25519 = 29;
constexpr std::uint16_t kGroupP256 = 23;
constexpr std::uint16_t kGroupP384 = 24;
constexpr std::uint16_t kGroupP521 = 25;
constexpr std::uint16_t kGroupX448 = 30;

DWORD GroupBits(std::uint16_t group) {
  switch (group) {
    case kGroupX25519:
      return 255;
    case kGroupP256:
      return 256;
    case kGroupP384:
      return 384;
    case kGroupP521:
      return 521;
    case kGroupX448:
      return 448;
    default:
      return 0;
  }
}

// The kind of key that signed, from the SignatureScheme (RFC 8446 4.2.3).
std::string_view CertificateKind(std::uint16_t scheme) {
  if (scheme == 0) return "";
  return (scheme & 0xff) == 0x03 && (scheme >> 8) != 0x08 ? "ECDSA" : "RSA";
}

DWORD ProtocolBit(const ConnectionFacts& facts) {
  const bool server = facts.role == tls::Role::kServer;
  if (facts.version == tls::Version::kTls13) {
    return server ? SP_PROT_TLS1_3_SERVER : SP_PROT_TLS1_3_CLIENT;
  }
  return server ? SP_PROT_TLS1_2_SERVER : SP_PROT_TLS1_2_CLIENT;
}

ALG_ID CipherAlgorithm(tls::AeadId aead) {
  switch (aead) {
    case tls::AeadId::kAes128Gcm:
      return kAlgAes128;
    case tls::AeadId::kAes256Gcm:
      return kAlgAes256;
    case tls::AeadId::kChaCha20Poly1305:
      return 0;
  }
  return 0;
}

void Fill(const ConnectionFacts& facts, SecPkgContext_ConnectionInfo* info) {
  *info = {};
  info->dwProtocol = ProtocolBit(facts);
  info->aiCipher = CipherAlgorithm(facts.suite->aead);
  info->dwCipherStrength = facts.suite->key_bytes * 8U;
  info->aiHash = facts.suite->hash == tls::HashId::kSha256 ? kAlgSha256 : kAlgSha384;
  info->dwHashStrength = 0;  // an AEAD has no separate MAC
  info->aiExch = kAlgEcdhEphemeral;
  info->dwExchStrength = GroupBits(facts.group);
}

SECURITY_STATUS Fill(const ConnectionFacts& facts, SecPkgContext_CipherInfo* info) {
  if (info->dwVersion != SECPKGCONTEXT_CIPHERINFO_V1) return SEC_E_INVALID_PARAMETER;
  *info = {};
  info->dwVersion = SECPKGCONTEXT_CIPHERINFO_V1;
  info->dwProtocol = static_cast<DWORD>(facts.version);
  info->dwCipherSuite = static_cast<DWORD>(facts.suite->id);
  info->dwBaseCipherSuite = info->dwCipherSuite;
  StoreWide(info->szCipherSuite, SZ_ALG_MAX_SIZE, facts.suite->standard_name);
  const bool aes = facts.suite->aead != tls::AeadId::kChaCha20Poly1305;
  StoreWide(info->szCipher, SZ_ALG_MAX_SIZE, aes ? "AES" : "CHACHA20_POLY1305");
  info->dwCipherLen = facts.suite->key_bytes * 8U;
  info->dwCipherBlockLen = aes ? 16 : 1;
  StoreWide(info->szExchange, SZ_ALG_MAX_SIZE, "ECDH");
  info->dwMinExchangeLen = 0;
  info->dwMaxExchangeLen = 65536;
  const std::uint16_t scheme =
      facts.role == tls::Role::kServer ? facts.local_signature : facts.peer_signature;
  StoreWide(info->szCertificate, SZ_ALG_MAX_SIZE, CertificateKind(scheme));
  info->dwKeyType = facts.group;
  return SEC_E_OK;
}

void Fill(const ConnectionFacts& facts, SecPkgContext_ApplicationProtocol* info) {
  *info = {};
  if (facts.alpn.empty()) return;
  info->ProtoNegoStatus = SecApplicationProtocolNegotiationStatus_Success;
  info->ProtoNegoExt = SecApplicationProtocolNegotiationExt_ALPN;
  const std::size_t bytes = std::min<std::size_t>(facts.alpn.size(), MAX_PROTOCOL_ID_SIZE);
  info->ProtocolIdSize = static_cast<UCHAR>(bytes);
  std::memcpy(info->ProtocolId, facts.alpn.data(), bytes);
}

void Fill(const ConnectionFacts& facts, SecPkgContext_SessionInfo* info) {
  *info = {};
  info->dwFlags = facts.resumed ? SSL_SESSION_RECONNECT : 0;
  info->cbSessionId = facts.session_id_bytes;
  std::memcpy(info->rgbSessionId, facts.session_id.data(), facts.session_id_bytes);
}

SECURITY_STATUS RemoteCertificate(const ConnectionFacts& facts, PCCERT_CONTEXT* out) {
  if (facts.peer_chain == nullptr) return SEC_E_NO_CREDENTIALS;
  Result<tls::Certificate::Ptr> certificate = tls::Certificate::FromDerChain(facts.peer_chain->der);
  if (!certificate.ok()) return MemoryOr(certificate.status(), SEC_E_CERT_UNKNOWN);
  *out = PublishCertificate(std::move(*certificate));
  return SEC_E_OK;
}

SECURITY_STATUS LocalCertificate(const ConnectionFacts& facts, PCCERT_CONTEXT* out) {
  if (facts.local_certificate == nullptr) return SEC_E_NO_CREDENTIALS;
  *out = PublishCertificate(facts.local_certificate);
  return SEC_E_OK;
}

// The whole chain, leaf first, each certificate after its length.
SECURITY_STATUS Fill(const ConnectionFacts& facts, SecPkgContext_Certificates* info) {
  if (facts.peer_chain == nullptr) return SEC_E_NO_CREDENTIALS;
  std::size_t bytes = 0;
  for (const auto& der : facts.peer_chain->der) bytes += sizeof(DWORD) + der.size();
  auto* at = static_cast<BYTE*>(AllocateContextBuffer(bytes));
  if (at == nullptr) return SEC_E_INSUFFICIENT_MEMORY;
  info->cCertificates = static_cast<DWORD>(facts.peer_chain->der.size());
  info->cbCertificateChain = static_cast<DWORD>(bytes);
  info->pbCertificateChain = at;
  for (const auto& der : facts.peer_chain->der) {
    const auto size = static_cast<DWORD>(der.size());
    std::memcpy(at, &size, sizeof(size));
    std::memcpy(at + sizeof(size), der.data(), der.size());
    at += sizeof(size) + der.size();
  }
  return SEC_E_OK;
}

// wincrypt's CERT_TRUST_* bits.
constexpr DWORD kNotTimeValid = 0x1;
constexpr DWORD kIsRevoked = 0x4;
constexpr DWORD kNotValidForUsage = 0x10;
constexpr DWORD kUntrustedRoot = 0x20;
constexpr DWORD kRevocationUnknown = 0x40;

SECURITY_STATUS Fill(const ConnectionFacts& facts,
                     SecPkgContext_CertificateValidationResult* info) {
  if (facts.peer_chain == nullptr) return SEC_E_NO_CREDENTIALS;
  if (!facts.peer_judged) return SEC_E_UNSUPPORTED_FUNCTION;
  switch (facts.certificate_fault) {
    case tls::CertificateFault::kNone:
      *info = {0, 0};
      break;
    case tls::CertificateFault::kOutOfDate:
      *info = {kNotTimeValid, CERT_E_EXPIRED};
      break;
    case tls::CertificateFault::kUntrusted:
      *info = {kUntrustedRoot, CERT_E_UNTRUSTEDROOT};
      break;
    case tls::CertificateFault::kWrongName:
      *info = {0, CERT_E_CN_NO_MATCH};
      break;
    case tls::CertificateFault::kRevoked:
      *info = {kIsRevoked, CRYPT_E_REVOKED};
      break;
    case tls::CertificateFault::kRevocationUnknown:
      *info = {kRevocationUnknown, CRYPT_E_NO_REVOCATION_CHECK};
      break;
    case tls::CertificateFault::kWrongUsage:
      *info = {kNotValidForUsage, CERT_E_WRONG_USAGE};
      break;
    case tls::CertificateFault::kOther:
      *info = {0, CERT_E_CHAINING};
      break;
  }
  return SEC_E_OK;
}

SECURITY_STATUS Fill(const ConnectionFacts& facts, KtlsimContext_ServerName* name) {
  const std::string& from = facts.server_name;
  if (from.size() >= sizeof(name->szName)) return SEC_E_BUFFER_TOO_SMALL;
  name->cbName = static_cast<ULONG>(from.size());
  std::memcpy(name->szName, from.c_str(), from.size() + 1);
  return SEC_E_OK;
}

SECURITY_STATUS QueryCertificates(const ConnectionFacts& facts, ULONG attribute, void* buffer) {
  switch (attribute) {
    case SECPKG_ATTR_REMOTE_CERT_CONTEXT:
      return RemoteCertificate(facts, static_cast<PCCERT_CONTEXT*>(buffer));
    case SECPKG_ATTR_LOCAL_CERT_CONTEXT:
      return LocalCertificate(facts, static_cast<PCCERT_CONTEXT*>(buffer));
    case SECPKG_ATTR_REMOTE_CERTIFICATES:
      return Fill(facts, static_cast<SecPkgContext_Certificates*>(buffer));
    case SECPKG_ATTR_CERT_CHECK_RESULT:
    case SECPKG_ATTR_CERT_CHECK_RESULT_INPROC:
      return Fill(facts, static_cast<SecPkgContext_CertificateValidationResult*>(buffer));
    default:
      return SEC_E_UNSUPPORTED_FUNCTION;
  }
}

}  // namespace

ULONG TlsPackage::ContextAttributeBytes(ULONG attribute) const {
  switch (attribute) {
    case SECPKG_ATTR_STREAM_SIZES:
      return sizeof(SecPkgContext_StreamSizes);
    case SECPKG_ATTR_CONNECTION_INFO:
      return sizeof(SecPkgContext_ConnectionInfo);
    case SECPKG_ATTR_CIPHER_INFO:
      return sizeof(SecPkgContext_CipherInfo);
    case SECPKG_ATTR_APPLICATION_PROTOCOL:
      return sizeof(SecPkgContext_ApplicationProtocol);
    case SECPKG_ATTR_SESSION_INFO:
      return sizeof(SecPkgContext_SessionInfo);
    case SECPKG_ATTR_REMOTE_CERT_CONTEXT:
    case SECPKG_ATTR_LOCAL_CERT_CONTEXT:
      return sizeof(PCCERT_CONTEXT);
    case SECPKG_ATTR_REMOTE_CERTIFICATES:
      return sizeof(SecPkgContext_Certificates);
    case SECPKG_ATTR_CERT_CHECK_RESULT:
    case SECPKG_ATTR_CERT_CHECK_RESULT_INPROC:
      return sizeof(SecPkgContext_CertificateValidationResult);
    case KTLSIM_ATTR_CONTEXT_SERVER_NAME:
      return sizeof(KtlsimContext_ServerName);
    case KTLSIM_ATTR_CONTEXT_FAILURE:
      return sizeof(KtlsimContext_Failure);
    default:
      return 0;
  }
}

bool TlsContext::IsKnownEarly(ULONG attribute) const {
  return attribute == KTLSIM_ATTR_CONTEXT_FAILURE;
}

SECURITY_STATUS TlsContext::Query(const AttributeQuery& query) {
  const ForkGate::Scope inside;
  const ULONG attribute = query.attribute;
  void* const buffer = query.buffer;
  if (attribute == KTLSIM_ATTR_CONTEXT_FAILURE) {
    const char* const why = WhyFailed();
    *static_cast<KtlsimContext_Failure*>(buffer) = {why != nullptr ? why : "",
                                                    received_alert_.load(std::memory_order_relaxed),
                                                    sent_alert_.load(std::memory_order_relaxed)};
    return SEC_E_OK;
  }
  const Connection& connection = *this->connection();
  const ConnectionFacts& facts = connection.tls.facts;
  switch (attribute) {
    case SECPKG_ATTR_STREAM_SIZES: {
      const tls::RecordWriter& writer = connection.tls.writer;
      auto* sizes = static_cast<SecPkgContext_StreamSizes*>(buffer);
      sizes->cbHeader = static_cast<ULONG>(writer.header_bytes());
      sizes->cbTrailer = static_cast<ULONG>(writer.trailer_bytes());
      sizes->cbMaximumMessage = static_cast<ULONG>(writer.max_fragment());
      sizes->cBuffers = 4;
      sizes->cbBlockSize = 16;
      return SEC_E_OK;
    }
    case SECPKG_ATTR_CONNECTION_INFO:
      Fill(facts, static_cast<SecPkgContext_ConnectionInfo*>(buffer));
      return SEC_E_OK;
    case SECPKG_ATTR_CIPHER_INFO:
      return Fill(facts, static_cast<SecPkgContext_CipherInfo*>(buffer));
    case SECPKG_ATTR_APPLICATION_PROTOCOL:
      Fill(facts, static_cast<SecPkgContext_ApplicationProtocol*>(buffer));
      return SEC_E_OK;
    case SECPKG_ATTR_SESSION_INFO:
      Fill(facts, static_cast<SecPkgContext_SessionInfo*>(buffer));
      return SEC_E_OK;
    case KTLSIM_ATTR_CONTEXT_SERVER_NAME:
      return Fill(facts, static_cast<KtlsimContext_ServerName*>(buffer));
    default:
      return QueryCertificates(facts, attribute, buffer);
  }
}

}  // namespace ktlsim::sspi
