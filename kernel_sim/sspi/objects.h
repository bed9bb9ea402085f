// What credential and context handles stand for.
#pragma once

#include <sspi.h>

#include <atomic>
#include <memory>
#include <new>
#include <utility>

#include "kernel_sim/executive/object_table.h"
#include "kernel_sim/executive/strand.h"
#include "kernel_sim/sspi/client_identity.h"
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

  // Another one of the same credential and direction. Null: no memory.
  ContextObject* MakeBeside(std::unique_ptr<PackageContext> context) const {
    return new (std::nothrow) ContextObject(credential_, direction_, std::move(context));
  }

  executive::Strand& strand() { return strand_; }
  Direction direction() const { return direction_; }
  CredentialObject& credential() const { return *credential_; }

  // Of a server's context: what impersonating its client returns, and the token.
  // SEC_E_UNSUPPORTED_FUNCTION: of a client's there is none. Any thread, any level.
  SECURITY_STATUS ClientToken(security::Token::Ref* token) const {
    return direction_ == Direction::kInbound ? client_.GetToken(token) : SEC_E_UNSUPPORTED_FUNCTION;
  }
  SECURITY_STATUS LendClientToken(void** handle) {
    return direction_ == Direction::kInbound ? client_.LendHandle(handle)
                                             : SEC_E_UNSUPPORTED_FUNCTION;
  }

  // Under the strand. What the last leg asked for.
  void set_level_asked(security::ImpersonationLevel level) { level_asked_ = level; }
  security::ImpersonationLevel level_asked() const { return level_asked_; }
  bool is_established() const { return established_.load(std::memory_order_acquire); }
  // Under the strand, once established. Asks the mapper about the client. Null with *asked: no
  // memory; null without: there is no client to be mapped.
  std::shared_ptr<security::IdentityMapping> MapClient(security::IdentityMapper& mapper,
                                                       security::ImpersonationLevel level,
                                                       bool* asked);
  ClientIdentity& client() { return client_; }

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
  auto UnderStrand(Call call, const decltype(call(std::declval<PackageContext&>()))& when_gone);

  executive::Reference<CredentialObject> credential_;
  executive::Strand strand_;
  std::unique_ptr<PackageContext> context_;
  const Direction direction_;
  ClientIdentity client_;
  security::ImpersonationLevel level_asked_ = security::ImpersonationLevel::kImpersonation;
  // Release after the leg that established it; acquire before anything that is not on the strand.
  std::atomic<bool> established_{false};
};

}  // namespace ktlsim::sspi
