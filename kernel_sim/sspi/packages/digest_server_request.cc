// The requests of an established context of HTTP Digest: CompleteAuthToken and VerifySignature.

#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/packages/digest_buffers.h"
#include "kernel_sim/sspi/packages/digest_http_server.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {
namespace {

using context_store::NonceUse;
using context_store::StoreResult;

// The descriptor's own texts go before what was remembered.
void TakeParameters(const DigestInput& input, DigestServerCall* call) {
  if (!input.parameters[0].empty()) call->method = input.parameters[0];
  if (!input.parameters[1].empty()) call->uri = input.parameters[1];
}

}  // namespace

CallResult DigestHttpServer::CompleteAuthToken(PackageCall& call, SecBufferDesc& message) {
  if (call.state == nullptr) {
    DigestInput input;
    const SECURITY_STATUS status = ReadDigestInput(&message, &input);
    if (status != SEC_E_OK) return CallResult::Done(status);
    std::optional<DigestRecord> record = pending_.Take(input.token, NowNs());
    if (!record.has_value()) {
      return CallResult::Done(SEC_E_INVALID_TOKEN,
                              "no request is open for this token, or it is not clear which");
    }
    auto state = std::make_unique<Call>();
    state->token = std::move(record->token);
    state->method = std::move(record->method);
    state->uri = std::move(record->uri);
    state->entity_hash = std::move(record->entity_hash);
    TakeParameters(input, state.get());
    std::string entity_hash;
    if (!ReadEntityHash(input.parameters[2], &entity_hash)) {
      return CallResult::Done(SEC_E_INVALID_TOKEN, "the hash of the body is no hash");
    }
    if (!entity_hash.empty()) state->entity_hash = std::move(entity_hash);
    call.state = std::move(state);
  }
  return RunRequest(call, facts_.in_order ? 0 : settings_->window);
}

CallResult DigestHttpServer::VerifySignature(PackageCall& call, SecBufferDesc& message,
                                             ULONG /*sequence*/, ULONG* qop) {
  if (call.state == nullptr) {
    DigestInput input;
    const SECURITY_STATUS status = ReadDigestInput(&message, &input);
    if (status != SEC_E_OK) return CallResult::Done(status);
    auto state = std::make_unique<Call>();
    // The header is in either place: the client's MakeSignature writes it to the padding.
    state->token = input.token.empty() ? input.padding_text : input.token;
    TakeParameters(input, state.get());
    if (state->token.empty() || !IsMethod(state->method) ||
        !ReadEntityHash(input.parameters[2], &state->entity_hash)) {
      return CallResult::Done(SEC_E_INVALID_TOKEN,
                              "VerifySignature (Digest) takes the header, a method, a URL and a "
                              "hash of the body");
    }
    call.state = std::move(state);
  }
  *qop = 0;
  return RunRequest(call, 0);
}

CallResult DigestHttpServer::RunRequest(PackageCall& call, std::uint32_t window) {
  auto& state = static_cast<Call&>(*call.state);
  if (call.run == CallRun::kStopping) {
    state.wait = nullptr;
    return CallResult::Done(SEC_E_SHUTDOWN_IN_PROGRESS);
  }
  if (state.wait == nullptr) {
    NonceUse use;
    const char* reason = nullptr;
    const SECURITY_STATUS status = CheckRequest(state, &use, &reason);
    if (status != SEC_E_OK) return CallResult::Done(status, reason);
    use.window = window;
    state.store = store_;
    state.wait = store_->Advance(Known(opaque_), use, call.Token(), settings_->wait_ms);
  }
  StoreResult result = StoreResult::kTimedOut;
  if (!IsOver(call, state, &result)) return CallResult::Suspended(settings_->wait_ms);
  state.wait = nullptr;
  return AfterAdvance(result);
}

// Everything but the count: whether the response is this context's, right, and to a nonce that is
// good. Which of them fails is not the same to a caller: what is altered is a forgery, what is old
// needs a new challenge.
SECURITY_STATUS DigestHttpServer::CheckRequest(Call& call, NonceUse* use, const char** reason) {
  if (!IsEstablished()) {
    *reason = "the context is not established";
    return SEC_E_INVALID_HANDLE;
  }
  const digest::Fault fault = digest::ParseResponse(call.token, &call.response);
  if (fault != digest::Fault::kNone) {
    *reason = ReasonOf(fault);
    return StatusOfResponseFault(fault);
  }
  const digest::Response& response = call.response;
  call.opaque = digest::Opaque::Parse(response.opaque);
  const bool names_this =
      response.opaque.empty() || (call.opaque.has_value() && call.opaque == opaque_);
  const bool agreed = response.username == facts_.username && response.realm == facts_.realm &&
                      response.algorithm == facts_.algorithm && response.qop == facts_.qop;
  if (!names_this || !agreed || !NamesItsRequest(call)) return SEC_E_MESSAGE_ALTERED;
  if (response.qop == digest::Qop::kAuthInt && call.entity_hash.empty()) {
    const ForkGate::Scope inside;
    digest::Hasher hasher(digest::HashOf(response.algorithm));
    digest::HashValue empty;
    if (!hasher.Hash({""}, &empty)) return SEC_E_INSUFFICIENT_MEMORY;
    call.entity_hash = digest::HexText(empty).view();
  }
  switch (CheckWithKey(call, facts_.session_hash)) {
    case digest::AttemptVerdict::kRight:
      break;
    case digest::AttemptVerdict::kWrong:
      return SEC_E_MESSAGE_ALTERED;
    case digest::AttemptVerdict::kNoMemory:
      return SEC_E_INSUFFICIENT_MEMORY;
  }
  const NonceOf which = Which(response.nonce);
  const bool good = (which == NonceOf::kCurrent || which == NonceOf::kPrevious) && !must_renew_ &&
                    response.nonce_count < digest::kNonceCountEnd &&
                    Judge(response.nonce, settings_->established_ms) == digest::NonceKind::kGood;
  if (!good) {
    *reason = "the nonce has had its time: challenge the client again";
    return SEC_E_NO_AUTHENTICATING_AUTHORITY;
  }
  const DigestNonce& nonce = which == NonceOf::kCurrent ? facts_.nonce : facts_.previous;
  *use = {.epoch = nonce.epoch, .nonce = nonce.number, .count = response.nonce_count, .window = 0};
  return SEC_E_OK;
}

CallResult DigestHttpServer::AfterAdvance(StoreResult result) {
  if (result == StoreResult::kOk) {
    last_ms_ = NowMs();
    package_.index().Update(
        Known(opaque_), {.handle = handle_, .established = true, .local = local_}, UntilNs(true));
  } else if (result == StoreResult::kNotFound) {
    // Deleted on another node, or expired there: it has ended for all of them.
    if (package_.index().Remove(Known(opaque_), handle_))
      package_.package_host().EndContext(handle_);
  }
  return CallResult::Done(StatusOfUse(result), ReasonOf(result));
}

}  // namespace ktlsim::sspi
