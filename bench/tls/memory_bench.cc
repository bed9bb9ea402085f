// What does an idle connection hold? Counted by the allocator: the memory that remains after the
// take-over, with the Established object itself, without the endpoint and the thread's key cache.
#include <malloc.h>

#include <memory>
#include <optional>
#include <vector>

#include <benchmark/benchmark.h>

#include "tls/handshake/handshake.h"
#include "tls/identity/certificate.h"

namespace ktlsim::tls {
namespace {

std::shared_ptr<Endpoint> MakeEndpoint(Role role, Version version) {
  EndpointOptions options;
  options.role = role;
  options.versions = {version, version};
  // Without tickets the client needs no OpenSSL object to wait for one.
  options.resumption = false;
  if (role == Role::kServer) {
    options.certificates = {Certificate::SelfSigned("bench.test", KeyType::kEcdsaP256).value()};
  }
  return Endpoint::Create(options).value();
}

// Steps both until both are established; returns the Established objects, and frees the rest.
struct Ends {
  std::unique_ptr<Established> client;
  std::unique_ptr<Established> server;
};

std::unique_ptr<Established> Advance(Handshake& handshake, std::vector<std::byte>& in,
                                     std::vector<std::byte>& out) {
  const StepResult step = handshake.Step(in);
  in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(step.consumed));
  const auto output = handshake.pending_output();
  out.insert(out.end(), output.begin(), output.end());
  handshake.DiscardOutput(output.size());
  if (step.outcome != StepOutcome::kEstablished) return nullptr;
  return std::make_unique<Established>(handshake.TakeOver().value());
}

Ends Connect(Endpoint& client_endpoint, Endpoint& server_endpoint) {
  HandshakeOptions options;
  options.target_name = "bench.test";
  auto client = Handshake::Create(client_endpoint, options);
  auto server = Handshake::Create(server_endpoint, {});
  std::vector<std::byte> to_client;
  std::vector<std::byte> to_server;
  Ends ends;
  for (int i = 0; i < 10 && (ends.client == nullptr || ends.server == nullptr); ++i) {
    if (ends.client == nullptr) ends.client = Advance(*client, to_client, to_server);
    if (ends.server == nullptr) ends.server = Advance(*server, to_server, to_client);
  }
  return ends;
}

void BM_IdleConnection(benchmark::State& state) {
  const auto version = state.range(1) == 13 ? Version::kTls13 : Version::kTls12;
  const bool server = state.range(0) != 0;
  const auto client_endpoint = MakeEndpoint(Role::kClient, version);
  const auto server_endpoint = MakeEndpoint(Role::kServer, version);
  constexpr std::size_t kConnections = 500;
  std::vector<std::unique_ptr<Established>> kept;
  kept.reserve(kConnections);
  {
    // The key cache of this thread fills first: its expansions do not belong to the connections.
    std::vector<Ends> both;
    both.reserve(kConnections);
    for (std::size_t i = 0; i < kConnections; ++i) {
      both.push_back(Connect(*client_endpoint, *server_endpoint));
    }
  }
  std::size_t bytes = 0;
  for ([[maybe_unused]] auto _ : state) {
    kept.clear();
    const std::size_t before = mallinfo2().uordblks;
    for (std::size_t i = 0; i < kConnections; ++i) {
      Ends ends = Connect(*client_endpoint, *server_endpoint);
      kept.push_back(std::move(server ? ends.server : ends.client));
    }
    bytes = (mallinfo2().uordblks - before) / kConnections;
  }
  state.counters["bytes"] = static_cast<double>(bytes);
  state.counters["sizeof"] = static_cast<double>(sizeof(Established));
}
BENCHMARK(BM_IdleConnection)
    ->ArgNames({"server", "tls"})
    ->ArgsProduct({{0, 1}, {12, 13}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace ktlsim::tls
