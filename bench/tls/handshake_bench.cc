// What does a handshake cost, ours against bare libssl, on the server's and on the client's side?
// In memory, one thread, the CPU of that side only: the peer (an unmodified libssl in all cases)
// runs outside the timer. Clients judge no certificate. `resumed`: every handshake resumes the
// session of one before the clock.
//
// Both: ECDSA P-256, X25519, TLS_AES_128_GCM_SHA256 or its TLS 1.2 counterpart, one ticket. Ours
// includes what libssl need not do: catching the secrets, making the record layer, freeing the SSL.
#include <ctime>
#include <memory>

#include <benchmark/benchmark.h>
#include <openssl/ssl.h>

#include "bench/tls/handshake_sides.h"

namespace ktlsim::tls {
namespace {

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

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

void BM_ServerHandshake(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const auto version = state.range(1) == 13 ? Version::kTls13 : Version::kTls12;
  const Contexts contexts(Shape{.version = version});
  const auto endpoint = MakeEndpoint(Role::kServer, {.version = version});
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
  const Contexts contexts(Shape{.version = version});
  const auto store = std::make_shared<OneSession>(state.range(2) != 0);
  const auto endpoint = MakeEndpoint(Role::kClient, {.version = version}, store);
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

// Full handshakes of TLS 1.3 with what else is common: 0 AES-256-GCM and SHA-384, 1 a key of RSA,
// 2048 bits.
void BM_ServerHandshakeBySuite(benchmark::State& state) {
  const bool ours = state.range(0) != 0;
  const Shape shape = state.range(1) == 0 ? Shape{.suite = "TLS_AES_256_GCM_SHA384"}
                                          : Shape{.key = KeyType::kRsa2048};
  const Contexts contexts(shape);
  const auto endpoint = MakeEndpoint(Role::kServer, shape);
  for ([[maybe_unused]] auto _ : state) {
    state.SetIterationTime(
        ours ? TimeHandshake<OurSide>(
                   false, contexts.client, nullptr, [&] { return endpoint.get(); }, state)
             : TimeHandshake<LibsslServer>(
                   false, contexts.client, nullptr, [&] { return contexts.server; }, state));
  }
}

#define KTLSIM_ARGS                             \
  ArgNames({"ours", "tls", "resumed"})          \
      ->ArgsProduct({{0, 1}, {12, 13}, {0, 1}}) \
      ->UseManualTime()                         \
      ->Unit(benchmark::kMicrosecond)
BENCHMARK(BM_ServerHandshake)->KTLSIM_ARGS;
BENCHMARK(BM_ClientHandshake)->KTLSIM_ARGS;
BENCHMARK(BM_ServerHandshakeBySuite)
    ->ArgNames({"ours", "rsa", "resumed"})
    ->ArgsProduct({{0, 1}, {0, 1}, {0}})
    ->UseManualTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace ktlsim::tls
