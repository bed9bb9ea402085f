// What does a record of an access cost the thread that makes it, and the one that writes it?
//
// BM_Write: handing a record to a trail, in bursts that fit into its queue; the time between
// bursts, in which the writer catches up, is not counted. `refused` has to be 0. BM_Encode: the
// baseline, making the line and its MAC on the caller's thread. BM_Verify: a line, when a trail is
// verified. The baseline of both is BM_Mac: the MAC of a line alone, and the key's step.
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/scratch_folder.h"
#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/audit/log_verifier.h"

namespace ktlsim::audit {
namespace {

constexpr std::size_t kDepth = 8192;
constexpr std::size_t kBurst = 4096;
constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";
constexpr std::string_view kObject = "/srv/www/department/reports/2026/november.html";

std::span<const std::byte> Secret() {
  return std::as_bytes(std::span(kSecret.data(), kSecret.size()));
}

security::TokenStateRef TokenOf(std::uint32_t number) {
  security::TokenContents contents;
  contents.user = security::Sid(5, {21, 1, 2, 3, number});
  security::Token::Ref token;
  if (security::Token::Create(contents, &token) != security::Fault::kNone) std::abort();
  return token->state();
}

struct Scene {
  security::TokenStateRef client = TokenOf(1001);
  security::TokenStateRef server = TokenOf(500);
  AuditRecord record{.success = true,
                     .client = client.get(),
                     .server = server.get(),
                     .client_name = "alice",
                     .subsystem = "ktlsim serve",
                     .object_type = "File",
                     .object = kObject,
                     .desired = 0x120089,
                     .granted = 0x120089,
                     .context_id = 12,
                     .connection_id = 345};
};

void BM_Write(benchmark::State& state) {
  const bench::ScratchFolder folder;
  AuditOptions options;
  options.path = folder.File("audit.log");
  options.secret = Secret();
  options.queue_depth = kDepth;
  Result<std::unique_ptr<AuditTrail>> trail = AuditTrail::Open(options);
  if (!trail.ok()) {
    state.SkipWithError("no trail");
    return;
  }
  const Scene scene;
  std::uint64_t refused = 0;
  std::size_t burst = 0;
  for (auto _ : state) {
    if ((*trail)->Write(scene.record) != Taken::kQueued) ++refused;
    if (++burst < kBurst) continue;
    burst = 0;
    state.PauseTiming();
    if (!(*trail)->Flush().ok()) std::abort();
    state.ResumeTiming();
  }
  state.counters["refused"] = static_cast<double>(refused);
}
BENCHMARK(BM_Write);

void BM_Encode(benchmark::State& state) {
  const Scene scene;
  const std::unique_ptr<RecordQueue> queue = RecordQueue::Create(2);
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  ChainKey key;
  if (!key.Derive(*engine, Secret(), {})) std::abort();
  std::string line;
  line.reserve(kLineBytesMax);
  std::uint64_t sequence = 0;
  Mac mac{};
  for (auto _ : state) {
    line.clear();
    if (!queue->Push(scene.record, UnixTimeNs())) std::abort();
    AppendRecordBody(*queue->Front(), sequence++, &line);
    queue->Pop();
    AppendPrevious(mac, &line);
    if (!key.MacOfLine(*engine, line, &mac) || !key.Step(*engine)) std::abort();
    AppendMac(mac, &line);
    benchmark::DoNotOptimize(line.data());
  }
  state.counters["bytes"] = static_cast<double>(line.size());
}
BENCHMARK(BM_Encode);

void BM_Mac(benchmark::State& state) {
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  ChainKey key;
  if (!key.Derive(*engine, Secret(), {})) std::abort();
  const std::string line(400, 'x');
  Mac mac{};
  for (auto _ : state) {
    if (!key.MacOfLine(*engine, line, &mac) || !key.Step(*engine)) std::abort();
    benchmark::DoNotOptimize(mac);
  }
}
BENCHMARK(BM_Mac);

void BM_Verify(benchmark::State& state) {
  const std::unique_ptr<MacEngine> engine = MacEngine::Create();
  ChainKey key;
  LineIds ids;
  if (!key.Derive(*engine, Secret(), ids.log) || !IdOfSecret(*engine, Secret(), &ids.key)) {
    std::abort();
  }
  constexpr std::uint64_t kLines = 4096;
  std::vector<std::string> lines;
  lines.reserve(kLines);
  Mac mac{};
  for (std::uint64_t i = 0; i < kLines; ++i) {
    std::string line;
    AppendTrailBody({.event = AuditEvent::kStart, .ids = ids}, i, &line);
    AppendPrevious(mac, &line);
    if (!key.MacOfLine(*engine, line, &mac) || !key.Step(*engine)) std::abort();
    AppendMac(mac, &line);
    line.pop_back();
    lines.push_back(std::move(line));
  }
  for (auto _ : state) {
    const std::unique_ptr<LogVerifier> verifier = LogVerifier::Create(Secret(), {}, {});
    verifier->BeginFile();
    for (const std::string& line : lines) verifier->TakeLine(line, true);
    if (!verifier->Finish().ok()) state.SkipWithError("not good");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kLines));
}
BENCHMARK(BM_Verify);

}  // namespace
}  // namespace ktlsim::audit
