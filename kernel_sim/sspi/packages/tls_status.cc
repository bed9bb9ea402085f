#include "kernel_sim/sspi/packages/tls_status.h"

namespace ktlsim::sspi {
namespace {

using tls::AlertDescription;

constexpr auto kCryptRevoked = static_cast<SECURITY_STATUS>(0x80092010);

}  // namespace

SECURITY_STATUS StatusOfReceivedAlert(AlertDescription description) {
  switch (static_cast<unsigned>(description)) {
    case 20:
    case 30:
      return SEC_E_MESSAGE_ALTERED;
    case 21:
    case 51:
      return SEC_E_DECRYPT_FAILURE;
    case 42:
    case 43:
    case 46:
      return SEC_E_CERT_UNKNOWN;
    case 44:
      return kCryptRevoked;
    case 45:
      return SEC_E_CERT_EXPIRED;
    case 48:
      return SEC_E_UNTRUSTED_ROOT;
    case 49:
      return SEC_E_LOGON_DENIED;
    case 70:
      return SEC_E_UNSUPPORTED_FUNCTION;
    case 71:
      return SEC_E_ALGORITHM_MISMATCH;
    case 80:
      return SEC_E_INTERNAL_ERROR;
    case 90:
      return SEC_E_UNFINISHED_CONTEXT_DELETED;
    case 120:
      return SEC_E_APPLICATION_PROTOCOL_MISMATCH;
    default:
      return SEC_E_ILLEGAL_MESSAGE;
  }
}

SECURITY_STATUS StatusOfRecordFailure(AlertDescription description) {
  if (description == AlertDescription::kBadRecordMac) return SEC_E_MESSAGE_ALTERED;
  if (description == AlertDescription::kInternalError) return SEC_E_INTERNAL_ERROR;
  return SEC_E_ILLEGAL_MESSAGE;
}

namespace {

// Our own judgement, as the alert it was told with.
SECURITY_STATUS StatusOfSentAlert(AlertDescription description) {
  switch (static_cast<unsigned>(description)) {
    case 20:
      return SEC_E_MESSAGE_ALTERED;
    case 40:
    case 70:
    case 71:
    case 86:
      return SEC_E_ALGORITHM_MISMATCH;
    case 42:
      return SEC_E_WRONG_PRINCIPAL;
    case 43:
      return SEC_E_CERT_WRONG_USAGE;
    case 44:
      return kCryptRevoked;
    case 45:
      return SEC_E_CERT_EXPIRED;
    case 46:
      return SEC_E_CERT_UNKNOWN;
    case 48:
      return SEC_E_UNTRUSTED_ROOT;
    case 51:
      return SEC_E_DECRYPT_FAILURE;
    case 80:
      return SEC_E_INTERNAL_ERROR;
    case 112:
      return SEC_E_TARGET_UNKNOWN;
    case 116:
      return SEC_E_NO_CREDENTIALS;
    case 120:
      return SEC_E_APPLICATION_PROTOCOL_MISMATCH;
    case 50:
      return SEC_E_INVALID_TOKEN;
    default:
      return SEC_E_ILLEGAL_MESSAGE;
  }
}

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

}  // namespace

SECURITY_STATUS StatusOfHandshakeFailure(const tls::StepResult& result) {
  if (result.not_tls) return SEC_E_INVALID_TOKEN;
  // Before all verdicts: none of them is worth anything without memory.
  if (result.failure.category() == Category::kResource) return SEC_E_INSUFFICIENT_MEMORY;
  if (result.received_alert) return StatusOfReceivedAlert(result.received_alert->description);
  if (result.certificate_fault != tls::CertificateFault::kNone) {
    return StatusOfFault(result.certificate_fault);
  }
  switch (result.failure.category()) {
    case Category::kTls:
      return StatusOfSentAlert(static_cast<AlertDescription>(result.failure.code()));
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

}  // namespace ktlsim::sspi
