// KtlsimStatusName and KtlsimStatusText: every status that the public headers define.
#include <ktlsim/sspi_ext.h>
#include <strings.h>

#include <algorithm>
#include <iterator>

namespace ktlsim::sspi {
namespace {

struct StatusWords {
  SECURITY_STATUS status;
  const char* name;
  const char* text;
};

#define KTLSIM_STATUS(code, text) \
  StatusWords { code, #code, text }

// Where one number has several names, the first is shown.
constexpr StatusWords kStatuses[] = {
    KTLSIM_STATUS(SEC_E_OK, "success"),
    KTLSIM_STATUS(SEC_I_CONTINUE_NEEDED, "send the output token, then call again with the answer"),
    KTLSIM_STATUS(SEC_I_COMPLETE_NEEDED, "call CompleteAuthToken before sending the token"),
    KTLSIM_STATUS(SEC_I_COMPLETE_AND_CONTINUE,
                  "call CompleteAuthToken, send the token, then call again with the answer"),
    KTLSIM_STATUS(SEC_I_LOCAL_LOGON, "the logon was made without a network authority"),
    KTLSIM_STATUS(SEC_I_GENERIC_EXTENSION_RECEIVED, "the peer sent a TLS extension to look at"),
    KTLSIM_STATUS(SEC_I_CONTEXT_EXPIRED, "the peer sent close_notify: it will send no more data"),
    KTLSIM_STATUS(SEC_I_INCOMPLETE_CREDENTIALS,
                  "the server asks for a client certificate; go on with or without one"),
    KTLSIM_STATUS(SEC_I_RENEGOTIATE,
                  "a handshake message came after the handshake: give it to "
                  "InitializeSecurityContext or AcceptSecurityContext"),
    KTLSIM_STATUS(SEC_I_NO_LSA_CONTEXT, "no context is kept for this name"),
    KTLSIM_STATUS(SEC_I_SIGNATURE_NEEDED, "a signature is needed before the call can go on"),
    KTLSIM_STATUS(SEC_I_NO_RENEGOTIATION, "the peer refuses to renegotiate"),
    KTLSIM_STATUS(SEC_I_MESSAGE_FRAGMENT, "the message is a fragment of a larger one"),
    KTLSIM_STATUS(SEC_I_CONTINUE_NEEDED_MESSAGE_OK,
                  "messages can be protected already, and the handshake goes on"),
    KTLSIM_STATUS(SEC_I_ASYNC_CALL_PENDING, "the asynchronous call has not completed yet"),
    KTLSIM_STATUS(SEC_E_INSUFFICIENT_MEMORY, "out of memory, or the queue is full"),
    KTLSIM_STATUS(SEC_E_INVALID_HANDLE, "the handle is not valid, or has been deleted"),
    KTLSIM_STATUS(SEC_E_UNSUPPORTED_FUNCTION, "the function or a flag is not supported here"),
    KTLSIM_STATUS(SEC_E_TARGET_UNKNOWN, "the name that was asked for is not known here"),
    KTLSIM_STATUS(SEC_E_INTERNAL_ERROR, "an internal error"),
    KTLSIM_STATUS(SEC_E_SECPKG_NOT_FOUND, "there is no security package of that name"),
    KTLSIM_STATUS(SEC_E_NOT_OWNER, "the caller does not own the credentials"),
    KTLSIM_STATUS(SEC_E_CANNOT_INSTALL, "the security package could not be initialised"),
    KTLSIM_STATUS(SEC_E_INVALID_TOKEN, "the token is not valid"),
    KTLSIM_STATUS(SEC_E_CANNOT_PACK, "the security package cannot marshal the logon"),
    KTLSIM_STATUS(SEC_E_QOP_NOT_SUPPORTED, "the quality of protection is not supported"),
    KTLSIM_STATUS(SEC_E_NO_IMPERSONATION, "the client cannot be impersonated"),
    KTLSIM_STATUS(SEC_E_LOGON_DENIED, "the logon was denied"),
    KTLSIM_STATUS(SEC_E_UNKNOWN_CREDENTIALS, "the credentials could not be read or understood"),
    KTLSIM_STATUS(SEC_E_NO_CREDENTIALS, "no usable credentials were given"),
    KTLSIM_STATUS(SEC_E_MESSAGE_ALTERED, "a message is not authentic: it was altered"),
    KTLSIM_STATUS(SEC_E_OUT_OF_SEQUENCE, "a message is out of sequence"),
    KTLSIM_STATUS(SEC_E_NO_AUTHENTICATING_AUTHORITY, "no authority could be reached"),
    KTLSIM_STATUS(SEC_E_BAD_PKGID, "the security package does not exist"),
    KTLSIM_STATUS(SEC_E_CONTEXT_EXPIRED, "the context has ended, or its key must be updated first"),
    KTLSIM_STATUS(SEC_E_INCOMPLETE_MESSAGE, "the message is not complete: receive more and retry"),
    KTLSIM_STATUS(SEC_E_INCOMPLETE_CREDENTIALS, "the credentials are not complete"),
    KTLSIM_STATUS(SEC_E_BUFFER_TOO_SMALL, "a buffer is too small"),
    KTLSIM_STATUS(SEC_E_WRONG_PRINCIPAL, "the certificate is for another name"),
    KTLSIM_STATUS(SEC_E_TIME_SKEW, "the clocks of client and server differ too much"),
    KTLSIM_STATUS(SEC_E_UNTRUSTED_ROOT, "the certificate leads to no root that is trusted"),
    KTLSIM_STATUS(SEC_E_ILLEGAL_MESSAGE, "the message is not allowed here, or is malformed"),
    KTLSIM_STATUS(SEC_E_CERT_UNKNOWN, "the certificate could not be processed"),
    KTLSIM_STATUS(SEC_E_CERT_EXPIRED, "the certificate has expired, or is not valid yet"),
    KTLSIM_STATUS(SEC_E_ENCRYPT_FAILURE, "the message could not be encrypted"),
    KTLSIM_STATUS(SEC_E_DECRYPT_FAILURE, "the message could not be decrypted"),
    KTLSIM_STATUS(SEC_E_ALGORITHM_MISMATCH, "client and server have no algorithm in common"),
    KTLSIM_STATUS(SEC_E_SECURITY_QOS_FAILED, "the quality of service asked for cannot be had"),
    KTLSIM_STATUS(SEC_E_UNFINISHED_CONTEXT_DELETED,
                  "the context was deleted before its handshake had ended"),
    KTLSIM_STATUS(SEC_E_NO_TGT_REPLY, "the client sent no ticket-granting ticket"),
    KTLSIM_STATUS(SEC_E_NO_IP_ADDRESSES, "the computer has no IP address"),
    KTLSIM_STATUS(SEC_E_WRONG_CREDENTIAL_HANDLE, "the credential is not the context's"),
    KTLSIM_STATUS(SEC_E_CRYPTO_SYSTEM_INVALID, "the cryptographic system cannot be used"),
    KTLSIM_STATUS(SEC_E_MAX_REFERRALS_EXCEEDED, "too many referrals"),
    KTLSIM_STATUS(SEC_E_MUST_BE_KDC, "only a key distribution centre may do this"),
    KTLSIM_STATUS(SEC_E_STRONG_CRYPTO_NOT_SUPPORTED, "strong encryption is not supported"),
    KTLSIM_STATUS(SEC_E_TOO_MANY_PRINCIPALS, "the request names too many principals"),
    KTLSIM_STATUS(SEC_E_NO_PA_DATA, "preauthentication data is missing"),
    KTLSIM_STATUS(SEC_E_PKINIT_NAME_MISMATCH, "the client certificate is for another user"),
    KTLSIM_STATUS(SEC_E_SMARTCARD_LOGON_REQUIRED, "a smart card is required"),
    KTLSIM_STATUS(SEC_E_SHUTDOWN_IN_PROGRESS, "the library is stopped or stopping"),
    KTLSIM_STATUS(SEC_E_KDC_INVALID_REQUEST, "an invalid request was sent to the KDC"),
    KTLSIM_STATUS(SEC_E_KDC_UNABLE_TO_REFER, "the KDC could not refer the request"),
    KTLSIM_STATUS(SEC_E_KDC_UNKNOWN_ETYPE, "the KDC does not know the encryption type"),
    KTLSIM_STATUS(SEC_E_UNSUPPORTED_PREAUTH, "the preauthentication is not supported"),
    KTLSIM_STATUS(SEC_E_DELEGATION_REQUIRED, "delegation is required"),
    KTLSIM_STATUS(SEC_E_BAD_BINDINGS, "the channel bindings do not match"),
    KTLSIM_STATUS(SEC_E_MULTIPLE_ACCOUNTS, "the certificate is mapped to several accounts"),
    KTLSIM_STATUS(SEC_E_NO_KERB_KEY, "no Kerberos key is known"),
    KTLSIM_STATUS(SEC_E_CERT_WRONG_USAGE, "the certificate is not for this use"),
    KTLSIM_STATUS(SEC_E_DOWNGRADE_DETECTED, "an attempt to force weaker protection was seen"),
    KTLSIM_STATUS(SEC_E_SMARTCARD_CERT_REVOKED, "the smart card's certificate was revoked"),
    KTLSIM_STATUS(SEC_E_ISSUING_CA_UNTRUSTED, "an authority of the certificate is not trusted"),
    KTLSIM_STATUS(SEC_E_REVOCATION_OFFLINE_C,
                  "revocation of the smart card's certificate is "
                  "not known"),
    KTLSIM_STATUS(SEC_E_PKINIT_CLIENT_FAILURE, "the smart card's certificate is not trusted"),
    KTLSIM_STATUS(SEC_E_SMARTCARD_CERT_EXPIRED, "the smart card's certificate has expired"),
    KTLSIM_STATUS(SEC_E_NO_S4U_PROT_SUPPORT, "the KDC does not support S4U"),
    KTLSIM_STATUS(SEC_E_CROSSREALM_DELEGATION_FAILURE, "delegation across realms failed"),
    KTLSIM_STATUS(SEC_E_REVOCATION_OFFLINE_KDC, "revocation of the KDC's certificate is not known"),
    KTLSIM_STATUS(SEC_E_ISSUING_CA_UNTRUSTED_KDC,
                  "an authority of the KDC's certificate is not trusted"),
    KTLSIM_STATUS(SEC_E_KDC_CERT_EXPIRED, "the KDC's certificate has expired"),
    KTLSIM_STATUS(SEC_E_KDC_CERT_REVOKED, "the KDC's certificate was revoked"),
    KTLSIM_STATUS(SEC_E_INVALID_PARAMETER, "an argument is not valid"),
    KTLSIM_STATUS(SEC_E_DELEGATION_POLICY, "the policy forbids delegation"),
    KTLSIM_STATUS(SEC_E_POLICY_NLTM_ONLY, "the policy allows NTLM only"),
    KTLSIM_STATUS(SEC_E_NO_CONTEXT, "there is no such context"),
    KTLSIM_STATUS(SEC_E_PKU2U_CERT_FAILURE, "the PKU2U certificate was refused"),
    KTLSIM_STATUS(SEC_E_MUTUAL_AUTH_FAILED, "client and server could not authenticate each other"),
    KTLSIM_STATUS(SEC_E_ONLY_HTTPS_ALLOWED, "only HTTPS is allowed"),
    KTLSIM_STATUS(SEC_E_APPLICATION_PROTOCOL_MISMATCH,
                  "client and server have no application protocol in common"),
    KTLSIM_STATUS(SEC_E_INVALID_UPN_NAME, "the user principal name is not valid"),
    KTLSIM_STATUS(SEC_E_EXT_BUFFER_TOO_SMALL, "the buffer for extensions is too small"),
    KTLSIM_STATUS(SEC_E_INSUFFICIENT_BUFFERS, "more buffers are needed"),
    KTLSIM_STATUS(CRYPT_E_REVOKED, "the certificate was revoked"),
    KTLSIM_STATUS(CRYPT_E_NO_REVOCATION_CHECK, "revocation could not be checked"),
    KTLSIM_STATUS(CRYPT_E_REVOCATION_OFFLINE, "the revocation server could not be reached"),
    KTLSIM_STATUS(CRYPT_E_NOT_FOUND, "not found"),
    KTLSIM_STATUS(CERT_E_EXPIRED, "the certificate has expired, or is not valid yet"),
    KTLSIM_STATUS(CERT_E_UNTRUSTEDROOT, "the certificate leads to no root that is trusted"),
    KTLSIM_STATUS(CERT_E_CHAINING, "no chain could be built from the certificate to a root"),
    KTLSIM_STATUS(CERT_E_REVOKED, "the certificate was revoked by its issuer"),
    KTLSIM_STATUS(CERT_E_CN_NO_MATCH, "the certificate is for another name"),
    KTLSIM_STATUS(CERT_E_WRONG_USAGE, "the certificate is not for this use"),
    KTLSIM_STATUS(CERT_E_UNTRUSTEDCA, "an authority of the chain is not trusted"),
    KTLSIM_STATUS(CERT_E_INVALID_NAME, "the certificate has a name that is not valid"),
    KTLSIM_STATUS(STATUS_PENDING, "the operation has not completed yet"),
    KTLSIM_STATUS(STATUS_DEVICE_BUSY, "a call is still in flight"),
    KTLSIM_STATUS(STATUS_INVALID_HANDLE, "the handle is not valid"),
    KTLSIM_STATUS(STATUS_INVALID_PARAMETER, "an argument is not valid"),
    KTLSIM_STATUS(STATUS_NO_MEMORY, "out of memory"),
    KTLSIM_STATUS(STATUS_LOGON_FAILURE, "the logon failed"),
    KTLSIM_STATUS(STATUS_CANCELLED, "the operation was cancelled"),
    KTLSIM_STATUS(STATUS_INVALID_DEVICE_STATE, "not allowed in this state"),
    KTLSIM_STATUS(KTLSIM_E_CANCELLED, "the call was cancelled while it was queued"),
    KTLSIM_STATUS(KTLSIM_E_QUEUE_TIMEOUT, "the call waited longer in its queue than it may"),
    KTLSIM_STATUS(KTLSIM_E_TOO_LATE, "too late to cancel: the call runs, or has ended"),
};

#undef KTLSIM_STATUS

const StatusWords* Find(SECURITY_STATUS status) {
  const auto* const found =
      std::find_if(std::begin(kStatuses), std::end(kStatuses),
                   [status](const StatusWords& words) { return words.status == status; });
  return found != std::end(kStatuses) ? found : nullptr;
}

}  // namespace
}  // namespace ktlsim::sspi

extern "C" {

const char* KtlsimStatusName(SECURITY_STATUS status) {
  const auto* const words = ktlsim::sspi::Find(status);
  return words != nullptr ? words->name : nullptr;
}

const char* KtlsimStatusText(SECURITY_STATUS status) {
  const auto* const words = ktlsim::sspi::Find(status);
  return words != nullptr ? words->text : "a status that ktlsim does not define";
}

SECURITY_STATUS KtlsimStatusFromName(const char* name, SECURITY_STATUS* status) {
  if (name == nullptr || status == nullptr) return SEC_E_INVALID_PARAMETER;
  for (const auto& words : ktlsim::sspi::kStatuses) {
    if (strcasecmp(words.name, name) != 0) continue;
    *status = words.status;
    return SEC_E_OK;
  }
  return SEC_E_INVALID_PARAMETER;
}

}  // extern "C"
