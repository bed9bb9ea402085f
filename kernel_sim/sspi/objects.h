// What credential and context handles stand for.
#pragma once

#include <sspi.h>

#include <atomic>
#include <memory>
#include <utility>

#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/executive/strand.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

class CredentialObject final : public executive::Object {
 public:
  CredentialObject(Package& package, std::unique_ptr<PackageCredential> credential)
      : package_(package), credential_(std::move(credential)) {}

  Package& package() const { return package_; }
  PackageCredential& credential() const { return *credential_; }

 private:
  Package& package_;
  std::unique_ptr<PackageCredential> credential_;
};

// A security context. Handshake state is touched under the strand only. Once established, record
// state is touched under one claim per direction; legs and teardown then take both.
class ContextObject final : public executive::Object {
 public:
  ContextObject(executive::Reference<CredentialObject> credential, Direction direction,
                std::unique_ptr<PackageContext> context)
      : credential_(std::move(credential)), context_(std::move(context)), direction_(direction) {}

  executive::Strand& strand() { return strand_; }
  Direction direction() const { return direction_; }
  CredentialObject& credential() const { return *credential_; }

  // Under the strand.
  LegResult Leg(const LegArguments& arguments);
  SECURITY_STATUS ApplyControlToken(SecBufferDesc& input);
  CallResult CompleteAuthToken(PackageCall& call, SecBufferDesc& message);
  CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence, ULONG* qop);
  // Ends the package's part, unless that suspends; every later call returns SEC_E_INVALID_HANDLE.
  CallResult End(PackageCall& call, bool may_suspend);

  // The rights to seal and to open: one thread at a time has each.
  static constexpr executive::Claim kSealing = executive::Claim::kFirst;
  static constexpr executive::Claim kOpening = executive::Claim::kSecond;
  using Sealing = executive::Claimed<ContextObject, kSealing>;
  using Opening = executive::Claimed<ContextObject, kOpening>;
  Sealing ClaimSealing() {
    Take(kSealing);
    return Sealing(this);
  }
  Opening ClaimOpening() {
    Take(kOpening);
    return Opening(this);
  }

  // Any thread, any level. SEC_E_INVALID_HANDLE before the context is established.
  // Under the claim to seal, and MakeSignature, too.
  SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence) {
    return protects() ? context_->Encrypt(qop, message, sequence) : SEC_E_INVALID_HANDLE;
  }
  // Under the claim to open.
  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop) {
    return protects() ? context_->Decrypt(message, sequence, qop) : SEC_E_INVALID_HANDLE;
  }
  SECURITY_STATUS MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence) {
    return protects() ? context_->MakeSignature(qop, message, sequence) : SEC_E_INVALID_HANDLE;
  }
  // Takes the claim to seal.
  SECURITY_STATUS Query(const AttributeQuery& query);
  // Under either claim. As PackageContext::WhyFailed.
  const char* WhyFailed() const { return context_ != nullptr ? context_->WhyFailed() : nullptr; }

 private:
  bool protects() const {
    return established_.load(std::memory_order_acquire) && context_ != nullptr;
  }
  // Runs `call` with every claim it needs; `call` gets the package's context.
  template <typename Call>
  auto UnderStrand(Call call, decltype(call(std::declval<PackageContext&>())) when_gone);

  executive::Reference<CredentialObject> credential_;
  executive::Strand strand_;
  std::unique_ptr<PackageContext> context_;
  const Direction direction_;
  // Release after the leg that established it; acquire before anything that is not on the strand.
  std::atomic<bool> established_{false};
};

}  // namespace ktlsim::sspi
