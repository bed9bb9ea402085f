// What does the API cost on top of the record layer? EncryptMessage and DecryptMessage by size, on
// a TLS 1.3 connection in memory, beside record writer and reader alone in the same run.
//
// `aead` is 0 AES-128-GCM, 1 AES-256-GCM, 2 ChaCha20-Poly1305. `records`: how many one call takes;
// the time is per record. Records to be opened are sealed ahead, outside the clock.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include "tls/record/aead_engine.h"
#include "tls/record/record.h"

namespace {

using ktlsim::tls::RecordReader;
using ktlsim::tls::RecordWriter;
using Bytes = std::vector<unsigned char>;

void Require(SECURITY_STATUS status, const char* what) {
  if (status >= 0) return;
  std::fprintf(stderr, "%s: %08x\n", what, static_cast<unsigned>(status));
  std::exit(1);
}

constexpr const char* kSuites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                   "TLS_CHACHA20_POLY1305_SHA256"};

// One suite only, so that the baselines below use the same cipher.
CredHandle Acquire(ULONG use, PCCERT_CONTEXT certificate, const char* suite) {
  SCH_CREDENTIALS credentials{};
  credentials.dwVersion = SCH_CREDENTIALS_VERSION;
  credentials.dwFlags = SCH_CRED_MANUAL_CRED_VALIDATION;
  credentials.cCreds = certificate != nullptr ? 1 : 0;
  credentials.paCred = &certificate;
  CredHandle handle{};
  char package[] = UNISP_NAME_A;
  Require(AcquireCredentialsHandleA(nullptr, package, use, nullptr, &credentials, nullptr, nullptr,
                                    &handle, nullptr),
          "acquire");
  KtlsimCred_CipherSuites suites{suite};
  Require(SetCredentialsAttributesA(&handle, KTLSIM_ATTR_CIPHER_SUITES, &suites, sizeof(suites)),
          "cipher suites");
  return handle;
}

// Two ends of one connection, established.
struct Pair {
  CtxtHandle client{};
  CtxtHandle server{};
  SecPkgContext_StreamSizes sizes{};

  explicit Pair(const char* suite) {
    PCCERT_CONTEXT certificate = nullptr;
    Require(KtlsimCreateSelfSignedCertificate("localhost", KTLSIM_KEY_ECDSA_P256, &certificate),
            "certificate");
    CredHandle server_credential = Acquire(SECPKG_CRED_INBOUND, certificate, suite);
    KtlsimCred_Tickets none{0};
    Require(SetCredentialsAttributesA(&server_credential, KTLSIM_ATTR_TICKETS, &none, sizeof(none)),
            "tickets");
    CredHandle client_credential = Acquire(SECPKG_CRED_OUTBOUND, nullptr, suite);
    Bytes flight;
    bool first = true;
    SECURITY_STATUS client_status = SEC_I_CONTINUE_NEEDED;
    SECURITY_STATUS server_status = SEC_I_CONTINUE_NEEDED;
    while (client_status != SEC_E_OK || server_status != SEC_E_OK) {
      client_status = Leg(false, &client_credential, first, &flight);
      Require(client_status, "client leg");
      server_status = Leg(true, &server_credential, first, &flight);
      Require(server_status, "server leg");
      first = false;
    }
    Require(QueryContextAttributesA(&client, SECPKG_ATTR_STREAM_SIZES, &sizes), "sizes");
  }

  SECURITY_STATUS Leg(bool is_server, PCredHandle credential, bool first, Bytes* flight) {
    Bytes input = *flight;
    flight->assign(16384, 0);
    SecBuffer in[2] = {{static_cast<ULONG>(input.size()), SECBUFFER_TOKEN, input.data()},
                       {0, SECBUFFER_EMPTY, nullptr}};
    SecBuffer out = {static_cast<ULONG>(flight->size()), SECBUFFER_TOKEN, flight->data()};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
    ULONG attributes = 0;
    CtxtHandle* context = is_server ? &server : &client;
    char target[] = "localhost";
    const SECURITY_STATUS status =
        is_server ? AcceptSecurityContext(credential, first ? nullptr : context, &in_desc, 0, 0,
                                          context, &out_desc, &attributes, nullptr)
                  : InitializeSecurityContextA(credential, first ? nullptr : context,
                                               first ? target : nullptr, 0, 0, 0, &in_desc, 0,
                                               context, &out_desc, &attributes, nullptr);
    flight->resize(out.cbBuffer);
    return status;
  }
};

Pair& PairOf(std::size_t aead) {
  static Pair* pairs[std::size(kSuites)] = {};
  if (pairs[aead] == nullptr) pairs[aead] = new Pair(kSuites[aead]);
  return *pairs[aead];
}

constexpr std::size_t kHeader = 5;
constexpr std::size_t kTrailer = 17;

// Arguments: aead, bytes, records.
struct Shape {
  explicit Shape(const benchmark::State& state)
      : aead(static_cast<std::size_t>(state.range(0))),
        bytes(static_cast<std::size_t>(state.range(1))),
        records(static_cast<std::size_t>(state.range(2))),
        // Enough to hide the cost of stopping the clock, and in the second-level cache.
        calls(std::clamp<std::size_t>(256 * 1024 / (bytes * records), 8, 512)) {}
  std::size_t record_bytes() const { return kHeader + bytes + kTrailer; }
  const std::size_t aead;
  const std::size_t bytes;
  const std::size_t records;
  const std::size_t calls;
};

void Finish(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * state.range(1));
}

void Encrypt(Pair& pair, const Shape& shape, unsigned char* at, std::vector<SecBuffer>& buffers) {
  const auto bytes = static_cast<ULONG>(shape.bytes);
  SecBuffer* next = buffers.data();
  for (std::size_t i = 0; i < shape.records; ++i, at += shape.record_bytes()) {
    *next++ = {kHeader, SECBUFFER_STREAM_HEADER, at};
    *next++ = {bytes, SECBUFFER_DATA, at + kHeader};
    *next++ = {kTrailer, SECBUFFER_STREAM_TRAILER, at + kHeader + bytes};
  }
  *next++ = {0, SECBUFFER_EMPTY, nullptr};
  SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(next - buffers.data()),
                           buffers.data()};
  Require(EncryptMessage(&pair.client, 0, &message, 0), "encrypt");
}

void BM_EncryptMessage(benchmark::State& state) {
  const Shape shape(state);
  Pair& pair = PairOf(shape.aead);
  Bytes wire(shape.records * shape.record_bytes(), 'x');
  std::vector<SecBuffer> buffers(3 * shape.records + 1);
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(shape.records))) {
    Encrypt(pair, shape, wire.data(), buffers);
  }
  Finish(state);
}

void BM_DecryptMessage(benchmark::State& state) {
  const Shape shape(state);
  // A connection of its own: the benchmark above seals records that are never opened.
  Pair pair(kSuites[shape.aead]);
  const std::size_t call_bytes = shape.records * shape.record_bytes();
  Bytes wire(shape.calls * call_bytes, 'x');
  std::vector<SecBuffer> buffers(3 * shape.records + 1);
  const std::size_t records = shape.calls * shape.records;
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(records))) {
    state.PauseTiming();
    for (std::size_t i = 0; i < shape.calls; ++i) {
      Encrypt(pair, shape, wire.data() + i * call_bytes, buffers);
    }
    state.ResumeTiming();
    for (std::size_t i = 0; i < shape.calls; ++i) {
      buffers[0] = {static_cast<ULONG>(call_bytes), SECBUFFER_DATA, wire.data() + i * call_bytes};
      for (std::size_t j = 1; j < buffers.size(); ++j) buffers[j] = {0, SECBUFFER_EMPTY, nullptr};
      SecBufferDesc message = {SECBUFFER_VERSION, static_cast<ULONG>(buffers.size()),
                               buffers.data()};
      Require(DecryptMessage(&pair.server, &message, 0, nullptr), "decrypt");
    }
  }
  Finish(state);
}

ktlsim::tls::ProtectionState Protection(const Shape& shape) {
  ktlsim::tls::ProtectionState protection;
  protection.suite = ktlsim::tls::FindSuite(kSuites[shape.aead]);
  const std::vector<std::uint8_t> secret(HashBytes(protection.suite->hash));
  protection.traffic_secret = ktlsim::tls::Secret(secret);
  protection.aead_factory = ktlsim::tls::ChosenAead().factory;
  return protection;
}

void Seal(RecordWriter& writer, const Shape& shape, std::span<std::byte> record) {
  const auto sealed = writer.Seal(ktlsim::tls::ContentType::kApplicationData, record.first(kHeader),
                                  record.subspan(kHeader, shape.bytes), record.last(kTrailer));
  if (sealed.outcome != ktlsim::tls::SealOutcome::kSealed) std::exit(1);
}

// The floors: the same records without handles, claims and descriptors.
void BM_RecordWriter(benchmark::State& state) {
  const Shape shape(state);
  RecordWriter writer;
  if (!writer.Init(Protection(shape))) std::exit(1);
  std::vector<std::byte> record(shape.record_bytes());
  for (auto _ : state) Seal(writer, shape, record);
  Finish(state);
}

void BM_RecordReader(benchmark::State& state) {
  const Shape shape(state);
  RecordWriter writer;
  RecordReader reader;
  if (!writer.Init(Protection(shape)) || !reader.Init(Protection(shape))) std::exit(1);
  std::vector<std::byte> wire(shape.calls * shape.record_bytes());
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(shape.calls))) {
    state.PauseTiming();
    for (std::size_t i = 0; i < shape.calls; ++i) {
      Seal(writer, shape, std::span(wire).subspan(i * shape.record_bytes(), shape.record_bytes()));
    }
    state.ResumeTiming();
    for (std::span<std::byte> rest(wire); !rest.empty();) {
      const auto opened = reader.Open(rest);
      if (opened.outcome != ktlsim::tls::OpenResult::Outcome::kOpened) std::exit(1);
      rest = rest.subspan(opened.consumed);
    }
  }
  Finish(state);
}

const std::vector<std::int64_t> kSizes = {64, 1400, 16384};
#define KTLSIM_ARGS(...) ArgNames({"aead", "bytes", "records"})->ArgsProduct({__VA_ARGS__})
BENCHMARK(BM_RecordWriter)->KTLSIM_ARGS({0, 1, 2}, kSizes, {1});
BENCHMARK(BM_EncryptMessage)->KTLSIM_ARGS({0, 1, 2}, kSizes, {1});
BENCHMARK(BM_EncryptMessage)->KTLSIM_ARGS({0}, kSizes, {4});
BENCHMARK(BM_RecordReader)->KTLSIM_ARGS({0, 1, 2}, kSizes, {1});
BENCHMARK(BM_DecryptMessage)->KTLSIM_ARGS({0, 1, 2}, kSizes, {1});
BENCHMARK(BM_DecryptMessage)->KTLSIM_ARGS({0}, kSizes, {4});

}  // namespace
