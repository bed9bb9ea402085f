// A context of Digest. Which of the four it is, HTTP or SASL, client or server, is known with its
// first leg; until then it has nothing.
#pragma once

#include <sspi.h>

#include <memory>
#include <utility>

#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

class DigestPackage;

class DigestContext final : public PackageContext {
 public:
  DigestContext(DigestPackage& package, Direction direction)
      : package_(package), direction_(direction) {}
  // A server's of HTTP, which has begun.
  DigestContext(DigestPackage& package, std::unique_ptr<PackageContext> http_server)
      : package_(package),
        direction_(Direction::kInbound),
        inner_(std::move(http_server)),
        http_(true) {}

  LegResult Leg(const LegArguments& arguments) override;
  bool Client(security::ClientFacts* facts) const override;
  SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop) override;
  SECURITY_STATUS MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  SECURITY_STATUS Query(const AttributeQuery& query) override;
  CallResult CompleteAuthToken(PackageCall& call, SecBufferDesc& message) override;
  CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                             ULONG* qop) override;
  CallResult End(PackageCall& call, bool may_suspend) override;

 private:
  std::unique_ptr<PackageContext> Make(bool http) const;

  DigestPackage& package_;
  const Direction direction_;
  std::unique_ptr<PackageContext> inner_;
  bool http_ = false;
};

}  // namespace ktlsim::sspi
