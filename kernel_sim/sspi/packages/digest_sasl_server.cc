#include "kernel_sim/sspi/packages/digest_sasl_server.h"

#include <array>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/digest/calculation.h"
#include "kernel_sim/digest/nonce.h"
#include "kernel_sim/sspi/packages/digest_buffers.h"
#include "kernel_sim/sspi/packages/digest_credentials.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {
namespace {

using digest::Qop;

std::uint64_t NowMs(const PackageHost& host) {
  return static_cast<std::uint64_t>(host.wall_seconds()) * 1000;
}

}  // namespace

// One leg over its suspensions.
struct DigestSaslServer::Call final : PackageCallState {
  std::string token;
  DigestRequest request;
  digest::SaslResponse response;
  bool stale = false;  // the nonce has expired
  DigestVerification verification;
  bool asked = false;

  digest::Attempt attempt() const {
    digest::Attempt made;
    made.algorithm = digest::Algorithm::kMd5Sess;
    made.name = {.hash_id = digest::HashId::kMd5,
                 .username = response.username,
                 .username_hashed = false,
                 .realm = response.realm};
    made.nonce = response.nonce_facts();
    made.request = {.method = digest::kSaslMethod,
                    .uri = response.digest_uri,
                    .entity_hash = digest::kSaslEntityHash};
    made.response = &response.response;
    made.sasl = true;
    made.authzid = response.authzid;
    return made;
  }
};

LegResult DigestSaslServer::Leg(const LegArguments& arguments) {
  std::unique_ptr<PackageCallState>& kept = arguments.call->state;
  if (arguments.call->run == CallRun::kStopping) return EndLeg(SEC_E_SHUTDOWN_IN_PROGRESS);
  if (kept != nullptr) return Verify(arguments, static_cast<Call&>(*kept));
  if (layer_ != nullptr) return EndLeg(kLogonFailure, "the context is established already");
  auto made = std::make_unique<Call>();
  Call& call = *made;
  const char* reason = nullptr;
  SECURITY_STATUS status = ReadAcceptFlags(arguments.flags, &call.request, &reason);
  DigestInput input;
  if (status == SEC_E_OK) status = ReadDigestInput(arguments.input, &input);
  // Nothing carries channel bindings in this mechanism, so that a server that asks for them gets
  // none.
  if (status == SEC_E_OK && !input.channel_bindings.empty()) status = SEC_E_BAD_BINDINGS;
  if (status != SEC_E_OK) return EndLeg(status, reason);
  if (arguments.credential != nullptr) {
    settings_ = static_cast<DigestCredential&>(*arguments.credential).settings();
  }
  if (settings_ == nullptr) return EndLeg(SEC_E_INVALID_HANDLE);
  call.token = input.token;
  kept = std::move(made);
  if (nonce_.number == 0) request_ = call.request;
  return call.token.empty() ? Challenge(arguments, false) : ReadResponse(arguments, call);
}

LegResult DigestSaslServer::Challenge(const LegArguments& arguments, bool stale) {
  const std::shared_ptr<DigestStore> store = package_.Store();
  if (store == nullptr) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  const std::shared_ptr<const digest::NonceMint> mint =
      store->MintFor(settings_->server, settings_->realm);
  const ForkGate::Scope inside;
  digest::NonceText nonce;
  const std::uint32_t number = nonce_.number + 1;
  if (!mint->Mint(NowMs(package_.package_host()), {.epoch = 0, .number = number}, digest::Opaque(),
                  &nonce)) {
    return EndLeg(SEC_E_INSUFFICIENT_MEMORY, "there are no random numbers, or no memory");
  }
  digest::SaslChallenge challenge;
  challenge.realms.front() = settings_->realm;
  challenge.realm_count = settings_->realm.empty() ? 0 : 1;
  challenge.nonce = nonce.view();
  challenge.qops = {request_.qop};
  if (request_.qop == Qop::kAuthConf) challenge.ciphers = digest::AvailableSaslCiphers();
  challenge.stale = stale;
  challenge.utf8 = true;
  if (request_.qop == Qop::kAuthConf && challenge.ciphers.empty()) {
    return EndLeg(SEC_E_SECURITY_QOS_FAILED, "OpenSSL has none of the ciphers of auth-conf");
  }
  std::array<char, digest::kSaslChallengeBytesMax> room;
  const digest::Written written = digest::FormatSaslChallenge(challenge, room);
  if (written.fault != digest::Fault::kNone)
    return EndLeg(SEC_E_INVALID_TOKEN, ReasonOf(written.fault));
  LegResult result;
  result.status = PlaceDigestToken(arguments.output, 0, request_.allocates,
                                   {room.data(), written.bytes}, &result.attributes);
  if (result.status != SEC_E_OK) return result;
  nonce_ = {.text = std::string(nonce.view()), .number = number, .epoch = 0};
  result.status = SEC_I_CONTINUE_NEEDED;
  result.attributes |= AcceptAttributesOf(request_.qop, request_);
  return result;
}

LegResult DigestSaslServer::ReadResponse(const LegArguments& arguments, Call& call) {
  const digest::Fault fault = digest::ParseSaslResponse(call.token, &call.response);
  if (fault != digest::Fault::kNone) return EndLeg(StatusOfResponseFault(fault), ReasonOf(fault));
  const digest::SaslResponse& response = call.response;
  const bool offered =
      response.qop == request_.qop &&
      (response.qop != Qop::kAuthConf || digest::AvailableSaslCiphers().Has(response.cipher));
  if (!offered || response.nonce_count != 1) {
    return EndLeg(SEC_E_INVALID_TOKEN,
                  "a quality or a cipher that was not offered, or no first use");
  }
  if (!nonce_.Is(response.nonce)) return EndLeg(SEC_E_LOGON_DENIED);
  const std::shared_ptr<DigestStore> store = package_.Store();
  if (store == nullptr) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  const std::shared_ptr<const digest::NonceMint> mint =
      store->MintFor(settings_->server, settings_->realm);
  {
    const ForkGate::Scope inside;
    const digest::NonceKind kind =
        mint->Judge(response.nonce, NowMs(package_.package_host()), settings_->unanswered_ms).kind;
    if (kind == digest::NonceKind::kNoMemory) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
    if (kind == digest::NonceKind::kForeign) return EndLeg(SEC_E_LOGON_DENIED);
    call.stale = kind == digest::NonceKind::kExpired;
  }
  return Verify(arguments, call);
}

LegResult DigestSaslServer::Verify(const LegArguments& arguments, Call& call) {
  const executive::ResumeToken token = arguments.call->Token();
  const digest::Attempt attempt = call.attempt();
  digest::HashValue session_hash;
  const DigestVerdict verdict =
      std::exchange(call.asked, true)
          ? call.verification.GoOn(attempt, token, &session_hash)
          : call.verification.Begin(*settings_, attempt, token, &session_hash);
  if (verdict == DigestVerdict::kPending && arguments.call->run != CallRun::kTimedOut) {
    LegResult result;
    result.suspended = true;
    result.limit_ms = settings_->wait_ms;
    return result;
  }
  if (verdict == DigestVerdict::kPending || verdict == DigestVerdict::kNobodyToAsk) {
    return EndLeg(SEC_E_NO_AUTHENTICATING_AUTHORITY, "the users are not to be had");
  }
  if (verdict == DigestVerdict::kNoMemory) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  // As much work for a realm that cannot be right. Nobody may act as somebody else.
  const digest::SaslResponse& response = call.response;
  const bool possible = response.realm == settings_->realm &&
                        (response.authzid.empty() || response.authzid == response.username);
  if (verdict != DigestVerdict::kRight || !possible) return EndLeg(SEC_E_LOGON_DENIED);
  return call.stale ? Challenge(arguments, true) : Accept(arguments, call, session_hash);
}

LegResult DigestSaslServer::Accept(const LegArguments& arguments, const Call& call,
                                   const digest::HashValue& session_hash) {
  const ForkGate::Scope inside;
  const digest::SaslResponse& response = call.response;
  digest::Hasher hasher(digest::HashId::kMd5);
  digest::HashValue rspauth;
  if (!digest::ComputeRspauth(hasher, session_hash, response.nonce_facts(),
                              {.method = digest::kSaslMethod,
                               .uri = response.digest_uri,
                               .entity_hash = digest::kSaslEntityHash},
                              &rspauth)) {
    return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  }
  std::array<char, 64> room;
  const digest::Written written = digest::FormatSaslRspauth(rspauth, room);
  std::unique_ptr<DigestSaslLayer> layer =
      DigestSaslLayer::Create(Direction::kInbound,
                              {.qop = response.qop,
                               .cipher = response.cipher,
                               .peer_maxbuf = response.maxbuf,
                               .since = package_.package_host().wall_seconds(),
                               .target = std::string(response.digest_uri)},
                              session_hash);
  if (layer == nullptr) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  std::string username(response.username);
  LegResult result;
  result.status = PlaceDigestToken(arguments.output, 0, call.request.allocates,
                                   {room.data(), written.bytes}, &result.attributes);
  if (result.status != SEC_E_OK) return result;
  layer_ = std::move(layer);
  username_ = std::move(username);
  session_hash_ = session_hash;
  nonce_ = {};
  result.established = true;
  result.attributes |= AcceptAttributesOf(response.qop, request_) | ASC_RET_MUTUAL_AUTH;
  return result;
}

SECURITY_STATUS DigestSaslServer::Encrypt(ULONG qop, SecBufferDesc& message, ULONG /*sequence*/) {
  return layer_->Seal(qop, message);
}
SECURITY_STATUS DigestSaslServer::Decrypt(SecBufferDesc& message, ULONG /*sequence*/, ULONG* qop) {
  return layer_->Open(message, qop);
}
SECURITY_STATUS DigestSaslServer::MakeSignature(ULONG qop, SecBufferDesc& message,
                                                ULONG /*sequence*/) {
  return layer_->Sign(qop, message);
}
CallResult DigestSaslServer::VerifySignature(PackageCall& /*call*/, SecBufferDesc& message,
                                             ULONG /*sequence*/, ULONG* qop) {
  *qop = 0;
  return CallResult::Done(layer_->Verify(message));
}

bool DigestSaslServer::Client(security::ClientFacts* facts) const {
  if (layer_ == nullptr) return false;
  facts->client = security::DigestClient{.user = username_, .realm = settings_->realm};
  return true;
}

SECURITY_STATUS DigestSaslServer::Query(const AttributeQuery& query) {
  return layer_->Query(username_,
                       AcceptAttributesOf(layer_->agreement().qop, request_) | ASC_RET_MUTUAL_AUTH,
                       session_hash_, query);
}

}  // namespace ktlsim::sspi
