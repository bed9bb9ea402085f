#include "tls/handshake/failure.h"

#include <array>

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <openssl/x509_vfy.h>

#include "tls/alert_text.h"
#include "tls/crypto_failure.h"
#include "tls/identity/verify_error.h"

namespace ktlsim::tls {
namespace {

struct Text {
  int code;
  const char* words;
};

constexpr std::array kReasons = {
    Text{SSL_R_NO_SHARED_CIPHER, "the client offered no cipher suite we accept"},
    Text{SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
         "the client accepts no signature our certificate can make"},
    Text{SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "the two sides share no signature algorithm"},
    Text{SSL_R_NO_SUITABLE_KEY_SHARE, "the client offered no key exchange group we accept"},
    Text{SSL_R_NO_SHARED_GROUPS, "the client offered no key exchange group we accept"},
    Text{SSL_R_NO_CERTIFICATE_SET, "we have no certificate for this handshake"},
    Text{SSL_R_UNSUPPORTED_PROTOCOL, "the peer wants a version of TLS we do not accept"},
    Text{SSL_R_VERSION_TOO_LOW, "the peer wants a version of TLS we do not accept"},
    Text{SSL_R_VERSION_TOO_HIGH, "the peer wants a version of TLS we do not accept"},
    Text{SSL_R_WRONG_SSL_VERSION, "the peer wants a version of TLS we do not accept"},
    Text{SSL_R_NO_PROTOCOLS_AVAILABLE, "no version of TLS is left to use"},
    Text{SSL_R_INAPPROPRIATE_FALLBACK, "the client fell back to an older TLS than it needs"},
    Text{SSL_R_WRONG_VERSION_NUMBER, "the peer sent a record of a wrong version"},
    Text{SSL_R_HTTP_REQUEST, "the peer sent plain HTTP"},
    Text{SSL_R_HTTPS_PROXY_REQUEST, "the peer sent a plain HTTP proxy request"},
    Text{SSL_R_NO_APPLICATION_PROTOCOL, "the client offered no application protocol we speak"},
    Text{SSL_R_BAD_EXTENSION, "the peer sent a malformed extension"},
    Text{SSL_R_CALLBACK_FAILED, "a handshake callback failed"},
    Text{SSL_R_CERTIFICATE_VERIFY_FAILED, "the peer's certificate could not be verified"},
    Text{SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the client sent no certificate"},
    Text{SSL_R_BAD_SIGNATURE, "the peer's handshake signature is wrong"},
    Text{SSL_R_BAD_DIGEST_LENGTH, "the peer's Finished message is wrong"},
    Text{SSL_R_DIGEST_CHECK_FAILED, "the peer's Finished message is wrong"},
    Text{SSL_R_BINDER_DOES_NOT_VERIFY, "the client's session binder is wrong"},
    Text{SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a handshake record did not decrypt"},
    Text{SSL_R_DECRYPTION_FAILED, "a handshake record did not decrypt"},
    Text{SSL_R_LENGTH_MISMATCH, "the peer sent a malformed handshake message"},
    Text{SSL_R_LENGTH_TOO_SHORT, "the peer sent a malformed handshake message"},
    Text{SSL_R_LENGTH_TOO_LONG, "the peer sent a malformed handshake message"},
    Text{SSL_R_BAD_LENGTH, "the peer sent a malformed handshake message"},
    Text{SSL_R_EXCESSIVE_MESSAGE_SIZE, "the peer sent a handshake message that is too long"},
    Text{SSL_R_DATA_LENGTH_TOO_LONG, "the peer sent a record that is too long"},
    Text{SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "the peer sent a record that is too long"},
    Text{SSL_R_PACKET_LENGTH_TOO_LONG, "the peer sent a record that is too long"},
    Text{SSL_R_UNEXPECTED_MESSAGE, "the peer sent a message out of order"},
    Text{SSL_R_UNEXPECTED_RECORD, "the peer sent a record out of order"},
    Text{SSL_R_NOT_ON_RECORD_BOUNDARY, "the peer sent a message over a change of keys"},
    Text{SSL_R_CCS_RECEIVED_EARLY, "the peer sent change_cipher_spec out of order"},
    Text{SSL_R_BAD_CHANGE_CIPHER_SPEC, "the peer sent a malformed change_cipher_spec"},
    Text{SSL_R_DATA_BETWEEN_CCS_AND_FINISHED,
         "the peer sent something between change_cipher_spec and Finished"},
    Text{SSL_R_BAD_RECORD_TYPE, "the peer sent a record of an unknown type"},
    Text{SSL_R_RECORD_TOO_SMALL, "the peer sent a record that is too short"},
    Text{SSL_R_BAD_PROTOCOL_VERSION_NUMBER, "the peer names an impossible version"},
    Text{SSL_R_BAD_KEY_SHARE, "the peer's key share is unusable"},
    Text{SSL_R_BAD_ECPOINT, "the peer's key share is unusable"},
    Text{SSL_R_WRONG_CURVE, "the peer chose a group that was not offered"},
    Text{SSL_R_WRONG_CIPHER_RETURNED, "the server chose a cipher suite that was not offered"},
    Text{SSL_R_UNKNOWN_CIPHER_RETURNED, "the server chose a cipher suite that was not offered"},
    Text{SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED,
         "the server lacks secure renegotiation (RFC 5746)"},
    Text{SSL_R_INCONSISTENT_EXTMS, "the peer dropped the extended master secret of the session"},
    Text{SSL_R_TOO_MANY_WARN_ALERTS, "the peer sends only warnings"},
    Text{SSL_R_RECORD_LENGTH_MISMATCH, "the peer sends only empty records"},
    Text{SSL_R_DH_KEY_TOO_SMALL, "the peer's key is too small"},
    Text{SSL_R_EE_KEY_TOO_SMALL, "the peer's certificate has too small a key"},
};

}  // namespace

const char* ReasonText(int reason) {
  for (const Text& text : kReasons) {
    if (text.code == reason) return text.words;
  }
  return nullptr;
}

Status DrainFailure(Role own_role, const std::optional<Alert>& received,
                    const std::optional<Alert>& sent, int verify_error) {
  const char* words = nullptr;
  bool memory = false;
  bool certificate_missing = false;
  // The oldest entry is the closest to the cause; not all of them have words.
  while (const unsigned long error = ERR_get_error()) {
    const int reason = ERR_GET_REASON(error);
    memory = memory || TellsOfMemory(error);
    if (TellsOfRandomNumbers(error)) words = "the system gives no random numbers (getrandom)";
    if (words != nullptr || ERR_GET_LIB(error) != ERR_LIB_SSL) continue;
    certificate_missing = reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
    words = reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify_error != X509_V_OK
                ? VerifyErrorText(verify_error)
                : ReasonText(reason);
  }
  if (memory || verify_error == X509_V_ERR_OUT_OF_MEM) {
    return ResourceError("no memory for a handshake");
  }
  if (received) {
    return {Category::kTls, static_cast<int>(received->description),
            ReceivedAlertText(received->description, own_role)};
  }
  if (sent && sent->description == AlertDescription::kUnrecognizedName) {
    return {Category::kTls, static_cast<int>(sent->description),
            "the client asked for a name that is not served here"};
  }
  // TLS 1.2 has only handshake_failure to say so (RFC 5246 7.4.6).
  const AlertDescription told = certificate_missing ? AlertDescription::kCertificateRequired
                                : sent              ? sent->description
                                                    : AlertDescription::kInternalError;
  const int code = static_cast<int>(told);
  return {Category::kTls, code, words != nullptr ? words : "the handshake failed"};
}

}  // namespace ktlsim::tls
