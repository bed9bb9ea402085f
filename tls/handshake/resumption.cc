#include "tls/handshake/resumption.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <ctime>

#include <openssl/x509.h>

#include "tls/handshake/endpoint_core.h"

namespace ktlsim::tls {
namespace {

// A byte for the format, two numbers, the high byte first, and then the issuers' keys.
constexpr std::uint8_t kFormat = 2;  // 1 had no keys
constexpr std::int64_t kNever = 0;   // as not_after_s: such a session is not resumed
constexpr std::size_t kNumberBytes = 8;
constexpr std::size_t kOriginBytes = 1 + 2 * kNumberBytes;
constexpr std::size_t kKeyBytes = sizeof(IssuerKeys::Key);
// The clocks of machines that share ticket keys may differ a little.
constexpr std::int64_t kClockSkewMs = 60'000;

void Store(std::int64_t number, std::uint8_t* out) {
  for (std::size_t i = 0; i < kNumberBytes; ++i) {
    out[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(number) >> (56 - 8 * i));
  }
}

std::int64_t Load(const std::uint8_t* in) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kNumberBytes; ++i) number = number << 8 | in[i];
  return static_cast<std::int64_t>(number);
}

// kNever for a time that cannot be read.
std::int64_t NotAfterOf(const X509* certificate) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts) != 1) return kNever;
  return timegm(&parts);
}

std::int64_t NotAfterOf(const STACK_OF(X509) * chain) {
  std::int64_t first = SessionOrigin::kNoEnd;
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    first = std::min(first, NotAfterOf(sk_X509_value(chain, i)));
  }
  return first;
}

// The verified chain counts, its root included; if no chain could be built, the certificates that
// were sent.
std::int64_t PeerNotAfter(SSL* ssl) {
  const STACK_OF(X509)* verified = SSL_get0_verified_chain(ssl);
  if (sk_X509_num(verified) > 0) return NotAfterOf(verified);
  const X509* leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr) return SessionOrigin::kNoEnd;
  return std::min(NotAfterOf(leaf), NotAfterOf(SSL_get_peer_cert_chain(ssl)));
}

bool StoreOrigin(const SessionOrigin& origin, SSL_SESSION* session) {
  std::array<std::uint8_t, kOriginBytes + IssuerKeys::kMax * kKeyBytes> bytes{kFormat};
  Store(origin.made_at_ms, bytes.data() + 1);
  Store(origin.not_after_s, bytes.data() + 1 + kNumberBytes);
  std::size_t used = kOriginBytes;
  for (const IssuerKeys::Key& key : origin.issuers.all()) {
    std::ranges::copy(key, bytes.begin() + static_cast<std::ptrdiff_t>(used));
    used += kKeyBytes;
  }
  return SSL_SESSION_set1_ticket_appdata(session, bytes.data(), used) == 1;
}

bool UsesSuiteOf(const SSL* ssl, const SSL_SESSION& session) {
  const SSL_CIPHER* suite = SSL_SESSION_get0_cipher(&session);
  const STACK_OF(SSL_CIPHER)* enabled = SSL_get_ciphers(ssl);
  if (suite == nullptr) return false;
  for (int i = 0; i < sk_SSL_CIPHER_num(enabled); ++i) {
    if (SSL_CIPHER_get_id(sk_SSL_CIPHER_value(enabled, i)) == SSL_CIPHER_get_id(suite)) return true;
  }
  return false;
}

}  // namespace

std::optional<IssuerKeys> IssuersOf(const SSL* ssl) {
  if (SSL_session_reused(ssl) == 1) {
    const std::optional<SessionOrigin> origin = OriginOf(*SSL_get_session(ssl));
    return origin ? origin->issuers : IssuerKeys();
  }
  // A chain that was built but did not pass is there, too.
  if (SSL_get_verify_result(ssl) != X509_V_OK) return IssuerKeys();
  return IssuerKeysOf(SSL_get0_verified_chain(ssl));
}

std::optional<SessionOrigin> OriginOf(const SSL_SESSION& session) {
  void* data = nullptr;
  std::size_t size = 0;
  // Not const in OpenSSL's eyes; nothing is changed.
  auto* asked = const_cast<SSL_SESSION*>(&session);
  if (SSL_SESSION_get0_ticket_appdata(asked, &data, &size) != 1) return std::nullopt;
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  if (bytes == nullptr || size < kOriginBytes || bytes[0] != kFormat) return std::nullopt;
  SessionOrigin origin{Load(bytes + 1), Load(bytes + 1 + kNumberBytes), {}};
  const std::size_t keys = (size - kOriginBytes) / kKeyBytes;
  if (keys > IssuerKeys::kMax || size != kOriginBytes + keys * kKeyBytes) return std::nullopt;
  for (std::size_t i = 0; i < keys; ++i) {
    IssuerKeys::Key key;
    std::copy_n(bytes + kOriginBytes + i * kKeyBytes, kKeyBytes, key.begin());
    origin.issuers.Add(key);
  }
  return origin;
}

std::int64_t EndOf(const EndpointCore& core, const SessionOrigin& origin) {
  const std::int64_t end_ms = origin.made_at_ms + core.options().session_lifespan_ms;
  return std::min((end_ms + 999) / 1000, origin.not_after_s);
}

ResumptionVerdict JudgeResumption(const EndpointCore& core, const SSL* ssl,
                                  const SSL_SESSION& session) {
  const std::optional<SessionOrigin> origin = OriginOf(session);
  if (!origin) return ResumptionVerdict::kUnknownOrigin;
  const std::int64_t now_ms = core.NowMs();
  if (now_ms < origin->made_at_ms - kClockSkewMs ||
      now_ms >= origin->made_at_ms + core.options().session_lifespan_ms) {
    return ResumptionVerdict::kTooOld;
  }
  // As in X509_verify_cert, the second of notAfter itself is no longer valid.
  if (core.VerificationTime() >= origin->not_after_s) return ResumptionVerdict::kExpired;
  return UsesSuiteOf(ssl, session) ? ResumptionVerdict::kGood : ResumptionVerdict::kSuiteRefused;
}

bool DateSession(const EndpointCore& core, SSL* ssl, SSL_SESSION* session) {
  const std::int64_t now_ms = core.NowMs();
  std::optional<SessionOrigin> origin = OriginOf(*session);
  if (!origin) {
    const bool judged = core.options().verification != PeerVerification::kNone;
    origin = SessionOrigin{now_ms, judged ? PeerNotAfter(ssl) : SessionOrigin::kNoEnd, {}};
    if (judged && SSL_is_server(ssl) == 1) {
      const std::optional<IssuerKeys> issuers = IssuersOf(ssl);
      // Without them a client would look like one whose certificate is trusted itself.
      if (!issuers) origin->not_after_s = kNever;
      origin->issuers = issuers.value_or(IssuerKeys());
    }
    if (!StoreOrigin(*origin, session)) return false;
  }
  const std::int64_t rest_s = std::max<std::int64_t>(EndOf(core, *origin) - now_ms / 1000, 0);
  return SSL_SESSION_set_timeout(session, static_cast<long>(rest_s)) == 1;
}

}  // namespace ktlsim::tls
