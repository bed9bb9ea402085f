// RunDigest: both ends of the Digest phases of `ktlsim run`: the guard of a server path with one
// user, and that user's login.
#pragma once

#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernel_sim/command/digest_login.h"
#include "kernel_sim/digest/hash.h"
#include "kernel_sim/serve/digest_contexts.h"
#include "kernel_sim/serve/digest_guard.h"

namespace ktlsim::command {

// What came of the signed requests.
struct RunDigestFacts {
  std::size_t contexts = 0;
  std::uint32_t nonce_count_max = 0;
  unsigned renewals = 0;
};

class RunDigest final : public serve::DigestCredentials {
 public:
  static constexpr const char* kUser = "user";

  RunDigest() { SecInvalidateHandle(&credential_); }
  // Must be stopped.
  ~RunDigest() = default;
  RunDigest(const RunDigest&) = delete;
  RunDigest& operator=(const RunDigest&) = delete;

  // Makes the guard, and a login with as many contexts as `connections` need. Empty: done; else why
  // not. Passive level; the library is started.
  std::string Start(unsigned connections);
  // Once, when the server path has stopped. What the login has done stays known. Passive level.
  void Stop();

  serve::DigestGuard& guard() { return guard_; }
  DigestLogin& login() { return *login_; }
  const RunDigestFacts& facts() const { return facts_; }

  CredHandle Current() override { return credential_; }

 private:
  // KTLSIM_DIGEST_VERIFIER: no file of users is needed for one.
  static void Verify(void* self, const KtlsimDigestQuestion* question, KtlsimDigestReply* reply);

  CredHandle credential_;
  digest::HashValue account_hash_;
  serve::DigestContexts contexts_;
  serve::DigestGuard guard_{
      {.credentials = this, .paths = {}, .contexts = &contexts_, .watcher = nullptr}};
  std::unique_ptr<DigestLogin> login_;
  RunDigestFacts facts_;
};

}  // namespace ktlsim::command
