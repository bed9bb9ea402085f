#include "kernel_sim/sspi/objects.h"

#include <ktlsim/sspi_ext.h>

namespace ktlsim::sspi {

template <typename Call>
auto ContextObject::UnderStrand(Call call,
                                decltype(call(std::declval<PackageContext&>())) when_gone) {
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

SECURITY_STATUS ContextObject::ApplyControlToken(SecBufferDesc& input) {
  return UnderStrand([&](PackageContext& context) { return context.ApplyControlToken(input); },
                     SEC_E_INVALID_HANDLE);
}

SECURITY_STATUS ContextObject::CompleteAuthToken(SecBufferDesc& token) {
  return UnderStrand([&](PackageContext& context) { return context.CompleteAuthToken(token); },
                     SEC_E_INVALID_HANDLE);
}

void ContextObject::Teardown() {
  std::unique_ptr<PackageContext> context;
  {
    const Sealing sealing = ClaimSealing();
    const Opening opening = ClaimOpening();
    context = std::move(context_);
  }
}

SECURITY_STATUS ContextObject::Query(ULONG attribute, void* buffer) {
  if (!established_.load(std::memory_order_acquire) && attribute != KTLSIM_ATTR_CONTEXT_FAILURE) {
    return SEC_E_UNSUPPORTED_FUNCTION;
  }
  const Sealing sealing = ClaimSealing();
  return context_ == nullptr ? SEC_E_INVALID_HANDLE : context_->Query(attribute, buffer);
}

}  // namespace ktlsim::sspi
