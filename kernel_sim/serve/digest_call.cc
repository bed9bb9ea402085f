#include "kernel_sim/serve/digest_call.h"

#include <cstring>

namespace ktlsim::serve {
namespace {

SecBuffer Text(ULONG type, const char* text, std::size_t bytes) {
  return {static_cast<ULONG>(bytes), type, bytes != 0 ? const_cast<char*>(text) : nullptr};
}

}  // namespace

DigestCall::DigestCall(DigestCredentials& credentials, const char* method, std::string_view target,
                       std::string_view token)
    : credentials_(credentials), method_(method), target_(target), token_(token) {
  SecInvalidateHandle(&context_);
}

// Token, method, URL, and no hash of the body: the quality of protection is `auth`.
PSecBufferDesc DigestCall::Input() {
  input_buffers_[0] = Text(SECBUFFER_TOKEN, token_.data(), token_.size());
  input_buffers_[1] = Text(SECBUFFER_PKG_PARAMS, method_, std::strlen(method_));
  input_buffers_[2] = Text(SECBUFFER_PKG_PARAMS, target_.data(), target_.size());
  input_buffers_[3] = Text(SECBUFFER_PKG_PARAMS, nullptr, 0);
  input_ = {SECBUFFER_VERSION, static_cast<ULONG>(input_buffers_.size()), input_buffers_.data()};
  return &input_;
}

SECURITY_STATUS DigestCall::Accept(SspiAsyncContext* async) {
  SecInvalidateHandle(&context_);
  for (std::size_t i = 0; i < challenges_.size(); ++i) {
    output_buffers_[i] = {static_cast<ULONG>(challenges_[i].size()), SECBUFFER_TOKEN,
                          challenges_[i].data()};
  }
  output_ = {SECBUFFER_VERSION, static_cast<ULONG>(output_buffers_.size()), output_buffers_.data()};
  const auto submit = [&] {
    credential_ = credentials_.Current();
    return SspiAcceptSecurityContextAsync(async, &credential_, nullptr, Input(), ASC_REQ_HTTP,
                                          SECURITY_NATIVE_DREP, &context_, &output_, &attributes_,
                                          nullptr);
  };
  const SECURITY_STATUS submitted = submit();
  // It was replaced and freed between the two calls.
  return submitted == SEC_E_INVALID_HANDLE ? submit() : submitted;
}

SECURITY_STATUS DigestCall::Complete(SspiAsyncContext* async) {
  return SspiCompleteAuthTokenAsync(async, &context_, Input());
}

std::string_view DigestCall::Sign() {
  std::array<char, kChallengeBytesMax>& room = challenges_.front();
  std::array<SecBuffer, 5> buffers = {
      Text(SECBUFFER_TOKEN, token_.data(), token_.size()), Text(SECBUFFER_PKG_PARAMS, nullptr, 0),
      Text(SECBUFFER_PKG_PARAMS, target_.data(), target_.size()),
      Text(SECBUFFER_PKG_PARAMS, nullptr, 0),
      SecBuffer{kChallengeBytesMax, SECBUFFER_PADDING, room.data()}};
  SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers.size()), buffers.data()};
  if (MakeSignature(&context_, 0, &message, 0) != SEC_E_OK) return {};
  return {room.data(), buffers.back().cbBuffer};
}

std::string_view DigestCall::challenge(std::size_t which) const {
  return {challenges_[which].data(), output_buffers_[which].cbBuffer};
}

}  // namespace ktlsim::serve
