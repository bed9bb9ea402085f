// OpenSSL algorithm objects fetched once per process, and owners for the objects of its C API.
// Private to this module.
#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tls/types.h"

namespace ktlsim::tls {

template <auto function>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    function(object);
  }
};

using MdCtxPtr = std::unique_ptr<EVP_MD_CTX, Deleter<&EVP_MD_CTX_free>>;
using CipherCtxPtr = std::unique_ptr<EVP_CIPHER_CTX, Deleter<&EVP_CIPHER_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<&BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Deleter<&X509_free>>;
using PkeyPtr = std::unique_ptr<EVP_PKEY, Deleter<&EVP_PKEY_free>>;

struct X509StackDeleter {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, &X509_free); }
};
using X509StackPtr = std::unique_ptr<STACK_OF(X509), X509StackDeleter>;

struct OpensslDeleter {
  void operator()(void* memory) const { OPENSSL_free(memory); }
};

// nullptr when the library cannot provide it. A fetch by name per use would cost microseconds.
const EVP_MD* FetchedDigest(HashId hash);
const EVP_CIPHER* FetchedCipher(AeadId aead);

}  // namespace ktlsim::tls
