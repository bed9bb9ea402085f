#include "kernel_sim/sspi/packages/digest_http_client.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include <openssl/crypto.h>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/digest/bindings.h"
#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/charset.h"
#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/packages/digest_attributes.h"
#include "kernel_sim/sspi/packages/digest_cnonce.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {
namespace {

using digest::ClientCache;
using digest::ClientFacts;
using digest::Qop;

// A text of the identity as it is hashed: UTF-8 if the server names it, else ISO 8859-1; that of an
// ANSI identity as it is. Empty: it cannot be expressed.
std::optional<std::string> InCharset(std::string_view text, bool unicode, bool utf8) {
  if (!unicode || utf8) return std::string(text);
  return digest::Utf8ToLatin1(text);
}

// Integrity where both want it; what the server offers otherwise.
Qop ChooseQop(const digest::Challenge& challenge, Qop wanted) {
  if (challenge.qops.Has(wanted)) return wanted;
  return challenge.qops.Has(Qop::kAuth) ? Qop::kAuth : Qop::kAuthInt;
}

// H(A1) of the context.
bool ComputeKey(const digest::HashValue& account_hash, std::string_view cnonce,
                ClientFacts* facts) {
  const ForkGate::Scope inside;
  digest::Hasher hasher(digest::HashOf(facts->algorithm));
  return digest::ComputeSessionHash(hasher, facts->algorithm, account_hash, facts->nonce, cnonce,
                                    &facts->session_hash);
}

// Wiped.
struct Hashed {
  std::string text;
  ~Hashed() { OPENSSL_cleanse(text.data(), text.size()); }
};

}  // namespace

DigestHttpClient::~DigestHttpClient() {
  if (entry_ != 0) package_.client_cache().Remove(entry_);
}

SECURITY_STATUS DigestHttpClient::ReadChallenge(const DigestInput& input,
                                                digest::Challenge* challenge,
                                                const char** reason) const {
  if (input.token.empty()) {
    *reason = "there is no challenge";
    return SEC_E_INVALID_TOKEN;
  }
  const digest::Fault fault = digest::ParseChallenge(input.token, challenge);
  if (fault != digest::Fault::kNone) *reason = ReasonOf(fault);
  return StatusOfChallengeFault(fault);
}

SECURITY_STATUS DigestHttpClient::MakeSigner(DigestCredential& credential,
                                             const digest::Challenge& challenge, Qop qop,
                                             std::string* realm, Signer* signer,
                                             const char** reason) const {
  const DigestIdentity& identity = credential.identity();
  const std::optional<DigestPassword> kept = identity.UsePassword();
  if (!kept || identity.user.empty()) {
    *reason = "the credential has no user, or the logon session that it is of is over";
    return SEC_E_NO_CREDENTIALS;
  }
  const std::optional<std::string> user =
      InCharset(identity.user, identity.unicode, challenge.utf8);
  std::optional<std::string> password = InCharset(kept->text, identity.unicode, challenge.utf8);
  const std::optional<std::string> own_realm =
      identity.domain.empty() ? std::string(challenge.realm)
                              : InCharset(identity.domain, identity.unicode, challenge.utf8);
  Hashed wiped;
  if (password.has_value()) wiped.text = std::move(*password);
  if (!user.has_value() || !password.has_value() || !own_realm.has_value()) {
    *reason = "user, domain or password cannot be expressed in ISO 8859-1, which the server takes";
    return SEC_E_NO_CREDENTIALS;
  }
  const ForkGate::Scope inside;
  digest::Hasher hasher(digest::HashOf(challenge.algorithm));
  digest::HashValue name_hash;
  if (!digest::ComputeAccountHash(hasher, *user, *own_realm, wiped.text, &signer->account_hash) ||
      !digest::ComputeUserHash(hasher, *user, *own_realm, &name_hash)) {
    return SEC_E_INSUFFICIENT_MEMORY;
  }
  signer->qop = qop;
  signer->name = identity.user;
  if (challenge.userhash) {
    signer->form = digest::UsernameForm::kHashed;
    signer->username = digest::HexText(name_hash).view();
  } else {
    signer->form = digest::IsPrintableAscii(identity.user) ? digest::UsernameForm::kPlain
                                                           : digest::UsernameForm::kExtended;
    signer->username = identity.user;
  }
  *realm = *own_realm;
  return SEC_E_OK;
}

SECURITY_STATUS DigestHttpClient::RenewSigner(const LegArguments& arguments,
                                              const digest::Challenge& challenge, Qop qop,
                                              std::string* realm, Signer* signer,
                                              const char** reason) const {
  if (!challenge.stale) {
    *reason = "the server refuses what was signed with the key of this context";
    return SEC_E_LOGON_DENIED;
  }
  if (arguments.credential != nullptr) {
    return MakeSigner(static_cast<DigestCredential&>(*arguments.credential), challenge, qop, realm,
                      signer, reason);
  }
  ClientCache::Use use;
  const SECURITY_STATUS status = StatusOfCache(package_.client_cache().Look(entry_, &use));
  if (status != SEC_E_OK) return status;
  const bool same_account =
      use.facts->realm == challenge.realm &&
      digest::HashOf(use.facts->algorithm) == digest::HashOf(challenge.algorithm);
  if (!same_account) {
    *reason = "the server asks for another realm or algorithm; pass the credential";
    return SEC_E_NO_CREDENTIALS;
  }
  *signer = signer_;
  signer->qop = qop;
  *realm = use.facts->realm;
  return SEC_E_OK;
}

// What the caller says of its channel and of whom it means; without that, what it said before.
SECURITY_STATUS DigestHttpClient::BindSigner(const DigestInput& input, Signer* signer,
                                             const char** reason) const {
  signer->bindings = signer_.bindings;
  signer->coverage = signer_.coverage;
  if (input.channel_bindings.empty() && !input.names_target) return SEC_E_OK;
  if (input.names_target) signer->bindings.service_name = input.target_host;
  std::string channel;
  const SECURITY_STATUS status = ReadChannel(input.channel_bindings, &channel);
  if (status != SEC_E_OK) {
    *reason = kMalformedBindings;
    return status;
  }
  if (!channel.empty()) signer->bindings.channel = channel;
  if (signer->bindings.channel.empty()) signer->bindings.channel = digest::kNoChannel;
  const ForkGate::Scope inside;
  return digest::MakeCoverage(signer->bindings, &signer->coverage) ? SEC_E_OK
                                                                   : SEC_E_INSUFFICIENT_MEMORY;
}

// Bindings are for a server that asks for them.
std::string DigestHttpClient::ClientNonce(const Signer& signer, std::string_view nonce,
                                          std::string_view drawn) {
  std::string text;
  if (digest::AsksForBindings(nonce)) text = signer.coverage;
  text += drawn;
  return text;
}

SECURITY_STATUS DigestHttpClient::Sign(const Signer& signer, const ClientFacts& facts,
                                       std::uint32_t count, const Request& request,
                                       std::string_view cnonce, std::span<char> room,
                                       std::size_t* bytes) const {
  const ForkGate::Scope inside;
  const digest::NcText nc(count);
  digest::Hasher hasher(digest::HashOf(facts.algorithm));
  digest::Response response;
  response.username = signer.username;
  response.username_form = signer.form;
  response.realm = facts.realm;
  response.nonce = facts.nonce;
  response.opaque = facts.opaque;
  response.uri = request.uri;
  response.cnonce = cnonce;
  if (digest::CoversBindings(cnonce)) {
    response.service_name = signer.bindings.service_name;
    response.channel = signer.bindings.channel;
  }
  response.nc = nc.view();
  response.qop = signer.qop;
  response.algorithm = facts.algorithm;
  std::string entity_hash = request.entity_hash;
  if (!FillEntityHash(signer.qop, hasher, &entity_hash)) return SEC_E_INSUFFICIENT_MEMORY;
  if (!digest::ComputeResponse(
          hasher, facts.session_hash, response.nonce_facts(),
          {.method = request.method, .uri = request.uri, .entity_hash = entity_hash},
          &response.response)) {
    return SEC_E_INSUFFICIENT_MEMORY;
  }
  const digest::Written written = digest::FormatResponse(response, room);
  if (written.fault != digest::Fault::kNone) {
    return written.fault == digest::Fault::kNoMemory ? SEC_E_INSUFFICIENT_MEMORY
                                                     : SEC_E_INVALID_TOKEN;
  }
  *bytes = written.bytes;
  return written.bytes <= room.size() ? SEC_E_OK : SEC_E_BUFFER_TOO_SMALL;
}

LegResult DigestHttpClient::Leg(const LegArguments& arguments) {
  DigestRequest flags;
  const char* reason = nullptr;
  SECURITY_STATUS status = ReadInitializeFlags(arguments.flags, &flags, &reason);
  DigestInput input;
  if (status == SEC_E_OK) status = ReadDigestInput(arguments.input, &input);
  digest::Challenge challenge;
  if (status == SEC_E_OK) status = ReadChallenge(input, &challenge, &reason);
  Request request = {
      .method = input.parameters[0], .uri = arguments.target_name, .entity_hash = {}};
  if (status == SEC_E_OK && request.uri.empty()) status = SEC_E_TARGET_UNKNOWN;
  if (status == SEC_E_OK &&
      (!IsMethod(request.method) || !ReadEntityHash(input.parameters[1], &request.entity_hash))) {
    reason = "the method is no token of HTTP, or the hash of the body is no hash";
    status = SEC_E_INVALID_TOKEN;
  }
  if (status != SEC_E_OK) return EndLeg(status, reason);

  Signer signer;
  auto facts = std::make_shared<ClientFacts>();
  const Qop qop = ChooseQop(challenge, flags.qop);
  if (entry_ != 0) {
    status = RenewSigner(arguments, challenge, qop, &facts->realm, &signer, &reason);
  } else if (arguments.credential == nullptr) {
    status = SEC_E_INVALID_HANDLE;
  } else {
    status = MakeSigner(static_cast<DigestCredential&>(*arguments.credential), challenge, qop,
                        &facts->realm, &signer, &reason);
  }
  if (status == SEC_E_OK) status = BindSigner(input, &signer, &reason);
  if (status != SEC_E_OK) return EndLeg(status, reason);

  DigestCnonce drawn;
  if (!drawn.Draw(package_.package_host())) {
    return EndLeg(SEC_E_INTERNAL_ERROR, "there are no random numbers");
  }
  const std::string cnonce = ClientNonce(signer, challenge.nonce, drawn.view());
  facts->server = arguments.target_name;
  facts->nonce = challenge.nonce;
  facts->opaque = challenge.opaque;
  facts->algorithm = challenge.algorithm;
  if (!ComputeKey(signer.account_hash, cnonce, facts.get())) {
    return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  }
  std::array<char, kDigestTokenBytesMax> room;
  std::size_t bytes = 0;
  status = Sign(signer, *facts, 1, request, cnonce, room, &bytes);
  if (status != SEC_E_OK) return EndLeg(status);
  return Establish(arguments, flags, std::move(signer), std::move(facts), {room.data(), bytes});
}

LegResult DigestHttpClient::Establish(const LegArguments& arguments, const DigestRequest& flags,
                                      Signer signer, std::shared_ptr<const ClientFacts> facts,
                                      std::string_view header) {
  ClientCache& cache = package_.client_cache();
  // An entry of its own, so that nothing has changed when the header does not fit.
  const ClientCache::EntryId added = cache.Put(std::move(facts), 1);
  LegResult result;
  result.status =
      PlaceDigestToken(arguments.output, 0, flags.allocates, header, &result.attributes);
  if (result.status != SEC_E_OK) {
    cache.Remove(added);
    return result;
  }
  if (entry_ != 0) cache.Remove(entry_);
  entry_ = added;
  signer_ = std::move(signer);
  request_ = flags;
  since_ = package_.package_host().wall_seconds();
  result.established = true;
  result.attributes |= InitializeAttributesOf(signer_.qop, flags);
  return result;
}

SECURITY_STATUS DigestHttpClient::MakeSignature(ULONG qop, SecBufferDesc& message,
                                                ULONG /*sequence*/) {
  if (qop != 0) return SEC_E_QOP_NOT_SUPPORTED;
  DigestInput input;
  SECURITY_STATUS status = ReadDigestInput(&message, &input);
  if (status != SEC_E_OK) return status;
  Request request = {.method = input.parameters[0], .uri = input.parameters[1], .entity_hash = {}};
  if (!IsMethod(request.method) || request.uri.empty() || input.padding == nullptr ||
      !ReadEntityHash(input.parameters[2], &request.entity_hash)) {
    package_.package_host().NoteReason(
        "MakeSignature (Digest) takes a method, a URL, a hash of the body, and PADDING for the "
        "header");
    return SEC_E_INVALID_TOKEN;
  }
  if (IsNullWithSize(*input.padding)) return SEC_E_INVALID_TOKEN;
  DigestCnonce drawn;
  if (!drawn.Draw(package_.package_host())) return SEC_E_INTERNAL_ERROR;
  Signer signer = signer_;
  const char* reason = nullptr;
  status = BindSigner(input, &signer, &reason);
  if (status != SEC_E_OK) {
    if (reason != nullptr) package_.package_host().NoteReason(reason);
    return status;
  }
  std::string cnonce;
  const std::span<std::byte> padding = BytesOf(input.padding);
  std::array<char, kDigestTokenBytesMax> made;
  const std::span<char> room = std::span(made).first(std::min(made.size(), padding.size()));
  // A header has the same length for each count, so that one that does not fit uses none up.
  ClientCache& cache = package_.client_cache();
  ClientCache::Use use;
  std::size_t bytes = 0;
  status = StatusOfCache(cache.Look(entry_, &use));
  if (status == SEC_E_OK) {
    cnonce = ClientNonce(signer, use.facts->nonce, drawn.view());
    status = Sign(signer, *use.facts, use.count, request, cnonce, room, &bytes);
  }
  if (status == SEC_E_OK) status = StatusOfCache(cache.Next(entry_, &use));
  if (status == SEC_E_OK) {
    status = Sign(signer, *use.facts, use.count, request, cnonce, room, &bytes);
  }
  if (status != SEC_E_OK) return status;
  std::memcpy(padding.data(), made.data(), bytes);
  input.padding->cbBuffer = static_cast<ULONG>(bytes);
  return SEC_E_OK;
}

CallResult DigestHttpClient::VerifySignature(PackageCall& /*call*/, SecBufferDesc& message,
                                             ULONG /*sequence*/, ULONG* qop) {
  DigestInput input;
  SECURITY_STATUS status = ReadDigestInput(&message, &input);
  if (status != SEC_E_OK) return CallResult::Done(status);
  std::string entity_hash;
  if (input.token.empty() || input.padding_text.empty() ||
      !ReadEntityHash(input.parameters[2], &entity_hash)) {
    return CallResult::Done(SEC_E_INVALID_TOKEN,
                            "VerifySignature (Digest, client) takes Authentication-Info, a method, "
                            "a URL, a hash of the response's body, and in PADDING the header that "
                            "was sent");
  }
  ClientCache::Use use;
  status = StatusOfCache(package_.client_cache().Look(entry_, &use));
  if (status != SEC_E_OK) return CallResult::Done(status);
  digest::Response sent;
  digest::Fault fault = digest::ParseResponse(input.padding_text, &sent);
  if (fault != digest::Fault::kNone) {
    return CallResult::Done(StatusOfResponseFault(fault), ReasonOf(fault));
  }
  digest::AuthenticationInfo info;
  fault = digest::ParseAuthenticationInfo(input.token, sent.algorithm, &info);
  if (fault != digest::Fault::kNone) {
    return CallResult::Done(StatusOfResponseFault(fault), ReasonOf(fault));
  }
  const bool ours = sent.algorithm == use.facts->algorithm && sent.realm == use.facts->realm &&
                    (input.parameters[1].empty() || input.parameters[1] == sent.uri);
  if (!ours) return CallResult::Done(SEC_E_MESSAGE_ALTERED);
  status = CheckServer(*use.facts, sent, info, std::move(entity_hash));
  if (status == SEC_E_OK) status = TakeNextNonce(*use.facts, info.nextnonce);
  *qop = 0;
  return CallResult::Done(status);
}

SECURITY_STATUS DigestHttpClient::CheckServer(const ClientFacts& facts,
                                              const digest::Response& sent,
                                              const digest::AuthenticationInfo& info,
                                              std::string entity_hash) const {
  const ForkGate::Scope inside;
  digest::Hasher hasher(digest::HashOf(facts.algorithm));
  digest::HashValue expected;
  if (!FillEntityHash(sent.qop, hasher, &entity_hash) ||
      !digest::ComputeRspauth(hasher, facts.session_hash, sent.nonce_facts(),
                              {.method = {}, .uri = sent.uri, .entity_hash = entity_hash},
                              &expected)) {
    return SEC_E_INSUFFICIENT_MEMORY;
  }
  std::uint32_t count = 0;
  const bool answers = digest::ParseNc(info.nc, &count) && count == sent.nonce_count &&
                       info.cnonce == sent.cnonce && info.qop == sent.qop;
  return answers && digest::ConstantTimeEqual(expected.raw(), info.rspauth.raw())
             ? SEC_E_OK
             : SEC_E_MESSAGE_ALTERED;
}

// The key of a session algorithm belongs to the nonce of a challenge, so that one of those goes on
// with the nonce that it has.
SECURITY_STATUS DigestHttpClient::TakeNextNonce(const ClientFacts& facts, std::string_view nonce) {
  if (nonce.empty() || nonce == facts.nonce || digest::IsSession(facts.algorithm)) return SEC_E_OK;
  auto next = std::make_shared<ClientFacts>(facts);
  next->nonce = nonce;
  return StatusOfCache(package_.client_cache().Renew(entry_, std::move(next), 0));
}

SECURITY_STATUS DigestHttpClient::Query(const AttributeQuery& query) {
  ClientCache::Use use;
  DigestAttributes attributes;
  attributes.username = signer_.name;
  attributes.flags = InitializeAttributesOf(signer_.qop, request_);
  attributes.since = since_;
  attributes.target = signer_.bindings.service_name;
  if (package_.client_cache().Look(entry_, &use) == ClientCache::Outcome::kOk) {
    attributes.algorithm = use.facts->algorithm;
    attributes.session_hash = &use.facts->session_hash;
  }
  return QueryDigest(attributes, query);
}

CallResult DigestHttpClient::End(PackageCall& /*call*/, bool /*may_suspend*/) {
  package_.client_cache().Remove(std::exchange(entry_, 0));
  return CallResult::Done(SEC_E_OK);
}

}  // namespace ktlsim::sspi
