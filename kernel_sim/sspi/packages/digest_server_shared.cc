// What a server of HTTP Digest shares with other nodes: contexts that only the store knows, and
// challenges that another node has made.
//
// A challenge needs no memory: its nonce says under a code that it is ours, for which opaque value
// it was made, and in which life of the store. What makes it safe to answer it on any node is the
// store: its entry under the opaque value is created once, and a removed one keeps its name until
// the nonce has expired.

#include <new>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/packages/digest_context.h"
#include "kernel_sim/sspi/packages/digest_http_server.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {
namespace {

using context_store::StoreResult;
using digest::ContextEvent;

constexpr int kIndexTries = 16;

}  // namespace

// The store says whether the context is still there, on whichever node it was deleted, and which
// nonce it has.
DigestHttpServer::Outcome DigestHttpServer::Fetch(const LegArguments& arguments, Call& call) {
  if (call.store == nullptr) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  if (call.wait == nullptr) {
    call.wait = call.store->Get(Known(call.opaque), arguments.call->Token(), settings_->wait_ms);
  }
  StoreResult result = StoreResult::kTimedOut;
  if (!IsOver(*arguments.call, call, &result)) return DigestSuspended(settings_->wait_ms);
  ReadFetched(call, &result);
  call.counts_here = context_store::IsStoreFailure(result);
  const bool gone = result == StoreResult::kNotFound || result == StoreResult::kUnreadable;
  if (IsNoHandle(call.target)) {
    if (result == StoreResult::kOk) return Adopt(arguments, call);
    call.step = DigestStep::kStranger;
    return std::nullopt;
  }
  // The shared store need not know of what this node counts.
  if (!gone || (call.local && call.store == package_.Store())) {
    call.step = DigestStep::kHere;
    return DigestGoesOnAt(call.target);
  }
  package_.index().Remove(Known(call.opaque), call.target);
  package_.package_host().EndContext(std::exchange(call.target, {}));
  call.step = DigestStep::kStranger;
  return std::nullopt;
}

// What Get has found, into the call. An entry of another server is none.
bool DigestHttpServer::ReadFetched(Call& call, StoreResult* result) const {
  if (*result == StoreResult::kOk || *result == StoreResult::kStale) {
    const bool ours = ReadDigestFacts(call.wait->value(), &call.facts) &&
                      call.facts.server == facts_.server && call.facts.realm == facts_.realm;
    if (!ours) *result = StoreResult::kNotFound;
    if (ours) call.stored_number = call.facts.nonce.number;
  }
  call.wait = nullptr;
  call.fetched = *result;
  return *result == StoreResult::kOk;
}

// ---- Contexts

// Another node has established the context; this one goes on with it.
DigestHttpServer::Outcome DigestHttpServer::Adopt(const LegArguments& arguments, Call& call) {
  call.takes_over = true;
  if (opaque_.has_value()) {
    // The caller's own partial context remains what it is.
    auto made = std::make_unique<DigestHttpServer>(package_);
    made->Become(call);
    return GoOnInNewContext(arguments, call, std::move(made));
  }
  Outcome other = EnterIndex(arguments.own_handle, call);
  if (other.has_value()) return other;
  Become(call);
  return std::nullopt;
}

// The context of `call.facts`, which has no place in the index yet.
void DigestHttpServer::Become(const Call& call) {
  opaque_ = call.opaque;
  facts_ = call.facts;
  request_ = call.request;
  next_ = {};
  foreign_ = false;
  store_ = call.store;
  last_ms_ = NowMs();
  if (since_ == 0) since_ = package_.package_host().wall_seconds();
  Move(ContextEvent::kRespond);
  Move(ContextEvent::kAccept);
}

// The response was right, and another node has accepted one to the same challenge: the context of
// the store is this one.
DigestHttpServer::Outcome DigestHttpServer::Taken(const LegArguments& arguments, Call& call) {
  if (call.wait == nullptr) {
    call.wait = call.store->Get(Known(opaque_), arguments.call->Token(), settings_->wait_ms);
  }
  StoreResult result = StoreResult::kTimedOut;
  if (!IsOver(*arguments.call, call, &result)) return DigestSuspended(settings_->wait_ms);
  // Somebody else may have answered the same challenge there.
  const bool same = ReadFetched(call, &result) && call.facts.username == call.response.username;
  if (same && !IsEstablished()) {
    call.opaque = opaque_;
    Become(call);
    package_.index().Update(
        Known(opaque_), {.handle = handle_, .established = true, .local = false}, UntilNs(true));
    return RequestOfEstablished(arguments, call);
  }
  // It was deleted there.
  LeaveOpaque();
  Move(ContextEvent::kRespond);
  Move(ContextEvent::kRechallenge);
  return Challenge(arguments, call, true);
}

// ---- Challenges

// The nonce of the response, if it may be new: it was made for this opaque value, in this life of
// the store, and not longer ago than the store remembers each entry (AnswerableMs).
std::optional<DigestNonce> DigestHttpServer::NonceOfAnyNode(const Call& call,
                                                            DigestStore& store) const {
  if (!call.opaque.has_value()) return std::nullopt;
  const std::shared_ptr<const digest::NonceMint> mint = store.MintFor(facts_.server, facts_.realm);
  const ForkGate::Scope inside;
  const std::string_view nonce = call.response.nonce;
  const digest::NonceJudgement judgement = mint->Judge(nonce, NowMs(), settings_->unanswered_ms);
  if (judgement.kind == digest::NonceKind::kNoMemory) throw std::bad_alloc();
  const bool counted = judgement.kind == digest::NonceKind::kGood && judgement.stamp.epoch != 0 &&
                       judgement.stamp.epoch == store.epoch();
  if (!counted) return std::nullopt;
  const std::optional<bool> belongs = mint->BelongsTo(nonce, Known(call.opaque));
  if (!belongs.has_value()) throw std::bad_alloc();
  if (!*belongs) return std::nullopt;
  return DigestNonce{
      .text = std::string(nonce), .number = judgement.stamp.number, .epoch = judgement.stamp.epoch};
}

// A first response to a challenge that this node has not made, or has forgotten.
DigestHttpServer::Outcome DigestHttpServer::TakeChallenge(const LegArguments& arguments, Call& call,
                                                          DigestNonce nonce) {
  const auto become = [&](DigestHttpServer& context) {
    context.facts_.server = facts_.server;
    context.facts_.realm = facts_.realm;
    context.request_ = call.request;
    context.opaque_ = call.opaque;
    context.next_ = std::move(nonce);
    context.foreign_ = true;
  };
  if (opaque_.has_value()) {
    auto made = std::make_unique<DigestHttpServer>(package_);
    become(*made);
    return GoOnInNewContext(arguments, call, std::move(made));
  }
  Outcome other = EnterIndex(arguments.own_handle, call);
  if (other.has_value()) return other;
  become(*this);
  return std::nullopt;
}

// The same for a context that is established: another node has given it a newer nonce. The store
// has its entry, in which the first use of that nonce would be seen; of an earlier life if it had
// none in this one.
bool DigestHttpServer::TakeRenewal(const Call& call) {
  const bool known = call.fetched == StoreResult::kOk || call.fetched == StoreResult::kStale;
  const bool shared = known && call.store != nullptr && call.store == package_.Store() &&
                      (local_ || store_ == call.store) && call.opaque.has_value() &&
                      call.opaque == opaque_;
  if (!shared) return false;
  std::optional<DigestNonce> nonce = NonceOfAnyNode(call, *call.store);
  // While it was alone, this node has counted on with numbers of its own.
  const DigestNonce& last = local_ ? call.facts.nonce : facts_.nonce;
  if (!nonce.has_value() || nonce->number <= last.number) return false;
  Move(ContextEvent::kRechallenge);
  next_ = std::move(*nonce);
  return true;
}

// ---- Places

// `made` is another context of this package, which nobody has to delete, and where the call goes
// on.
DigestHttpServer::Outcome DigestHttpServer::GoOnInNewContext(
    const LegArguments& arguments, Call& call, std::unique_ptr<DigestHttpServer> made) {
  made->settings_ = settings_;
  DigestHttpServer& context = *made;
  const SECURITY_STATUS status = package_.package_host().AddContext(
      arguments.own_handle, std::make_unique<DigestContext>(package_, std::move(made)),
      &call.beside);
  if (status != SEC_E_OK) return EndLeg(status);
  context.handle_ = call.beside;
  Outcome other = EnterIndex(call.beside, call);
  if (other.has_value()) {
    package_.package_host().EndContext(std::exchange(call.beside, {}));
    return other;
  }
  call.target = call.beside;
  return DigestGoesOnAt(call.target);
}

// Gives the opaque value of the response to the context of `handle`. Not empty: it has one already,
// since another request of the same client was faster.
DigestHttpServer::Outcome DigestHttpServer::EnterIndex(const SecHandle& handle, Call& call) {
  const std::string identity = Identity();
  call.step = DigestStep::kHere;
  // Whoever was faster may be gone again when it is looked for.
  for (int i = 0; i < kIndexTries; ++i) {
    DigestIndex::Ended over;
    const bool added =
        package_.index().Add(Known(call.opaque), identity,
                             {.handle = handle, .established = call.takes_over, .local = false},
                             NowNs(), UntilNs(call.takes_over), &over);
    package_.End(over);
    if (added) return std::nullopt;
    DigestIndex::Ended more;
    const std::optional<DigestIndex::Place> place =
        package_.index().Find(Known(call.opaque), identity, NowNs(), &more);
    package_.End(more);
    if (!place.has_value()) continue;
    call.takes_over = false;
    call.target = place->handle;
    return DigestGoesOnAt(call.target);
  }
  return EndLeg(SEC_E_NO_AUTHENTICATING_AUTHORITY, "the context comes and goes");
}

// The end of a leg. What is refused here says nothing about a context on other nodes.
void DigestHttpServer::Settle(SECURITY_STATUS status, Call& call) {
  const bool kept = status >= 0 || status == SEC_E_BUFFER_TOO_SMALL;
  if (kept) {
    call.beside = {};
  } else if (call.takes_over) {
    package_.index().Remove(Known(opaque_), handle_);
    ended_ = true;
  }
}

}  // namespace ktlsim::sspi
