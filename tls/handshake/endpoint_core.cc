#include "tls/handshake/endpoint_core.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <new>
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "kernel_sim/base/memory_watch.h"
#include "tls/crypto_failure.h"
#include "tls/handshake/announced_lengths.h"
#include "tls/handshake/handshake.h"
#include "tls/handshake/resumption.h"
#include "tls/handshake/ssl_callbacks.h"
#include "tls/identity/system_trust.h"
#include "tls/record/key_schedule.h"
#include "tls/record/secret.h"

namespace ktlsim::tls {
namespace {

constexpr unsigned kTicketsMax = 16;
constexpr long kClientChainBytesMax = 60 * 1024;
constexpr const char* kDefaultSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// All but X448, which is hardly ever used. In TLS 1.2 certificates on the curve of a group that is
// not in the list are refused, too.
constexpr const char* kDefaultGroups = "X25519:P-256:P-384:P-521";
// The names that a server tells its clients when it asks for their certificate. The message has
// room for 65,535 bytes with everything else in it, and not every client reads that much; within a
// record (and Schannel's own limit) each of them does.
constexpr std::size_t kAuthorityNameBytesMax = 16384;

struct NameStackDeleter {
  void operator()(STACK_OF(X509_NAME) * names) const {
    sk_X509_NAME_pop_free(names, &X509_NAME_free);
  }
};
using NameStackPtr = std::unique_ptr<STACK_OF(X509_NAME), NameStackDeleter>;

Status Contract(const char* what) { return {Category::kContract, 0, what}; }

// A caller's text in the form in which a message may show it.
std::string Quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 40;
  std::string quoted = "\"";
  for (const char c : text.substr(0, kShownMax)) quoted += c >= ' ' && c <= '~' ? c : '?';
  return quoted + (text.size() > kShownMax ? "...\"" : "\"");
}

void AppendName(std::string& list, const char* name) {
  if (!list.empty()) list.push_back(':');
  list.append(name);
}

// Puts everything that tells one session apart from another into one hash input; lengths before
// the parts, so that no two lists of them read the same.
void AppendPart(std::vector<std::uint8_t>& out, std::span<const std::uint8_t> part) {
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::uint8_t>(part.size() >> shift));
  }
  out.insert(out.end(), part.begin(), part.end());
}

std::span<const std::uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// A server's own random session IDs are sufficient as keys; OpenSSL compares the id context to see
// for whom a session is.
std::span<const std::byte> IdOf(const SSL_SESSION* session) {
  unsigned size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  return std::as_bytes(std::span(id, size));
}

// What a session holds besides itself: the peer's certificates, parsed, which is a multiple of
// their encoding.
std::size_t BytesHeldBy(SSL* ssl, const SSL_SESSION& session) {
  constexpr std::size_t kSessionBytes = 2048;
  constexpr std::size_t kParsedPerEncoded = 4;
  std::size_t encoded = 0;
  const auto add = [&encoded](X509* certificate) {
    const int size = certificate != nullptr ? i2d_X509(certificate, nullptr) : 0;
    if (size > 0) encoded += static_cast<std::size_t>(size);
  };
  add(SSL_SESSION_get0_peer(const_cast<SSL_SESSION*>(&session)));
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  for (int i = 0; i < sk_X509_num(chain); ++i) add(sk_X509_value(chain, i));
  return kSessionBytes + kParsedPerEncoded * encoded;
}

}  // namespace

Status EndpointCore::Init() {
  if (options_.versions.min > options_.versions.max) {
    return Contract("the lowest version is above the highest");
  }
  if (options_.tickets > kTicketsMax) return Contract("that many tickets help nobody");
  if (options_.session_lifespan_ms < 1 ||
      options_.session_lifespan_ms > EndpointOptions::kLifespanMsMax) {
    return Contract("sessions live between a millisecond and seven days");
  }
  const bool client = options_.role == Role::kClient;
  context_.reset(SSL_CTX_new(client ? TLS_client_method() : TLS_server_method()));
  if (context_ == nullptr) {
    ERR_clear_error();
    return ResourceError("no memory for an SSL_CTX");
  }
  SSL_CTX* context = context_.get();
  if (SSL_CTX_set_app_data(context, this) != 1) {
    ERR_clear_error();
    return ResourceError("no memory for an SSL_CTX");
  }
  SSL_CTX_set_options(
      context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_security_level(context, 2);
  // OpenSSL makes room for what a message announces, protected ones as well.
  SSL_CTX_set_max_cert_list(context, long{AnnouncedLengths::kCertificateMessageBytesMax});

  for (Status (EndpointCore::*step)() :
       {&EndpointCore::SetSuites, &EndpointCore::SetGroups, &EndpointCore::LoadCertificates,
        &EndpointCore::SetTrust, &EndpointCore::SetSessions}) {
    // OpenSSL does not treat a list that a shortage of memory has cut as an error.
    const Status status = UnlessOutOfMemory(ResourceError("no memory for an endpoint"),
                                            [this, step] { return (this->*step)(); });
    if (!status.ok()) return status;
  }
  const Status status = InstallCallbacks(context, options_);
  ERR_clear_error();
  return status;
}

Status EndpointCore::SetSuites() {
  if (options_.cipher_suites.empty()) options_.cipher_suites = kDefaultSuites;
  std::string tls13;
  std::string tls12;
  std::string_view rest = options_.cipher_suites;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const SuiteInfo* suite = FindSuite(rest.substr(0, end));
    if (suite == nullptr) {
      message_ = "the cipher suite " + Quoted(rest.substr(0, end)) + " is not known";
      return Contract("a cipher suite of the list is not known");
    }
    AppendName(suite->version == Version::kTls13 ? tls13 : tls12, suite->openssl_name);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (tls13.empty()) options_.versions.max = Version::kTls12;
  if (tls12.empty()) options_.versions.min = Version::kTls13;
  if (options_.versions.min > options_.versions.max) {
    return Contract("the cipher suites fit none of the versions");
  }
  if (!tls12.empty() && SSL_CTX_set_cipher_list(context_.get(), tls12.c_str()) != 1) {
    return CryptoFailure("OpenSSL refuses the TLS 1.2 cipher suites");
  }
  if (SSL_CTX_set_ciphersuites(context_.get(), tls13.c_str()) != 1 ||
      SSL_CTX_set_min_proto_version(context_.get(), static_cast<int>(options_.versions.min)) != 1 ||
      SSL_CTX_set_max_proto_version(context_.get(), static_cast<int>(options_.versions.max)) != 1) {
    return CryptoFailure("OpenSSL refuses the versions or the TLS 1.3 cipher suites");
  }
  return {};
}

// Only groups that the rest of the module can report: OpenSSL knows more.
Status EndpointCore::SetGroups() {
  constexpr std::array<std::string_view, 5> kKnown = {"X25519", "P-256", "P-384", "P-521", "X448"};
  if (options_.groups.empty()) options_.groups = kDefaultGroups;
  std::string_view rest = options_.groups;
  while (true) {
    const std::size_t end = rest.find(':');
    if (std::ranges::find(kKnown, rest.substr(0, end)) == kKnown.end()) {
      message_ = "the group " + Quoted(rest.substr(0, end)) +
                 " is not one of X25519, P-256, P-384, P-521, X448";
      return Contract("a group of the list is not known");
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return SSL_CTX_set1_groups_list(context_.get(), options_.groups.c_str()) == 1
             ? Status()
             : CryptoFailure("OpenSSL refuses the groups");
}

Status EndpointCore::LoadCertificates() {
  return certificates_.Load(options_, context_.get(), &message_);
}

Status EndpointCore::SetTrust() {
  if (options_.verification == PeerVerification::kNone) return {};
  return options_.trust_pem.empty() ? TrustTheSystem() : TrustPem();
}

Status EndpointCore::TrustTheSystem() {
  const Result<SystemTrust> trust = LoadSystemTrust();
  if (!trust.ok()) return trust.status();
  if (SSL_CTX_set1_verify_cert_store(context_.get(), trust->store.get()) != 1) {
    return CryptoFailure("OpenSSL refuses the certificates that this system trusts");
  }
  trust_identity_ = trust->identity;
  return {};
}

Status EndpointCore::TrustPem() {
  X509_STORE* store = SSL_CTX_get_cert_store(context_.get());
  const BioPtr bio(
      BIO_new_mem_buf(options_.trust_pem.data(), static_cast<int>(options_.trust_pem.size())));
  NameStackPtr names(sk_X509_NAME_new_null());
  if (bio == nullptr || names == nullptr) {
    return ResourceError("no memory for trusted certificates");
  }
  std::size_t name_bytes = 0;
  std::vector<IdContext> hashes;
  while (true) {
    const X509Ptr trusted(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (trusted == nullptr) break;
    IdContext& hash = hashes.emplace_back();
    // OpenSSL reads the extensions when it first needs them, and would take a certificate for
    // malformed ever after if memory failed it then.
    if (X509_check_purpose(trusted.get(), -1, 0) != 1) {
      const Status status = CryptoFailure("a trusted certificate is malformed");
      if (status.category() == Category::kResource) return status;
    }
    if (X509_STORE_add_cert(store, trusted.get()) != 1 ||
        X509_digest(trusted.get(), EVP_sha256(), hash.data(), nullptr) != 1) {
      return CryptoFailure("a trusted certificate cannot be used");
    }
    X509_NAME* const name = X509_NAME_dup(X509_get_subject_name(trusted.get()));
    if (name == nullptr || sk_X509_NAME_push(names.get(), name) == 0) {
      X509_NAME_free(name);
      return CryptoFailure("a trusted certificate cannot be used");
    }
    name_bytes += static_cast<std::size_t>(std::max(i2d_X509_NAME(name, nullptr), 0)) + 2;
  }
  // The end of the text shows as "no start line".
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return CryptoFailure("a certificate among those to trust is damaged");
  }
  ERR_clear_error();
  if (hashes.empty()) return CryptoFailure("there is no PEM certificate among those to trust");
  // The list is optional: without it a client sends what it has (RFC 8446 4.2.4, RFC 5246 7.4.4).
  if (options_.role == Role::kServer && name_bytes <= kAuthorityNameBytesMax) {
    SSL_CTX_set_client_CA_list(context_.get(), names.release());
  }
  return ComputeTrustIdentity(std::move(hashes));
}

Status EndpointCore::ComputeTrustIdentity(std::vector<IdContext> trusted) {
  std::ranges::sort(trusted);
  std::vector<std::uint8_t> parts;
  for (const IdContext& one : trusted) AppendPart(parts, one);
  Secret hash;
  if (!Digest(HashId::kSha256, parts, hash)) return CryptoFailure("SHA-256 cannot be had");
  std::ranges::copy(std::as_const(hash).span(), trust_identity_.begin());
  return {};
}

Status EndpointCore::SetSessions() {
  SSL_CTX* context = context_.get();
  const bool server = options_.role == Role::kServer;
  // JudgeResumption decides; this timeout is for OpenSSL, which counts in seconds.
  SSL_CTX_set_timeout(context, static_cast<long>((options_.session_lifespan_ms + 999) / 1000));
  if (!options_.resumption || (server && options_.tickets == 0)) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  } else if (server) {
    SSL_CTX_set_num_tickets(context, options_.tickets);
    if (options_.ticket_keys == nullptr) {
      auto keys = OwnTicketKeys::Create();
      if (!keys) return keys.status();
      options_.ticket_keys = std::move(*keys);
    }
    // A ticket that holds the client's certificate must not be longer than a ticket can be.
    SSL_CTX_set_max_cert_list(context, kClientChainBytesMax);
    options_.ticket_keys->Cover(options_.session_lifespan_ms / 1000 + 1);
  }
  if (options_.resumption && server && options_.sessions == nullptr) {
    options_.sessions = std::make_shared<MemorySessionStore>();
  }
  if (options_.resumption && !server && options_.client_sessions == nullptr) {
    options_.client_sessions = std::make_shared<MemoryClientSessions>();
  }
  SSL_CTX_set_session_cache_mode(
      context, !options_.resumption
                   ? SSL_SESS_CACHE_OFF
                   : (server ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_CLIENT) |
                         SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
  return {};
}

bool EndpointCore::AsksForCertificate(const HandshakeOptions& handshake) const {
  return options_.verification == PeerVerification::kRequired ||
         options_.verification == PeerVerification::kIfPresented ||
         handshake.require_client_certificate || handshake.request_client_certificate;
}

EndpointCore::IdContext EndpointCore::SessionIdContext(const HandshakeOptions& handshake,
                                                       std::string_view server_name) const {
  const bool server = options_.role == Role::kServer;
  const bool judges =
      server ? AsksForCertificate(handshake) : options_.verification != PeerVerification::kNone;
  const std::array kinds = {static_cast<std::uint8_t>(options_.role),
                            static_cast<std::uint8_t>(options_.verification),
                            static_cast<std::uint8_t>(handshake.verify_peer),
                            static_cast<std::uint8_t>(handshake.request_client_certificate),
                            static_cast<std::uint8_t>(handshake.require_client_certificate),
                            static_cast<std::uint8_t>(handshake.check_name),
                            static_cast<std::uint8_t>(handshake.check_revocation)};
  std::vector<std::uint8_t> parts;
  AppendPart(parts, kinds);
  AppendPart(parts, judges ? std::span<const std::uint8_t>(trust_identity_)
                           : std::span<const std::uint8_t>());
  if (server) {
    for (const Certificate* one : certificates_.AnswerTo(server_name)) {
      AppendPart(parts, one->leaf());
    }
    AppendPart(parts, AsBytes(handshake.resumption_key));
  }
  AppendPart(parts, AsBytes(server_name));
  Secret hash;
  if (!Digest(HashId::kSha256, parts, hash)) throw std::bad_alloc();
  IdContext result;
  std::ranges::copy(std::as_const(hash).span(), result.begin());
  return result;
}

std::string EndpointCore::SessionKey(const HandshakeOptions& handshake) const {
  const IdContext context = SessionIdContext(handshake);
  std::string key(context.begin(), context.end());
  key.append(handshake.target_name);
  key.push_back('\0');
  key.append(handshake.resumption_key);
  return key;
}

std::int64_t EndpointCore::NowMs() const {
  if (options_.clock_ms != nullptr) return options_.clock_ms();
  using std::chrono::milliseconds;
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::int64_t EndpointCore::VerificationTime() const {
  return options_.verification_time.value_or(NowS());
}

void EndpointCore::StoreServerSession(SSL* ssl, SSL_SESSION* session) {
  const ClientSession copy = CopySession(ssl, *session);
  const std::int64_t lifetime_s = copy.expires_at - NowS();
  if (copy.session == nullptr || lifetime_s < 1) return;
  const int size = i2d_SSL_SESSION(copy.session.get(), nullptr);
  if (size <= 0) return;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
  unsigned char* at = bytes.data();
  if (i2d_SSL_SESSION(copy.session.get(), &at) == size) {
    options_.sessions->Put(IdOf(session), std::as_bytes(std::span(bytes)), lifetime_s);
  }
  Wipe(std::span(bytes));
}

void EndpointCore::RemoveServerSession(SSL_SESSION* session) {
  const std::span<const std::byte> id = IdOf(session);
  const bool stored = SSL_SESSION_get_protocol_version(session) == TLS1_2_VERSION && !id.empty();
  if (stored) options_.sessions->Remove(id);
}

ClientSession EndpointCore::CopySession(SSL* ssl, const SSL_SESSION& session) const {
  ClientSession stored;
  // RFC 8446 4.6.1: to be thrown away at once.
  const bool tls13 = SSL_SESSION_get_protocol_version(&session) == TLS1_3_VERSION;
  const auto hint_s = static_cast<std::int64_t>(SSL_SESSION_get_ticket_lifetime_hint(&session));
  if (tls13 && options_.role == Role::kClient && hint_s == 0) return stored;
  stored.session.reset(SSL_SESSION_dup(&session), &SSL_SESSION_free);
  if (stored.session == nullptr || !DateSession(*this, ssl, stored.session.get())) {
    ERR_clear_error();
    return {};
  }
  stored.expires_at = EndOf(*this, OriginOf(*stored.session).value_or(SessionOrigin()));
  if (hint_s > 0) stored.expires_at = std::min(stored.expires_at, NowS() + hint_s);
  stored.single_use = tls13;
  stored.bytes = BytesHeldBy(ssl, session);
  return stored;
}

}  // namespace ktlsim::tls
