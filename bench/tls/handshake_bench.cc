// What does a handshake cost, ours against bare libssl, on the server's and on the client's side?
// In memory, one thread, the CPU of that side only: the peer (an unmodified libssl in all cases)
// runs outside the timer. Clients judge no certificate. `resumed`: every handshake resumes the
// session of one before the clock.
//
// Both: ECDSA P-256, X25519, TLS_AES_128_GCM_SHA256 or its TLS 1.2 counterpart, one ticket. Ours
// includes what libssl need not do: catching the secrets, making the record layer, freeing the SSL.
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "tls/handshake/client_sessions.h"
#include "tls/handshake/handshake.h"
#include "tls/identity/certificate.h"

namespace ktlsim::tls {
namespace {

using Buffer = std::vector<std::byte>;

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

Certificate::Ptr BenchCertificate() {
  static const Certificate::Ptr certificate =
      Certificate::SelfSigned("bench.test", KeyType::kEcdsaP256).value();
  return certificate;
}

const char* SuiteName(Version version) {
  return version == Version::kTls13 ? "TLS_AES_128_GCM_SHA256" : "ECDHE-ECDSA-AES128-GCM-SHA256";
}

SSL_CTX* MakeContext(const SSL_METHOD* method, Version version) {
  SSL_CTX* context = SSL_CTX_new(method);
  SSL_CTX_set_min_proto_version(context, static_cast<int>(version));
  SSL_CTX_set_max_proto_version(context, static_cast<int>(version));
  if (version == Version::kTls13) {
    SSL_CTX_set_ciphersuites(context, SuiteName(version));
  } else {
    SSL_CTX_set_cipher_list(context, SuiteName(version));
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

// Runs one handshake; the side in question is stepped, and made and unmade, under the clock.
// `session`: what a client that is the peer resumes.
template <typename Side, typename MakeSide>
double TimeHandshake(bool client, SSL_CTX* peer_context, SSL_SESSION* session, MakeSide make,
                     benchmark::State& state) {
  MemorySsl peer(peer_context, client, session);
  Buffer to_side;
  Buffer to_peer;
  if (!client) peer.Step(to_peer, to_side);
  double seconds = -ThreadSeconds();
  {
    Side side(make());
    while (true) {
      side.Step(to_side, to_peer);
      if (side.done()) break;
      seconds += ThreadSeconds();
      peer.Step(to_peer, to_side);
      if (to_side.empty()) {
        state.SkipWithError("the handshake failed");
        return 1;
      }
      seconds -= ThreadSeconds();
    }
  }
  seconds += ThreadSeconds();
  while (!peer.done()) peer.Step(to_peer, to_side);
  if (peer.resumed() != (state.range(2) != 0)) state.SkipWithError("resumed, or not, by mistake");
  return seconds;
}

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
  explicit Contexts(Version version)
      : client(MakeContext(TLS_client_method(), version)),
        server(MakeContext(TLS_server_method(), version)) {
    SSL_CTX_set_num_tickets(server, 1);
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_OFF);
    const unsigned char* at = BenchCertificate()->leaf().data();
    X509* leaf = d2i_X509(nullptr, &at, static_cast<long>(BenchCertificate()->leaf().size()));
    SSL_CTX_use_certificate(server, leaf);
    SSL_CTX_use_PrivateKey(server, BenchCertificate()->private_key());
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

std::shared_ptr<Endpoint> MakeEndpoint(Role role, Version version,
                                       std::shared_ptr<ClientSessions> sessions = nullptr) {
  EndpointOptions options;
  options.role = role;
  options.versions = {version, version};
  options.cipher_suites = SuiteName(version);
  options.client_sessions = std::move(sessions);
  options.tickets = 1;
  if (role == Role::kServer) options.certificates = {BenchCertificate()};
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
void FillStore(Endpoint& endpoint, SSL_CTX* context) {
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

void BM_ServerHandshake(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const auto version = state.range(1) == 13 ? Version::kTls13 : Version::kTls12;
  const Contexts contexts(version);
  const auto endpoint = MakeEndpoint(Role::kServer, version);
  Session session;
  if (state.range(2) != 0) {
    session = ours ? SessionFrom(contexts.client, OurSide(endpoint.get()))
                   : SessionFrom<LibsslServer>(contexts.client, LibsslServer(contexts.server));
  }
  for ([[maybe_unused]] auto _ : state) {
    state.SetIterationTime(
        ours ? TimeHandshake<OurSide>(
                   false, contexts.client, session.get(), [&] { return endpoint.get(); }, state)
             : TimeHandshake<LibsslServer>(
                   false, contexts.client, session.get(), [&] { return contexts.server; }, state));
  }
}

void BM_ClientHandshake(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const auto version = state.range(1) == 13 ? Version::kTls13 : Version::kTls12;
  const Contexts contexts(version);
  const auto store = std::make_shared<OneSession>(state.range(2) != 0);
  const auto endpoint = MakeEndpoint(Role::kClient, version, store);
  Session session;
  if (state.range(2) != 0 && ours) {
    FillStore(*endpoint, contexts.server);
    if (store->empty()) return state.SkipWithError("the client kept no session");
  } else if (state.range(2) != 0) {
    session = SessionFrom<LibsslServer>(contexts.client, LibsslServer(contexts.server));
  }
  const ClientArguments arguments{contexts.client, session.get()};
  for ([[maybe_unused]] auto _ : state) {
    state.SetIterationTime(
        ours ? TimeHandshake<OurSide>(
                   true, contexts.server, nullptr, [&] { return endpoint.get(); }, state)
             : TimeHandshake<LibsslClient>(
                   true, contexts.server, nullptr, [&] { return arguments; }, state));
  }
}

#define KTLSIM_ARGS                             \
  ArgNames({"ours", "tls", "resumed"})          \
      ->ArgsProduct({{0, 1}, {12, 13}, {0, 1}}) \
      ->UseManualTime()                         \
      ->Unit(benchmark::kMicrosecond)
BENCHMARK(BM_ServerHandshake)->KTLSIM_ARGS;
BENCHMARK(BM_ClientHandshake)->KTLSIM_ARGS;

}  // namespace
}  // namespace ktlsim::tls
