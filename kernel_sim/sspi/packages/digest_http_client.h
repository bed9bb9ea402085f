// The client of HTTP Digest: a response to a challenge, signatures for the requests after it, and
// what the server proves of itself.
//
// What a newcomer gets wrong: the count of a nonce belongs to the package's cache, not to the
// context. A request whose header would not fit uses none up.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/digest/bindings.h"
#include "kernel_sim/digest/challenge.h"
#include "kernel_sim/digest/client_cache.h"
#include "kernel_sim/digest/response.h"
#include "kernel_sim/sspi/packages/digest_buffers.h"
#include "kernel_sim/sspi/packages/digest_credentials.h"
#include "kernel_sim/sspi/packages/digest_settings.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

class DigestPackage;

class DigestHttpClient final : public PackageContext {
 public:
  explicit DigestHttpClient(DigestPackage& package) : package_(package) {}
  ~DigestHttpClient() override;

  LegResult Leg(const LegArguments& arguments) override;
  SECURITY_STATUS MakeSignature(ULONG qop, SecBufferDesc& message, ULONG sequence) override;
  // Never suspends.
  CallResult VerifySignature(PackageCall& call, SecBufferDesc& message, ULONG sequence,
                             ULONG* qop) override;
  SECURITY_STATUS Query(const AttributeQuery& query) override;
  CallResult End(PackageCall& call, bool may_suspend) override;

 private:
  // What is fixed for all requests of one nonce, beside what the cache has.
  struct Signer {
    std::string username;  // as it is sent
    digest::UsernameForm form = digest::UsernameForm::kPlain;
    digest::Qop qop = digest::Qop::kAuth;
    digest::HashValue account_hash;
    std::string name;  // of the user, for attributes
    digest::Bindings bindings;
    std::string coverage;  // of `bindings`, for client nonces; empty: there are none
  };
  struct Request {
    std::string_view method;
    std::string_view uri;
    std::string entity_hash;
  };

  SECURITY_STATUS ReadChallenge(const DigestInput& input, digest::Challenge* challenge,
                                const char** reason) const;
  // The account's hash and the name to be sent, for this challenge.
  SECURITY_STATUS MakeSigner(DigestCredential& credential, const digest::Challenge& challenge,
                             digest::Qop qop, std::string* realm, Signer* signer,
                             const char** reason) const;
  // For a challenge with stale: the account is the same, as far as it can be known.
  SECURITY_STATUS RenewSigner(const LegArguments& arguments, const digest::Challenge& challenge,
                              digest::Qop qop, std::string* realm, Signer* signer,
                              const char** reason) const;
  // Writes the header for the use number `count` into `room`, which has kDigestTokenBytesMax.
  SECURITY_STATUS BindSigner(const DigestInput& input, Signer* signer, const char** reason) const;
  static std::string ClientNonce(const Signer& signer, std::string_view nonce,
                                 std::string_view drawn);
  SECURITY_STATUS Sign(const Signer& signer, const digest::ClientFacts& facts, std::uint32_t count,
                       const Request& request, std::string_view cnonce, std::span<char> room,
                       std::size_t* bytes) const;

  // Whether the server knows the key, and speaks of the request that `sent` was the header of.
  SECURITY_STATUS CheckServer(const digest::ClientFacts& facts, const digest::Response& sent,
                              const digest::AuthenticationInfo& info,
                              std::string entity_hash) const;
  // The nonce that the server wants to see next.
  SECURITY_STATUS TakeNextNonce(const digest::ClientFacts& facts, std::string_view nonce);

  LegResult Establish(const LegArguments& arguments, const DigestRequest& flags, Signer signer,
                      std::shared_ptr<const digest::ClientFacts> facts, std::string_view header);

  DigestPackage& package_;
  DigestRequest request_;
  Signer signer_;
  digest::ClientCache::EntryId entry_ = 0;
  std::int64_t since_ = 0;  // established, in seconds since 1970
};

}  // namespace ktlsim::sspi
