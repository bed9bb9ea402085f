#include "kernel_sim/transport/end_reason.h"

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <iterator>

namespace ktlsim::transport {
namespace {

struct KindWords {
  EndKind kind;
  const char* name;
  const char* text;
};

constexpr std::array<KindWords, kEndKinds> kKinds = {{
    {EndKind::kCompleted, "completed", "closed in order"},
    {EndKind::kTruncatedByPeer, "truncated_by_peer", "peer closed without close_notify"},
    {EndKind::kResetByPeer, "reset_by_peer", "connection reset"},
    {EndKind::kClosedBeforeHandshake, "closed_before_handshake",
     "peer closed before it sent anything"},
    {EndKind::kClosedInHandshake, "closed_in_handshake", "peer closed during the handshake"},
    {EndKind::kConnectFailed, "connect_failed", "could not connect"},
    {EndKind::kNotTls, "not_tls", "peer does not speak TLS"},
    {EndKind::kHandshakeFailed, "handshake_failed", "handshake failed"},
    {EndKind::kNoCredential, "no_credential", "no certificate for the client"},
    {EndKind::kCredentialTimeout, "credential_timeout",
     "the certificate could not be had within its time limit"},
    {EndKind::kRecordFailed, "record_failed", "a record after the handshake failed"},
    {EndKind::kTooManyBytes, "too_many_bytes", "a handshake record exceeds the limit"},
    {EndKind::kTooManyLegs, "too_many_legs", "the handshake takes too many legs"},
    {EndKind::kLegTimeout, "leg_timeout", "peer did not answer within the leg's time limit"},
    {EndKind::kHandshakeTimeout, "handshake_timeout",
     "the handshake did not end within its time limit"},
    {EndKind::kIdleTimeout, "idle_timeout", "idle for too long"},
    {EndKind::kRecordTimeout, "record_timeout", "a record did not end within its time limit"},
    {EndKind::kHeadTimeout, "head_timeout",
     "the head of a request did not end within its time limit"},
    {EndKind::kRequestTimeout, "request_timeout", "a request did not end within its time limit"},
    {EndKind::kBodyTooSlow, "body_too_slow", "the body of a request came too slowly"},
    {EndKind::kNoBackend, "no_backend", "no backend"},
    {EndKind::kBackendFailed, "backend_failed", "the backend broke off"},
    {EndKind::kRefusedForOverload, "refused_for_overload", "refused, too much work is queued"},
    {EndKind::kNoMemory, "no_memory", "out of memory"},
    {EndKind::kAborted, "aborted", "aborted by its user"},
    {EndKind::kStopped, "stopped", "ended because its path stopped"},
}};

struct ClassWords {
  FailureClass failure;
  const char* name;
  const char* text;
};

constexpr std::array<ClassWords, kFailureClasses> kClasses = {{
    {FailureClass::kNone, "none", "no failure"},
    {FailureClass::kProtocolViolation, "protocol_violation", "the protocol was violated"},
    {FailureClass::kAlgorithmMismatch, "algorithm_mismatch",
     "no common version, cipher suite or group"},
    {FailureClass::kApplicationProtocol, "application_protocol", "no common application protocol"},
    {FailureClass::kCertificate, "certificate",
     "the peer's certificate was refused, or it sent none"},
    {FailureClass::kLogon, "logon", "the peer's identity was refused"},
    {FailureClass::kRecordProtection, "record_protection", "a record was not authentic"},
    {FailureClass::kResources, "resources", "memory or queue places ran out"},
    {FailureClass::kInternal, "internal", "internal error"},
    {FailureClass::kOther, "other", "failed"},
    {FailureClass::kPeerAlert, "peer_alert", "the peer ended it with an alert"},
}};

struct StatusWords {
  SECURITY_STATUS status;
  FailureClass failure;
};

#define KTLSIM_STATUS(code, failure) \
  StatusWords { code, FailureClass::failure }

// In practice everything that Initialize/AcceptSecurityContext and DecryptMessage return.
const StatusWords kStatuses[] = {
    KTLSIM_STATUS(SEC_E_OK, kNone),
    KTLSIM_STATUS(SEC_I_CONTEXT_EXPIRED, kNone),
    KTLSIM_STATUS(SEC_I_RENEGOTIATE, kNone),
    KTLSIM_STATUS(SEC_I_CONTINUE_NEEDED, kNone),
    KTLSIM_STATUS(SEC_E_INVALID_TOKEN, kProtocolViolation),
    KTLSIM_STATUS(SEC_E_ILLEGAL_MESSAGE, kProtocolViolation),
    KTLSIM_STATUS(SEC_E_OUT_OF_SEQUENCE, kProtocolViolation),
    KTLSIM_STATUS(SEC_E_INCOMPLETE_MESSAGE, kProtocolViolation),
    KTLSIM_STATUS(SEC_E_CONTEXT_EXPIRED, kProtocolViolation),
    KTLSIM_STATUS(SEC_E_UNFINISHED_CONTEXT_DELETED, kOther),
    KTLSIM_STATUS(SEC_E_ALGORITHM_MISMATCH, kAlgorithmMismatch),
    KTLSIM_STATUS(SEC_E_UNSUPPORTED_FUNCTION, kAlgorithmMismatch),
    KTLSIM_STATUS(SEC_E_DOWNGRADE_DETECTED, kAlgorithmMismatch),
    KTLSIM_STATUS(SEC_E_APPLICATION_PROTOCOL_MISMATCH, kApplicationProtocol),
    KTLSIM_STATUS(SEC_E_CERT_UNKNOWN, kCertificate),
    KTLSIM_STATUS(SEC_E_CERT_EXPIRED, kCertificate),
    KTLSIM_STATUS(SEC_E_CERT_WRONG_USAGE, kCertificate),
    KTLSIM_STATUS(SEC_E_UNTRUSTED_ROOT, kCertificate),
    KTLSIM_STATUS(SEC_E_WRONG_PRINCIPAL, kCertificate),
    KTLSIM_STATUS(SEC_E_ISSUING_CA_UNTRUSTED, kCertificate),
    KTLSIM_STATUS(SEC_E_INCOMPLETE_CREDENTIALS, kCertificate),
    KTLSIM_STATUS(SEC_I_INCOMPLETE_CREDENTIALS, kCertificate),
    KTLSIM_STATUS(SEC_E_NO_CREDENTIALS, kCertificate),
    KTLSIM_STATUS(CRYPT_E_REVOKED, kCertificate),
    KTLSIM_STATUS(CRYPT_E_NO_REVOCATION_CHECK, kCertificate),
    KTLSIM_STATUS(SEC_E_LOGON_DENIED, kLogon),
    KTLSIM_STATUS(SEC_E_TARGET_UNKNOWN, kLogon),
    KTLSIM_STATUS(SEC_E_NO_AUTHENTICATING_AUTHORITY, kLogon),
    KTLSIM_STATUS(SEC_E_MESSAGE_ALTERED, kRecordProtection),
    KTLSIM_STATUS(SEC_E_DECRYPT_FAILURE, kRecordProtection),
    KTLSIM_STATUS(SEC_E_INSUFFICIENT_MEMORY, kResources),
    KTLSIM_STATUS(SEC_E_BUFFER_TOO_SMALL, kResources),
    KTLSIM_STATUS(SEC_E_SHUTDOWN_IN_PROGRESS, kResources),
    KTLSIM_STATUS(SEC_E_INTERNAL_ERROR, kInternal),
    KTLSIM_STATUS(SEC_E_INVALID_HANDLE, kInternal),
    KTLSIM_STATUS(SEC_E_INVALID_PARAMETER, kInternal),
};

#undef KTLSIM_STATUS

struct AlertWords {
  int description;
  const char* name;
};

constexpr AlertWords kAlerts[kAlertKinds - 1] = {
    {0, "close_notify"},
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {22, "record_overflow"},
    {40, "handshake_failure"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {112, "unrecognized_name"},
    {113, "bad_certificate_status_response"},
    {115, "unknown_psk_identity"},
    {116, "certificate_required"},
    {120, "no_application_protocol"},
};

const StatusWords* Find(SECURITY_STATUS status) {
  for (const StatusWords& words : kStatuses) {
    if (words.status == status) return &words;
  }
  return nullptr;
}

}  // namespace

const char* EndKindText(EndKind kind) { return kKinds[static_cast<std::size_t>(kind)].text; }
const char* EndKindName(EndKind kind) { return kKinds[static_cast<std::size_t>(kind)].name; }

FailureClass ClassifyStatus(SECURITY_STATUS status) {
  const StatusWords* words = Find(status);
  return words != nullptr ? words->failure : FailureClass::kOther;
}
const char* FailureClassText(FailureClass failure) {
  return kClasses[static_cast<std::size_t>(failure)].text;
}
const char* FailureClassName(FailureClass failure) {
  return kClasses[static_cast<std::size_t>(failure)].name;
}

std::size_t AlertKindOf(int description) {
  std::size_t kind = 0;
  while (kind < std::size(kAlerts) && kAlerts[kind].description != description) ++kind;
  return kind;
}

const char* AlertKindName(std::size_t kind) {
  return kind < std::size(kAlerts) ? kAlerts[kind].name : "other";
}

const char* AlertName(int description) {
  const std::size_t kind = AlertKindOf(description);
  return kind < std::size(kAlerts) ? kAlerts[kind].name : "alert";
}

std::string AlertText(int description) {
  const std::size_t kind = AlertKindOf(description);
  return kind < std::size(kAlerts) ? kAlerts[kind].name : std::to_string(description);
}

const char* StatusName(SECURITY_STATUS status) {
  const char* const name = KtlsimStatusName(status);
  return name != nullptr ? name : "SECURITY_STATUS";
}

std::string EndReason::ToString() const {
  const bool failed = kind == EndKind::kHandshakeFailed || kind == EndKind::kRecordFailed ||
                      kind == EndKind::kNoCredential;
  // An alert that comes after the handshake can be about the handshake or about a record.
  const bool late = kind == EndKind::kRecordFailed && received_alert >= 0;
  std::string text = late ? "after the handshake" : EndKindText(kind);
  if (failed) {
    text += ": ";
    text += *why != '\0' ? why : KtlsimStatusText(status);
  }
  // A received alert is in the words already.
  if (sent_alert >= 0) {
    text += " (alert ";
    text += AlertText(sent_alert);
    text += " sent)";
  }
  if (status != SEC_E_OK) {
    char number[16];
    std::snprintf(number, sizeof(number), " 0x%08X", static_cast<unsigned>(status));
    text += " (";
    text += StatusName(status);
    text += number;
    text += ")";
  }
  if (error_number != 0) {
    text += ": ";
    const char* description = strerrordesc_np(error_number);
    text += description != nullptr ? description : "unknown error " + std::to_string(error_number);
  }
  return text;
}

}  // namespace ktlsim::transport
