// The two ends of a handshake in memory: ours and bare libssl, either of them client or server.
//
// For measuring: certificate, suite, group and tickets are the same on both, and clients judge no
// certificate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "tls/handshake/client_sessions.h"
#include "tls/handshake/endpoint.h"
#include "tls/handshake/established.h"
#include "tls/handshake/handshake.h"
#include "tls/identity/certificate.h"

namespace ktlsim::tls {

using Buffer = std::vector<std::byte>;

// Suite and key of a handshake.
struct Shape {
  Version version = Version::kTls13;
  const char* suite = nullptr;  // null: AES-128-GCM of the version
  KeyType key = KeyType::kEcdsaP256;
};

inline Certificate::Ptr BenchCertificate(KeyType type) {
  static const Certificate::Ptr ecdsa =
      Certificate::SelfSigned("bench.test", KeyType::kEcdsaP256).value();
  static const Certificate::Ptr rsa =
      Certificate::SelfSigned("bench.test", KeyType::kRsa2048).value();
  return type == KeyType::kRsa2048 ? rsa : ecdsa;
}

inline const char* SuiteName(const Shape& shape) {
  if (shape.suite != nullptr) return shape.suite;
  return shape.version == Version::kTls13 ? "TLS_AES_128_GCM_SHA256"
                                          : "ECDHE-ECDSA-AES128-GCM-SHA256";
}

inline SSL_CTX* MakeContext(const SSL_METHOD* method, const Shape& shape) {
  SSL_CTX* context = SSL_CTX_new(method);
  SSL_CTX_set_min_proto_version(context, static_cast<int>(shape.version));
  SSL_CTX_set_max_proto_version(context, static_cast<int>(shape.version));
  if (shape.version == Version::kTls13) {
    SSL_CTX_set_ciphersuites(context, SuiteName(shape));
  } else {
    SSL_CTX_set_cipher_list(context, SuiteName(shape));
  }
  SSL_CTX_set1_groups_list(context, "X25519:P-256");
  return context;
}

// libssl over memory BIOs, either side.
class MemorySsl {
 public:
  MemorySsl(SSL_CTX* context, bool server, SSL_SESSION* session = nullptr)
      : ssl_(SSL_new(context)) {
    if (session != nullptr) SSL_set_session(ssl_, session);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
  }
  ~MemorySsl() {
    // Else the session would not be resumable.
    if (ssl_ != nullptr) SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(ssl_);
  }
  MemorySsl(MemorySsl&& other) noexcept : ssl_(std::exchange(other.ssl_, nullptr)) {}
  MemorySsl& operator=(MemorySsl&&) = delete;

  void Step(Buffer& in, Buffer& out) {
    if (!in.empty()) BIO_write(SSL_get_rbio(ssl_), in.data(), static_cast<int>(in.size()));
    in.clear();
    SSL_do_handshake(ssl_);
    BIO* bio = SSL_get_wbio(ssl_);
    out.resize(BIO_ctrl_pending(bio));
    if (!out.empty()) BIO_read(bio, out.data(), static_cast<int>(out.size()));
  }
  bool done() const { return SSL_is_init_finished(ssl_) == 1; }
  bool resumed() const { return SSL_session_reused(ssl_) == 1; }

  // A finished client's: reads what the server sent last, a ticket perhaps.
  std::shared_ptr<SSL_SESSION> TakeSession(const Buffer& in) {
    if (!in.empty()) BIO_write(SSL_get_rbio(ssl_), in.data(), static_cast<int>(in.size()));
    char nothing = 0;
    SSL_read(ssl_, &nothing, 1);
    return {SSL_get1_session(ssl_), &SSL_SESSION_free};
  }

 private:
  SSL* ssl_;
};

using Session = std::shared_ptr<SSL_SESSION>;

// Keeps the first session, or none, and gives it to every connection from then on: a copy each, as
// libssl resumes one of TLS 1.3 once.
class OneSession final : public ClientSessions {
 public:
  explicit OneSession(bool keeps) : keeps_(keeps) {}
  void Put(std::string_view, ClientSession stored) noexcept override {
    if (keeps_ && session_ == nullptr) session_ = std::move(stored.session);
  }
  std::optional<ClientSession> Get(std::string_view) noexcept override {
    if (session_ == nullptr) return std::nullopt;
    return ClientSession{Session(SSL_SESSION_dup(session_.get()), &SSL_SESSION_free), INT64_MAX,
                         true};
  }
  void Remove(std::string_view) noexcept override {}

  bool empty() const { return session_ == nullptr; }

 private:
  const bool keeps_;
  Session session_;
};

class OurSide {
 public:
  explicit OurSide(Endpoint* endpoint) : handshake_(Handshake::Create(*endpoint, Options())) {}
  void Step(Buffer& in, Buffer& out) {
    const StepResult result = handshake_->Step(in);
    in.clear();
    const auto output = handshake_->pending_output();
    out.assign(output.begin(), output.end());
    handshake_->DiscardOutput(output.size());
    if (result.outcome != StepOutcome::kEstablished) return;
    established_.emplace(handshake_->TakeOver().value());
  }
  bool done() const { return established_.has_value(); }
  // A client's: what the server sent last, with its ticket.
  void TakeTicket(Buffer& in) {
    if (!established_ || in.empty()) return;
    const OpenResult opened = established_->reader.Open(in);
    if (opened.type == ContentType::kHandshake) {
      established_->post_handshake->Consume(opened.fragment, established_->reader);
    }
  }

 private:
  static HandshakeOptions Options() {
    HandshakeOptions options;
    options.verify_peer = false;
    return options;
  }

  std::unique_ptr<Handshake> handshake_;
  std::optional<Established> established_;
};

class LibsslServer : public MemorySsl {
 public:
  explicit LibsslServer(SSL_CTX* context) : MemorySsl(context, true) {}
};

struct ClientArguments {
  SSL_CTX* context;
  SSL_SESSION* session;
};
class LibsslClient : public MemorySsl {
 public:
  explicit LibsslClient(ClientArguments arguments)
      : MemorySsl(arguments.context, false, arguments.session) {}
};

struct Contexts {
  explicit Contexts(const Shape& shape)
      : client(MakeContext(TLS_client_method(), shape)),
        server(MakeContext(TLS_server_method(), shape)) {
    SSL_CTX_set_num_tickets(server, 1);
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_OFF);
    const unsigned char* at = BenchCertificate(shape.key)->leaf().data();
    X509* leaf =
        d2i_X509(nullptr, &at, static_cast<long>(BenchCertificate(shape.key)->leaf().size()));
    SSL_CTX_use_certificate(server, leaf);
    SSL_CTX_use_PrivateKey(server, BenchCertificate(shape.key)->private_key());
    X509_free(leaf);
  }
  ~Contexts() {
    SSL_CTX_free(client);
    SSL_CTX_free(server);
  }
  Contexts(const Contexts&) = delete;
  Contexts& operator=(const Contexts&) = delete;

  SSL_CTX* client;
  SSL_CTX* server;
};

inline std::shared_ptr<Endpoint> MakeEndpoint(Role role, const Shape& shape,
                                              std::shared_ptr<ClientSessions> sessions = nullptr) {
  EndpointOptions options;
  options.role = role;
  options.versions = {shape.version, shape.version};
  options.cipher_suites = SuiteName(shape);
  options.client_sessions = std::move(sessions);
  options.tickets = 1;
  if (role == Role::kServer) options.certificates = {BenchCertificate(shape.key)};
  return Endpoint::Create(options).value();
}

// The session of a full handshake with `server`, as libssl's client sees it.
template <typename Side>
Session SessionFrom(SSL_CTX* context, Side server) {
  MemorySsl client(context, false);
  Buffer to_client;
  Buffer to_server;
  while (!client.done() || !server.done()) {
    client.Step(to_client, to_server);
    if (!server.done()) server.Step(to_server, to_client);
  }
  return client.TakeSession(to_client);
}

// A full handshake of our client with `server`, whose session the endpoint's store keeps.
inline void FillStore(Endpoint& endpoint, SSL_CTX* context) {
  OurSide client(&endpoint);
  MemorySsl server(context, true);
  Buffer to_client;
  Buffer to_server;
  client.Step(to_client, to_server);
  while (!client.done() || !server.done()) {
    server.Step(to_server, to_client);
    if (!client.done()) client.Step(to_client, to_server);
  }
  client.TakeTicket(to_client);
}

}  // namespace ktlsim::tls
