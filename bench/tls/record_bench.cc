// What does a record cost, by size, cipher and engine, and how much of it is not the cipher? The
// baseline is the engine's own work on as many bytes, without any record around it; for ipsec-mb
// there is one more, the bare library call without our interface.
//
// `engine`: 0 EVP, 1 ipsec-mb. `scattered`: header, data and trailer do not touch.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/tls/raw_ipsec_mb.h"
#include "tls/record/aead_engine.h"
#include "tls/record/aead_ipsec_mb.h"
#include "tls/record/aead_key_cache.h"
#include "tls/record/record.h"

namespace ktlsim::tls {
namespace {

enum Argument { kAead, kBytes, kEngine, kScattered };

AeadFactory Factory(const benchmark::State& state) {
  return state.range(kEngine) == 0 ? &CreateEvpAead : &CreateIpsecMbAead;
}

bool EngineMissing(benchmark::State& state) {
  if (state.range(kEngine) == 0 || ProbeIpsecMb().usable) return false;
  state.SkipWithError(ProbeIpsecMb().description);
  return true;
}

const SuiteInfo* Suite(const benchmark::State& state) {
  return FindSuite(static_cast<std::uint16_t>(0x1301 + state.range(kAead)));
}

std::size_t Bytes(const benchmark::State& state) {
  return static_cast<std::size_t>(state.range(kBytes));
}

ProtectionState State(const benchmark::State& state) {
  ProtectionState protection;
  protection.suite = Suite(state);
  protection.traffic_secret =
      Secret(std::vector<std::uint8_t>(HashBytes(protection.suite->hash), 7));
  protection.limits.records_per_key = UINT64_MAX;
  protection.aead_factory = Factory(state);
  return protection;
}

void Finish(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * state.range(kBytes));
  state.SetLabel(state.range(kEngine) == 0 ? "evp" : ProbeIpsecMb().description);
}

void BM_RecordSeal(benchmark::State& state) {
  if (EngineMissing(state)) return;
  RecordWriter writer;
  if (!writer.Init(State(state))) return state.SkipWithError("no writer");
  const std::size_t gap = state.range(kScattered) != 0 ? 64 : 0;
  std::vector<std::byte> record(5 + Bytes(state) + 17 + 2 * gap);
  const std::span<std::byte> all(record);
  const auto header = all.first(5);
  const auto data = all.subspan(5 + gap, Bytes(state));
  const auto trailer = all.last(17);
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(writer.Seal(ContentType::kApplicationData, header, data, trailer));
  }
  Finish(state);
}

// The same record again and again: the sequence number is set back, the ciphertext copied in.
void BM_RecordOpen(benchmark::State& state) {
  if (EngineMissing(state)) return;
  RecordWriter writer;
  RecordReader reader;
  if (!writer.Init(State(state)) || !reader.Init(State(state))) {
    return state.SkipWithError("no record layer");
  }
  std::vector<std::byte> record(5 + Bytes(state) + 17);
  const std::span<std::byte> all(record);
  writer.Seal(ContentType::kApplicationData, all.first(5), all.subspan(5, Bytes(state)),
              all.last(17));
  std::vector<std::byte> wire(record.size());
  for ([[maybe_unused]] auto _ : state) {
    std::memcpy(wire.data(), record.data(), record.size());
    reader.protection_for_test().set_sequence_number(0);
    if (reader.Open(wire).outcome != OpenResult::Outcome::kOpened) {
      return state.SkipWithError("not opened");
    }
  }
  Finish(state);
}

// As many records as make the cost of stopping the clock small, and stay in the second-level cache.
std::size_t Batch(const benchmark::State& state) {
  return std::clamp<std::size_t>(256 * 1024 / Bytes(state), 16, 512);
}

// Records as they come: sealed ahead, outside the clock, and opened once each.
void BM_RecordOpenOnce(benchmark::State& state) {
  if (EngineMissing(state)) return;
  RecordWriter writer;
  RecordReader reader;
  if (!writer.Init(State(state)) || !reader.Init(State(state))) {
    return state.SkipWithError("no record layer");
  }
  const std::size_t record_bytes = 5 + Bytes(state) + 17;
  const std::size_t batch = Batch(state);
  std::vector<std::byte> wire(batch * record_bytes);
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch))) {
    state.PauseTiming();
    for (std::size_t i = 0; i < batch; ++i) {
      const auto record = std::span(wire).subspan(i * record_bytes, record_bytes);
      writer.Seal(ContentType::kApplicationData, record.first(5), record.subspan(5, Bytes(state)),
                  record.last(17));
    }
    state.ResumeTiming();
    std::span<std::byte> rest(wire);
    while (!rest.empty()) {
      const OpenResult opened = reader.Open(rest);
      if (opened.outcome != OpenResult::Outcome::kOpened) std::abort();
      rest = rest.subspan(opened.consumed);
    }
  }
  Finish(state);
}

// The engine and the bare library on one more byte than the record's data. The engine must be given
// the right tag, so it opens a copied record; the copy is part of the time, as in BM_RecordOpen.
void BM_EngineOpen(benchmark::State& state) {
  if (EngineMissing(state)) return;
  const std::vector<std::uint8_t> key(Suite(state)->key_bytes, 7);
  const auto aead = Factory(state)(Suite(state)->aead, key);
  std::vector<std::byte> sealed(Bytes(state) + 1);
  std::array<std::byte, kAeadTagBytes> tag;
  const std::array<std::uint8_t, kAeadNonceBytes> nonce{};
  const std::array<std::uint8_t, 5> aad{};
  if (!aead->Seal(nonce, aad, sealed, {}, tag)) return state.SkipWithError("not sealed");
  std::vector<std::byte> data(sealed.size());
  for ([[maybe_unused]] auto _ : state) {
    std::memcpy(data.data(), sealed.data(), sealed.size());
    if (!aead->Open(nonce, aad, data, tag)) return state.SkipWithError("not opened");
  }
  Finish(state);
}

void BM_RawIpsecMbOpen(benchmark::State& state) {
  const std::vector<std::uint8_t> key(Suite(state)->key_bytes, 7);
  RawIpsecMb raw(key);
  if (!raw.usable()) return state.SkipWithError("no ipsec-mb");
  std::vector<std::uint8_t> data(Bytes(state) + 1);
  for ([[maybe_unused]] auto _ : state) raw.Open(data);
  Finish(state);
}

// The engine by itself, a type byte more than the data, as the record has it.
void BM_EngineSeal(benchmark::State& state) {
  if (EngineMissing(state)) return;
  const std::vector<std::uint8_t> key(Suite(state)->key_bytes, 7);
  const auto aead = Factory(state)(Suite(state)->aead, key);
  std::vector<std::byte> data(Bytes(state) + 1);
  std::array<std::byte, kAeadTagBytes> tag;
  std::array<std::uint8_t, kAeadNonceBytes> nonce{};
  const std::array<std::uint8_t, 5> aad{};
  for ([[maybe_unused]] auto _ : state) {
    ++nonce[11];
    benchmark::DoNotOptimize(aead->Seal(nonce, aad, data, {}, tag));
  }
  Finish(state);
}

void BM_RawIpsecMbSeal(benchmark::State& state) {
  const std::vector<std::uint8_t> key(Suite(state)->key_bytes, 7);
  RawIpsecMb raw(key);
  if (!raw.usable()) return state.SkipWithError("no ipsec-mb");
  std::vector<std::uint8_t> data(Bytes(state) + 1);
  for ([[maybe_unused]] auto _ : state) raw.Seal(data);
  Finish(state);
}

// A record of a connection whose key this thread's cache no longer has.
void BM_KeyExpansion(benchmark::State& state) {
  if (EngineMissing(state)) return;
  const std::vector<std::uint8_t> key(Suite(state)->key_bytes, 7);
  const auto cache = std::make_unique<AeadKeyCache>();
  std::uint64_t id = 0;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(cache->Find(++id, Suite(state)->aead, Factory(state), key));
  }
  Finish(state);
}

// Its floor: what making the engine costs without a cache around it.
void BM_EngineCreate(benchmark::State& state) {
  if (EngineMissing(state)) return;
  const std::vector<std::uint8_t> key(Suite(state)->key_bytes, 7);
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(Factory(state)(Suite(state)->aead, key));
  }
  Finish(state);
}

const std::vector<std::int64_t> kSizes = {64, 1400, 16384};
#define KTLSIM_ARGS(...) \
  ArgNames({"aead", "bytes", "engine", "scattered"})->ArgsProduct({__VA_ARGS__})
BENCHMARK(BM_RawIpsecMbSeal)->KTLSIM_ARGS({0, 1}, kSizes, {1}, {0});
BENCHMARK(BM_EngineSeal)->KTLSIM_ARGS({0, 1}, kSizes, {0, 1}, {0});
BENCHMARK(BM_EngineSeal)->KTLSIM_ARGS({2}, kSizes, {0}, {0});
BENCHMARK(BM_RecordSeal)->KTLSIM_ARGS({0, 1}, kSizes, {0, 1}, {0, 1});
BENCHMARK(BM_RecordSeal)->KTLSIM_ARGS({2}, kSizes, {0}, {0, 1});
BENCHMARK(BM_RecordOpen)->KTLSIM_ARGS({0, 1}, kSizes, {0, 1}, {0});
BENCHMARK(BM_RecordOpen)->KTLSIM_ARGS({2}, kSizes, {0}, {0});
BENCHMARK(BM_RawIpsecMbOpen)->KTLSIM_ARGS({0, 1}, kSizes, {1}, {0});
BENCHMARK(BM_EngineOpen)->KTLSIM_ARGS({0, 1}, kSizes, {0, 1}, {0});
BENCHMARK(BM_EngineOpen)->KTLSIM_ARGS({2}, kSizes, {0}, {0});
BENCHMARK(BM_RecordOpenOnce)->KTLSIM_ARGS({0, 1}, kSizes, {0, 1}, {0});
BENCHMARK(BM_RecordOpenOnce)->KTLSIM_ARGS({2}, kSizes, {0}, {0});
BENCHMARK(BM_EngineCreate)->KTLSIM_ARGS({0, 1}, {0}, {0, 1}, {0});
BENCHMARK(BM_KeyExpansion)->KTLSIM_ARGS({0, 1}, {0}, {0, 1}, {0});

}  // namespace
}  // namespace ktlsim::tls
