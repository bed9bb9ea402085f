// The client of SASL's DIGEST-MD5 (RFC 2831): response, and the server's proof that it knows the
// password, too.
#pragma once

#include <sspi.h>

#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/digest/hash.h"
#include "kernel_sim/sspi/packages/digest_sasl_layer.h"
#include "kernel_sim/sspi/packages/digest_settings.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

class DigestPackage;

class DigestSaslClient final : public PackageContext {
 public:
  explicit DigestSaslClient(DigestPackage& package) : package_(package) {}

  LegResult Leg(const LegArguments& arguments) override;
  SECURITY_STATUS Encrypt(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  SECURITY_STATUS Decrypt(SecBufferDesc& message, ULONG sequence, ULONG* qop) override;
  SECURITY_STATUS MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  SECURITY_STATUS Query(const AttributeQuery& query) override;
  CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                             ULONG* qop) override;

 private:
  LegResult Respond(const LegArguments& arguments, std::string_view token);
  LegResult CheckServer(const LegArguments& arguments, std::string_view token);

  DigestPackage& package_;
  DigestRequest request_;
  std::string username_;  // UTF-8, for attributes
  digest::HashValue session_hash_;
  digest::HashValue expected_;  // the server's rspauth; empty: no response was sent
  SaslAgreement agreement_;
  std::unique_ptr<DigestSaslLayer> layer_;  // null: not established
};

}  // namespace ktlsim::sspi
