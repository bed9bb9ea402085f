#include "kernel_sim/sspi/packages/digest_http_server.h"

#include <algorithm>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
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

LegResult Denied() { return EndLeg(SEC_E_LOGON_DENIED); }

LegResult SuspendedFor(std::uint32_t limit_ms) {
  LegResult result;
  result.suspended = true;
  result.limit_ms = limit_ms;
  return result;
}

LegResult GoOnAt(const SecHandle& handle) {
  LegResult result;
  result.continue_on = handle;
  return result;
}

bool IsNone(const SecHandle& handle) { return handle.dwLower == 0 && handle.dwUpper == 0; }

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
  if (store == nullptr) return NonceKind::kForeign;
  const std::shared_ptr<const digest::NonceMint> mint = store->MintFor(facts_.server, facts_.realm);
  const ForkGate::Scope inside;
  return mint->Judge(nonce, NowMs(), life_ms).kind;
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
void DigestHttpServer::Refresh(const DigestFacts& facts) {
  if (local_ || facts.nonce.number < facts_.nonce.number || facts.nonce.text == facts_.nonce.text) {
    return;
  }
  facts_ = facts;
  next_ = {};
  if (state_ == ContextState::kRenewing) Move(ContextEvent::kAccept);
}

// ---- A leg

LegResult DigestHttpServer::Leg(const LegArguments& arguments) {
  std::unique_ptr<PackageCallState>& kept = arguments.call->state;
  if (kept == nullptr) kept = std::make_unique<Call>();
  auto& call = static_cast<Call&>(*kept);
  if (arguments.call->run == CallRun::kStopping) {
    call.wait = nullptr;
    return EndLeg(SEC_E_SHUTDOWN_IN_PROGRESS);
  }
  handle_ = arguments.own_handle;
  if (arguments.credential != nullptr) {
    settings_ = static_cast<DigestCredential&>(*arguments.credential).settings();
  }
  if (settings_ == nullptr) return EndLeg(SEC_E_INVALID_HANDLE);
  return RunLeg(arguments, call);
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
  if (call.response.qop == digest::Qop::kAuthInt && call.entity_hash.empty()) {
    const ForkGate::Scope inside;
    digest::Hasher hasher(digest::HashOf(call.response.algorithm));
    digest::HashValue empty;
    if (!hasher.Hash({""}, &empty)) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
    call.entity_hash = digest::HexText(empty).view();
  }
  call.opaque = digest::Opaque::Parse(call.response.opaque);
  call.step = DigestStep::kFind;
  return std::nullopt;
}

DigestHttpServer::Outcome DigestHttpServer::ReadBuffers(const LegArguments& arguments, Call& call) {
  const char* reason = nullptr;
  SECURITY_STATUS status = ReadAcceptFlags(arguments.flags, &call.request, &reason);
  DigestInput input;
  if (status == SEC_E_OK) status = ReadDigestInput(arguments.input, &input);
  if (status != SEC_E_OK) return EndLeg(status, reason);
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
    call.store = place->local ? package_.LocalStore() : package_.Store();
    call.step = DigestStep::kFetch;
    return std::nullopt;
  }
  call.step = DigestStep::kHere;
  return GoOnAt(call.target);
}

// The store says whether the context is still there, on whichever node it was deleted, and which
// nonce it has.
DigestHttpServer::Outcome DigestHttpServer::Fetch(const LegArguments& arguments, Call& call) {
  if (call.store == nullptr) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  if (call.wait == nullptr) {
    call.wait = call.store->Get(Known(call.opaque), arguments.call->Token(), settings_->wait_ms);
  }
  StoreResult result = StoreResult::kTimedOut;
  if (!IsOver(*arguments.call, call, &result)) return SuspendedFor(settings_->wait_ms);
  if (result == StoreResult::kOk || result == StoreResult::kStale) {
    const bool ours = ReadDigestFacts(call.wait->value(), &call.facts) &&
                      call.facts.server == facts_.server && call.facts.realm == facts_.realm;
    if (!ours) result = StoreResult::kNotFound;
  }
  call.wait = nullptr;
  call.fetched = result;
  const bool gone = result == StoreResult::kNotFound || result == StoreResult::kUnreadable;
  if (IsNone(call.target)) {
    if (result == StoreResult::kOk) return Adopt(arguments, call);
    call.step = DigestStep::kStranger;
    return std::nullopt;
  }
  if (!gone) {
    call.step = DigestStep::kHere;
    return GoOnAt(call.target);
  }
  package_.index().Remove(Known(call.opaque), call.target);
  package_.package_host().EndContext(std::exchange(call.target, {}));
  call.step = DigestStep::kStranger;
  return std::nullopt;
}

// Another node has established the context; this one goes on with it.
DigestHttpServer::Outcome DigestHttpServer::Adopt(const LegArguments& arguments, Call& call) {
  DigestIndex::Ended over;
  const std::string identity = Identity();
  const bool added =
      package_.index().Add(Known(call.opaque), identity,
                           {.handle = arguments.own_handle, .established = true, .local = false},
                           NowNs(), UntilNs(true), &over);
  package_.End(over);
  call.step = DigestStep::kHere;
  if (!added) {
    // Another request of the same client was faster.
    const std::optional<DigestIndex::Place> place =
        package_.index().Find(Known(call.opaque), identity, NowNs(), &over);
    if (!place.has_value()) return Denied();
    call.target = place->handle;
    return GoOnAt(call.target);
  }
  if (opaque_.has_value()) package_.index().Remove(Known(opaque_), handle_);
  opaque_ = call.opaque;
  facts_ = call.facts;
  next_ = {};
  last_ms_ = NowMs();
  if (since_ == 0) since_ = package_.package_host().wall_seconds();
  store_ = call.store;
  Move(ContextEvent::kRespond);
  Move(ContextEvent::kAccept);
  const Outcome outcome = Here(arguments, call);
  // What is refused here says nothing about the context on other nodes.
  if (outcome.has_value() && outcome->status < 0) {
    package_.index().Remove(Known(opaque_), handle_);
    ended_ = true;
  }
  return outcome;
}

DigestHttpServer::Outcome DigestHttpServer::Here(const LegArguments& arguments, Call& call) {
  if (!IsNone(call.target) && !SameHandle(call.target, arguments.own_handle)) {
    // The context has ended on the way to it.
    package_.index().Remove(Known(call.opaque), std::exchange(call.target, {}));
    call.step = DigestStep::kStranger;
    return std::nullopt;
  }
  if (ended_) return Denied();
  return IsEstablished() ? RequestOfEstablished(arguments, call) : AnswerToChallenge(call);
}

// ---- First responses

DigestHttpServer::Outcome DigestHttpServer::AnswerToChallenge(Call& call) {
  if (!NamesItsRequest(call)) return Denied();
  const NonceKind kind = Judge(call.response.nonce, settings_->unanswered_ms);
  if (kind == NonceKind::kForeign) return Denied();
  call.purpose = kind == NonceKind::kGood && next_.Is(call.response.nonce)
                     ? DigestPurpose::kAccept
                     : DigestPurpose::kRechallenge;
  call.step = DigestStep::kVerify;
  return std::nullopt;
}

// A response to a nonce that was ours, whose context is not known any more. It is never accepted,
// however right: the counts are gone, and it may be a replay.
DigestHttpServer::Outcome DigestHttpServer::Stranger(const LegArguments& arguments, Call& call) {
  if (!NamesItsRequest(call) ||
      Judge(call.response.nonce, settings_->established_ms) == NonceKind::kForeign) {
    return Denied();
  }
  if (call.fetched == StoreResult::kStale) {
    switch (CheckWithKey(call, call.facts.session_hash)) {
      case AttemptVerdict::kRight:
        return Challenge(arguments, call, true);
      case AttemptVerdict::kWrong:
        return Denied();
      case AttemptVerdict::kNoMemory:
        return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
    }
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
    if (arguments.call->run != CallRun::kTimedOut) return SuspendedFor(settings_->wait_ms);
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
    return Denied();
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
DigestHttpServer::Outcome DigestHttpServer::Put(const LegArguments& arguments, Call& call) {
  if (call.wait == nullptr) {
    call.facts = {.server = facts_.server,
                  .realm = facts_.realm,
                  .username = std::string(call.response.username),
                  .algorithm = call.response.algorithm,
                  .qop = call.response.qop,
                  .in_order = call.request.in_order,
                  .session_hash = call.session_hash,
                  .nonce = next_,
                  .previous = must_renew_ ? DigestNonce() : facts_.nonce,
                  .previous_until_ms = NowMs() + kPreviousMs};
    // A nonce that was made because the store may know the one before is not handed to it, and
    // neither is one that was made before the store was there for the first time.
    const bool locally = must_renew_ || next_.epoch == 0;
    if (!BeginPut(*arguments.call, call, locally)) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  }
  StoreResult result = StoreResult::kTimedOut;
  const bool handed_over = call.wait->handed_over();
  if (!IsOver(*arguments.call, call, &result)) return SuspendedFor(settings_->wait_ms);
  call.wait = nullptr;
  must_renew_ = false;
  if (context_store::IsStoreFailure(result) && call.store != package_.LocalStore()) {
    // The context lives on this node. What the store was handed may still take effect, and then
    // another node would count this nonce, too.
    must_renew_ = handed_over;
    if (!BeginPut(*arguments.call, call, true)) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
    result = call.wait->result();
    call.wait = nullptr;
  }
  if (result == StoreResult::kOk) return Accept(arguments, call);
  if (result == StoreResult::kExists) {
    package_.index().Remove(Known(opaque_), handle_);
    opaque_.reset();
  } else if (result == StoreResult::kTooLarge || context_store::IsStoreFailure(result)) {
    return EndLeg(SEC_E_INSUFFICIENT_MEMORY, "the context finds no place in the context store");
  }
  // The credentials are right, and the count cannot be told to be new.
  Move(ContextEvent::kRespond);
  Move(ContextEvent::kRechallenge);
  return Challenge(arguments, call, true);
}

bool DigestHttpServer::BeginPut(PackageCall& call, Call& state, bool locally) {
  state.store = locally ? package_.LocalStore() : package_.Store();
  if (state.store == nullptr) return false;
  const bool local = state.store == package_.LocalStore();
  if (locally) state.facts.nonce.epoch = state.store->epoch();
  context_store::PutRequest put;
  put.mode = IsEstablished() || local ? PutMode::kSet : PutMode::kCreate;
  put.lifetime_ns = (settings_->established_ms + settings_->idle_ms + kGraceMs) * kNsPerMs;
  put.idle_ns = (settings_->idle_ms + (local ? kGraceMs : 0)) * kNsPerMs;
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
  if (call.fetched == StoreResult::kOk) Refresh(call.facts);
  const digest::Response& response = call.response;
  const NonceOf which = Which(response.nonce);
  if (which == NonceOf::kNext) return AnswerToChallenge(call);
  if (response.username != facts_.username || response.realm != facts_.realm ||
      response.algorithm != facts_.algorithm || response.qop != facts_.qop) {
    return Denied();
  }
  const NonceKind kind = Judge(response.nonce, settings_->established_ms);
  if (kind == NonceKind::kForeign) return Denied();
  // A store of this process's memory sees every request of the context.
  const bool alone = store_ == package_.LocalStore();
  const bool idle = alone && which == NonceOf::kCurrent && NowMs() > last_ms_ + settings_->idle_ms;
  // Nothing was fetched for a context that was partial when this call found it.
  const bool there = call.fetched.value_or(StoreResult::kOk) == StoreResult::kOk;
  const bool counted = there && !must_renew_ && (local_ || store_ == package_.Store());
  const bool fresh = kind == NonceKind::kGood && which != NonceOf::kNone && !idle &&
                     response.nonce_count < digest::kNonceCountEnd;
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
  switch (CheckWithKey(call, facts_.session_hash)) {
    case AttemptVerdict::kRight:
      break;
    case AttemptVerdict::kWrong:
      return Denied();
    case AttemptVerdict::kNoMemory:
      return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  }
  if (!NamesItsRequest(call)) return Denied();
  Move(ContextEvent::kRechallenge);
  return Challenge(arguments, call, true);
}

// ---- Attributes and the end

SECURITY_STATUS DigestHttpServer::Query(const AttributeQuery& query) {
  DigestAttributes attributes;
  attributes.username = facts_.username;
  attributes.flags = AcceptAttributesOf(facts_.qop, request_);
  attributes.since = since_;
  attributes.algorithm = facts_.algorithm;
  attributes.session_hash = &facts_.session_hash;
  return QueryDigest(attributes, query);
}

// Nobody finds the context any more, on this node from now on, on the others when the store has
// forgotten it. What the index has dropped by itself made room here only.
DigestStore::Wait DigestHttpServer::LeaveIndex(const executive::ResumeToken* token) {
  if (std::exchange(ended_, true) || !opaque_.has_value()) return nullptr;
  const bool stored = package_.index().Remove(Known(opaque_), handle_) && IsEstablished();
  Move(ContextEvent::kRemove);
  if (!stored) return nullptr;
  const std::uint64_t until_ns =
      NowNs() + (settings_->established_ms + settings_->idle_ms + kGraceMs) * kNsPerMs;
  const std::shared_ptr<DigestStore> shared = package_.Store();
  if (local_ && shared != nullptr && shared != store_) {
    shared->Remove(Known(opaque_), until_ns, nullptr, settings_->wait_ms);
  }
  return store_->Remove(Known(opaque_), until_ns, token, settings_->wait_ms);
}

CallResult DigestHttpServer::End(PackageCall& call, bool may_suspend) {
  if (call.state == nullptr) {
    const executive::ResumeToken token = call.Token();
    auto state = std::make_unique<Call>();
    state->wait = LeaveIndex(may_suspend ? &token : nullptr);
    if (state->wait == nullptr) return CallResult::Done(SEC_E_OK);
    call.state = std::move(state);
  }
  auto& state = static_cast<Call&>(*call.state);
  const bool waits = may_suspend && !state.wait->Rearm(call.Token());
  return waits ? CallResult::Suspended(settings_->wait_ms) : CallResult::Done(SEC_E_OK);
}

}  // namespace ktlsim::sspi
