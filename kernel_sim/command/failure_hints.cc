#include "kernel_sim/command/failure_hints.h"

#include <sspi.h>

namespace ktlsim::command {
namespace {

constexpr const char* kOurCertificate = "--cert FILE and --key FILE show another certificate";

struct ReceivedHint {
  int alert;
  const char* hint;
};

// By the alert that the server sent (RFC 8446 6).
constexpr ReceivedHint kReceived[] = {
    {40,
     "--tls, --cipher-suites and --groups offer others; a server of TLS 1.2 may also want a "
     "certificate: --cert FILE and --key FILE"},
    {42, kOurCertificate},
    {43, kOurCertificate},
    {44, kOurCertificate},
    {45, kOurCertificate},
    {46, kOurCertificate},
    {48, kOurCertificate},
    {49, kOurCertificate},
    {70, "--tls offers other versions"},
    {71, "--tls and --cipher-suites offer others"},
    {112, "--sni NAME asks for another name"},
    {116, "--cert FILE and --key FILE show one"},
    {120, "--alpn offers others"},
};

struct OwnHint {
  SECURITY_STATUS status;
  const char* hint;
};

// By what the client itself found wrong.
constexpr OwnHint kOwn[] = {
    {SEC_E_UNTRUSTED_ROOT,
     "--ca FILE says which issuers to trust, --insecure accepts any certificate"},
    {SEC_E_WRONG_PRINCIPAL,
     "--sni NAME is the name to ask and check for, --insecure accepts any certificate"},
    {SEC_E_CERT_EXPIRED, "--insecure accepts any certificate"},
    {SEC_E_CERT_WRONG_USAGE, "--insecure accepts any certificate"},
    {SEC_E_CERT_UNKNOWN, "--insecure accepts any certificate"},
    {SEC_E_ALGORITHM_MISMATCH, "--tls, --cipher-suites and --groups allow others"},
};

}  // namespace

const char* ClientHint(const transport::EndReason& reason) {
  if (reason.received_alert >= 0) {
    for (const ReceivedHint& row : kReceived) {
      if (row.alert == reason.received_alert) return row.hint;
    }
    return "";
  }
  if (reason.kind != transport::EndKind::kHandshakeFailed) return "";
  for (const OwnHint& row : kOwn) {
    if (row.status == reason.status) return row.hint;
  }
  return "";
}

}  // namespace ktlsim::command
