#include "kernel_sim/sspi/packages/digest_context.h"

#include "kernel_sim/sspi/packages/digest_http_client.h"
#include "kernel_sim/sspi/packages/digest_http_server.h"
#include "kernel_sim/sspi/packages/digest_sasl_client.h"
#include "kernel_sim/sspi/packages/digest_sasl_server.h"
#include "kernel_sim/sspi/packages/digest_settings.h"

namespace ktlsim::sspi {

std::unique_ptr<PackageContext> DigestContext::Make(bool http) const {
  if (direction_ == Direction::kInbound) {
    if (http) return std::make_unique<DigestHttpServer>(package_);
    return std::make_unique<DigestSaslServer>(package_);
  }
  if (http) return std::make_unique<DigestHttpClient>(package_);
  return std::make_unique<DigestSaslClient>(package_);
}

LegResult DigestContext::Leg(const LegArguments& arguments) {
  LegResult refused;
  DigestRequest request;
  refused.status = direction_ == Direction::kInbound
                       ? ReadAcceptFlags(arguments.flags, &request, &refused.reason)
                       : ReadInitializeFlags(arguments.flags, &request, &refused.reason);
  if (refused.status != SEC_E_OK) return refused;
  if (inner_ == nullptr) {
    inner_ = Make(request.http);
  } else if (request.http != http_) {
    return {.status = SEC_E_INVALID_PARAMETER,
            .reason = "a context is for HTTP or for SASL, as its first leg said"};
  }
  http_ = request.http;
  return inner_->Leg(arguments);
}

bool DigestContext::Client(security::ClientFacts* facts) const { return inner_->Client(facts); }

SECURITY_STATUS DigestContext::Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence) {
  return inner_->Encrypt(qop, message, sequence);
}
SECURITY_STATUS DigestContext::Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop) {
  return inner_->Decrypt(message, sequence, qop);
}
SECURITY_STATUS DigestContext::MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence) {
  return inner_->MakeSignature(qop, message, sequence);
}
SECURITY_STATUS DigestContext::Query(const AttributeQuery& query) { return inner_->Query(query); }

CallResult DigestContext::CompleteAuthToken(PackageCall& call, SecBufferDesc& message) {
  if (inner_ == nullptr) return CallResult::Done(SEC_E_UNSUPPORTED_FUNCTION);
  return inner_->CompleteAuthToken(call, message);
}
CallResult DigestContext::VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                                          ULONG* qop) {
  return inner_->VerifySignature(call, message, sequence, qop);
}
CallResult DigestContext::End(PackageCall& call, bool may_suspend) {
  return inner_ != nullptr ? inner_->End(call, may_suspend) : CallResult::Done(SEC_E_OK);
}

}  // namespace ktlsim::sspi
