#include "kernel_sim/sspi/packages/digest_http_server.h"

#include <algorithm>
#include <new>
#include <utility>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/digest/bindings.h"
#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/sspi/packages/digest_attributes.h"
#include "kernel_sim/sspi/packages/digest_buffers.h"
#include "kernel_sim/sspi/packages/digest_credentials.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {
namespace {

using context_store::NonceUse;
using context_store::PutMode;
using context_store::StoreResult;
using digest::AttemptVerdict;
using digest::ContextEvent;
using digest::ContextState;
using digest::NonceKind;

}  // namespace

bool IsOver(PackageCall& call, DigestServerCall& state, StoreResult* result) {
  if (state.wait->Rearm(call.Token())) {
    *result = state.wait->result();
    return true;
  }
  if (call.run == CallRun::kFirst || call.run == CallRun::kResumed) return false;
  state.store->Abandon(std::exchange(state.wait, nullptr));
  *result = StoreResult::kTimedOut;
  return true;
}

DigestHttpServer::~DigestHttpServer() { LeaveIndex(nullptr); }

// ---- What is known of time, nonces and keys

std::uint64_t DigestHttpServer::NowNs() const { return package_.package_host().clock().NowNs(); }
std::uint64_t DigestHttpServer::NowMs() const {
  return static_cast<std::uint64_t>(package_.package_host().wall_seconds()) * 1000;
}

std::string DigestHttpServer::Identity() const {
  std::string identity = facts_.server;
  identity.push_back('\0');
  identity += facts_.realm;
  return identity;
}

// How long after a challenge a first response to it may reach the store: until its nonce is too old
// by any node's clock, which shows whole seconds, and then the waits for the verifier and the
// store.
std::uint64_t DigestHttpServer::AnswerableMs(const DigestServerSettings& settings) {
  return settings.unanswered_ms + digest::kClockSkewMs + kClockStepMs +
         std::uint64_t{2} * settings.wait_ms;
}

std::uint64_t DigestHttpServer::LifetimeMs(const DigestServerSettings& settings) {
  return std::max(settings.established_ms + settings.idle_ms + kGraceMs, AnswerableMs(settings));
}

std::uint64_t DigestHttpServer::UntilNs(bool established) const {
  const std::uint64_t life_ms =
      established ? settings_->idle_ms + kGraceMs : settings_->unanswered_ms;
  return NowNs() + life_ms * kNsPerMs;
}

bool DigestHttpServer::IsEstablished() const {
  return state_ == ContextState::kEstablished || state_ == ContextState::kRenewing;
}

DigestHttpServer::NonceOf DigestHttpServer::Which(std::string_view nonce) const {
  if (facts_.nonce.Is(nonce)) return NonceOf::kCurrent;
  if (next_.Is(nonce)) return NonceOf::kNext;
  // Both are counted in one place, and in one life of it.
  const bool counted = facts_.previous.epoch == facts_.nonce.epoch;
  if (counted && facts_.previous.Is(nonce) && NowMs() <= facts_.previous_until_ms) {
    return NonceOf::kPrevious;
  }
  return NonceOf::kNone;
}

NonceKind DigestHttpServer::Judge(std::string_view nonce, std::uint64_t life_ms) const {
  const std::shared_ptr<DigestStore> store = package_.Store();
  if (store == nullptr) throw std::bad_alloc();
  const std::shared_ptr<const digest::NonceMint> mint = store->MintFor(facts_.server, facts_.realm);
  const ForkGate::Scope inside;
  const NonceKind kind = mint->Judge(nonce, NowMs(), life_ms).kind;
  if (kind == NonceKind::kNoMemory) throw std::bad_alloc();
  return kind;
}

digest::RequestFacts DigestHttpServer::RequestOf(const Call& call) const {
  return {.method = call.method, .uri = call.response.uri, .entity_hash = call.entity_hash};
}

digest::Attempt DigestHttpServer::AttemptOf(const Call& call) const {
  const digest::Response& response = call.response;
  digest::Attempt attempt;
  attempt.algorithm = response.algorithm;
  attempt.name = {.hash_id = digest::HashOf(response.algorithm),
                  .username = response.username,
                  .username_hashed = response.username_form == digest::UsernameForm::kHashed,
                  .realm = response.realm};
  attempt.nonce = response.nonce_facts();
  attempt.request = RequestOf(call);
  attempt.response = &response.response;
  return attempt;
}

// The header was made for the request that it came with, as far as the caller says which that is.
bool DigestHttpServer::NamesItsRequest(const Call& call) const {
  return call.uri.empty() || call.uri == call.response.uri;
}

AttemptVerdict DigestHttpServer::CheckWithKey(const Call& call,
                                              const digest::HashValue& key) const {
  const ForkGate::Scope inside;
  digest::Hasher hasher(digest::HashOf(call.response.algorithm));
  return digest::VerifyRequest(key, call.response.nonce_facts(), RequestOf(call),
                               call.response.response, hasher);
}

void DigestHttpServer::Move(ContextEvent event) {
  state_ = digest::kContextTable.After(state_, event);
}

// Another node may have given the context another nonce.
void DigestHttpServer::Refresh(const Call& call) {
  const DigestFacts& facts = call.facts;
  if (!IsOfTheSameAccount(facts.username, facts.realm)) return;
  if (local_) return JoinStore(call);
  if (facts.nonce.number >= facts_.nonce.number && facts.nonce.text != facts_.nonce.text) {
    TakeFacts(facts);
  }
}

// While this node was alone, it counted under nonces of its own, and another node has shared the
// context meanwhile: the response is to the nonce under which all of them count. The nonces of this
// node's own are given up, so only a right response does this.
void DigestHttpServer::JoinStore(const Call& call) {
  const bool shared = call.store != nullptr && call.store == package_.Store() &&
                      call.facts.nonce.Is(call.response.nonce);
  if (!shared || CheckWithKey(call, call.facts.session_hash) != AttemptVerdict::kRight) return;
  left_key_ = facts_.session_hash;
  TakeFacts(call.facts);
  foreign_ = false;
  store_ = call.store;
  local_ = false;
}

void DigestHttpServer::TakeFacts(const DigestFacts& facts) {
  facts_ = facts;
  next_ = {};
  if (state_ == ContextState::kRenewing) Move(ContextEvent::kAccept);
}

// ---- A leg

LegResult DigestHttpServer::Leg(const LegArguments& arguments) {
  std::unique_ptr<PackageCallState>& kept = arguments.call->state;
  if (kept == nullptr) kept = std::make_unique<Call>(package_.package_host());
  auto& call = static_cast<Call&>(*kept);
  if (arguments.call->run == CallRun::kStopping) {
    call.wait = nullptr;
    Settle(SEC_E_SHUTDOWN_IN_PROGRESS, call);
    return EndLeg(SEC_E_SHUTDOWN_IN_PROGRESS);
  }
  handle_ = arguments.own_handle;
  if (arguments.credential != nullptr) {
    settings_ = static_cast<DigestCredential&>(*arguments.credential).settings();
  }
  if (settings_ == nullptr) return EndLeg(SEC_E_INVALID_HANDLE);
  try {
    LegResult result = RunLeg(arguments, call);
    if (!result.suspended && IsNoHandle(result.continue_on)) Settle(result.status, call);
    return result;
  } catch (const std::bad_alloc&) {
    Settle(SEC_E_INSUFFICIENT_MEMORY, call);
    throw;
  }
}

LegResult DigestHttpServer::RunLeg(const LegArguments& arguments, Call& call) {
  for (;;) {
    Outcome outcome;
    switch (call.step) {
      case DigestStep::kRead:
        outcome = Read(arguments, call);
        break;
      case DigestStep::kFind:
        outcome = Find(call);
        break;
      case DigestStep::kFetch:
        outcome = Fetch(arguments, call);
        break;
      case DigestStep::kHere:
        outcome = Here(arguments, call);
        break;
      case DigestStep::kTaken:
        outcome = Taken(arguments, call);
        break;
      case DigestStep::kStranger:
        outcome = Stranger(arguments, call);
        break;
      case DigestStep::kVerify:
        outcome = Verify(arguments, call);
        break;
      case DigestStep::kPut:
        outcome = Put(arguments, call);
        break;
      case DigestStep::kAdvance:
        outcome = EndLeg(SEC_E_INTERNAL_ERROR);
        break;
    }
    if (outcome.has_value()) return *outcome;
  }
}

DigestHttpServer::Outcome DigestHttpServer::Read(const LegArguments& arguments, Call& call) {
  if (IsEstablished()) return EndLeg(kLogonFailure, "the context is established already");
  Outcome refused = ReadBuffers(arguments, call);
  if (refused.has_value()) return refused;
  request_ = call.request;
  facts_.server = settings_->server;
  facts_.realm = call.realm;
  if (call.token.empty()) return Challenge(arguments, call, false);
  const digest::Fault fault = digest::ParseResponse(call.token, &call.response);
  if (fault != digest::Fault::kNone) return EndLeg(StatusOfResponseFault(fault), ReasonOf(fault));
  if (!IsOffered(call.response.algorithm) || call.response.qop != call.request.qop) {
    return EndLeg(SEC_E_INVALID_TOKEN, "an algorithm or a quality that was not offered");
  }
  if (!IsMethod(call.method)) {
    return EndLeg(SEC_E_INVALID_TOKEN, "there is no method, or it is no token of HTTP");
  }
  const char* reason = nullptr;
  const SECURITY_STATUS bound = CheckBindings(call, &reason);
  if (bound != SEC_E_OK) return EndLeg(bound, reason);
  if (call.response.qop == digest::Qop::kAuthInt) {
    const ForkGate::Scope inside;
    digest::Hasher hasher(digest::HashOf(call.response.algorithm));
    if (!FillEntityHash(call.response.qop, hasher, &call.entity_hash)) {
      return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
    }
  }
  call.opaque = digest::Opaque::Parse(call.response.opaque);
  call.step = DigestStep::kFind;
  return std::nullopt;
}

// A response that was made for another channel was passed on by somebody who is in neither. A
// client that knows of no bindings, or has none, is taken: the bit of HTTP is that of missing
// bindings, too.
SECURITY_STATUS DigestHttpServer::CheckBindings(const Call& call, const char** reason) const {
  const digest::Response& response = call.response;
  if (response.channel.empty()) return SEC_E_OK;
  const ForkGate::Scope inside;
  switch (digest::CheckCoverage(response.cnonce, response.service_name, response.channel)) {
    case digest::BindingsVerdict::kRight:
      break;
    case digest::BindingsVerdict::kWrong:
      *reason = "the client's nonce covers other bindings";
      return SEC_E_BAD_BINDINGS;
    case digest::BindingsVerdict::kNoMemory:
      return SEC_E_INSUFFICIENT_MEMORY;
  }
  const bool same = call.channel.empty() || response.channel == digest::kNoChannel ||
                    EqualsIgnoringCase(response.channel, call.channel);
  if (!same) *reason = "the response was made for another channel";
  return same ? SEC_E_OK : SEC_E_BAD_BINDINGS;
}

// Where the caller names its channel, a nonce that does not ask for bindings is none that this
// client was given for it: its response could have been passed on from where nobody asks.
bool DigestHttpServer::IsBound(const Call& call) const {
  return call.channel.empty() || digest::AsksForBindings(call.response.nonce);
}

DigestHttpServer::Outcome DigestHttpServer::ReadBuffers(const LegArguments& arguments, Call& call) {
  const char* reason = nullptr;
  SECURITY_STATUS status = ReadAcceptFlags(arguments.flags, &call.request, &reason);
  DigestInput input;
  if (status == SEC_E_OK) status = ReadDigestInput(arguments.input, &input);
  if (status != SEC_E_OK) return EndLeg(status, reason);
  status = ReadChannel(input.channel_bindings, &call.channel);
  if (status != SEC_E_OK) return EndLeg(status, kMalformedBindings);
  call.token = input.token;
  call.method = input.parameters[0];
  call.uri = input.parameters[1];
  if (!ReadEntityHash(input.parameters[2], &call.entity_hash)) {
    return EndLeg(SEC_E_INVALID_TOKEN, "the hash of the body is no hash");
  }
  if (!ReadRealm(input.parameters[3], &call.realm)) {
    return EndLeg(SEC_E_INVALID_TOKEN, "the realm is not ASCII in UTF-16");
  }
  if (call.realm.empty()) call.realm = settings_->realm;
  return std::nullopt;
}

bool DigestHttpServer::IsOffered(digest::Algorithm algorithm) const {
  return std::ranges::find(settings_->algorithms, algorithm) != settings_->algorithms.end();
}

DigestHttpServer::Outcome DigestHttpServer::Find(Call& call) {
  // The handle names the context of a response without an opaque value.
  const bool own = opaque_.has_value() && (call.response.opaque.empty()
                                               ? next_.Is(call.response.nonce)
                                               : call.opaque.has_value() && call.opaque == opaque_);
  if (own) {
    call.step = DigestStep::kHere;
    return std::nullopt;
  }
  call.step = DigestStep::kStranger;
  if (!call.opaque.has_value()) return std::nullopt;
  DigestIndex::Ended over;
  const std::optional<DigestIndex::Place> place =
      package_.index().Find(Known(call.opaque), Identity(), NowNs(), &over);
  package_.End(over);
  if (!place.has_value()) {
    // No store is asked about nonces that strangers make up.
    if (Judge(call.response.nonce, settings_->established_ms) != NonceKind::kForeign) {
      call.store = package_.Store();
      call.step = DigestStep::kFetch;
    }
    return std::nullopt;
  }
  call.target = place->handle;
  if (place->established) {
    call.local = place->local;
    // A context that this node counts becomes one of all nodes with a nonce that all of them know.
    const std::shared_ptr<DigestStore> shared = package_.Store();
    const bool alone = call.local && (shared == nullptr || !NonceOfAnyNode(call, *shared));
    call.store = alone ? package_.LocalStore() : shared;
    call.step = DigestStep::kFetch;
    return std::nullopt;
  }
  call.step = DigestStep::kHere;
  return DigestGoesOnAt(call.target);
}

DigestHttpServer::Outcome DigestHttpServer::Here(const LegArguments& arguments, Call& call) {
  if (!IsNoHandle(call.target) && !SameHandle(call.target, arguments.own_handle)) {
    // The context has ended on the way to it.
    call.takes_over = false;
    call.fetched.reset();  // a leg moves once: it makes nothing of what it has found
    package_.index().Remove(Known(call.opaque), std::exchange(call.target, {}));
    call.step = DigestStep::kStranger;
    return std::nullopt;
  }
  if (ended_) return DigestDenied();
  return IsEstablished() ? RequestOfEstablished(arguments, call) : AnswerToChallenge(call);
}

// ---- First responses

DigestHttpServer::Outcome DigestHttpServer::AnswerToChallenge(Call& call) {
  if (!NamesItsRequest(call)) return DigestDenied();
  const NonceKind kind = Judge(call.response.nonce, settings_->unanswered_ms);
  if (kind == NonceKind::kForeign) return DigestDenied();
  call.purpose = kind == NonceKind::kGood && next_.Is(call.response.nonce) && IsBound(call)
                     ? DigestPurpose::kAccept
                     : DigestPurpose::kRechallenge;
  call.step = DigestStep::kVerify;
  return std::nullopt;
}

// A response to a nonce of ours, whose context is not known here. It is accepted only if the store
// can tell that the nonce was never used. Otherwise it never is, however right: the counts are
// gone, and it may be a replay.
DigestHttpServer::Outcome DigestHttpServer::Stranger(const LegArguments& arguments, Call& call) {
  if (!NamesItsRequest(call) ||
      Judge(call.response.nonce, settings_->established_ms) == NonceKind::kForeign) {
    return DigestDenied();
  }
  if (call.fetched == StoreResult::kStale) {
    switch (CheckWithKey(call, call.facts.session_hash)) {
      case AttemptVerdict::kRight:
        return Challenge(arguments, call, true);
      case AttemptVerdict::kWrong:
        return DigestDenied();
      case AttemptVerdict::kNoMemory:
        return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
    }
  }
  if (call.fetched == StoreResult::kNotFound && IsNoHandle(call.target)) {
    std::optional<DigestNonce> nonce = NonceOfAnyNode(call, *call.store);
    if (nonce.has_value()) return TakeChallenge(arguments, call, std::move(*nonce));
  }
  call.purpose = DigestPurpose::kRechallenge;
  call.step = DigestStep::kVerify;
  return std::nullopt;
}

DigestHttpServer::Outcome DigestHttpServer::Verify(const LegArguments& arguments, Call& call) {
  const executive::ResumeToken token = arguments.call->Token();
  const digest::Attempt attempt = AttemptOf(call);
  DigestVerdict verdict =
      std::exchange(call.asked, true)
          ? call.verification.GoOn(attempt, token, &call.session_hash)
          : call.verification.Begin(*settings_, attempt, token, &call.session_hash);
  if (verdict == DigestVerdict::kPending) {
    if (arguments.call->run != CallRun::kTimedOut) return DigestSuspended(settings_->wait_ms);
    verdict = DigestVerdict::kNobodyToAsk;
  }
  // As much work for a name or a realm that cannot be right.
  const bool hashed = call.response.username_form == digest::UsernameForm::kHashed;
  const bool possible = call.response.realm == facts_.realm && (!hashed || settings_->userhash);
  if (verdict == DigestVerdict::kRight && !possible) verdict = DigestVerdict::kWrong;
  if (verdict == DigestVerdict::kNobodyToAsk) {
    return EndLeg(SEC_E_NO_AUTHENTICATING_AUTHORITY, "the users are not to be had");
  }
  if (verdict == DigestVerdict::kNoMemory) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  Move(ContextEvent::kRespond);
  if (verdict != DigestVerdict::kRight) {
    Move(ContextEvent::kReject);
    return DigestDenied();
  }
  if (call.purpose == DigestPurpose::kAccept) {
    Move(ContextEvent::kReject);  // until it has its place in the store
    call.step = DigestStep::kPut;
    return std::nullopt;
  }
  Move(ContextEvent::kRechallenge);
  return Challenge(arguments, call, true);
}

// Writes the context into the store, with the count of this response as the first use of its nonce.
// A nonce that other nodes could take is only good when the store confirms that none has.
DigestHttpServer::Outcome DigestHttpServer::Put(const LegArguments& arguments, Call& call) {
  if (call.wait == nullptr) {
    call.facts = {.server = facts_.server,
                  .realm = facts_.realm,
                  .username = std::string(call.response.username),
                  .service_name = std::string(call.response.service_name),
                  .algorithm = call.response.algorithm,
                  .qop = call.response.qop,
                  .in_order = call.request.in_order,
                  .session_hash = call.session_hash,
                  .nonce = next_,
                  .previous = facts_.nonce,
                  .previous_until_ms = NowMs() + kPreviousMs};
    if (!BeginPut(*arguments.call, call)) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  }
  StoreResult result = StoreResult::kTimedOut;
  if (!IsOver(*arguments.call, call, &result)) return DigestSuspended(settings_->wait_ms);
  call.wait = nullptr;
  if (result == StoreResult::kOk) return Accept(arguments, call);
  if (result == StoreResult::kExists) {
    call.step = DigestStep::kTaken;
    return std::nullopt;
  }
  const bool failed = context_store::IsStoreFailure(result);
  if (result == StoreResult::kTooLarge || (failed && call.store == package_.LocalStore())) {
    return EndLeg(SEC_E_INSUFFICIENT_MEMORY, "the context finds no place in the context store");
  }
  // The credentials are right, and the count cannot be told to be new. What the store was handed
  // may still take effect. So the next nonce is one that only this node counts.
  call.counts_here = failed;
  if (foreign_ || result == StoreResult::kNotFound) LeaveOpaque();
  Move(ContextEvent::kRespond);
  Move(ContextEvent::kRechallenge);
  return Challenge(arguments, call, true);
}

bool DigestHttpServer::BeginPut(PackageCall& call, Call& state) {
  const std::shared_ptr<DigestStore> local_store = package_.LocalStore();
  if (local_store == nullptr) return false;
  const bool local = next_.epoch == local_store->epoch();
  state.store = local ? local_store : package_.Store();
  context_store::PutRequest put;
  put.mode = local ? PutMode::kSet : PutMode::kCreate;
  if (foreign_) put.mode = PutMode::kFirst;
  if (IsEstablished()) put.mode = PutMode::kSet;
  // An entry that is gone while a response to the challenge can still come would make a first
  // response of a replay.
  const std::uint64_t idle_ms = settings_->idle_ms + (local ? kGraceMs : 0);
  put.lifetime_ns = LifetimeMs(*settings_) * kNsPerMs;
  put.idle_ns = std::max(idle_ms, AnswerableMs(*settings_)) * kNsPerMs;
  put.use = {.epoch = state.facts.nonce.epoch,
             .nonce = state.facts.nonce.number,
             .count = state.response.nonce_count,
             .window = state.facts.in_order ? 0 : settings_->window};
  put.previous_nonce_ns = kPreviousMs * kNsPerMs;
  state.wait = state.store->Put(Known(opaque_), WriteDigestFacts(state.facts), put, call.Token(),
                                settings_->wait_ms);
  return true;
}

LegResult DigestHttpServer::Accept(const LegArguments& arguments, Call& call) {
  Move(ContextEvent::kRespond);
  Move(ContextEvent::kAccept);
  facts_ = std::move(call.facts);
  next_ = {};
  foreign_ = false;
  store_ = call.store;
  local_ = store_ != package_.Store();
  last_ms_ = NowMs();
  if (since_ == 0) since_ = package_.package_host().wall_seconds();
  package_.index().Update(Known(opaque_), {.handle = handle_, .established = true, .local = local_},
                          UntilNs(true));
  LegResult result;
  result.status = SEC_E_OK;
  result.established = true;
  result.attributes = AcceptAttributesOf(facts_.qop, call.request);
  PlaceNothing(arguments.output, 0, call.request.allocates);
  PlaceNothing(arguments.output, 1, call.request.allocates);
  return result;
}

// ---- The requests after it

DigestHttpServer::Outcome DigestHttpServer::RequestOfEstablished(const LegArguments& arguments,
                                                                 Call& call) {
  if (call.fetched == StoreResult::kOk) Refresh(call);
  const digest::Response& response = call.response;
  // Whoever else answers a challenge of this context is somebody else, however right.
  if (!IsOfTheSameAccount(response.username, response.realm)) return DigestDenied();
  NonceOf which = Which(response.nonce);
  if (which == NonceOf::kNone && TakeRenewal(call)) which = NonceOf::kNext;
  if (which == NonceOf::kNext) return AnswerToChallenge(call);
  if (response.algorithm != facts_.algorithm || response.qop != facts_.qop) return DigestDenied();
  const NonceKind kind = Judge(response.nonce, settings_->established_ms);
  if (kind == NonceKind::kForeign) return DigestDenied();
  // A store of this process's memory sees every request of the context.
  const bool alone = store_ == package_.LocalStore();
  const bool idle = alone && which == NonceOf::kCurrent && NowMs() > last_ms_ + settings_->idle_ms;
  // Nothing was fetched for a context that was partial when this call found it.
  const bool there = call.fetched.value_or(StoreResult::kOk) == StoreResult::kOk;
  const std::shared_ptr<DigestStore> store = package_.Store();
  // A context that this node counts is shared with the others as soon as the store is back.
  const bool counted = there && store != nullptr && (local_ ? !store->Works() : store_ == store);
  const bool fresh = kind == NonceKind::kGood && which != NonceOf::kNone && !idle &&
                     IsBound(call) && response.nonce_count < digest::kNonceCountEnd;
  if (!counted || !fresh) return Renew(arguments, call);
  pending_.Add({.token = call.token,
                .method = call.method,
                .uri = call.uri,
                .entity_hash = call.entity_hash},
               NowNs());
  package_.index().Update(Known(opaque_), {.handle = handle_, .established = true, .local = local_},
                          UntilNs(true));
  LegResult result;
  result.status = SEC_I_COMPLETE_NEEDED;
  result.established = true;
  result.attributes = AcceptAttributesOf(facts_.qop, call.request);
  PlaceNothing(arguments.output, 0, call.request.allocates);
  PlaceNothing(arguments.output, 1, call.request.allocates);
  return result;
}

LegResult DigestHttpServer::Renew(const LegArguments& arguments, Call& call) {
  AttemptVerdict verdict = CheckWithKey(call, facts_.session_hash);
  if (verdict == AttemptVerdict::kWrong && left_key_.has_value()) {
    verdict = CheckWithKey(call, *left_key_);
  }
  if (verdict == AttemptVerdict::kNoMemory) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  if (verdict == AttemptVerdict::kWrong || !NamesItsRequest(call)) return DigestDenied();
  Move(ContextEvent::kRechallenge);
  return Challenge(arguments, call, true);
}

// ---- Attributes and the end

bool DigestHttpServer::Client(security::ClientFacts* facts) const {
  if (!IsEstablished()) return false;
  facts->client = security::DigestClient{.user = facts_.username, .realm = facts_.realm};
  return true;
}

SECURITY_STATUS DigestHttpServer::Query(const AttributeQuery& query) {
  DigestAttributes attributes;
  attributes.username = facts_.username;
  attributes.flags = AcceptAttributesOf(facts_.qop, request_);
  attributes.since = since_;
  attributes.algorithm = facts_.algorithm;
  attributes.session_hash = &facts_.session_hash;
  attributes.target = facts_.service_name;
  return QueryDigest(attributes, query);
}

// The opaque value is another context's, or is used up.
void DigestHttpServer::LeaveOpaque() {
  package_.index().Remove(Known(opaque_), handle_);
  opaque_.reset();
  foreign_ = false;
}

// Nobody finds the context any more, on this node from now on, on the others when the store has
// forgotten it. What the index has dropped by itself made room here only.
DigestStore::Wait DigestHttpServer::LeaveIndex(const executive::ResumeToken* token) {
  if (std::exchange(ended_, true) || !opaque_.has_value()) return nullptr;
  const bool stored = package_.index().Remove(Known(opaque_), handle_) && IsEstablished();
  Move(ContextEvent::kRemove);
  if (!stored) return nullptr;
  const std::uint64_t until_ns = NowNs() + LifetimeMs(*settings_) * kNsPerMs;
  const std::shared_ptr<DigestStore> shared = package_.Store();
  if (local_ && shared != nullptr && shared != store_) {
    shared->Remove(Known(opaque_), until_ns, nullptr, settings_->wait_ms);
  }
  return store_->Remove(Known(opaque_), until_ns, token, settings_->wait_ms);
}

CallResult DigestHttpServer::End(PackageCall& call, bool may_suspend) {
  if (call.state == nullptr) {
    const executive::ResumeToken token = call.Token();
    auto state = std::make_unique<Call>(package_.package_host());
    state->wait = LeaveIndex(may_suspend ? &token : nullptr);
    if (state->wait == nullptr) return CallResult::Done(SEC_E_OK);
    call.state = std::move(state);
  }
  auto& state = static_cast<Call&>(*call.state);
  const bool waits = may_suspend && !state.wait->Rearm(call.Token());
  return waits ? CallResult::Suspended(settings_->wait_ms) : CallResult::Done(SEC_E_OK);
}

}  // namespace ktlsim::sspi
