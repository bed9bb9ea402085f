// Certificates of clients with whatever names a test wants, also such as no honest authority
// writes. Header only, on OpenSSL; a failure of it ends the test program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "kernel_sim/security/identity_mapper.h"

namespace ktlsim::accounts::test {

class CertificateMaker {
 public:
  CertificateMaker() : key_(EVP_EC_gen("P-256")), names_(GENERAL_NAMES_new()) {
    Require(key_ != nullptr && names_ != nullptr);
  }

  CertificateMaker& Serial(const std::string& hex) {
    serial_ = hex;
    return *this;
  }
  CertificateMaker& Email(std::string_view text) {
    GENERAL_NAME* const name = Add(GEN_EMAIL);
    name->d.rfc822Name = ASN1_IA5STRING_new();
    Set(name->d.rfc822Name, text);
    return *this;
  }
  CertificateMaker& Dns(std::string_view text) {
    GENERAL_NAME* const name = Add(GEN_DNS);
    name->d.dNSName = ASN1_IA5STRING_new();
    Set(name->d.dNSName, text);
    return *this;
  }
  // `type`: of the string, V_ASN1_UTF8STRING in an honest certificate.
  CertificateMaker& Upn(std::string_view text, int type = V_ASN1_UTF8STRING) {
    return Other(OBJ_nid2obj(NID_ms_upn), text, type);
  }
  CertificateMaker& Other(ASN1_OBJECT* kind, std::string_view text, int type) {
    ASN1_STRING* const string = ASN1_STRING_type_new(type);
    Set(string, text);
    ASN1_TYPE* const value = ASN1_TYPE_new();
    ASN1_TYPE_set(value, type, string);
    GENERAL_NAME* const name = GENERAL_NAME_new();
    Require(GENERAL_NAME_set0_othername(name, kind, value) == 1 &&
            sk_GENERAL_NAME_push(names_.get(), name) > 0);
    return *this;
  }
  // A second extension of the same kind, which RFC 5280 4.2 forbids.
  CertificateMaker& NamesTwice() {
    twice_ = true;
    return *this;
  }

  // SHA-256 of the public key's SubjectPublicKeyInfo.
  security::KeyId Key() const {
    unsigned char* der = nullptr;
    const int bytes = i2d_PUBKEY(key_.get(), &der);
    Require(bytes > 0);
    security::KeyId key{};
    Require(EVP_Digest(der, static_cast<std::size_t>(bytes), key.data(), nullptr, EVP_sha256(),
                       nullptr) == 1);
    OPENSSL_free(der);
    return key;
  }

  std::vector<std::uint8_t> Der() const {
    const std::unique_ptr<X509, Deleter> made = Make();
    unsigned char* der = nullptr;
    const int bytes = i2d_X509(made.get(), &der);
    Require(bytes > 0);
    std::vector<std::uint8_t> copy(der, der + bytes);
    OPENSSL_free(der);
    return copy;
  }

 private:
  struct Deleter {
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
    void operator()(BIGNUM* number) const { BN_free(number); }
  };

  static void Require(bool good) {
    if (!good) std::abort();
  }
  static void Set(ASN1_STRING* string, std::string_view text) {
    Require(string != nullptr &&
            ASN1_STRING_set(string, text.data(), static_cast<int>(text.size())) == 1);
  }
  GENERAL_NAME* Add(int type) {
    GENERAL_NAME* const name = GENERAL_NAME_new();
    Require(name != nullptr && sk_GENERAL_NAME_push(names_.get(), name) > 0);
    name->type = type;
    return name;
  }

  std::unique_ptr<X509, Deleter> Make() const {
    std::unique_ptr<X509, Deleter> made(X509_new());
    X509* const x = made.get();
    BIGNUM* number = nullptr;
    Require(BN_hex2bn(&number, serial_.c_str()) != 0);
    const std::unique_ptr<BIGNUM, Deleter> owned(number);
    Require(X509_set_version(x, X509_VERSION_3) == 1 &&
            BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != nullptr);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    Require(X509_set_pubkey(x, key_.get()) == 1);
    for (int i = 0; i < (twice_ ? 2 : 1) && sk_GENERAL_NAME_num(names_.get()) > 0; ++i) {
      Require(X509_add1_ext_i2d(x, NID_subject_alt_name, names_.get(), 0, X509V3_ADD_APPEND) == 1);
    }
    Require(X509_sign(x, key_.get(), EVP_sha256()) > 0);
    return made;
  }

  std::unique_ptr<EVP_PKEY, Deleter> key_;
  std::unique_ptr<GENERAL_NAMES, Deleter> names_;
  std::string serial_ = "1";
  bool twice_ = false;
};

}  // namespace ktlsim::accounts::test
