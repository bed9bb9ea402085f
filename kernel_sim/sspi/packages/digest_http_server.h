// The server of HTTP Digest: challenges, first responses, and the requests after them, over
// whichever connections they come.
//
// What a newcomer gets wrong: the context that a call is made on is often not the one that it is
// about. The opaque value of a response leads to the context that its client has had before, and
// the call goes on there, under that one's strand. A count is used up last of all, in the store, in
// one step, after the response has proved right.
//
//   AcceptSecurityContext   response -> opaque -> context -> SEC_I_COMPLETE_NEEDED, and a record
//   CompleteAuthToken       record -> response is right -> count is new -> SEC_E_OK
//   MakeSignature           response that was accepted -> Authentication-Info
#pragma once

#include <sspi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "kernel_sim/digest/context_state.h"
#include "kernel_sim/digest/nonce.h"
#include "kernel_sim/sspi/packages/digest_facts.h"
#include "kernel_sim/sspi/packages/digest_index.h"
#include "kernel_sim/sspi/packages/digest_pending.h"
#include "kernel_sim/sspi/packages/digest_server_call.h"
#include "kernel_sim/sspi/packages/digest_settings.h"
#include "kernel_sim/sspi/packages/digest_store.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

class DigestPackage;

class DigestHttpServer final : public PackageContext {
 public:
  // For how long the nonce before the newest one remains good beside it.
  static constexpr std::uint64_t kPreviousMs = 5'000;
  // How much longer than its nonce a context without requests is kept.
  static constexpr std::uint64_t kGraceMs = 300'000;
  static constexpr std::uint64_t kClockStepMs = 1'000;  // of the time of day

  explicit DigestHttpServer(DigestPackage& package) : package_(package) {}
  ~DigestHttpServer() override;

  LegResult Leg(const LegArguments& arguments) override;
  bool Client(security::ClientFacts* facts) const override;
  SECURITY_STATUS Query(const AttributeQuery& query) override;
  CallResult CompleteAuthToken(PackageCall& call, SecBufferDesc& message) override;
  CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                             ULONG* qop) override;
  // Whether the response was right is not looked at again: the caller has been told.
  SECURITY_STATUS MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  CallResult End(PackageCall& call, bool may_suspend) override;

 private:
  using Call = DigestServerCall;
  // The end of a leg; empty: go on with the call's step.
  using Outcome = std::optional<LegResult>;

  // Which nonce of this context a response is for.
  enum class NonceOf : std::uint8_t { kNone, kCurrent, kNext, kPrevious };

  // Legs. (digest_http_server.cc)
  LegResult RunLeg(const LegArguments& arguments, Call& call);
  Outcome Read(const LegArguments& arguments, Call& call);
  Outcome ReadBuffers(const LegArguments& arguments, Call& call);
  bool IsOffered(digest::Algorithm algorithm) const;
  Outcome Find(Call& call);
  Outcome Here(const LegArguments& arguments, Call& call);
  Outcome AnswerToChallenge(Call& call);
  Outcome RequestOfEstablished(const LegArguments& arguments, Call& call);
  Outcome Stranger(const LegArguments& arguments, Call& call);
  Outcome Verify(const LegArguments& arguments, Call& call);
  Outcome Put(const LegArguments& arguments, Call& call);
  bool BeginPut(PackageCall& call, Call& state);
  LegResult Accept(const LegArguments& arguments, Call& call);
  // Verifies with the key of the context, and challenges again if the response is right.
  LegResult Renew(const LegArguments& arguments, Call& call);

  // What is shared with other nodes. (digest_server_shared.cc)
  Outcome Fetch(const LegArguments& arguments, Call& call);
  Outcome Adopt(const LegArguments& arguments, Call& call);
  Outcome Taken(const LegArguments& arguments, Call& call);
  Outcome TakeChallenge(const LegArguments& arguments, Call& call, DigestNonce nonce);
  bool TakeRenewal(const Call& call);
  Outcome GoOnInNewContext(const LegArguments& arguments, Call& call,
                           std::unique_ptr<DigestHttpServer> made);
  Outcome EnterIndex(const SecHandle& handle, Call& call);
  void Become(const Call& call);
  std::optional<DigestNonce> NonceOfAnyNode(const Call& call, DigestStore& store) const;
  bool ReadFetched(Call& call, context_store::StoreResult* result) const;
  void Settle(SECURITY_STATUS status, Call& call);

  // Challenges. (digest_server_challenge.cc)
  LegResult Challenge(const LegArguments& arguments, const Call& call, bool stale);
  LegResult WriteChallenge(const LegArguments& arguments, const Call& call, std::string_view nonce,
                           const digest::Opaque& opaque, bool stale);
  bool MakeNonce(const digest::Opaque& opaque, std::uint32_t number, std::uint64_t epoch,
                 digest::NonceAsks asks, DigestNonce* nonce) const;
  // Of the store that counts the uses of a nonce that is made now. Empty: no memory.
  std::optional<std::uint64_t> EpochOfNext(const Call& call) const;

  // Requests. (digest_server_request.cc)
  CallResult RunRequest(PackageCall& call, std::uint32_t window);
  SECURITY_STATUS CheckRequest(Call& call, context_store::NonceUse* use, const char** reason);
  CallResult AfterAdvance(context_store::StoreResult result);
  // Of this context, and for the request that the caller names, as far as it does.
  SECURITY_STATUS CheckBindings(const Call& call, const char** reason) const;
  bool IsBound(const Call& call) const;
  bool IsOfTheSameAccount(std::string_view username, std::string_view realm) const {
    return username == facts_.username && realm == facts_.realm;
  }
  bool IsOurs(const digest::Response& response, std::string_view uri) const;

  std::uint64_t NowNs() const;
  std::uint64_t NowMs() const;  // time of day
  std::string Identity() const;
  std::uint64_t UntilNs(bool established) const;
  static std::uint64_t AnswerableMs(const DigestServerSettings& settings);
  // Of an entry of the store, also of a removed one.
  static std::uint64_t LifetimeMs(const DigestServerSettings& settings);
  bool IsEstablished() const;
  NonceOf Which(std::string_view nonce) const;
  // The nonce is not too old for its state. Throws std::bad_alloc, and never returns kNoMemory.
  digest::NonceKind Judge(std::string_view nonce, std::uint64_t life_ms) const;
  digest::Attempt AttemptOf(const Call& call) const;
  digest::RequestFacts RequestOf(const Call& call) const;
  bool NamesItsRequest(const Call& call) const;
  // kRight: the response is right under the context's key.
  digest::AttemptVerdict CheckWithKey(const Call& call, const digest::HashValue& key) const;
  void Refresh(const Call& call);
  void JoinStore(const Call& call);
  void TakeFacts(const DigestFacts& facts);
  void LeaveOpaque();
  DigestStore::Wait LeaveIndex(const executive::ResumeToken* token);
  void Move(digest::ContextEvent event);

  DigestPackage& package_;
  std::shared_ptr<const DigestServerSettings> settings_;
  std::shared_ptr<DigestStore> store_;  // where the counts of this context are
  SecHandle handle_{};
  digest::ContextState state_ = digest::ContextState::kChallenged;
  DigestRequest request_;                 // as the flags of the first leg were
  std::optional<digest::Opaque> opaque_;  // empty: not challenged yet
  DigestFacts facts_;
  // Of this node's own nonces, which it has given up: a response under it is challenged again.
  std::optional<digest::HashValue> left_key_;
  DigestNonce next_;  // of a challenge that is not answered yet
  DigestPending pending_;
  std::int64_t since_ = 0;     // established on this node, in seconds since 1970
  std::uint64_t last_ms_ = 0;  // when the last request came, time of day
  bool local_ = false;         // the counts are in this node's memory, although a store is shared
  bool foreign_ = false;       // partial, and its challenge is another node's, or was forgotten
  bool ended_ = false;
};

}  // namespace ktlsim::sspi
