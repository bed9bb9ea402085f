#include "kernel_sim/sspi/packages/digest_verifier.h"

#include <array>
#include <new>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/last_error.h"

// What a caller has of a reply.
struct _KtlsimDigestReply {
  std::shared_ptr<ktlsim::sspi::DigestReply> reply;
};

namespace ktlsim::sspi {
namespace {

using digest::AttemptVerdict;

const char* HashNameOf(digest::HashId id) {
  switch (id) {
    case digest::HashId::kMd5:
      return "MD5";
    case digest::HashId::kSha256:
      return "SHA-256";
    case digest::HashId::kSha512256:
      return "SHA-512-256";
  }
  return "";
}

DigestVerdict VerdictOf(AttemptVerdict verdict) {
  switch (verdict) {
    case AttemptVerdict::kRight:
      return DigestVerdict::kRight;
    case AttemptVerdict::kWrong:
      return DigestVerdict::kWrong;
    case AttemptVerdict::kNoMemory:
      return DigestVerdict::kNoMemory;
  }
  return DigestVerdict::kNoMemory;
}

}  // namespace

DigestReply::DigestReply(const digest::Attempt& attempt, executive::ResumeToken token)
    : user_(attempt.name.username),
      realm_(attempt.name.realm),
      hash_id_(digest::HashOf(attempt.algorithm)) {
  Rearm(token);
  question_ = {.pszUser = user_.c_str(),
               .pszRealm = realm_.c_str(),
               .fUserHashed = attempt.name.username_hashed ? TRUE : FALSE,
               .cbHash = static_cast<ULONG>(digest::HashBytes(hash_id_)),
               .pszHash = HashNameOf(hash_id_)};
}

bool DigestReply::Set(SECURITY_STATUS status, digest::Bytes account_hash) {
  const bool known = status == SEC_E_OK;
  const bool good = !known || account_hash.size() == digest::HashBytes(hash_id_);
  status_ = good ? status : SEC_E_NO_AUTHENTICATING_AUTHORITY;
  if (known && good) account_hash_ = digest::HashValue(account_hash);
  executive::ResumeToken token;
  {
    const SpinLockHolder holder(lock_);
    token = token_;
    there_.store(true, std::memory_order_release);
  }
  token.Resume();
  return good;
}

void DigestReply::Rearm(executive::ResumeToken token) {
  const SpinLockHolder holder(lock_);
  token_ = token;
}

DigestVerdict VerifyWithHash(const digest::HashValue& account_hash, const digest::Attempt& attempt,
                             digest::HashValue* session_hash) {
  const ForkGate::Scope inside;
  *session_hash = digest::HashValue();
  digest::HashValue hash = account_hash;
  const bool known = !hash.empty();
  digest::Hasher hasher(digest::HashOf(attempt.algorithm));
  if (!known) {
    // Whatever it is, nobody is let in with it.
    std::array<std::uint8_t, digest::kHashBytesMax> nobody{};
    hash = digest::HashValue(digest::Bytes(nobody).first(digest::HashBytes(hasher.id())));
  }
  digest::HashValue session;
  const bool good =
      attempt.sasl
          ? digest::ComputeSaslSessionHash(hasher, hash, attempt.nonce.nonce, attempt.nonce.cnonce,
                                           attempt.authzid, &session)
          : digest::ComputeSessionHash(hasher, attempt.algorithm, hash, attempt.nonce.nonce,
                                       attempt.nonce.cnonce, &session);
  if (!good) return DigestVerdict::kNoMemory;
  const DigestVerdict verdict = VerdictOf(
      digest::VerifyRequest(session, attempt.nonce, attempt.request, *attempt.response, hasher));
  if (verdict == DigestVerdict::kRight && !known) return DigestVerdict::kWrong;
  if (verdict == DigestVerdict::kRight) *session_hash = session;
  return verdict;
}

DigestVerdict DigestVerification::Begin(const DigestServerSettings& settings,
                                        const digest::Attempt& attempt,
                                        executive::ResumeToken token,
                                        digest::HashValue* session_hash) {
  if (settings.verifier.pfnVerify == nullptr) {
    if (settings.accounts == nullptr) return DigestVerdict::kNobodyToAsk;
    const ForkGate::Scope inside;
    return VerdictOf(digest::VerifyAttempt(*settings.accounts, attempt, session_hash));
  }
  reply_ = std::make_shared<DigestReply>(attempt, token);
  // The one who is asked has it until the reply. Its code runs outside the fork gate.
  auto* const theirs = new KtlsimDigestReply{reply_};
  const std::shared_ptr<DigestReply> reply = reply_;
  settings.verifier.pfnVerify(settings.verifier.pvContext, &reply->question(), theirs);
  return GoOn(attempt, token, session_hash);
}

DigestVerdict DigestVerification::GoOn(const digest::Attempt& attempt, executive::ResumeToken token,
                                       digest::HashValue* session_hash) {
  if (reply_ != nullptr) reply_->Rearm(token);
  if (reply_ == nullptr || !reply_->there()) return DigestVerdict::kPending;
  const SECURITY_STATUS status = reply_->status();
  if (status != SEC_E_OK && status != SEC_E_LOGON_DENIED) return DigestVerdict::kNobodyToAsk;
  return VerifyWithHash(reply_->account_hash(), attempt, session_hash);
}

}  // namespace ktlsim::sspi

using namespace ktlsim::sspi;  // NOLINT: the C API below is this file's border

extern "C" SECURITY_STATUS KtlsimReplyToDigest(KtlsimDigestReply* reply, SECURITY_STATUS status,
                                               const unsigned char* pbHash, ULONG cbHash) {
  if (reply == nullptr) return Told(SEC_E_INVALID_PARAMETER);
  const std::unique_ptr<KtlsimDigestReply> theirs(reply);
  const ktlsim::digest::Bytes hash =
      pbHash != nullptr ? ktlsim::digest::Bytes(pbHash, cbHash) : ktlsim::digest::Bytes();
  return Told(theirs->reply->Set(status, hash) ? SEC_E_OK : SEC_E_INVALID_PARAMETER);
}
