// Certificates with an issuer: roots, intermediate authorities, leaves, valid when the test wants.
// Header only, on OpenSSL; a failure of it ends the test program.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace ktlsim::test {

class IssuedCertificate {
 public:
  // Relative to now.
  struct Validity {
    long from_s = -3600;
    long until_s = 86400;
  };

  static IssuedCertificate Root(const std::string& name) {
    return {name, "critical,CA:TRUE", {}, nullptr};
  }
  // `curve`: "P-384".
  static IssuedCertificate SelfSigned(const std::string& name, const char* curve) {
    return {name, "CA:FALSE", {}, nullptr, curve};
  }
  IssuedCertificate Authority(const std::string& name, Validity validity) const {
    return {name, "critical,CA:TRUE", validity, this};
  }
  IssuedCertificate Authority(const std::string& name) const { return Authority(name, {}); }
  // For a DNS name; good for servers and clients.
  IssuedCertificate Leaf(const std::string& name, Validity validity) const {
    return {name, "CA:FALSE", validity, this};
  }
  IssuedCertificate Leaf(const std::string& name) const { return Leaf(name, {}); }

  std::string Pem() const {
    return Text([this](BIO* bio) { return PEM_write_bio_X509(bio, certificate_.get()); });
  }
  std::string KeyPem() const {
    return Text([this](BIO* bio) {
      return PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  std::string NameDer() const {
    unsigned char* der = nullptr;
    const int bytes = i2d_X509_NAME(X509_get_subject_name(certificate_.get()), &der);
    Require(bytes > 0);
    std::string name(reinterpret_cast<char*>(der), static_cast<std::size_t>(bytes));
    OPENSSL_free(der);
    return name;
  }

 private:
  struct Deleter {
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(BIO* bio) const { BIO_free(bio); }
    void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
  };

  IssuedCertificate(const std::string& name, const char* constraints, Validity validity,
                    const IssuedCertificate* issuer, const char* curve = "P-256")
      : certificate_(X509_new()), key_(EVP_EC_gen(curve)) {
    static long serial = 1;
    X509* const made = certificate_.get();
    Require(made != nullptr && key_ != nullptr && X509_set_version(made, X509_VERSION_3) == 1);
    Require(ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial) == 1);
    X509_gmtime_adj(X509_getm_notBefore(made), validity.from_s);
    X509_gmtime_adj(X509_getm_notAfter(made), validity.until_s);
    Require(X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_UTF8,
                                       reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                       0) == 1);
    const IssuedCertificate& signer = issuer != nullptr ? *issuer : *this;
    Require(X509_set_issuer_name(made, X509_get_subject_name(signer.certificate_.get())) == 1);
    Require(X509_set_pubkey(made, key_.get()) == 1);
    Extend(NID_basic_constraints, constraints);
    if (issuer != nullptr) Extend(NID_subject_alt_name, "DNS:" + name);
    Require(X509_sign(made, signer.key_.get(), EVP_sha256()) > 0);
  }

  void Extend(int kind, const std::string& value) {
    const std::unique_ptr<X509_EXTENSION, Deleter> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str()));
    Require(extension != nullptr && X509_add_ext(certificate_.get(), extension.get(), -1) == 1);
  }

  template <typename Write>
  static std::string Text(Write write) {
    const std::unique_ptr<BIO, Deleter> bio(BIO_new(BIO_s_mem()));
    Require(bio != nullptr && write(bio.get()) == 1);
    char* text = nullptr;
    const long bytes = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(bytes)};
  }
  static void Require(bool good) {
    if (!good) std::abort();
  }

  std::unique_ptr<X509, Deleter> certificate_;
  std::unique_ptr<EVP_PKEY, Deleter> key_;
};

}  // namespace ktlsim::test
