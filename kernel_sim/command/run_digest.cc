#include "kernel_sim/command/run_digest.h"

#include <string_view>

#include "kernel_sim/command/password_input.h"
#include "kernel_sim/digest/calculation.h"

namespace ktlsim::command {
namespace {

constexpr const char* kRealm = "ktlsim run";
constexpr std::string_view kPassword = "known to both ends";

}  // namespace

std::string RunDigest::Start(unsigned connections) {
  Password password;
  std::string wrong = password.Set(kPassword);
  digest::Hasher hasher(digest::HashId::kMd5);
  if (wrong.empty() &&
      !digest::ComputeAccountHash(hasher, kUser, kRealm, password.text(), &account_hash_)) {
    wrong = "no memory";
  }
  if (!wrong.empty()) return wrong;
  char package[] = WDIGEST_SP_NAME_A;
  SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, nullptr, nullptr,
                                nullptr, &credential_, nullptr);
  KtlsimCred_DigestServer settings = KTLSIM_DIGEST_SERVER_INIT;
  settings.pszRealm = kRealm;
  KtlsimCred_DigestVerifier verifier = {&RunDigest::Verify, this};
  if (status == SEC_E_OK) {
    status = SetCredentialsAttributesA(&credential_, KTLSIM_ATTR_DIGEST_SERVER, &settings,
                                       sizeof(settings));
  }
  if (status == SEC_E_OK) {
    status = SetCredentialsAttributesA(&credential_, KTLSIM_ATTR_DIGEST_VERIFIER, &verifier,
                                       sizeof(verifier));
  }
  if (status != SEC_E_OK) return KtlsimLastErrorText();
  facts_.contexts =
      (connections + DigestLogin::kConnectionsPerContext - 1) / DigestLogin::kConnectionsPerContext;
  login_ = DigestLogin::Make(kUser, password, facts_.contexts, &wrong);
  return wrong;
}

void RunDigest::Verify(void* self, const KtlsimDigestQuestion* question, KtlsimDigestReply* reply) {
  const digest::Bytes hash = static_cast<RunDigest*>(self)->account_hash_.bytes();
  const bool known = std::string_view(question->pszUser) == kUser && question->fUserHashed == 0;
  static_cast<void>(
      known ? KtlsimReplyToDigest(reply, SEC_E_OK, hash.data(), static_cast<ULONG>(hash.size()))
            : KtlsimReplyToDigest(reply, SEC_E_LOGON_DENIED, nullptr, 0));
}

void RunDigest::Stop() {
  if (login_ != nullptr) {
    facts_.nonce_count_max = login_->nonce_count_max();
    facts_.renewals = login_->renewals();
    login_.reset();
  }
  guard_.Stop();
  contexts_.DeleteAll();
  if (SecIsValidHandle(&credential_)) static_cast<void>(FreeCredentialsHandle(&credential_));
  SecInvalidateHandle(&credential_);
}

}  // namespace ktlsim::command
