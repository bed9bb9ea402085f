// A small program that uses the library: starts it, makes a certificate, acquires a credential,
// stops. If a call fails, it says which one and with which status, and its exit code is 1.
#include <cstdio>

#include "ktlsim/sspi_ext.h"
#include "schannel.h"
#include "sspi.h"

namespace {

bool Worked(const char* what, SECURITY_STATUS status) {
  if (status == SEC_E_OK) return true;
  std::fprintf(stderr, "%s: %s: %s\n", what, KtlsimStatusName(status), KtlsimLastErrorText());
  return false;
}

bool Acquire(PCCERT_CONTEXT certificate) {
  SCH_CREDENTIALS auth{};
  auth.dwVersion = SCH_CREDENTIALS_VERSION;
  auth.cCreds = 1;
  auth.paCred = &certificate;
  char package[] = UNISP_NAME_A;
  CredHandle credential{};
  if (!Worked("AcquireCredentialsHandle",
              AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, &auth,
                                        nullptr, nullptr, &credential, nullptr))) {
    return false;
  }
  return Worked("FreeCredentialsHandle", FreeCredentialsHandle(&credential));
}

bool Use() {
  PCCERT_CONTEXT certificate = nullptr;
  if (!Worked(
          "KtlsimCreateSelfSignedCertificate",
          KtlsimCreateSelfSignedCertificate("localhost", KTLSIM_KEY_ECDSA_P256, &certificate))) {
    return false;
  }
  const bool acquired = Acquire(certificate);
  CertFreeCertificateContext(certificate);
  return acquired;
}

}  // namespace

int main() {
  KtlsimOptions options{};
  options.cbSize = sizeof(options);
  options.cProcessors = 2;
  if (!Worked("KtlsimStart", KtlsimStart(&options))) return 1;
  const bool used = Use();
  return Worked("KtlsimStop", KtlsimStop()) && used ? 0 : 1;
}
