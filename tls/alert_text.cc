#include "tls/alert_text.h"

namespace ktlsim::tls {
namespace {

struct Text {
  AlertDescription description;
  const char* from_client;
  const char* from_server;
};

// Literals, since a Status and the public structure of a failure refer to them.
#define KTLSIM_ALERT(description, name, words)                                          \
  Text{AlertDescription::description, "the client " words " (alert " name " received)", \
       "the server " words " (alert " name " received)"}

constexpr Text kTexts[] = {
    KTLSIM_ALERT(kCloseNotify, "close_notify", "ended the connection"),
    KTLSIM_ALERT(kUnexpectedMessage, "unexpected_message", "found a message of ours out of order"),
    KTLSIM_ALERT(kBadRecordMac, "bad_record_mac", "could not decrypt a record of ours"),
    KTLSIM_ALERT(kRecordOverflow, "record_overflow", "found a record of ours too long"),
    KTLSIM_ALERT(kHandshakeFailure, "handshake_failure", "could not agree with us on parameters"),
    KTLSIM_ALERT(kBadCertificate, "bad_certificate", "refused our certificate"),
    KTLSIM_ALERT(kUnsupportedCertificate, "unsupported_certificate",
                 "refused our certificate as one of an unsupported kind"),
    KTLSIM_ALERT(kCertificateRevoked, "certificate_revoked", "refused our certificate as revoked"),
    KTLSIM_ALERT(kCertificateExpired, "certificate_expired", "refused our certificate as expired"),
    KTLSIM_ALERT(kCertificateUnknown, "certificate_unknown", "refused our certificate"),
    KTLSIM_ALERT(kIllegalParameter, "illegal_parameter",
                 "found a wrong value in a message of ours"),
    KTLSIM_ALERT(kUnknownCa, "unknown_ca", "refused our certificate"),
    KTLSIM_ALERT(kAccessDenied, "access_denied", "denied us access"),
    KTLSIM_ALERT(kDecodeError, "decode_error", "could not read a message of ours"),
    KTLSIM_ALERT(kDecryptError, "decrypt_error",
                 "could not verify a signature or a Finished message of ours"),
    KTLSIM_ALERT(kProtocolVersion, "protocol_version", "accepts none of our TLS versions"),
    KTLSIM_ALERT(kInsufficientSecurity, "insufficient_security",
                 "wants stronger parameters than ours"),
    KTLSIM_ALERT(kInternalError, "internal_error", "had an internal error"),
    KTLSIM_ALERT(kInappropriateFallback, "inappropriate_fallback",
                 "refused a fallback to an older TLS"),
    KTLSIM_ALERT(kUserCanceled, "user_canceled", "cancelled the handshake"),
    KTLSIM_ALERT(kNoRenegotiation, "no_renegotiation", "does not renegotiate"),
    KTLSIM_ALERT(kMissingExtension, "missing_extension", "misses an extension of ours"),
    KTLSIM_ALERT(kUnsupportedExtension, "unsupported_extension",
                 "found an extension of ours that it did not ask for"),
    KTLSIM_ALERT(kUnrecognizedName, "unrecognized_name",
                 "does not have the name that we asked for"),
    KTLSIM_ALERT(kBadCertificateStatusResponse, "bad_certificate_status_response",
                 "refused the revocation status of our certificate"),
    KTLSIM_ALERT(kUnknownPskIdentity, "unknown_psk_identity", "does not know our session"),
    KTLSIM_ALERT(kCertificateRequired, "certificate_required", "requires a certificate from us"),
    KTLSIM_ALERT(kNoApplicationProtocol, "no_application_protocol",
                 "speaks none of our application protocols"),
};

#undef KTLSIM_ALERT

}  // namespace

const char* ReceivedAlertText(AlertDescription description, Role own_role) {
  const bool from_client = own_role == Role::kServer;
  for (const Text& text : kTexts) {
    if (text.description == description) return from_client ? text.from_client : text.from_server;
  }
  return from_client ? "the client ended it with an alert of an unknown number"
                     : "the server ended it with an alert of an unknown number";
}

}  // namespace ktlsim::tls
