#include "tls/identity/verify_error.h"

#include <array>

#include <openssl/x509_vfy.h>

namespace ktlsim::tls {
namespace {

struct Text {
  int code;
  const char* words;
};

constexpr std::array kVerifyErrors = {
    Text{X509_V_OK, ""},
    Text{X509_V_ERR_CERT_HAS_EXPIRED, "the peer's certificate has expired"},
    Text{X509_V_ERR_CERT_NOT_YET_VALID, "the peer's certificate is not valid yet"},
    Text{X509_V_ERR_HOSTNAME_MISMATCH, "the peer's certificate is for another name"},
    Text{X509_V_ERR_IP_ADDRESS_MISMATCH, "the peer's certificate is for another address"},
    Text{X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
         "the peer's certificate is self-signed and not trusted"},
    Text{X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "the peer's chain ends in a root not trusted"},
    Text{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
         "the peer's certificate comes from an issuer not known"},
    Text{X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT,
         "the peer's certificate comes from an issuer not known"},
    Text{X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
         "the peer's certificate comes from an issuer not known"},
    Text{X509_V_ERR_CERT_SIGNATURE_FAILURE, "the signature on the peer's certificate is wrong"},
    Text{X509_V_ERR_CERT_REVOKED, "the peer's certificate has been revoked"},
    Text{X509_V_ERR_OCSP_VERIFY_NEEDED,
         "whether the peer's certificate has been revoked cannot be checked here"},
    Text{X509_V_ERR_INVALID_PURPOSE, "the peer's certificate is not for this use"},
    Text{X509_V_ERR_CERT_CHAIN_TOO_LONG, "the peer's certificate chain is too long"},
    Text{X509_V_ERR_EE_KEY_TOO_SMALL, "the peer's certificate has too small a key"},
    Text{X509_V_ERR_CA_KEY_TOO_SMALL, "an issuer of the peer's certificate has too small a key"},
    Text{X509_V_ERR_CA_MD_TOO_WEAK, "the peer's certificate is signed with a weak hash"},
};

}  // namespace

const char* VerifyErrorText(int verify_error) {
  for (const Text& text : kVerifyErrors) {
    if (text.code == verify_error) return text.words;
  }
  // OpenSSL's own are literals, too.
  return X509_verify_cert_error_string(verify_error);
}

CertificateFault CertificateFaultOf(int verify_error) {
  switch (verify_error) {
    case X509_V_OK:
      return CertificateFault::kNone;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return CertificateFault::kOutOfDate;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_CERT_UNTRUSTED:
      return CertificateFault::kUntrusted;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return CertificateFault::kWrongName;
    case X509_V_ERR_CERT_REVOKED:
      return CertificateFault::kRevoked;
    case X509_V_ERR_OCSP_VERIFY_NEEDED:
      return CertificateFault::kRevocationUnknown;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_CERT_REJECTED:
      return CertificateFault::kWrongUsage;
    default:
      return CertificateFault::kOther;
  }
}

}  // namespace ktlsim::tls
