#include "kernel_sim/sspi/certificates.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/sspi/border.h"
#include "kernel_sim/sspi/last_error.h"
#include "kernel_sim/sspi/openssl_setup.h"
#include "kernel_sim/sspi/packages/tls_status.h"
#include "kernel_sim/sspi/runtime.h"

namespace ktlsim::sspi {
namespace {

struct OwnedContext {
  CERT_CONTEXT context{};
  tls::Certificate::Ptr certificate;
  std::uint64_t references = 1;
};

// Contexts that are alive. A registry, because a caller may pass contexts of its own making.
struct Registry {
  Mutex mutex;
  std::unordered_map<PCCERT_CONTEXT, OwnedContext*> live KTLSIM_GUARDED_BY(mutex);
};

Registry& TheRegistry() {
  static NeverDestroyed<Registry> registry;
  return registry.get();
}

SECURITY_STATUS Publish(Result<tls::Certificate::Ptr> certificate, const std::string& message,
                        PCCERT_CONTEXT* out) {
  if (!certificate.ok()) {
    NoteReason(message.empty() ? certificate.status().ToString() : message);
    return MemoryOr(certificate.status(), SEC_E_UNKNOWN_CREDENTIALS);
  }
  if (!(*certificate)->has_private_key()) {
    NoteReason("there is no private key in PEM to the certificate");
    return SEC_E_UNKNOWN_CREDENTIALS;
  }
  *out = PublishCertificate(std::move(*certificate));
  return SEC_E_OK;
}

// `make(message)` returns the certificate; nothing may be thrown through the C API.
template <typename Make>
SECURITY_STATUS MakeContext(bool valid, PCCERT_CONTEXT* out, Make make) {
  if (out != nullptr) *out = nullptr;
  if (!valid || out == nullptr) {
    NoteReason("a parameter is NULL or out of range");
    return SEC_E_INVALID_PARAMETER;
  }
  // Forks are made safe, and OpenSSL is set up, before it is first used.
  static_cast<void>(Runtime::Instance());
  if (!OpenSslWorks()) return SEC_E_INSUFFICIENT_MEMORY;
  return NothingThrown([&] {
    const ForkGate::Scope inside;
    std::string message;
    Result<tls::Certificate::Ptr> certificate = make(&message);
    return Publish(std::move(certificate), message, out);
  });
}

}  // namespace

PCCERT_CONTEXT PublishCertificate(tls::Certificate::Ptr certificate) {
  auto owned = std::make_unique<OwnedContext>();
  owned->certificate = std::move(certificate);
  const auto leaf = owned->certificate->leaf();
  owned->context.dwCertEncodingType = X509_ASN_ENCODING;
  // The structure has no const; the bytes are shared and must not be written.
  owned->context.pbCertEncoded = const_cast<BYTE*>(leaf.data());
  owned->context.cbCertEncoded = static_cast<DWORD>(leaf.size());
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  registry.live.emplace(&owned->context, owned.get());
  return &owned.release()->context;
}

tls::Certificate::Ptr CertificateOf(PCCERT_CONTEXT context) {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  const auto found = registry.live.find(context);
  return found == registry.live.end() ? nullptr : found->second->certificate;
}

KTLSIM_NO_THREAD_SAFETY void LockCertificates() { TheRegistry().mutex.lock(); }
KTLSIM_NO_THREAD_SAFETY void UnlockCertificates() { TheRegistry().mutex.unlock(); }

}  // namespace ktlsim::sspi

using namespace ktlsim;        // NOLINT: the C API below is this file's whole point
using namespace ktlsim::sspi;  // NOLINT

extern "C" {

SECURITY_STATUS KtlsimLoadCertificate(const char* cert_pem_file, const char* key_pem_file,
                                      PCCERT_CONTEXT* out) {
  const bool valid = cert_pem_file != nullptr && key_pem_file != nullptr;
  return Told(MakeContext(valid, out, [&](std::string* message) {
    return tls::Certificate::FromPemFiles(cert_pem_file, key_pem_file, message);
  }));
}

SECURITY_STATUS KtlsimLoadCertificatePem(const char* cert_pem, const char* key_pem,
                                         PCCERT_CONTEXT* out) {
  return Told(MakeContext(cert_pem != nullptr && key_pem != nullptr, out, [&](std::string*) {
    return tls::Certificate::FromPem(cert_pem, key_pem);
  }));
}

SECURITY_STATUS KtlsimCreateSelfSignedCertificate(const char* subject_name, ULONG key_type,
                                                  PCCERT_CONTEXT* out) {
  const bool valid = subject_name != nullptr &&
                     (key_type == KTLSIM_KEY_ECDSA_P256 || key_type == KTLSIM_KEY_RSA_2048);
  return Told(MakeContext(valid, out, [&](std::string*) {
    return tls::Certificate::SelfSigned(subject_name, key_type == KTLSIM_KEY_RSA_2048
                                                          ? tls::KeyType::kRsa2048
                                                          : tls::KeyType::kEcdsaP256);
  }));
}

PCCERT_CONTEXT CertDuplicateCertificateContext(PCCERT_CONTEXT pCertContext) {
  Registry& registry = TheRegistry();
  MutexLock lock(registry.mutex);
  const auto found = registry.live.find(pCertContext);
  if (found != registry.live.end()) ++found->second->references;
  return pCertContext;
}

BOOL CertFreeCertificateContext(PCCERT_CONTEXT pCertContext) {
  // As on Windows the result is always TRUE.
  if (pCertContext == nullptr) return TRUE;
  OwnedContext* dead = nullptr;
  {
    Registry& registry = TheRegistry();
    MutexLock lock(registry.mutex);
    const auto found = registry.live.find(pCertContext);
    if (found != registry.live.end() && --found->second->references == 0) {
      dead = found->second;
      registry.live.erase(found);
    }
  }
  const ForkGate::Scope inside;
  delete dead;
  return TRUE;
}

}  // extern "C"
