// The server of SASL's DIGEST-MD5 (RFC 2831). Its context belongs to one connection: no opaque
// value leads to it, and no store knows it.
#pragma once

#include <sspi.h>

#include <memory>
#include <string>

#include "kernel_sim/digest/sasl_messages.h"
#include "kernel_sim/sspi/packages/digest_facts.h"
#include "kernel_sim/sspi/packages/digest_sasl_layer.h"
#include "kernel_sim/sspi/packages/digest_settings.h"
#include "kernel_sim/sspi/packages/digest_verifier.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

class DigestPackage;

class DigestSaslServer final : public PackageContext {
 public:
  explicit DigestSaslServer(DigestPackage& package) : package_(package) {}

  LegResult Leg(const LegArguments& arguments) override;
  SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop) override;
  SECURITY_STATUS MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  bool Client(security::ClientFacts* facts) const override;
  SECURITY_STATUS Query(const AttributeQuery& query) override;
  CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                             ULONG* qop) override;

 private:
  struct Call;

  LegResult Challenge(const LegArguments& arguments, bool stale);
  LegResult ReadResponse(const LegArguments& arguments, Call& call);
  LegResult Verify(const LegArguments& arguments, Call& call);
  LegResult Accept(const LegArguments& arguments, const Call& call,
                   const digest::HashValue& session_hash);

  DigestPackage& package_;
  std::shared_ptr<const DigestServerSettings> settings_;
  DigestRequest request_;
  DigestNonce nonce_;  // of the challenge
  std::string username_;
  digest::HashValue session_hash_;
  std::unique_ptr<DigestSaslLayer> layer_;  // null: not established
};

}  // namespace ktlsim::sspi
