#include "tls/endpoint_core.h"

#include <algorithm>
#include <new>
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "kernel_sim/base/memory_watch.h"
#include "tls/handshake.h"
#include "tls/key_schedule.h"
#include "tls/ssl_callbacks.h"
#include "tls/system_trust.h"

namespace ktlsim::tls {
namespace {

constexpr long kSessionSeconds = 7200;
constexpr unsigned kTicketsMax = 16;
constexpr const char* kDefaultSuites =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kDefaultGroups = "X25519:P-256";

Status Contract(const char* what) { return {Category::kContract, 0, what}; }
Status Crypto(const char* what) {
  ERR_clear_error();
  return {Category::kCrypto, 0, what};
}

void AppendName(std::string& list, const char* name) {
  if (!list.empty()) list.push_back(':');
  list.append(name);
}

// Puts everything that tells one session apart from another into one hash input; lengths in front,
// so that no two lists of parts read the same.
void AppendPart(std::vector<std::uint8_t>& out, std::span<const std::uint8_t> part) {
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::uint8_t>(part.size() >> shift));
  }
  out.insert(out.end(), part.begin(), part.end());
}

std::span<const std::uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Status EndpointCore::Init() {
  if (options_.versions.min > options_.versions.max) {
    return Contract("the lowest version is above the highest");
  }
  if (options_.tickets > kTicketsMax) return Contract("that many tickets help nobody");
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

  for (Status (EndpointCore::*step)() :
       {&EndpointCore::SetSuites, &EndpointCore::SetGroups, &EndpointCore::LoadCertificates,
        &EndpointCore::SetTrust, &EndpointCore::SetSessions, &EndpointCore::ComputeIdentity}) {
    // A list that memory has cut short is no error to OpenSSL.
    const Status status = UnlessOutOfMemory(ResourceError("no memory for an endpoint"),
                                            [this, step] { return (this->*step)(); });
    if (!status.ok()) return status;
  }
  InstallCallbacks(context, options_);
  ERR_clear_error();
  return {};
}

Status EndpointCore::SetSuites() {
  if (options_.cipher_suites.empty()) options_.cipher_suites = kDefaultSuites;
  std::string tls13;
  std::string tls12;
  std::string_view rest = options_.cipher_suites;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const SuiteInfo* suite = FindSuite(rest.substr(0, end));
    if (suite == nullptr) return Contract("a cipher suite of the list is not known");
    AppendName(suite->version == Version::kTls13 ? tls13 : tls12, suite->openssl_name);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (tls13.empty()) options_.versions.max = Version::kTls12;
  if (tls12.empty()) options_.versions.min = Version::kTls13;
  if (options_.versions.min > options_.versions.max) {
    return Contract("the cipher suites fit none of the versions");
  }
  if (!tls12.empty() && SSL_CTX_set_cipher_list(context_.get(), tls12.c_str()) != 1) {
    return Crypto("OpenSSL refuses the TLS 1.2 cipher suites");
  }
  if (SSL_CTX_set_ciphersuites(context_.get(), tls13.c_str()) != 1 ||
      SSL_CTX_set_min_proto_version(context_.get(), static_cast<int>(options_.versions.min)) != 1 ||
      SSL_CTX_set_max_proto_version(context_.get(), static_cast<int>(options_.versions.max)) != 1) {
    return Crypto("OpenSSL refuses the versions or the TLS 1.3 cipher suites");
  }
  return {};
}

// Only what the rest of the module can tell about: OpenSSL knows more.
Status EndpointCore::SetGroups() {
  constexpr std::array<std::string_view, 5> kKnown = {"X25519", "P-256", "P-384", "P-521", "X448"};
  if (options_.groups.empty()) options_.groups = kDefaultGroups;
  std::string_view rest = options_.groups;
  while (true) {
    const std::size_t end = rest.find(':');
    if (std::ranges::find(kKnown, rest.substr(0, end)) == kKnown.end()) {
      return Contract("a group of the list is not known");
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return SSL_CTX_set1_groups_list(context_.get(), options_.groups.c_str()) == 1
             ? Status()
             : Crypto("OpenSSL refuses the groups");
}

Status EndpointCore::LoadCertificates() { return certificates_.Load(options_, context_.get()); }

Status EndpointCore::SetTrust() {
  if (options_.verification == PeerVerification::kNone) return {};
  if (options_.trust_pem.empty()) {
    const Result<SystemTrust> trust = LoadSystemTrust();
    if (!trust.ok()) return trust.status();
    if (SSL_CTX_set1_verify_cert_store(context_.get(), trust->get()) != 1) {
      return Crypto("OpenSSL refuses the certificates that this system trusts");
    }
  } else {
    X509_STORE* store = SSL_CTX_get_cert_store(context_.get());
    const BioPtr bio(
        BIO_new_mem_buf(options_.trust_pem.data(), static_cast<int>(options_.trust_pem.size())));
    if (bio == nullptr) return ResourceError("no memory for trusted certificates");
    std::size_t count = 0;
    while (true) {
      const X509Ptr trusted(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
      if (trusted == nullptr) break;
      if (X509_STORE_add_cert(store, trusted.get()) != 1) {
        return Crypto("a trusted certificate cannot be used");
      }
      // The names a server tells its clients when it asks for their certificate.
      if (options_.role == Role::kServer) SSL_CTX_add_client_CA(context_.get(), trusted.get());
      ++count;
    }
    ERR_clear_error();
    if (count == 0) return Crypto("there is no PEM certificate among those to trust");
  }
  if (options_.verification_time) {
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context_.get()), *options_.verification_time);
  }
  return {};
}

Status EndpointCore::SetSessions() {
  SSL_CTX* context = context_.get();
  SSL_CTX_set_timeout(context, kSessionSeconds);
  const bool server = options_.role == Role::kServer;
  if (!options_.resumption || (server && options_.tickets == 0)) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
  } else if (server) {
    SSL_CTX_set_num_tickets(context, options_.tickets);
    if (options_.ticket_keys == nullptr) {
      auto keys = TicketKeys::Create();
      if (!keys) return keys.status();
      options_.ticket_keys = std::move(*keys);
    }
  }
  if (options_.resumption && options_.sessions == nullptr && (!server || options_.tickets == 0)) {
    options_.sessions = std::make_shared<MemorySessionStore>();
  }
  const bool external = options_.resumption && (!server || options_.tickets == 0);
  SSL_CTX_set_session_cache_mode(
      context, !external ? SSL_SESS_CACHE_OFF
                         : (server ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_CLIENT) |
                               SSL_SESS_CACHE_NO_INTERNAL | SSL_SESS_CACHE_NO_AUTO_CLEAR);
  return {};
}

Status EndpointCore::ComputeIdentity() {
  std::vector<std::uint8_t> parts;
  for (const Certificate::Ptr& certificate : options_.certificates) {
    AppendPart(parts, certificate->leaf());
  }
  AppendPart(parts, AsBytes(options_.trust_pem));
  const std::array kinds = {static_cast<std::uint8_t>(options_.role),
                            static_cast<std::uint8_t>(options_.verification)};
  AppendPart(parts, kinds);
  Secret hash;
  // Without it sessions of another endpoint could be resumed here.
  if (!Digest(HashId::kSha256, parts, hash)) return Crypto("an endpoint cannot be hashed");
  std::ranges::copy(std::as_const(hash).span(), identity_.begin());
  return {};
}

EndpointCore::IdContext EndpointCore::SessionIdContext(const HandshakeOptions& handshake,
                                                       std::string_view server_name) const {
  IdContext result = identity_;
  result[0] = static_cast<std::uint8_t>(
      result[0] ^ (handshake.verify_peer ? 1 : 0) ^ (handshake.request_client_certificate ? 2 : 0) ^
      (handshake.require_client_certificate ? 4 : 0) ^ (handshake.check_name ? 8 : 0));
  if (server_name.empty()) return result;
  std::vector<std::uint8_t> parts;
  AppendPart(parts, result);
  AppendPart(parts, AsBytes(server_name));
  Secret hash;
  if (!Digest(HashId::kSha256, parts, hash)) throw std::bad_alloc();
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

std::string EndpointCore::ServerSessionKey(std::span<const std::uint8_t> id) const {
  std::string key(identity_.begin(), identity_.end());
  key.append(id.begin(), id.end());
  return key;
}

void EndpointCore::StoreServerSession(SSL_SESSION* session) {
  unsigned size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  StoredSession stored = CopySession(*session);
  if (stored.session != nullptr) {
    options_.sessions->Put(ServerSessionKey({id, size}), std::move(stored));
  }
}

SSL_SESSION* EndpointCore::LookUpServerSession(std::span<const std::uint8_t> id) {
  auto stored = options_.sessions->Get(ServerSessionKey(id));
  if (!stored) return nullptr;
  SSL_SESSION* session = stored->session.get();
  return SSL_SESSION_up_ref(session) == 1 ? session : nullptr;
}

void EndpointCore::RemoveServerSession(SSL_SESSION* session) {
  unsigned size = 0;
  const unsigned char* id = SSL_SESSION_get_id(session, &size);
  options_.sessions->Remove(ServerSessionKey({id, size}));
}

const TicketKeyRing& EndpointCore::ticket_ring() {
  const std::uint64_t generation = options_.ticket_keys->generation();
  if (generation != ring_generation_) {
    ring_ = options_.ticket_keys->Snapshot();
    ring_generation_ = generation;
  }
  return *ring_;
}

StoredSession CopySession(const SSL_SESSION& session) {
  StoredSession stored;
  stored.session.reset(SSL_SESSION_dup(&session), &SSL_SESSION_free);
  stored.expires_at = SSL_SESSION_get_time(&session) + SSL_SESSION_get_timeout(&session);
  stored.single_use = SSL_SESSION_get_protocol_version(&session) == TLS1_3_VERSION;
  return stored;
}

}  // namespace ktlsim::tls
