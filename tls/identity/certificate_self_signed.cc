// Certificate::SelfSigned: a certificate in memory, for runs that bring none.
#include <arpa/inet.h>

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "kernel_sim/base/memory_watch.h"
#include "tls/crypto_failure.h"
#include "tls/identity/certificate.h"
#include "tls/openssl_handles.h"

namespace ktlsim::tls {
namespace {

constexpr long kDay = 86400;
constexpr long kValidDays = 397;  // the longest a browser accepts
constexpr std::size_t kNameBytesMax = 253;
constexpr std::size_t kCommonNameBytesMax = 64;  // ub-common-name, RFC 5280 A.1

bool IsIpLiteral(const std::string& name) {
  in6_addr address{};
  return inet_pton(AF_INET, name.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

// Letters, digits and what DNS names and IP literals have besides; nothing that the extension
// syntax of OpenSSL would read as more than a name.
bool GoodName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax &&
         std::ranges::all_of(name, [](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '.' || c == ':' || c == '_' || c == '*';
         });
}

bool AddExtension(X509* certificate, int nid, const std::string& value) {
  using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Deleter<&X509_EXTENSION_free>>;
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool Fill(X509* certificate, EVP_PKEY* key, const std::string& name) {
  std::uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  serial >>= 1;  // positive, RFC 5280 4.1.2.2
  X509_NAME* subject = X509_get_subject_name(certificate);
  const std::string common_name = name.substr(0, kCommonNameBytesMax);
  const std::string alternative = (IsIpLiteral(name) ? "IP:" : "DNS:") + name;
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -kDay) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kValidDays * kDay) != nullptr &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1 &&
         X509_set_pubkey(certificate, key) == 1 &&
         AddExtension(certificate, NID_subject_alt_name, alternative) &&
         AddExtension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
         AddExtension(certificate, NID_subject_key_identifier, "hash") &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

}  // namespace

Result<Certificate::Ptr> Certificate::SelfSigned(std::string_view name, KeyType key_type) {
  if (!GoodName(name) || key_type == KeyType::kOther) {
    return Status(Category::kContract, 0, "a self-signed certificate needs a DNS name or address");
  }
  try {
    const MemoryWatch watch;
    PkeyPtr key(key_type == KeyType::kRsa2048 ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    const X509Ptr certificate(X509_new());
    unsigned char* der = nullptr;
    const bool filled = key != nullptr && certificate != nullptr &&
                        Fill(certificate.get(), key.get(), std::string(name));
    const int size = filled ? i2d_X509(certificate.get(), &der) : 0;
    const std::unique_ptr<unsigned char, OpensslDeleter> owner(der);
    if (watch.ran_out()) {
      ERR_clear_error();
      return ResourceError("no memory for a certificate");
    }
    if (size <= 0) return CryptoFailure("the self-signed certificate could not be made");
    std::vector<Der> chain;
    chain.emplace_back(der, der + size);
    return Build(std::move(chain), key.release());
  } catch (const std::bad_alloc&) {
    return ResourceError("no memory for a certificate");
  }
}

}  // namespace ktlsim::tls
