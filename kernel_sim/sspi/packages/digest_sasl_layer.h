// The security layer of an established SASL context (RFC 2831 2.3, 2.4), in SSPI's buffers.
//
// What a newcomer gets wrong: the numbers of messages are the layer's own; the caller's
// MessageSeqNo is not looked at. A message that cannot be opened ends its direction.
//
// Outgoing and incoming share nothing, so that one thread may be in each.
#pragma once

#include <sspi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "kernel_sim/digest/algorithm.h"
#include "kernel_sim/digest/sasl_layer.h"
#include "kernel_sim/digest/sasl_messages.h"
#include "kernel_sim/sspi/packages/package.h"

namespace ktlsim::sspi {

struct SaslAgreement {
  digest::Qop qop = digest::Qop::kAuth;
  digest::SaslCipher cipher = digest::SaslCipher::kRc4;  // of auth-conf
  std::uint32_t peer_maxbuf = digest::kMaxbufDefault;    // the longest message that it takes
  std::int64_t since = 0;                                // established, in seconds since 1970
  std::string target;  // the service and host that the client means ("digest-uri"), UTF-8
};

class DigestSaslLayer {
 public:
  // Null: no memory, or the cipher is not there. Inside the fork gate.
  static std::unique_ptr<DigestSaslLayer> Create(Direction direction,
                                                 const SaslAgreement& agreement,
                                                 const digest::HashValue& session_hash);

  const SaslAgreement& agreement() const { return agreement_; }
  // As PackageContext::Query; `flags` are ISC_RET_ or ASC_RET_.
  SECURITY_STATUS Query(std::string_view username, ULONG flags,
                        const digest::HashValue& session_hash, const AttributeQuery& query) const;

  // Outgoing. A TOKEN receives the signature of the DATA; for auth-int only.
  SECURITY_STATUS Sign(ULONG qop, SecBufferDesc& message);
  // DATA is sealed in place; what it grows by goes to PADDING. With SECQOP_WRAP_NO_ENCRYPT, which
  // auth-int needs, it is signed only.
  SECURITY_STATUS Seal(ULONG qop, SecBufferDesc& message);

  // Incoming, the same way.
  SECURITY_STATUS Verify(SecBufferDesc& message);
  // DATA, or DATA and PADDING, hold the message as it came; DATA becomes the plaintext.
  SECURITY_STATUS Open(SecBufferDesc& message, ULONG* qop);

 private:
  explicit DigestSaslLayer(const SaslAgreement& agreement) : agreement_(agreement) {}
  SECURITY_STATUS SignInto(SecBufferDesc& message, ULONG type);

  const SaslAgreement agreement_;
  digest::HashValue signs_;     // our messages
  digest::HashValue verifies_;  // the peer's

  digest::Hasher out_hasher_{digest::HashId::kMd5};
  std::uint32_t out_number_ = 0;
  std::unique_ptr<digest::SaslSealer> sealer_;

  digest::Hasher in_hasher_{digest::HashId::kMd5};
  std::uint32_t in_number_ = 0;
  std::unique_ptr<digest::SaslOpener> opener_;
};

}  // namespace ktlsim::sspi
