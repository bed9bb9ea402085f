#include "kernel_sim/sspi/packages/tls_status.h"

#include <algorithm>
#include <span>

namespace ktlsim::sspi {
namespace {

using tls::AlertDescription;

constexpr auto kCryptRevoked = static_cast<SECURITY_STATUS>(0x80092010);
// TLS 1.3 has no name for these: RFC 2246 7.2 and RFC 5246 7.2.
constexpr auto kDecryptionFailed = static_cast<AlertDescription>(21);
constexpr auto kDecompressionFailure = static_cast<AlertDescription>(30);

struct AlertStatus {
  AlertDescription description;
  SECURITY_STATUS status;
};

constexpr AlertStatus kReceivedAlerts[] = {
    {AlertDescription::kBadRecordMac, SEC_E_MESSAGE_ALTERED},
    {kDecryptionFailed, SEC_E_DECRYPT_FAILURE},
    {kDecompressionFailure, SEC_E_MESSAGE_ALTERED},
    {AlertDescription::kDecryptError, SEC_E_DECRYPT_FAILURE},
    {AlertDescription::kBadCertificate, SEC_E_CERT_UNKNOWN},
    {AlertDescription::kUnsupportedCertificate, SEC_E_CERT_UNKNOWN},
    {AlertDescription::kCertificateUnknown, SEC_E_CERT_UNKNOWN},
    {AlertDescription::kCertificateRevoked, kCryptRevoked},
    {AlertDescription::kCertificateExpired, SEC_E_CERT_EXPIRED},
    {AlertDescription::kUnknownCa, SEC_E_UNTRUSTED_ROOT},
    {AlertDescription::kAccessDenied, SEC_E_LOGON_DENIED},
    {AlertDescription::kProtocolVersion, SEC_E_UNSUPPORTED_FUNCTION},
    {AlertDescription::kInsufficientSecurity, SEC_E_ALGORITHM_MISMATCH},
    {AlertDescription::kInternalError, SEC_E_INTERNAL_ERROR},
    {AlertDescription::kUserCanceled, SEC_E_UNFINISHED_CONTEXT_DELETED},
    {AlertDescription::kNoApplicationProtocol, SEC_E_APPLICATION_PROTOCOL_MISMATCH},
};

// Our own verdict on the peer, by the alert that it was sent.
constexpr AlertStatus kSentAlerts[] = {
    {AlertDescription::kBadRecordMac, SEC_E_MESSAGE_ALTERED},
    {AlertDescription::kHandshakeFailure, SEC_E_ALGORITHM_MISMATCH},
    {AlertDescription::kProtocolVersion, SEC_E_ALGORITHM_MISMATCH},
    {AlertDescription::kInsufficientSecurity, SEC_E_ALGORITHM_MISMATCH},
    {AlertDescription::kInappropriateFallback, SEC_E_ALGORITHM_MISMATCH},
    {AlertDescription::kBadCertificate, SEC_E_WRONG_PRINCIPAL},
    {AlertDescription::kUnsupportedCertificate, SEC_E_CERT_WRONG_USAGE},
    {AlertDescription::kCertificateRevoked, kCryptRevoked},
    {AlertDescription::kCertificateExpired, SEC_E_CERT_EXPIRED},
    {AlertDescription::kCertificateUnknown, SEC_E_CERT_UNKNOWN},
    {AlertDescription::kUnknownCa, SEC_E_UNTRUSTED_ROOT},
    {AlertDescription::kDecodeError, SEC_E_INVALID_TOKEN},
    {AlertDescription::kDecryptError, SEC_E_DECRYPT_FAILURE},
    {AlertDescription::kInternalError, SEC_E_INTERNAL_ERROR},
    {AlertDescription::kUnrecognizedName, SEC_E_TARGET_UNKNOWN},
    {AlertDescription::kCertificateRequired, SEC_E_NO_CREDENTIALS},
    {AlertDescription::kNoApplicationProtocol, SEC_E_APPLICATION_PROTOCOL_MISMATCH},
};

// SEC_E_ILLEGAL_MESSAGE: no row has it.
SECURITY_STATUS Find(std::span<const AlertStatus> rows, AlertDescription description) {
  const auto found = std::ranges::find(rows, description, &AlertStatus::description);
  return found != rows.end() ? found->status : SEC_E_ILLEGAL_MESSAGE;
}

}  // namespace

SECURITY_STATUS StatusOfReceivedAlert(AlertDescription description) {
  return Find(kReceivedAlerts, description);
}

SECURITY_STATUS StatusOfRecordFailure(AlertDescription description) {
  if (description == AlertDescription::kBadRecordMac) return SEC_E_MESSAGE_ALTERED;
  if (description == AlertDescription::kInternalError) return SEC_E_INTERNAL_ERROR;
  return SEC_E_ILLEGAL_MESSAGE;
}

namespace {

SECURITY_STATUS StatusOfFault(tls::CertificateFault fault) {
  switch (fault) {
    case tls::CertificateFault::kNone:
      return SEC_E_OK;
    case tls::CertificateFault::kOutOfDate:
      return SEC_E_CERT_EXPIRED;
    case tls::CertificateFault::kUntrusted:
      return SEC_E_UNTRUSTED_ROOT;
    case tls::CertificateFault::kWrongName:
      return SEC_E_WRONG_PRINCIPAL;
    case tls::CertificateFault::kRevoked:
      return kCryptRevoked;
    case tls::CertificateFault::kRevocationUnknown:
      return CRYPT_E_NO_REVOCATION_CHECK;
    case tls::CertificateFault::kWrongUsage:
      return SEC_E_CERT_WRONG_USAGE;
    case tls::CertificateFault::kOther:
      break;
  }
  return SEC_E_CERT_UNKNOWN;
}

// By the alert received, else by what is wrong with the peer's certificate, else by `failure`.
SECURITY_STATUS StatusOfHandshakeFailure(const tls::StepResult& result) {
  if (result.not_tls) return SEC_E_INVALID_TOKEN;
  // Before all verdicts: none of them is reliable without memory.
  if (result.failure.category() == Category::kResource) return SEC_E_INSUFFICIENT_MEMORY;
  if (result.received_alert) return StatusOfReceivedAlert(result.received_alert->description);
  if (result.certificate_fault != tls::CertificateFault::kNone) {
    return StatusOfFault(result.certificate_fault);
  }
  switch (result.failure.category()) {
    case Category::kTls:
      return Find(kSentAlerts, static_cast<AlertDescription>(result.failure.code()));
    case Category::kContract:
      return SEC_E_INVALID_TOKEN;
    case Category::kResource:
    case Category::kNone:
    case Category::kIo:
    case Category::kCrypto:
      break;
  }
  return SEC_E_INTERNAL_ERROR;
}

}  // namespace

SECURITY_STATUS StatusOfStep(const tls::StepResult& result) {
  switch (result.outcome) {
    case tls::StepOutcome::kContinue:
    case tls::StepOutcome::kWaitsForSession:  // the leg is not over
      return SEC_I_CONTINUE_NEEDED;
    case tls::StepOutcome::kEstablished:
      return SEC_E_OK;
    case tls::StepOutcome::kNeedsCertificate:
      return SEC_I_INCOMPLETE_CREDENTIALS;
    case tls::StepOutcome::kNeedMore:
      return SEC_E_INCOMPLETE_MESSAGE;
    case tls::StepOutcome::kFailed:
      break;
  }
  return StatusOfHandshakeFailure(result);
}

SECURITY_STATUS StatusOfSeal(tls::SealOutcome outcome) {
  switch (outcome) {
    case tls::SealOutcome::kSealed:
      return SEC_E_OK;
    case tls::SealOutcome::kNoSpace:
      return SEC_E_BUFFER_TOO_SMALL;
    case tls::SealOutcome::kLimitReached:
    case tls::SealOutcome::kClosed:
      return SEC_E_CONTEXT_EXPIRED;
    case tls::SealOutcome::kNoMemory:
      return SEC_E_INSUFFICIENT_MEMORY;
    case tls::SealOutcome::kBadLength:
    case tls::SealOutcome::kFailed:
      return SEC_E_ENCRYPT_FAILURE;
  }
  return SEC_E_INTERNAL_ERROR;
}

SECURITY_STATUS StatusOfAlertSeal(tls::SealOutcome outcome) {
  if (outcome == tls::SealOutcome::kSealed) return SEC_E_OK;
  return outcome == tls::SealOutcome::kNoMemory ? SEC_E_INSUFFICIENT_MEMORY : SEC_E_ENCRYPT_FAILURE;
}

SECURITY_STATUS MemoryOr(const Status& failure, SECURITY_STATUS otherwise) {
  return failure.category() == Category::kResource ? SEC_E_INSUFFICIENT_MEMORY : otherwise;
}

}  // namespace ktlsim::sspi
