// Calls in the order and with the shapes of programs that were written for Windows: a managed
// runtime's TLS stream, a QUIC library's credentials, a client that calls through a function table
// and puts functions of its own in it.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>
#include <sspi.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

// ---- A managed runtime's stream: both ends have their tokens allocated, an alert buffer comes after the token, and the protocols are the third buffer.

constexpr ULONG kClientFlags = ISC_REQ_REPLAY_DETECT | ISC_REQ_SEQUENCE_DETECT |
                               ISC_REQ_CONFIDENTIALITY | ISC_REQ_ALLOCATE_MEMORY |
                               ISC_REQ_EXTENDED_ERROR | ISC_REQ_MANUAL_CRED_VALIDATION;
constexpr ULONG kServerFlags = ASC_REQ_REPLAY_DETECT | ASC_REQ_SEQUENCE_DETECT |
                               ASC_REQ_CONFIDENTIALITY | ASC_REQ_ALLOCATE_MEMORY |
                               ASC_REQ_EXTENDED_ERROR | ASC_REQ_STREAM;

class ManagedStream {
 public:
  ManagedStream(bool server, Bytes alpn) : server_(server), alpn_(std::move(alpn)) {
    PCCERT_CONTEXT certificate = LocalhostCertificate();
    TLS_PARAMETERS parameters{};
    SCH_CREDENTIALS cred{};
    cred.dwVersion = SCH_CREDENTIALS_VERSION;
    cred.dwFlags = SCH_USE_STRONG_CRYPTO | SCH_SEND_AUX_RECORD;
    cred.dwFlags |= server ? SCH_CRED_NO_SYSTEM_MAPPER
                           : SCH_CRED_MANUAL_CRED_VALIDATION | SCH_CRED_NO_DEFAULT_CREDS |
                                 SCH_CRED_REVOCATION_CHECK_END_CERT;
    cred.cTlsParameters = 1;
    cred.pTlsParameters = &parameters;
    if (server) {
      cred.cCreds = 1;
      cred.paCred = &certificate;
    }
    std::u16string name(UNISP_NAME_W);
    EXPECT_EQ(AcquireCredentialsHandleW(nullptr, name.data(),
                                        server ? SECPKG_CRED_INBOUND : SECPKG_CRED_OUTBOUND,
                                        nullptr, &cred, nullptr, nullptr, &credential_, nullptr),
              SEC_E_OK)
        << KtlsimLastErrorText();
    SecInvalidateHandle(&context_);
  }
  ManagedStream(const ManagedStream&) = delete;
  ManagedStream& operator=(const ManagedStream&) = delete;
  ~ManagedStream() {
    if (SecIsValidHandle(&context_)) {
      EXPECT_EQ(DeleteSecurityContext(&context_), SEC_E_OK);
    }
    EXPECT_EQ(FreeCredentialsHandle(&credential_), SEC_E_OK);
  }

  // The whole inbox goes in; unused bytes stay there.
  Bytes Leg() {
    const bool first = !SecIsValidHandle(&context_);
    Bytes bytes = inbox;
    std::vector<SecBuffer> in;
    if (server_ || !first) {
      in.push_back({static_cast<ULONG>(bytes.size()), SECBUFFER_TOKEN, bytes.data()});
      in.push_back({0, SECBUFFER_EMPTY, nullptr});
    }
    if (first && !alpn_.empty()) {
      in.push_back(
          {static_cast<ULONG>(alpn_.size()), SECBUFFER_APPLICATION_PROTOCOLS, alpn_.data()});
    }
    SecBufferDesc in_desc = {SECBUFFER_VERSION, static_cast<ULONG>(in.size()), in.data()};
    SecBuffer out[2] = {{0, SECBUFFER_TOKEN, nullptr}, {0, SECBUFFER_ALERT, nullptr}};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 2, out};
    attributes = 0;
    std::u16string target = u"localhost";
    status =
        server_
            ? AcceptSecurityContext(&credential_, first ? nullptr : &context_, &in_desc,
                                    kServerFlags, 0, &context_, &out_desc, &attributes, nullptr)
            : InitializeSecurityContextW(&credential_, first ? nullptr : &context_, target.data(),
                                         kClientFlags, 0, 0, in.empty() ? nullptr : &in_desc, 0,
                                         &context_, &out_desc, &attributes, nullptr);
    inbox.clear();
    for (const SecBuffer& buffer : in) {
      if (buffer.BufferType != SECBUFFER_EXTRA) continue;
      inbox.assign(bytes.end() - buffer.cbBuffer, bytes.end());
    }
    alert = Take(out[1]);
    return Take(out[0]);
  }

  Bytes inbox;
  Bytes alert;
  SECURITY_STATUS status = SEC_I_CONTINUE_NEEDED;
  ULONG attributes = 0;
  PCtxtHandle context() { return &context_; }

 private:
  static Bytes Take(SecBuffer& buffer) {
    const auto* bytes = static_cast<unsigned char*>(buffer.pvBuffer);
    Bytes result(bytes, bytes + (bytes != nullptr ? buffer.cbBuffer : 0));
    EXPECT_EQ(FreeContextBuffer(buffer.pvBuffer), SEC_E_OK);
    return result;
  }

  const bool server_;
  Bytes alpn_;
  CredHandle credential_{};
  CtxtHandle context_{};
};

TEST(RealCallersTest, AManagedStreamTalksToItself) {
  const ULONGLONG live = Statistics().cContextBuffers;
  {
    ManagedStream client(false, AlpnBuffer({"h2", "http/1.1"}));
    ManagedStream server(true, AlpnBuffer({"http/1.1"}));
    Append(server.inbox, client.Leg());
    for (int round = 0; round < 3; ++round) {
      if (server.status == SEC_I_CONTINUE_NEEDED) Append(client.inbox, server.Leg());
      if (client.status == SEC_I_CONTINUE_NEEDED) Append(server.inbox, client.Leg());
    }
    ASSERT_EQ(client.status, SEC_E_OK) << KtlsimLastErrorText();
    ASSERT_EQ(server.status, SEC_E_OK) << KtlsimLastErrorText();
    EXPECT_EQ(client.attributes & kClientFlags, kClientFlags) << "all that was asked for";
    EXPECT_EQ(server.attributes & kServerFlags, kServerFlags);
    SecPkgContext_ApplicationProtocol chosen{};
    ASSERT_EQ(QueryContextAttributesW(client.context(), SECPKG_ATTR_APPLICATION_PROTOCOL, &chosen),
              SEC_E_OK);
    EXPECT_EQ(std::string(reinterpret_cast<char*>(chosen.ProtocolId), chosen.ProtocolIdSize),
              "http/1.1");
  }
  EXPECT_EQ(Statistics().cContextBuffers, live);
}

TEST(RealCallersTest, AManagedStreamFindsTheAlertInItsSecondBuffer) {
  ManagedStream client(false, AlpnBuffer({"h2"}));
  ManagedStream server(true, AlpnBuffer({"http/1.1"}));
  Append(server.inbox, client.Leg());
  EXPECT_TRUE(client.alert.empty());
  const Bytes token = server.Leg();
  EXPECT_EQ(server.status, SEC_E_APPLICATION_PROTOCOL_MISMATCH);
  EXPECT_EQ(server.alert, (Bytes{TLS1_ALERT_FATAL, TLS1_ALERT_NO_APP_PROTOCOL}));
  EXPECT_FALSE(token.empty()) << "the alert's record";
}

// ---- A QUIC library: everything for an acquisition is in one block, which the callback frees together with the async context.

struct Acquisition {
  SCH_CREDENTIALS credentials{};
  TLS_PARAMETERS parameters{};
  std::array<CRYPTO_SETTINGS, 2> disabled{};
  UNICODE_STRING ccm{};
  PCCERT_CONTEXT certificate = nullptr;
  SspiAsyncContext* async = nullptr;
  struct Acquired* result = nullptr;
};

struct Acquired {
  Acquired() { SecInvalidateHandle(&handle); }
  CredHandle handle;
  SECURITY_STATUS status = SEC_I_ASYNC_CALL_PENDING;
  Event done;
};

void AcquisitionEnds(SspiAsyncContext* async, PVOID data) {
  auto* block = static_cast<Acquisition*>(data);
  Acquired& result = *block->result;
  result.status = SspiGetAsyncCallStatus(async);
  SspiFreeAsyncContext(block->async);
  delete block;
  result.done.Set();
}

template <std::size_t kUnits>
UNICODE_STRING CountedWithNul(const WCHAR (&text)[kUnits]) {
  return {kUnits * sizeof(WCHAR), kUnits * sizeof(WCHAR), const_cast<PWSTR>(text)};
}

void StartAcquisition(bool server, ULONG more_flags, Acquired* result) {
  auto block = std::make_unique<Acquisition>();
  block->result = result;
  block->certificate = LocalhostCertificate();
  block->ccm = CountedWithNul(u"ChainingModeCCM");
  block->disabled[0].eAlgorithmUsage = TlsParametersCngAlgUsageCipher;
  block->disabled[0].strCngAlgId = CountedWithNul(u"CHACHA20_POLY1305");
  block->disabled[1].eAlgorithmUsage = TlsParametersCngAlgUsageCipher;
  block->disabled[1].strCngAlgId = CountedWithNul(u"AES");
  block->disabled[1].cChainingModes = 1;
  block->disabled[1].rgstrChainingModes = &block->ccm;
  block->parameters.cDisabledCrypto = 2;
  block->parameters.pDisabledCrypto = block->disabled.data();
  block->parameters.grbitDisabledProtocols =
      ~(server ? DWORD{SP_PROT_TLS1_3_SERVER} : DWORD{SP_PROT_TLS1_3_CLIENT});
  block->credentials.dwVersion = SCH_CREDENTIALS_VERSION;
  block->credentials.dwFlags =
      SCH_USE_STRONG_CRYPTO | more_flags |
      (server ? SCH_CRED_NO_SYSTEM_MAPPER | SCH_CRED_SNI_CREDENTIAL : SCH_CRED_NO_DEFAULT_CREDS);
  block->credentials.cTlsParameters = 1;
  block->credentials.pTlsParameters = &block->parameters;
  if (server) {
    block->credentials.cCreds = 1;
    block->credentials.paCred = &block->certificate;
  }
  block->async = SspiCreateAsyncContext();
  ASSERT_NE(block->async, nullptr);
  ASSERT_EQ(SspiSetAsyncNotifyCallback(block->async, &AcquisitionEnds, block.get()), SEC_E_OK);
  Acquisition* const started = block.release();
  std::u16string principal = u"localhost";
  std::u16string package(UNISP_NAME_W);
  // From here on the block may be freed.
  ASSERT_EQ(SspiAcquireCredentialsHandleAsyncW(
                started->async, server ? principal.data() : nullptr, package.data(),
                server ? SECPKG_CRED_INBOUND : SECPKG_CRED_OUTBOUND, nullptr, &started->credentials,
                nullptr, nullptr, &result->handle, nullptr),
            SEC_E_OK);
}

TEST(RealCallersTest, AQuicLibraryAcquiresConnectsAndTearsDown) {
  const KtlsimStatistics before = Statistics();
  Acquired server;
  Acquired client;
  StartAcquisition(true, SCH_CRED_DISABLE_RECONNECTS, &server);
  StartAcquisition(false,
                   SCH_CRED_DEFERRED_CRED_VALIDATION | SCH_CRED_REVOCATION_CHECK_CHAIN |
                       SCH_CRED_IGNORE_NO_REVOCATION_CHECK | SCH_CRED_IGNORE_REVOCATION_OFFLINE |
                       SCH_CRED_CACHE_ONLY_URL_RETRIEVAL | SCH_CRED_REVOCATION_CHECK_CACHE_ONLY,
                   &client);
  server.done.Wait();
  client.done.Wait();
  ASSERT_EQ(server.status, SEC_E_OK);
  ASSERT_EQ(client.status, SEC_E_OK);
  TestEnd client_end(false);
  TestEnd server_end(true);
  ASSERT_TRUE(RunHandshake(client_end, &client.handle, server_end, &server.handle));
  SecPkgContext_CertificateValidationResult verdict{};
  EXPECT_EQ(
      QueryContextAttributesW(&client_end.context, SECPKG_ATTR_CERT_CHECK_RESULT_INPROC, &verdict),
      SEC_E_OK);
  EXPECT_EQ(verdict.hrVerifyChainStatus, CERT_E_UNTRUSTEDROOT) << "deferred: reported, not refused";
  for (TestEnd* end : {&client_end, &server_end}) {
    SspiAsyncContext* async = SspiCreateAsyncContext();
    ASSERT_NE(async, nullptr);
    SspiDeleteSecurityContextAsync(async, &end->context);
    SecInvalidateHandle(&end->context);
    SspiFreeAsyncContext(async);
  }
  EXPECT_EQ(FreeCredentialsHandle(&client.handle), SEC_E_OK);
  EXPECT_EQ(FreeCredentialsHandle(&server.handle), SEC_E_OK);
  WaitUntil([&] { return Statistics().cSecurityContexts == before.cSecurityContexts; });
  WaitUntil([&] { return Statistics().cAsyncContexts == before.cAsyncContexts; });
  EXPECT_EQ(Statistics().cMisuse, before.cMisuse);
}

TEST(RealCallersTest, AFailedAcquisitionLeavesTheHandleInvalid) {
  Acquired client;
  StartAcquisition(false, SCH_USE_DTLS_ONLY, &client);
  client.done.Wait();
  EXPECT_EQ(client.status, SEC_E_ALGORITHM_MISMATCH);
  EXPECT_FALSE(SecIsValidHandle(&client.handle));
}

// The flag that QUIC needs for its handshake is refused by name; no TLS records come instead.
TEST(RealCallersTest, AHandshakeWithoutRecordsIsRefused) {
  TestCredential credential = TestCredential::Client();
  SEC_FLAGS flags = {ISC_REQ_MESSAGES};
  SecBuffer in[3] = {{0, SECBUFFER_EMPTY, nullptr},
                     {0, SECBUFFER_EMPTY, nullptr},
                     {sizeof(flags), SECBUFFER_FLAGS, &flags}};
  SecBufferDesc in_desc = {SECBUFFER_VERSION, 3, in};
  Bytes memory(4096);
  SecBuffer out = {static_cast<ULONG>(memory.size()), SECBUFFER_TOKEN, memory.data()};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context;
  SecInvalidateHandle(&context);
  ULONG attributes = 0;
  EXPECT_EQ(InitializeSecurityContextW(credential.get(), nullptr, nullptr, ISC_REQ_STREAM, 0,
                                       SECURITY_NATIVE_DREP, &in_desc, 0, &context, &out_desc,
                                       &attributes, nullptr),
            SEC_E_UNSUPPORTED_FUNCTION);
  EXPECT_EQ(KtlsimLastErrorText(), std::string("ISC_REQ_MESSAGES is not supported"));
  EXPECT_FALSE(SecIsValidHandle(&context));
}

// ---- Through a function table in which a program has put a function of its own.

std::atomic<int> own_calls{0};

SECURITY_STATUS OwnInitialize(PCredHandle credential, PCtxtHandle context, LPSTR target,
                              ULONG flags, ULONG, ULONG drep, PSecBufferDesc input, ULONG,
                              PCtxtHandle new_context, PSecBufferDesc output,
                              KTLSIM_ULONG_OUT attributes, PTimeStamp expiry) {
  ++own_calls;
  return InitSecurityInterfaceA()->InitializeSecurityContextA(credential, context, target, flags, 0,
                                                              drep, input, 0, new_context, output,
                                                              attributes, expiry);
}

TEST(RealCallersTest, ATableWithAFunctionOfOnesOwn) {
  SecurityFunctionTableA table = *InitSecurityInterfaceA();
  table.InitializeSecurityContextA = &OwnInitialize;
  own_calls = 0;
  SCHANNEL_CRED cred{};
  cred.dwVersion = SCHANNEL_CRED_VERSION;
  cred.dwFlags = SCH_CRED_MANUAL_CRED_VALIDATION | SCH_USE_STRONG_CRYPTO;
  char name[] = UNISP_NAME_A;
  char target[] = "localhost";
  CredHandle credential{};
  ASSERT_EQ(table.AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_OUTBOUND, nullptr, &cred,
                                            nullptr, nullptr, &credential, nullptr),
            SEC_E_OK);
  constexpr ULONG kFlags = ISC_REQ_SEQUENCE_DETECT | ISC_REQ_REPLAY_DETECT |
                           ISC_REQ_CONFIDENTIALITY | ISC_REQ_ALLOCATE_MEMORY | ISC_REQ_STREAM;
  SecBuffer out = {0, SECBUFFER_EMPTY, nullptr};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  CtxtHandle context{};
  // The width of `unsigned long` in POSIX sources.
  unsigned long attributes = ~0UL;
  ASSERT_EQ(table.InitializeSecurityContextA(&credential, nullptr, target, kFlags, 0, 0, nullptr, 0,
                                             &context, &out_desc, &attributes, nullptr),
            SEC_I_CONTINUE_NEEDED);
  EXPECT_EQ(own_calls.load(), 1);
  EXPECT_EQ(attributes & kFlags, kFlags);
  EXPECT_EQ(out.BufferType, ULONG{SECBUFFER_TOKEN});
  EXPECT_EQ(table.FreeContextBuffer(out.pvBuffer), SEC_E_OK);
  EXPECT_EQ(table.DeleteSecurityContext(&context), SEC_E_OK);
  // Either spelling, with either table.
  EXPECT_EQ(table.FreeCredentialHandle(&credential), SEC_E_OK);
  EXPECT_EQ(table.FreeCredentialsHandle(&credential), SEC_E_INVALID_HANDLE);
  EXPECT_EQ(InitSecurityInterfaceW()->FreeCredentialHandle(&credential), SEC_E_INVALID_HANDLE);
}

}  // namespace
}  // namespace ktlsim::test
