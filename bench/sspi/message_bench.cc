// What does the API cost on top of the record layer? EncryptMessage and DecryptMessage by size, on
// a TLS 1.3 connection in memory, beside the record writer alone on the same machine in the same
// run.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <benchmark/benchmark.h>

#include "tls/aead_engine.h"
#include "tls/record_writer.h"

namespace {

using ktlsim::tls::RecordWriter;
using Bytes = std::vector<unsigned char>;

void Require(SECURITY_STATUS status, const char* what) {
  if (status >= 0) return;
  std::fprintf(stderr, "%s: %08x\n", what, static_cast<unsigned>(status));
  std::exit(1);
}

CredHandle Acquire(ULONG use, PCCERT_CONTEXT certificate) {
  // AES-128-GCM only, so that the baseline below seals with the same cipher.
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
  KtlsimCred_CipherSuites suites{"TLS_AES_128_GCM_SHA256"};
  Require(SetCredentialsAttributesA(&handle, KTLSIM_ATTR_CIPHER_SUITES, &suites, sizeof(suites)),
          "cipher suites");
  return handle;
}

// Two ends of one connection, established.
struct Pair {
  CtxtHandle client{};
  CtxtHandle server{};
  SecPkgContext_StreamSizes sizes{};

  Pair() {
    PCCERT_CONTEXT certificate = nullptr;
    Require(KtlsimCreateSelfSignedCertificate("localhost", KTLSIM_KEY_ECDSA_P256, &certificate),
            "certificate");
    CredHandle server_credential = Acquire(SECPKG_CRED_INBOUND, certificate);
    KtlsimCred_Tickets none{0};
    Require(SetCredentialsAttributesA(&server_credential, KTLSIM_ATTR_TICKETS, &none, sizeof(none)),
            "tickets");
    CredHandle client_credential = Acquire(SECPKG_CRED_OUTBOUND, nullptr);
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

Pair& ThePair() {
  static auto* const pair = new Pair();
  return *pair;
}

void BM_EncryptMessage(benchmark::State& state) {
  Pair& pair = ThePair();
  const auto bytes = static_cast<ULONG>(state.range(0));
  Bytes record(pair.sizes.cbHeader + bytes + pair.sizes.cbTrailer, 'x');
  for (auto _ : state) {
    SecBuffer buffers[4] = {{pair.sizes.cbHeader, SECBUFFER_STREAM_HEADER, record.data()},
                            {bytes, SECBUFFER_DATA, record.data() + pair.sizes.cbHeader},
                            {pair.sizes.cbTrailer, SECBUFFER_STREAM_TRAILER,
                             record.data() + pair.sizes.cbHeader + bytes},
                            {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    Require(EncryptMessage(&pair.client, 0, &message, 0), "encrypt");
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

// The floor: the same record from the record writer, without handles, claims and descriptors.
void BM_RecordWriter(benchmark::State& state) {
  ktlsim::tls::ProtectionState protection;
  protection.suite = ktlsim::tls::FindSuite("TLS_AES_128_GCM_SHA256");
  const std::array<std::uint8_t, 32> secret{};
  protection.traffic_secret = ktlsim::tls::Secret(secret);
  protection.aead_factory = ktlsim::tls::ChosenAead().factory;
  RecordWriter writer;
  if (!writer.Init(std::move(protection))) std::exit(1);
  const auto bytes = static_cast<std::size_t>(state.range(0));
  std::vector<std::byte> record(5 + bytes + 17);
  for (auto _ : state) {
    const std::span<std::byte> all(record);
    const auto sealed = writer.Seal(ktlsim::tls::ContentType::kApplicationData, all.first(5),
                                    all.subspan(5, bytes), all.subspan(5 + bytes));
    if (sealed.outcome != ktlsim::tls::SealOutcome::kSealed) std::exit(1);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK(BM_EncryptMessage)->ArgName("bytes")->Arg(64)->Arg(1400)->Arg(16384);
BENCHMARK(BM_RecordWriter)->ArgName("bytes")->Arg(64)->Arg(1400)->Arg(16384);

}  // namespace
