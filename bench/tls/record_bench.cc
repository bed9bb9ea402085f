// What does a record cost, by size and cipher, and how much of it is not the cipher? The baseline
// is the same EVP call sequence without any record around it.
#include <array>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

#include "tls/aead.h"
#include "tls/record.h"

namespace ktlsim::tls {
namespace {

ProtectionState State(const benchmark::State& state) {
  ProtectionState protection;
  protection.suite = FindSuite(static_cast<std::uint16_t>(0x1301 + state.range(0)));
  protection.traffic_secret =
      Secret(std::vector<std::uint8_t>(HashBytes(protection.suite->hash), 7));
  protection.limits.records_per_key = UINT64_MAX;
  return protection;
}

void SetBytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * state.range(1));
}

void BM_RecordSeal(benchmark::State& state) {
  RecordWriter writer;
  if (!writer.Init(State(state))) return state.SkipWithError("no writer");
  std::vector<std::byte> data(static_cast<std::size_t>(state.range(1)));
  std::array<std::byte, RecordWriter::kHeaderBytesMax> header;
  std::array<std::byte, RecordWriter::kTrailerBytesMax> trailer;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(writer.Seal(ContentType::kApplicationData, header, data, trailer));
  }
  SetBytes(state);
}

// The same record again and again: the sequence number is set back, the ciphertext copied in.
void BM_RecordOpen(benchmark::State& state) {
  RecordWriter writer;
  RecordReader reader;
  if (!writer.Init(State(state)) || !reader.Init(State(state))) {
    return state.SkipWithError("no record layer");
  }
  const auto size = static_cast<std::size_t>(state.range(1));
  std::vector<std::byte> record(5 + size + 17);
  const std::span<std::byte> all(record);
  writer.Seal(ContentType::kApplicationData, all.first(5), all.subspan(5, size),
              all.subspan(5 + size));
  std::vector<std::byte> wire(record.size());
  for ([[maybe_unused]] auto _ : state) {
    std::memcpy(wire.data(), record.data(), record.size());
    reader.protection_for_test().set_sequence_number(0);
    if (reader.Open(wire).outcome != OpenResult::Outcome::kOpened) {
      return state.SkipWithError("not opened");
    }
  }
  SetBytes(state);
}

void BM_RawSeal(benchmark::State& state) {
  const SuiteInfo* suite = FindSuite(static_cast<std::uint16_t>(0x1301 + state.range(0)));
  const std::vector<std::uint8_t> key(suite->key_bytes, 7);
  const auto aead = CreateEvpAead(suite->aead, key);
  std::vector<std::byte> data(static_cast<std::size_t>(state.range(1)) + 1);
  std::array<std::byte, kAeadTagBytes> tag;
  std::array<std::uint8_t, kAeadNonceBytes> nonce{};
  const std::array<std::uint8_t, 5> aad{};
  for ([[maybe_unused]] auto _ : state) {
    ++nonce[11];
    benchmark::DoNotOptimize(aead->Seal(nonce, aad, data, {}, tag));
  }
  SetBytes(state);
}

void Arguments(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"aead", "bytes"})->ArgsProduct({{0, 1, 2}, {64, 1400, 16384}});
}
BENCHMARK(BM_RawSeal)->Apply(Arguments);
BENCHMARK(BM_RecordSeal)->Apply(Arguments);
BENCHMARK(BM_RecordOpen)->Apply(Arguments);

}  // namespace
}  // namespace ktlsim::tls
