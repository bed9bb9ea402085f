// The challenges of a server of HTTP Digest.

#include <algorithm>
#include <array>
#include <utility>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/digest/challenge.h"
#include "kernel_sim/sspi/context_buffer.h"
#include "kernel_sim/sspi/packages/buffers.h"
#include "kernel_sim/sspi/packages/digest_buffers.h"
#include "kernel_sim/sspi/packages/digest_http_server.h"
#include "kernel_sim/sspi/packages/digest_package.h"
#include "kernel_sim/sspi/packages/digest_status.h"

namespace ktlsim::sspi {
namespace {

// A challenge has fewer bytes than this.
constexpr std::size_t kChallengeBytesMax = 2048;

}  // namespace

bool DigestHttpServer::MakeNonce(const digest::Opaque& opaque, std::uint32_t number,
                                 std::uint64_t epoch, digest::NonceAsks asks,
                                 DigestNonce* nonce) const {
  const std::shared_ptr<DigestStore> store = package_.Store();
  if (store == nullptr) return false;
  const std::shared_ptr<const digest::NonceMint> mint = store->MintFor(facts_.server, facts_.realm);
  const ForkGate::Scope inside;
  digest::NonceText text;
  if (!mint->Mint(NowMs(), {.epoch = epoch, .number = number}, opaque, &text, asks)) return false;
  *nonce = {.text = std::string(text.view()), .number = number, .epoch = epoch};
  return true;
}

// A nonce with the epoch of the shared store may be used on any node. One that this node counts
// has an epoch that no other node knows.
std::optional<std::uint64_t> DigestHttpServer::EpochOfNext(const Call& call) const {
  const std::shared_ptr<DigestStore> store = package_.Store();
  if (store != nullptr && !call.counts_here && store->IsThere()) return store->epoch();
  const std::shared_ptr<DigestStore> local = package_.LocalStore();
  if (local == nullptr) return std::nullopt;
  return local->epoch();
}

LegResult DigestHttpServer::Challenge(const LegArguments& arguments, const Call& call, bool stale) {
  const bool established = IsEstablished();
  const bool added = !opaque_.has_value();
  std::optional<digest::Opaque> opaque = opaque_;
  if (added) {
    const ForkGate::Scope inside;
    opaque = digest::Opaque::Draw();
  }
  if (!opaque.has_value()) return EndLeg(SEC_E_INTERNAL_ERROR, "there are no random numbers");
  const std::optional<std::uint64_t> epoch = EpochOfNext(call);
  if (!epoch.has_value()) return EndLeg(SEC_E_INSUFFICIENT_MEMORY);
  DigestNonce nonce = next_;
  const digest::NonceAsks asks =
      call.channel.empty() ? digest::NonceAsks::kNothing : digest::NonceAsks::kBindings;
  const bool asks_the_same =
      digest::AsksForBindings(next_.text) == (asks == digest::NonceAsks::kBindings);
  // Requests that come on several connections at once get one and the same new nonce.
  const bool still_good = stale && !added && asks_the_same && next_.number != 0 &&
                          next_.epoch == *epoch && !next_.Is(call.response.nonce) &&
                          Judge(next_.text, settings_->unanswered_ms) == digest::NonceKind::kGood;
  // Other nodes may have come further than this one: the store takes no lower number.
  const std::uint32_t number =
      std::max({next_.number, facts_.nonce.number, call.stored_number}) + 1;
  if (!still_good && !MakeNonce(*opaque, number, *epoch, asks, &nonce)) {
    return EndLeg(SEC_E_INSUFFICIENT_MEMORY, "there are no random numbers, or no memory");
  }
  const DigestIndex::Place place = {.handle = handle_, .established = established, .local = local_};
  if (added) {
    DigestIndex::Ended over;
    const bool unique =
        package_.index().Add(*opaque, Identity(), place, NowNs(), UntilNs(established), &over);
    package_.End(over);
    if (!unique) return EndLeg(SEC_E_INTERNAL_ERROR);
  } else {
    package_.index().Update(*opaque, place, UntilNs(established));
  }
  LegResult result = WriteChallenge(arguments, call, nonce.text, *opaque, stale);
  if (result.status < 0) {
    if (added) package_.index().Remove(*opaque, handle_);
    return result;
  }
  next_ = std::move(nonce);
  opaque_ = opaque;
  return result;
}

LegResult DigestHttpServer::WriteChallenge(const LegArguments& arguments, const Call& call,
                                           std::string_view nonce, const digest::Opaque& opaque,
                                           bool stale) {
  const auto opaque_text = opaque.text();
  digest::Challenge challenge;
  challenge.realm = facts_.realm;
  challenge.nonce = nonce;
  challenge.opaque = {opaque_text.data(), opaque_text.size()};
  challenge.qops = {call.request.qop};
  challenge.stale = stale;
  challenge.utf8 = true;
  LegResult result;
  result.status = SEC_I_CONTINUE_NEEDED;
  result.attributes = AcceptAttributesOf(call.request.qop, call.request);
  // The preferred algorithm, and MD5 for clients that know nothing else.
  const std::array offered = {settings_->algorithms.front(), settings_->algorithms.back()};
  const bool two = settings_->algorithms.size() > 1 && HasDigestToken(arguments.output, 1);
  if (!two) PlaceNothing(arguments.output, 1, call.request.allocates);
  for (std::size_t i = 0; i < (two ? 2 : 1); ++i) {
    challenge.algorithm = offered[i];
    challenge.userhash = settings_->userhash && digest::HashOf(offered[i]) != digest::HashId::kMd5;
    std::array<char, kChallengeBytesMax> room;
    const digest::Written written = digest::FormatChallenge(challenge, room);
    SECURITY_STATUS placed = SEC_E_INVALID_TOKEN;
    if (written.fault == digest::Fault::kNone && written.bytes < room.size()) {
      placed = PlaceDigestToken(arguments.output, i, call.request.allocates,
                                {room.data(), written.bytes}, &result.attributes);
    }
    if (placed == SEC_E_OK) continue;
    if (i == 1 && call.request.allocates) {
      SecBuffer* const first = FindBuffer(arguments.output, SECBUFFER_TOKEN);
      ReleaseContextBuffer(std::exchange(first->pvBuffer, nullptr));
      first->cbBuffer = 0;
    }
    return EndLeg(placed, placed == SEC_E_INVALID_TOKEN ? "the realm is too long" : nullptr);
  }
  return result;
}

}  // namespace ktlsim::sspi
