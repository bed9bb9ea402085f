// What does AcceptSecurityContext add to a handshake: handles, buffers, the way to a processor and
// back?
//
// A full handshake of TLS 1.3, the server's side: its context is made, gets two tokens and is
// deleted. `sspi` 1 makes it by synchronous calls, which run on a processor; its floor is `sspi` 0,
// the same handshake without the API, on this thread. The time is that of all threads of the
// process, so that the processor's is in it and the peer's is not.
#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>

#include <benchmark/benchmark.h>

#include "bench/tls/handshake_sides.h"

namespace ktlsim::tls {
namespace {

double ProcessSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

CredHandle AcquireServer() {
  PCCERT_CONTEXT certificate = nullptr;
  CredHandle handle{};
  SCH_CREDENTIALS credentials{};
  credentials.dwVersion = SCH_CREDENTIALS_VERSION;
  credentials.cCreds = 1;
  credentials.paCred = &certificate;
  char package[] = UNISP_NAME_A;
  // The same suite as the other side has.
  KtlsimCred_CipherSuites suites{"TLS_AES_128_GCM_SHA256"};
  KtlsimCred_Tickets one{1};
  if (KtlsimCreateSelfSignedCertificate("bench.test", KTLSIM_KEY_ECDSA_P256, &certificate) !=
          SEC_E_OK ||
      AcquireCredentialsHandleA(nullptr, package, SECPKG_CRED_INBOUND, nullptr, &credentials,
                                nullptr, nullptr, &handle, nullptr) != SEC_E_OK ||
      SetCredentialsAttributesA(&handle, KTLSIM_ATTR_CIPHER_SUITES, &suites, sizeof(suites)) !=
          SEC_E_OK ||
      SetCredentialsAttributesA(&handle, KTLSIM_ATTR_TICKETS, &one, sizeof(one)) != SEC_E_OK) {
    std::fputs("no credential\n", stderr);
    std::exit(1);
  }
  return handle;
}

// As OurSide, through the API.
class SspiServer {
 public:
  explicit SspiServer(CredHandle* credential) : credential_(credential) {}
  ~SspiServer() {
    if (made_) DeleteSecurityContext(&context_);
  }
  SspiServer(const SspiServer&) = delete;
  SspiServer& operator=(const SspiServer&) = delete;

  void Step(Buffer& in, Buffer& out) {
    out.resize(16384);
    SecBuffer input[2] = {{static_cast<ULONG>(in.size()), SECBUFFER_TOKEN, in.data()},
                          {0, SECBUFFER_EMPTY, nullptr}};
    SecBuffer output = {static_cast<ULONG>(out.size()), SECBUFFER_TOKEN, out.data()};
    SecBufferDesc input_desc = {SECBUFFER_VERSION, 2, input};
    SecBufferDesc output_desc = {SECBUFFER_VERSION, 1, &output};
    ULONG attributes = 0;
    const SECURITY_STATUS status =
        AcceptSecurityContext(credential_, made_ ? &context_ : nullptr, &input_desc, 0, 0,
                              &context_, &output_desc, &attributes, nullptr);
    made_ = made_ || status >= 0;
    done_ = status == SEC_E_OK;
    out.resize(status >= 0 ? output.cbBuffer : 0);
    in.clear();
  }
  bool done() const { return done_; }

 private:
  CredHandle* const credential_;
  CtxtHandle context_{};
  bool made_ = false;
  bool done_ = false;
};

// Seconds of the server's side; none: the handshake failed.
template <typename Server, typename Maker>
std::optional<double> TimeServer(SSL_CTX* client_context, Maker* maker) {
  MemorySsl client(client_context, false);
  Buffer to_client;
  Buffer to_server;
  client.Step(to_client, to_server);
  std::optional<Server> server;
  double seconds = 0;
  for (int legs = 0; legs < 4; ++legs) {
    seconds -= ProcessSeconds();
    if (!server) server.emplace(maker);
    server->Step(to_server, to_client);
    const bool done = server->done();
    if (done) server.reset();
    seconds += ProcessSeconds();
    client.Step(to_client, to_server);
    if (done) return client.done() ? std::optional(seconds) : std::nullopt;
  }
  return std::nullopt;
}

void BM_AcceptSecurityContext(benchmark::State& state) {
  static CredHandle credential = AcquireServer();
  const Contexts contexts(Shape{});
  const auto endpoint = MakeEndpoint(Role::kServer, Shape{});
  for ([[maybe_unused]] auto _ : state) {
    const std::optional<double> seconds =
        state.range(0) != 0 ? TimeServer<SspiServer>(contexts.client, &credential)
                            : TimeServer<OurSide>(contexts.client, endpoint.get());
    if (!seconds) return state.SkipWithError("the handshake failed");
    state.SetIterationTime(*seconds);
  }
}
BENCHMARK(BM_AcceptSecurityContext)
    ->ArgName("sspi")
    ->Arg(0)
    ->Arg(1)
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ktlsim::tls
