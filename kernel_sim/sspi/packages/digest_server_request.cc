// The requests of an established context of HTTP Digest: CompleteAuthToken and VerifySignature; and
// MakeSignature, for the responses to them.

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/sspi/packages/buffers.h"
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
    auto state = std::make_unique<Call>(package_.package_host());
    // A record serves once, so that it is taken when nothing else is wrong.
    const SECURITY_STATUS read = ReadChannel(input.channel_bindings, &state->channel);
    if (read != SEC_E_OK) return CallResult::Done(read, kMalformedBindings);
    std::string entity_hash;
    if (!ReadEntityHash(input.parameters[2], &entity_hash)) {
      return CallResult::Done(SEC_E_INVALID_TOKEN, "the hash of the body is no hash");
    }
    std::optional<DigestRecord> record = pending_.Take(input.token, NowNs());
    if (!record.has_value()) {
      return CallResult::Done(SEC_E_INVALID_TOKEN,
                              "no request is open for this token, or it is not clear which");
    }
    state->token = std::move(record->token);
    state->method = std::move(record->method);
    state->uri = std::move(record->uri);
    state->entity_hash = std::move(record->entity_hash);
    TakeParameters(input, state.get());
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
    auto state = std::make_unique<Call>(package_.package_host());
    const SECURITY_STATUS read = ReadChannel(input.channel_bindings, &state->channel);
    if (read != SEC_E_OK) return CallResult::Done(read, kMalformedBindings);
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
  const SECURITY_STATUS bound = CheckBindings(call, reason);
  if (bound != SEC_E_OK) return bound;
  const digest::Response& response = call.response;
  if (!IsOurs(response, call.uri)) return SEC_E_MESSAGE_ALTERED;
  if (response.qop == digest::Qop::kAuthInt) {
    const ForkGate::Scope inside;
    digest::Hasher hasher(digest::HashOf(response.algorithm));
    if (!FillEntityHash(response.qop, hasher, &call.entity_hash)) return SEC_E_INSUFFICIENT_MEMORY;
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
  const bool good = (which == NonceOf::kCurrent || which == NonceOf::kPrevious) && IsBound(call) &&
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

bool DigestHttpServer::IsOurs(const digest::Response& response, std::string_view uri) const {
  const std::optional<digest::Opaque> opaque = digest::Opaque::Parse(response.opaque);
  const bool names_this = response.opaque.empty() || (opaque.has_value() && opaque == opaque_);
  const bool agreed = response.username == facts_.username && response.realm == facts_.realm &&
                      response.algorithm == facts_.algorithm && response.qop == facts_.qop;
  return names_this && agreed && (uri.empty() || uri == response.uri);
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

// RFC 7616 3.5. It has no nextnonce: a nonce that has had its time is replaced by a challenge.
SECURITY_STATUS DigestHttpServer::MakeSignature(ULONG qop, SecBufferDesc& message,
                                                ULONG /*sequence*/) {
  if (qop != 0) return SEC_E_QOP_NOT_SUPPORTED;
  DigestInput input;
  SECURITY_STATUS status = ReadDigestInput(&message, &input);
  if (status != SEC_E_OK) return status;
  std::string entity_hash;
  if (input.token.empty() || input.padding == nullptr || IsNullWithSize(*input.padding) ||
      !ReadEntityHash(input.parameters[2], &entity_hash)) {
    package_.package_host().NoteReason(
        "MakeSignature (Digest, server) takes the header of the request, a method, a URL, a hash "
        "of the response's body, and PADDING for Authentication-Info");
    return SEC_E_INVALID_TOKEN;
  }
  digest::Response response;
  const digest::Fault fault = digest::ParseResponse(input.token, &response);
  if (fault != digest::Fault::kNone) return StatusOfResponseFault(fault);
  if (!IsOurs(response, input.parameters[1])) return SEC_E_MESSAGE_ALTERED;
  const ForkGate::Scope inside;
  digest::Hasher hasher(digest::HashOf(response.algorithm));
  if (!FillEntityHash(response.qop, hasher, &entity_hash)) return SEC_E_INSUFFICIENT_MEMORY;
  digest::AuthenticationInfo info;
  if (!digest::ComputeRspauth(hasher, facts_.session_hash, response.nonce_facts(),
                              {.method = {}, .uri = response.uri, .entity_hash = entity_hash},
                              &info.rspauth)) {
    return SEC_E_INSUFFICIENT_MEMORY;
  }
  info.cnonce = response.cnonce;
  info.nc = response.nc;
  info.qop = response.qop;
  const std::span<std::byte> padding = BytesOf(input.padding);
  std::array<char, kDigestTokenBytesMax> room;
  const std::span<char> fits = std::span(room).first(std::min(room.size(), padding.size()));
  const digest::Written written = digest::FormatAuthenticationInfo(info, fits);
  if (written.fault != digest::Fault::kNone) return SEC_E_INVALID_TOKEN;
  if (written.bytes > fits.size()) return SEC_E_BUFFER_TOO_SMALL;
  std::memcpy(padding.data(), room.data(), written.bytes);
  input.padding->cbBuffer = static_cast<ULONG>(written.bytes);
  return SEC_E_OK;
}

}  // namespace ktlsim::sspi
