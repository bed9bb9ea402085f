#include "kernel_sim/command/digest_realm.h"

#include <ktlsim/sspi_ext.h>

#include <fmt/format.h>

namespace ktlsim::command {

std::unique_ptr<DigestRealm> DigestRealm::Make(const ListenerConfig& config,
                                               std::uint32_t store_wait_ms, std::string* error) {
  std::unique_ptr<DigestRealm> realm(new DigestRealm);
  char package[] = WDIGEST_SP_NAME_A;
  SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, nullptr, nullptr,
                                nullptr, &realm->credential_, nullptr);
  if (status == SEC_E_OK) {
    const DigestConfig& digest = config.digest;
    KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
    settings.pszRealm = digest.realm.c_str();
    settings.pszUsersFile = digest.users_file.c_str();
    settings.cContextStoreWaitMs = store_wait_ms;
    if (digest.sha256) settings.fFlags |= KTLSIM_DIGEST_SHA256;
    status = SetCredentialsAttributesA(&realm->credential_, KTLSIM_ATTR_DIGEST_SERVER, &settings,
                                       sizeof(settings));
  }
  if (status == SEC_E_OK) return realm;
  *error = fmt::format("{}: {}; `ktlsim users check FILE` looks at it",
                       config.places.Of("digest-users"), KtlsimLastErrorText());
  return nullptr;
}

DigestRealm::~DigestRealm() {
  if (SecIsValidHandle(&credential_)) static_cast<void>(FreeCredentialsHandle(&credential_));
}

}  // namespace ktlsim::command
