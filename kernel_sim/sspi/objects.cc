#include "kernel_sim/sspi/objects.h"

namespace ktlsim::sspi {

template <typename Call>
auto ContextObject::UnderStrand(Call call,
                                const decltype(call(std::declval<PackageContext&>()))& when_gone) {
  if (!established_.load(std::memory_order_relaxed)) {
    return context_ == nullptr ? when_gone : call(*context_);
  }
  const Sealing sealing = ClaimSealing();
  const Opening opening = ClaimOpening();
  return context_ == nullptr ? when_gone : call(*context_);
}

LegResult ContextObject::Leg(const LegArguments& arguments) {
  LegResult gone;
  gone.status = SEC_E_INVALID_HANDLE;
  LegResult result =
      UnderStrand([&](PackageContext& context) { return context.Leg(arguments); }, gone);
  if (result.established) established_.store(true, std::memory_order_release);
  return result;
}

std::shared_ptr<security::IdentityMapping> ContextObject::MapClient(
    security::IdentityMapper& mapper, security::ImpersonationLevel level, bool* asked) {
  const auto ask = [&](PackageContext& context) -> std::shared_ptr<security::IdentityMapping> {
    security::ClientFacts facts;
    *asked = context.Client(&facts);
    if (!*asked) return nullptr;
    facts.level = level;
    return mapper.Map(facts);
  };
  *asked = false;
  return UnderStrand(ask, nullptr);
}

SECURITY_STATUS ContextObject::ApplyControlToken(SecBufferDesc& input) {
  return UnderStrand([&](PackageContext& context) { return context.ApplyControlToken(input); },
                     SEC_E_INVALID_HANDLE);
}

CallResult ContextObject::CompleteAuthToken(PackageCall& call, SecBufferDesc& message) {
  return UnderStrand(
      [&](PackageContext& context) { return context.CompleteAuthToken(call, message); },
      CallResult::Done(SEC_E_INVALID_HANDLE));
}

CallResult ContextObject::VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                                          ULONG* qop) {
  const CallResult gone = CallResult::Done(SEC_E_INVALID_HANDLE);
  if (!established_.load(std::memory_order_relaxed)) return gone;
  return UnderStrand(
      [&](PackageContext& context) {
        return context.VerifySignature(call, message, sequence, qop);
      },
      gone);
}

CallResult ContextObject::End(PackageCall& call, bool may_suspend) {
  std::unique_ptr<PackageContext> ended;
  const Sealing sealing = ClaimSealing();
  const Opening opening = ClaimOpening();
  if (context_ == nullptr) return CallResult::Done(SEC_E_OK);
  const CallResult result = context_->End(call, may_suspend);
  if (result.suspended && may_suspend) return result;
  call.state.reset();  // it may know the context
  ended = std::move(context_);
  return CallResult::Done(SEC_E_OK);
}

SECURITY_STATUS ContextObject::Query(const AttributeQuery& query) {
  const bool established = established_.load(std::memory_order_acquire);
  const Sealing sealing = ClaimSealing();
  if (context_ == nullptr) return SEC_E_INVALID_HANDLE;
  if (!established && !context_->IsKnownEarly(query.attribute)) return SEC_E_UNSUPPORTED_FUNCTION;
  return context_->Query(query);
}

}  // namespace ktlsim::sspi
