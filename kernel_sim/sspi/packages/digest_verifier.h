// DigestVerifier: verifies a first response, with the accounts of a file or with somebody else's
// users, who may take their time.
//
// What a newcomer gets wrong: nothing here ends early. A user that does not exist is hashed and
// compared like one that does.
#pragma once

#include <ktlsim/sspi_ext.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/digest/accounts.h"
#include "kernel_sim/executive/request.h"
#include "kernel_sim/sspi/packages/digest_settings.h"

namespace ktlsim::sspi {

enum class DigestVerdict : std::uint8_t {
  kPending,  // the token is used as soon as there is another one
  kRight,
  kWrong,        // the user or the password; which, nobody is told
  kNobodyToAsk,  // there are no users, or they are not to be had now
  kNoMemory,
};

// The reply to one question, on its way. The library and the one who was asked have it each.
class DigestReply {
 public:
  // `attempt` names the account; its texts are copied. May throw std::bad_alloc.
  DigestReply(const digest::Attempt& attempt, executive::ResumeToken token);

  const KtlsimDigestQuestion& question() const { return question_; }
  bool there() const { return there_.load(std::memory_order_acquire); }

  // Only when it is there.
  SECURITY_STATUS status() const { return status_; }
  const digest::HashValue& account_hash() const { return account_hash_; }

  // For a call that runs again and goes on waiting: its earlier token is void.
  void Rearm(executive::ResumeToken token) KTLSIM_EXCLUDES(lock_);
  // False: a hash of another length.
  bool Set(SECURITY_STATUS status, digest::Bytes account_hash) KTLSIM_EXCLUDES(lock_);

 private:
  const std::string user_;
  const std::string realm_;
  const digest::HashId hash_id_;
  KtlsimDigestQuestion question_{};
  SpinLock lock_;
  executive::ResumeToken token_ KTLSIM_GUARDED_BY(lock_);
  SECURITY_STATUS status_ = SEC_E_NO_AUTHENTICATING_AUTHORITY;
  digest::HashValue account_hash_;
  std::atomic<bool> there_{false};
};

// One verification. One thread at a time; may be destroyed while it is pending.
class DigestVerification {
 public:
  // Begins it. `attempt` need not live longer than this call; `settings` must. With kRight
  // *session_hash is H(A1). May throw std::bad_alloc.
  DigestVerdict Begin(const DigestServerSettings& settings, const digest::Attempt& attempt,
                      executive::ResumeToken token, digest::HashValue* session_hash);
  // After kPending: the same again, with what has come.
  DigestVerdict GoOn(const digest::Attempt& attempt, executive::ResumeToken token,
                     digest::HashValue* session_hash);

 private:
  std::shared_ptr<DigestReply> reply_;
};

// Verifies with the hash of the account; an empty one is nobody's.
DigestVerdict VerifyWithHash(const digest::HashValue& account_hash, const digest::Attempt& attempt,
                             digest::HashValue* session_hash);

}  // namespace ktlsim::sspi
