// What does a server's handshake cost, ours against bare libssl? In memory, one thread, server CPU
// only: the client (an unmodified libssl in both cases) runs outside the timer.
//
// Both: ECDSA P-256, X25519, TLS_AES_128_GCM_SHA256 or its TLS 1.2 sister, one ticket. Ours
// includes what libssl need not do: catching the secrets, making the record layer, freeing the SSL.
#include <ctime>
#include <memory>
#include <optional>
#include <vector>

#include <benchmark/benchmark.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "tls/certificate.h"
#include "tls/handshake.h"

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
  MemorySsl(SSL_CTX* context, bool server) : ssl_(SSL_new(context)) {
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
  }
  ~MemorySsl() { SSL_free(ssl_); }
  MemorySsl(const MemorySsl&) = delete;
  MemorySsl& operator=(const MemorySsl&) = delete;

  void Step(Buffer& in, Buffer& out) {
    if (!in.empty()) BIO_write(SSL_get_rbio(ssl_), in.data(), static_cast<int>(in.size()));
    in.clear();
    SSL_do_handshake(ssl_);
    BIO* bio = SSL_get_wbio(ssl_);
    out.resize(BIO_ctrl_pending(bio));
    if (!out.empty()) BIO_read(bio, out.data(), static_cast<int>(out.size()));
  }
  bool done() const { return SSL_is_init_finished(ssl_) == 1; }

 private:
  SSL* ssl_;
};

// Runs one handshake; `server` is stepped, and made and unmade, under the clock.
template <typename Server, typename MakeServer>
double TimeHandshake(SSL_CTX* client_context, MakeServer make, benchmark::State& state) {
  MemorySsl client(client_context, false);
  Buffer to_server;
  Buffer to_client;
  client.Step(to_client, to_server);
  double seconds = -ThreadSeconds();
  {
    Server server(make());
    while (true) {
      server.Step(to_server, to_client);
      if (server.done()) break;
      seconds += ThreadSeconds();
      client.Step(to_client, to_server);
      if (to_server.empty()) {
        state.SkipWithError("the handshake failed");
        return 1;
      }
      seconds -= ThreadSeconds();
    }
  }
  seconds += ThreadSeconds();
  return seconds;
}

class OurServer {
 public:
  explicit OurServer(Endpoint* endpoint) : handshake_(Handshake::Create(*endpoint, {})) {}
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

 private:
  std::unique_ptr<Handshake> handshake_;
  std::optional<Established> established_;
};

class LibsslServer : public MemorySsl {
 public:
  explicit LibsslServer(SSL_CTX* context) : MemorySsl(context, true) {}
};

void BM_ServerHandshake(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const auto version = state.range(1) == 13 ? Version::kTls13 : Version::kTls12;
  SSL_CTX* client_context = MakeContext(TLS_client_method(), version);
  SSL_CTX* server_context = MakeContext(TLS_server_method(), version);
  SSL_CTX_set_num_tickets(server_context, 1);
  const unsigned char* at = BenchCertificate()->leaf().data();
  X509* leaf = d2i_X509(nullptr, &at, static_cast<long>(BenchCertificate()->leaf().size()));
  SSL_CTX_use_certificate(server_context, leaf);
  SSL_CTX_use_PrivateKey(server_context, BenchCertificate()->private_key());
  X509_free(leaf);
  EndpointOptions options;
  options.versions = {version, version};
  options.cipher_suites = SuiteName(version);
  options.certificates = {BenchCertificate()};
  const auto endpoint = Endpoint::Create(options).value();

  for ([[maybe_unused]] auto _ : state) {
    state.SetIterationTime(
        ours ? TimeHandshake<OurServer>(
                   client_context, [&] { return endpoint.get(); }, state)
             : TimeHandshake<LibsslServer>(client_context, [&] { return server_context; }, state));
  }
  SSL_CTX_free(client_context);
  SSL_CTX_free(server_context);
}
BENCHMARK(BM_ServerHandshake)
    ->ArgNames({"ours", "tls"})
    ->ArgsProduct({{0, 1}, {12, 13}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ktlsim::tls
