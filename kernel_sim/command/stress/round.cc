#include "kernel_sim/command/stress/round.h"

#include <utility>

namespace ktlsim::command {

std::string StressRound::MakeClient(TlsVersions versions, bool resumption,
                                    Credential* client) const {
  std::string error;
  ClientCredentialOptions options;
  options.versions = versions;
  options.resumption = resumption;
  options.trust_pem = trust_pem_;
  options.verify = !targets.foreign;
  std::optional<Credential> made = MakeClientCredential(options, &error);
  if (made) *client = std::move(*made);
  return error;
}

std::string StressRound::MakePair(TlsVersions versions, CredentialPair* pair) const {
  std::string error = MakeClient(versions, /*resumption=*/true, &pair->client);
  if (!error.empty()) return error;
  ServerCredentialOptions options;
  options.versions = versions;
  std::optional<Credential> made = MakeServerCredential(*certificate_, options, &error);
  if (made) pair->server = std::move(*made);
  return error;
}

std::string StressRound::MakeCredentials(const Certificate& certificate) {
  certificate_ = &certificate;
  trust_pem_ = certificate.Pem();
  client_auth.dwVersion = SCH_CREDENTIALS_VERSION;
  client_auth.dwFlags = SCH_CRED_NO_DEFAULT_CREDS | SCH_CRED_MANUAL_CRED_VALIDATION;
  std::string error = MakePair(TlsVersions::k12, &pairs[kOnly12]);
  if (error.empty()) error = MakePair(TlsVersions::k13, &pairs[kOnly13]);
  if (error.empty()) error = MakePair(TlsVersions::k12And13, &pairs[kBoth]);
  return error;
}

}  // namespace ktlsim::command
