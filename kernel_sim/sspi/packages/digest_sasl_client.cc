#include "kernel_sim/sspi/packages/digest_sasl_client.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/charset.h"
#include "kernel_sim/digest/response.h"
#include "kernel_sim/digest/sasl_messages.h"
#include "kernel_sim/sspi/packages/digest_buffers.h"
#include "kernel_sim/sspi/packages/digest_cnonce.h"
#include "kernel_sim/sspi/packages/digest_credentials.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {
namespace {

using digest::Qop;

// As it is hashed: what fits into ISO 8859-1 is hashed in it, whatever was agreed (RFC 2831
// 2.1.2.1). Empty: it cannot be expressed.
std::optional<std::string> AsHashed(std::string_view text, bool unicode, bool utf8) {
  if (!unicode) return std::string(text);
  std::optional<std::string> latin1 = digest::Utf8ToLatin1(text);
  if (!latin1.has_value() && utf8) return std::string(text);
  return latin1;
}

// The texts of the account for one challenge; the password is wiped.
struct Account {
  std::string user;
  std::string realm;
  std::string password;
  std::string sent_user;
  std::string sent_realm;

  ~Account() { OPENSSL_cleanse(password.data(), password.size()); }
};

SECURITY_STATUS ReadAccount(const DigestIdentity& identity, const digest::SaslChallenge& challenge,
                            Account* account) {
  const std::optional<DigestPassword> kept = identity.UsePassword();
  if (!kept || identity.user.empty()) return SEC_E_NO_CREDENTIALS;
  const auto hashed = [&](std::string_view text) {
    return AsHashed(text, identity.unicode, challenge.utf8);
  };
  std::optional<std::string> user = hashed(identity.user);
  std::optional<std::string> password = hashed(kept->text);
  if (password.has_value()) account->password.swap(*password);
  const std::string_view offered =
      challenge.realm_count == 0 ? std::string_view() : challenge.realms.front();
  std::optional<std::string> realm =
      identity.domain.empty() ? std::string(offered) : hashed(identity.domain);
  if (!user.has_value() || !password.has_value() || !realm.has_value()) {
    return SEC_E_NO_CREDENTIALS;
  }
  account->sent_user = challenge.utf8 ? identity.user : *user;
  account->sent_realm = identity.domain.empty() || !challenge.utf8 ? *realm : identity.domain;
  account->user = std::move(*user);
  account->realm = std::move(*realm);
  return SEC_E_OK;
}

// What both want, and the strongest cipher that both have.
bool Agree(const digest::SaslChallenge& challenge, Qop wanted, SaslAgreement* agreement) {
  agreement->peer_maxbuf = challenge.maxbuf;
  const digest::SaslCipherSet own = digest::AvailableSaslCiphers();
  const auto cipher = std::ranges::find_if(digest::kSaslCiphers, [&](digest::SaslCipher one) {
    return own.Has(one) && challenge.ciphers.Has(one);
  });
  const bool can_seal = cipher != digest::kSaslCiphers.end();
  if (can_seal) agreement->cipher = *cipher;
  for (const Qop qop : {wanted, Qop::kAuth, Qop::kAuthInt, Qop::kAuthConf}) {
    if (!challenge.qops.Has(qop) || (qop == Qop::kAuthConf && !can_seal)) continue;
    agreement->qop = qop;
    return true;
  }
  return false;
}

// Fills in the response's own proof; `expected` is the server's. False: no memory.
bool ComputeProofs(const Account& account, digest::SaslResponse* response,
                   digest::HashValue* session, digest::HashValue* expected) {
  const digest::RequestFacts request = {.method = digest::kSaslMethod,
                                        .uri = response->digest_uri,
                                        .entity_hash = digest::kSaslEntityHash};
  const digest::NonceFacts nonce = response->nonce_facts();
  digest::Hasher hasher(digest::HashId::kMd5);
  digest::HashValue account_hash;
  return digest::ComputeAccountHash(hasher, account.user, account.realm, account.password,
                                    &account_hash) &&
         digest::ComputeSaslSessionHash(hasher, account_hash, nonce.nonce, nonce.cnonce, {},
                                        session) &&
         digest::ComputeResponse(hasher, *session, nonce, request, &response->response) &&
         digest::ComputeRspauth(hasher, *session, nonce, request, expected);
}

}  // namespace

LegResult DigestSaslClient::Leg(const LegArguments& arguments) {
  const char* reason = nullptr;
  DigestRequest request;
  SECURITY_STATUS status = ReadInitializeFlags(arguments.flags, &request, &reason);
  DigestInput input;
  if (status == SEC_E_OK) status = ReadDigestInput(arguments.input, &input);
  if (status != SEC_E_OK) return EndLeg(status, reason);
  if (layer_ != nullptr) return EndLeg(SEC_E_INVALID_TOKEN, "the context is established already");
  if (!expected_.empty()) return CheckServer(arguments, input.token);
  request_ = request;
  if (input.token.empty()) {
    // The server speaks first.
    PlaceNothing(arguments.output, 0, request.allocates);
    LegResult result;
    result.status = SEC_I_CONTINUE_NEEDED;
    return result;
  }
  return Respond(arguments, input.token);
}

LegResult DigestSaslClient::Respond(const LegArguments& arguments, std::string_view token) {
  const ForkGate::Scope inside;
  if (arguments.credential == nullptr) return EndLeg(SEC_E_INVALID_HANDLE);
  if (arguments.target_name.empty()) return EndLeg(SEC_E_TARGET_UNKNOWN);
  digest::SaslChallenge challenge;
  const digest::Fault fault = digest::ParseSaslChallenge(token, &challenge);
  if (fault != digest::Fault::kNone) return EndLeg(StatusOfChallengeFault(fault), ReasonOf(fault));
  SaslAgreement agreement;
  agreement.target = arguments.target_name;
  if (!Agree(challenge, request_.qop, &agreement)) return EndLeg(SEC_E_QOP_NOT_SUPPORTED);
  Account account;
  const DigestIdentity& identity = static_cast<DigestCredential&>(*arguments.credential).identity();
  const SECURITY_STATUS status = ReadAccount(identity, challenge, &account);
  if (status != SEC_E_OK) return EndLeg(status, "there is no user, or it cannot be expressed");

  DigestCnonce cnonce;
  if (!cnonce.Draw(package_.package_host())) {
    return EndLeg(SEC_E_INTERNAL_ERROR, "there are no random numbers");
  }
  const digest::NcText nc(1);
  digest::SaslResponse response;
  response.username = account.sent_user;
  response.realm = account.sent_realm;
  response.nonce = challenge.nonce;
  response.cnonce = cnonce.view();
  response.nc = nc.view();
  response.digest_uri = arguments.target_name;
  response.opaque = challenge.opaque;
  response.qop = agreement.qop;
  response.cipher = agreement.cipher;
  response.utf8 = challenge.utf8;
  digest::HashValue session;
  digest::HashValue expected;
  if (!ComputeProofs(account, &response, &session, &expected)) {
    return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  }
  std::array<char, digest::kSaslResponseBytesMax> room;
  const digest::Written written = digest::FormatSaslResponse(response, room);
  if (written.fault == digest::Fault::kTooLong) return EndLeg(SEC_E_BUFFER_TOO_SMALL);
  if (written.fault != digest::Fault::kNone) return EndLeg(SEC_E_INVALID_TOKEN);
  LegResult result;
  result.status = PlaceDigestToken(arguments.output, 0, request_.allocates,
                                   {room.data(), written.bytes}, &result.attributes);
  if (result.status != SEC_E_OK) return result;
  username_ = identity.user;
  session_hash_ = session;
  expected_ = expected;
  agreement_ = agreement;
  result.status = SEC_I_CONTINUE_NEEDED;
  result.attributes |= InitializeAttributesOf(agreement.qop, request_);
  return result;
}

LegResult DigestSaslClient::CheckServer(const LegArguments& arguments, std::string_view token) {
  const ForkGate::Scope inside;
  digest::HashValue rspauth;
  const digest::Fault fault = digest::ParseSaslRspauth(token, &rspauth);
  if (fault != digest::Fault::kNone) return EndLeg(StatusOfChallengeFault(fault), ReasonOf(fault));
  if (!digest::ConstantTimeEqual(rspauth.raw(), expected_.raw())) {
    return EndLeg(SEC_E_WRONG_PRINCIPAL, "the server does not know the password");
  }
  agreement_.since = package_.package_host().wall_seconds();
  layer_ = DigestSaslLayer::Create(Direction::kOutbound, agreement_, session_hash_);
  if (layer_ == nullptr) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  PlaceNothing(arguments.output, 0, request_.allocates);
  LegResult result;
  result.status = SEC_E_OK;
  result.established = true;
  result.attributes = InitializeAttributesOf(agreement_.qop, request_) | ISC_RET_MUTUAL_AUTH;
  return result;
}

SECURITY_STATUS DigestSaslClient::Encrypt(ULONG qop, SecBufferDesc& message, ULONG /*sequence*/) {
  return layer_->Seal(qop, message);
}
SECURITY_STATUS DigestSaslClient::Decrypt(SecBufferDesc& message, ULONG /*sequence*/, ULONG* qop) {
  return layer_->Open(message, qop);
}
SECURITY_STATUS DigestSaslClient::MakeSignature(ULONG qop, SecBufferDesc& message,
                                                ULONG /*sequence*/) {
  return layer_->Sign(qop, message);
}
CallResult DigestSaslClient::VerifySignature(PackageCall& /*call*/, SecBufferDesc& message,
                                             ULONG /*sequence*/, ULONG* qop) {
  *qop = 0;
  return CallResult::Done(layer_->Verify(message));
}

SECURITY_STATUS DigestSaslClient::Query(const AttributeQuery& query) {
  return layer_->Query(username_,
                       InitializeAttributesOf(agreement_.qop, request_) | ISC_RET_MUTUAL_AUTH,
                       session_hash_, query);
}

}  // namespace ktlsim::sspi
