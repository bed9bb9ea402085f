// IdentityMapper: makes a token of what a security package has found out about a client. Who has
// the accounts implements it; the library asks it once a client is authenticated.
//
// What a newcomer gets wrong: to be authenticated is not to be mapped. A client without an account
// gets its connection; only impersonating it fails, with the status of the outcome.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/security/token.h"

namespace ktlsim::security {

// SHA-256 of a certificate's SubjectPublicKeyInfo, in DER. Unlike the identifiers in a
// certificate's extensions, nobody but the owner of the key can have a certificate with it.
using KeyId = std::array<std::uint8_t, 32>;

// A client that TLS has authenticated by its certificate, whose chain was verified.
struct TlsClient {
  std::span<const std::uint8_t> leaf;  // DER
  // The keys of the verified chain above the leaf: that of the leaf's issuer first, the trust
  // anchor's last; the first kIssuersMax of them. Empty: the leaf itself is trusted, or they are
  // not known any more.
  static constexpr std::size_t kIssuersMax = 8;
  std::span<const KeyId> issuers;
};

// A client that Digest has authenticated by its password: the names exactly as the client's
// response had them, in UTF-8. They are matched byte by byte.
struct DigestClient {
  std::string_view user;
  std::string_view realm;
};

// What is known of a client. Lives as long as the call that gets it.
struct ClientFacts {
  std::variant<TlsClient, DigestClient> client;
  // Of the token: kIdentification or kImpersonation.
  ImpersonationLevel level = ImpersonationLevel::kImpersonation;
};

// How a mapping ends, and what impersonating the client returns for it.
enum class MappingOutcome : std::uint8_t {
  kToken,       // SEC_E_OK
  kNoMatch,     // SEC_E_NO_IMPERSONATION: no account is this client's
  kTwoMatches,  // SEC_E_MULTIPLE_ACCOUNTS: more than one is, and nobody chooses
  kDisabled,    // SEC_E_LOGON_DENIED: its account is disabled or has expired
  kNoMemory,    // SEC_E_INSUFFICIENT_MEMORY
  kFailure,     // SEC_E_NO_AUTHENTICATING_AUTHORITY: the accounts are not to be had now
};

// One mapping, perhaps on its way. Any thread, up to dispatch level.
class IdentityMapping {
 public:
  IdentityMapping(const IdentityMapping&) = delete;
  IdentityMapping& operator=(const IdentityMapping&) = delete;
  virtual ~IdentityMapping() = default;

  // The longest that a call should wait for it: 1 to 30,000.
  std::uint32_t limit_ms() const { return limit_ms_; }

  bool done() const { return done_.load(std::memory_order_acquire); }
  // Once it is done. The token is null unless the outcome is kToken.
  MappingOutcome outcome() const { return outcome_; }
  const Token::Ref& token() const { return token_; }

  // `wake` is called when the mapping is done, once, on the thread that finishes it; one that was
  // given earlier is not. It does not wait. False: the mapping is done, and `wake` is not called.
  [[nodiscard]] bool WakeBy(std::function<void()> wake) KTLSIM_EXCLUDES(lock_);
  // Nobody waits any more: nothing is woken that has not been.
  void GiveUp() KTLSIM_EXCLUDES(lock_);

 protected:
  explicit IdentityMapping(std::uint32_t limit_ms) : limit_ms_(limit_ms) {}

  // For mappers; the second one does nothing. At any time, also before Map has returned and after
  // GiveUp. With kToken, an impersonation token of no other client, of the level that was asked for
  // at most.
  void Finish(MappingOutcome outcome, Token::Ref token = nullptr) KTLSIM_EXCLUDES(lock_);
  // GiveUp came before Finish, which may still come.
  virtual void OnGivenUp() {}

 private:
  const std::uint32_t limit_ms_;
  MappingOutcome outcome_ = MappingOutcome::kFailure;  // these two before `done_`
  Token::Ref token_;
  std::atomic<bool> done_{false};
  SpinLock lock_;
  bool given_up_ KTLSIM_GUARDED_BY(lock_) = false;
  std::function<void()> wake_ KTLSIM_GUARDED_BY(lock_);
};

// A mapping that is done.
class FinishedMapping final : public IdentityMapping {
 public:
  explicit FinishedMapping(MappingOutcome outcome, Token::Ref token = nullptr)
      : IdentityMapping(0) {
    Finish(outcome, std::move(token));
  }
};

// Any thread, up to dispatch level: it neither throws nor blocks. What takes time is done on
// another thread, while the mapping is pending.
class IdentityMapper {
 public:
  virtual ~IdentityMapper() = default;
  // Perhaps done when it returns. Null: no memory. `facts` and what they refer to live as long as
  // this call.
  virtual std::shared_ptr<IdentityMapping> Map(const ClientFacts& facts) noexcept = 0;
  // Changes when the accounts or the rules do. A client who is mapped already is mapped again by
  // the next call that authenticates it: AcceptSecurityContext, or the CompleteAuthToken that
  // follows SEC_I_COMPLETE_NEEDED. Until then it has its token. VerifySignature asks nobody.
  virtual std::uint64_t generation() const noexcept = 0;
};

}  // namespace ktlsim::security
