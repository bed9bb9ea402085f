#include "tls/handshake/takeover.h"

#include <algorithm>
#include <array>
#include <utility>

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/ssl.h>

#include "tls/handshake/endpoint_core.h"
#include "tls/handshake/resumption.h"
#include "tls/identity/verify_error.h"

namespace ktlsim::tls {
namespace {

Status TakeOverFailed() {
  ERR_clear_error();
  return ResourceError("no memory to take a connection over");
}

struct Directions {
  ProtectionState read;
  ProtectionState write;
};

std::uint16_t GroupOf(SSL* ssl) {
  constexpr std::array kGroups = {std::pair{NID_X25519, 29}, std::pair{NID_X9_62_prime256v1, 23},
                                  std::pair{NID_secp384r1, 24}, std::pair{NID_secp521r1, 25},
                                  std::pair{NID_X448, 30}};
  const long nid = SSL_get_negotiated_group(ssl);
  for (const auto& [known, group] : kGroups) {
    if (nid == known) return static_cast<std::uint16_t>(group);
  }
  return 0;
}

// RFC 6066 4. OpenSSL accepts the extension whenever a client offers it, and keeps what was agreed
// on with the session.
std::size_t FragmentBytesMax(const SSL* ssl) {
  switch (SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl))) {
    case TLSEXT_max_fragment_length_512:
      return 512;
    case TLSEXT_max_fragment_length_1024:
      return 1024;
    case TLSEXT_max_fragment_length_2048:
      return 2048;
    case TLSEXT_max_fragment_length_4096:
      return 4096;
    default:
      return kFragmentBytesMax;
  }
}

// SignatureScheme of RFC 8446 4.2.3 from OpenSSL's two numbers.
std::uint16_t SchemeOf(int type, int digest) {
  struct Scheme {
    int type;
    int digest;
    std::uint16_t code;
  };
  constexpr std::array kSchemes = {
      Scheme{EVP_PKEY_EC, NID_sha256, 0x0403},      Scheme{EVP_PKEY_EC, NID_sha384, 0x0503},
      Scheme{EVP_PKEY_EC, NID_sha512, 0x0603},      Scheme{EVP_PKEY_RSA_PSS, NID_sha256, 0x0804},
      Scheme{EVP_PKEY_RSA_PSS, NID_sha384, 0x0805}, Scheme{EVP_PKEY_RSA_PSS, NID_sha512, 0x0806},
      Scheme{EVP_PKEY_RSA, NID_sha256, 0x0401},     Scheme{EVP_PKEY_RSA, NID_sha384, 0x0501},
      Scheme{EVP_PKEY_RSA, NID_sha512, 0x0601},     Scheme{EVP_PKEY_ED25519, NID_undef, 0x0807},
      Scheme{EVP_PKEY_ED448, NID_undef, 0x0808}};
  for (const Scheme& scheme : kSchemes) {
    if (scheme.type == type && scheme.digest == digest) return scheme.code;
  }
  return 0;
}

void ReadSignatures(SSL* ssl, ConnectionFacts& facts) {
  int type = NID_undef;
  int digest = NID_undef;
  if (SSL_get_peer_signature_type_nid(ssl, &type) == 1) {
    SSL_get_peer_signature_nid(ssl, &digest);
    facts.peer_signature = SchemeOf(type, digest);
  }
  type = digest = NID_undef;
  if (SSL_get_signature_type_nid(ssl, &type) == 1) {
    SSL_get_signature_nid(ssl, &digest);
    facts.local_signature = SchemeOf(type, digest);
  }
}

bool AppendDer(X509* certificate, PeerChain& chain) {
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return false;
  auto& der = chain.der.emplace_back(static_cast<std::size_t>(size));
  unsigned char* at = der.data();
  return i2d_X509(certificate, &at) == size;
}

// A server's list leaves out the leaf, a client's begins with it.
bool ReadPeerChain(SSL* ssl, ConnectionFacts& facts) {
  X509* leaf = SSL_get0_peer_certificate(ssl);
  if (leaf == nullptr) return true;
  PeerChain chain;
  if (!AppendDer(leaf, chain)) return false;
  const STACK_OF(X509)* sent = SSL_get_peer_cert_chain(ssl);
  for (int i = facts.role == Role::kClient ? 1 : 0; i < sk_X509_num(sent); ++i) {
    if (!AppendDer(sk_X509_value(sent, i), chain)) return false;
  }
  facts.peer_chain = InternPeerChain(std::move(chain));
  return facts.peer_chain != nullptr;
}

FinishedValue ReadFinished(std::size_t (*read)(const SSL*, void*, std::size_t), const SSL* ssl) {
  FinishedValue value;
  value.size = static_cast<std::uint8_t>(
      std::min(read(ssl, value.bytes.data(), value.bytes.size()), value.bytes.size()));
  return value;
}

// False: the library failed.
bool ReadVerification(const SslConnection& connection, ConnectionFacts& facts) {
  facts.peer_judged = facts.peer_chain != nullptr &&
                      connection.core().options().verification != PeerVerification::kNone;
  if (!facts.peer_judged) return true;
  facts.verify_error = connection.verify_error() != 0
                           ? connection.verify_error()
                           : static_cast<int>(SSL_get_verify_result(connection.ssl()));
  if (facts.role == Role::kServer && facts.verify_error == X509_V_OK) {
    const std::optional<IssuerKeys> issuers = IssuersOf(connection.ssl());
    if (!issuers) return false;
    facts.peer_issuers.assign(issuers->all().begin(), issuers->all().end());
  }
  facts.verify_failure = VerifyErrorText(facts.verify_error);
  facts.certificate_fault = CertificateFaultOf(facts.verify_error);
  return true;
}

bool ReadFacts(SslConnection& connection, ConnectionFacts& facts) {
  SSL* ssl = connection.ssl();
  const bool server = connection.role() == Role::kServer;
  facts.role = connection.role();
  facts.version = static_cast<Version>(SSL_version(ssl));
  facts.suite = FindSuite(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)));
  if (facts.suite == nullptr) return false;
  facts.group = GroupOf(ssl);
  facts.resumed = SSL_session_reused(ssl) == 1;
  facts.server_name = connection.server_name();
  ReadSignatures(ssl, facts);
  if (server || facts.local_signature != 0) {
    facts.local_certificate = connection.certificates().Find(SSL_get_certificate(ssl));
  }
  if (!ReadPeerChain(ssl, facts) || !ReadVerification(connection, facts)) return false;

  const unsigned char* alpn = nullptr;
  unsigned alpn_bytes = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &alpn_bytes);
  facts.alpn.assign(alpn, alpn + alpn_bytes);

  unsigned id_bytes = 0;
  const unsigned char* id = SSL_SESSION_get_id(SSL_get_session(ssl), &id_bytes);
  facts.session_id_bytes = static_cast<std::uint8_t>(std::min(id_bytes, 32U));
  std::copy_n(id, facts.session_id_bytes, facts.session_id.begin());

  SSL_get_client_random(ssl, facts.client_random.data(), facts.client_random.size());
  SSL_get_server_random(ssl, facts.server_random.data(), facts.server_random.size());
  const FinishedValue own = ReadFinished(&SSL_get_finished, ssl);
  const FinishedValue peer = ReadFinished(&SSL_get_peer_finished, ssl);
  facts.client_finished = server ? peer : own;
  facts.server_finished = server ? own : peer;
  facts.extended_master_secret = SSL_get_extms_support(ssl) == 1;
  return true;
}

bool TakeTls13Secrets(SslConnection& connection, ConnectionFacts& facts, Directions& directions) {
  const bool server = facts.role == Role::kServer;
  // Copied, not moved: a waiting client needs the server's once more, for its ticket.
  directions.read.traffic_secret =
      server ? connection.secrets().client_traffic : connection.secrets().server_traffic;
  directions.write.traffic_secret =
      server ? connection.secrets().server_traffic : connection.secrets().client_traffic;
  // The records that the server wrote in the call that took the client's Finished are its tickets,
  // under the application key. A client has written none yet.
  directions.write.sequence_number = server ? connection.counts().in_last_call() : 0;
  facts.exporter_secret = std::move(connection.secrets().exporter);
  const std::size_t size = HashBytes(facts.suite->hash);
  return directions.read.traffic_secret.size() == size &&
         directions.write.traffic_secret.size() == size && facts.exporter_secret.size() == size;
}

bool TakeTls12Secrets(SslConnection& connection, ConnectionFacts& facts, Directions& directions) {
  const SSL_SESSION* session = SSL_get_session(connection.ssl());
  Secret& master = facts.exporter_secret;
  master.Resize(Secret::kBytesMax);
  if (SSL_SESSION_get_master_key(session, master.span().data(), master.size()) != master.size()) {
    return false;
  }
  Tls12KeyBlock block;
  if (!DeriveTls12KeyBlock(*facts.suite, master, facts.client_random, facts.server_random, block)) {
    return false;
  }
  const bool server = facts.role == Role::kServer;
  directions.read.keys = std::move(server ? block.client_write : block.server_write);
  directions.write.keys = std::move(server ? block.server_write : block.client_write);
  directions.read.sequence_number = connection.counts().read_since_change();
  directions.write.sequence_number = connection.counts().written_since_change();
  directions.write.explicit_nonce = connection.counts().last_explicit_nonce() + 1;
  return true;
}

bool WaitsForTicket(const SslConnection& connection, const ConnectionFacts& facts) {
  // In TLS 1.2 the ticket came with the handshake.
  return facts.role == Role::kClient && facts.version == Version::kTls13 &&
         connection.core().options().resumption && connection.resumable();
}

}  // namespace

Result<Established> TakeOverConnection(std::unique_ptr<SslConnection> connection) {
  Established result;
  ConnectionFacts& facts = result.facts;
  Directions directions;
  if (!ReadFacts(*connection, facts)) return TakeOverFailed();
  const EndpointOptions& options = connection->core().options();
  const std::size_t fragment_bytes_max = FragmentBytesMax(connection->ssl());
  for (ProtectionState* state : {&directions.read, &directions.write}) {
    state->suite = facts.suite;
    state->fragment_bytes_max = fragment_bytes_max;
    state->limits = options.record_limits;
    state->aead_factory = options.aead_factory;
  }
  const bool taken = facts.version == Version::kTls13
                         ? TakeTls13Secrets(*connection, facts, directions)
                         : TakeTls12Secrets(*connection, facts, directions);
  if (!taken) return TakeOverFailed();

  const bool forgettable = facts.role == Role::kClient && options.resumption;
  const std::shared_ptr<ClientSessions> store = options.client_sessions;
  std::string session_key = forgettable ? connection->session_key() : std::string();
  ProtectionState ticket_protection;
  if (WaitsForTicket(*connection, facts)) {
    SSL_free_buffers(connection->ssl());
    connection->secrets().ClearTraffic();
    ticket_protection = directions.read;
  } else {
    connection->MarkShutDown();
    connection.reset();
  }
  if (!result.reader.Init(std::move(directions.read)) ||
      !result.writer.Init(std::move(directions.write))) {
    return TakeOverFailed();
  }
  result.post_handshake = std::make_unique<PostHandshake>(
      facts.role, facts.version, std::move(connection), std::move(ticket_protection));
  if (forgettable) result.post_handshake->KeepSessionPlace(store, std::move(session_key));
  ERR_clear_error();
  return result;
}

}  // namespace ktlsim::tls
