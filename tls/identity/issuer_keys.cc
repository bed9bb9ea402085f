#include "tls/identity/issuer_keys.h"

#include <openssl/err.h>
#include <openssl/evp.h>

namespace ktlsim::tls {
namespace {

bool HashKey(const X509* certificate, IssuerKeys::Key* hash) {
  unsigned char* der = nullptr;
  const int bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (bytes <= 0) return false;
  const int hashed = EVP_Digest(der, static_cast<std::size_t>(bytes), hash->data(), nullptr,
                                EVP_sha256(), nullptr);
  OPENSSL_free(der);
  return hashed == 1;
}

}  // namespace

std::optional<IssuerKeys> IssuerKeysOf(const STACK_OF(X509) * chain) {
  IssuerKeys keys;
  for (int i = 1; i < sk_X509_num(chain); ++i) {
    IssuerKeys::Key hash;
    if (!HashKey(sk_X509_value(chain, i), &hash)) {
      ERR_clear_error();
      return std::nullopt;
    }
    keys.Add(hash);
  }
  return keys;
}

}  // namespace ktlsim::tls
