// TLS through the synchronous API, both ends in memory: how the package treats a handshake,
// records, tickets and a close. (The asynchronous functions run the same requests.)

#include <string>

#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

struct VersionCase {
  const char* name;
  ULONG disabled;
  DWORD wire;
  ULONG header;
  ULONG trailer;
};

void PrintTo(const VersionCase& version, std::ostream* out) { *out << version.name; }

class TlsPairTest : public testing::TestWithParam<VersionCase> {
 protected:
  TestCredential server_credential_ = TestCredential::Server(GetParam().disabled);
  TestCredential client_credential_ = TestCredential::Client(GetParam().disabled);
};

INSTANTIATE_TEST_SUITE_P(Versions, TlsPairTest,
                         testing::Values(VersionCase{"Tls12", SP_PROT_TLS1_3, 0x303, 13, 16},
                                         VersionCase{"Tls13", SP_PROT_TLS1_2, 0x304, 5, 17}),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(TlsPairTest, HandshakesAndMovesDataBothWays) {
  TestEnd client(false);
  TestEnd server(true);
  ASSERT_TRUE(RunHandshake(client, client_credential_.get(), server, server_credential_.get()))
      << std::hex << client.status << " " << server.status;
  EXPECT_EQ(server.attributes & ASC_RET_STREAM, static_cast<ULONG>(ASC_RET_STREAM));
  EXPECT_EQ(client.attributes & ISC_RET_CONFIDENTIALITY,
            static_cast<ULONG>(ISC_RET_CONFIDENTIALITY));
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 1000U, 16384U}) {
    const Bytes ping(size, 'p');
    Append(server.inbox, client.Seal(ping));
    EXPECT_EQ(server.Open(server_credential_.get()), ping);
    EXPECT_EQ(server.status, SEC_E_OK);
    const Bytes pong(size, 'q');
    Append(client.inbox, server.Seal(pong));
    EXPECT_EQ(client.Open(client_credential_.get()), pong);
    EXPECT_EQ(client.status, SEC_E_OK);
  }
}

TEST_P(TlsPairTest, TellsSizesAndNamesOfTheConnection) {
  server_credential_.SetSuites("TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384");
  TestEnd client(false);
  TestEnd server(true);
  client.alpn = AlpnBuffer({"h2", "http/1.1"});
  server.alpn = AlpnBuffer({"http/1.1", "h2"});
  SecPkgContext_StreamSizes sizes{};
  ASSERT_TRUE(RunHandshake(client, client_credential_.get(), server, server_credential_.get()));
  ASSERT_EQ(QueryContextAttributesA(&server.context, SECPKG_ATTR_STREAM_SIZES, &sizes), SEC_E_OK);
  EXPECT_EQ(sizes.cbHeader, GetParam().header);
  EXPECT_EQ(sizes.cbTrailer, GetParam().trailer);
  EXPECT_EQ(sizes.cbMaximumMessage, 16384U);
  EXPECT_EQ(sizes.cBuffers, 4U);

  SecPkgContext_CipherInfo cipher{};
  EXPECT_EQ(QueryContextAttributesA(&client.context, SECPKG_ATTR_CIPHER_INFO, &cipher),
            SEC_E_INVALID_PARAMETER)
      << "the caller names the structure's version";
  cipher.dwVersion = SECPKGCONTEXT_CIPHERINFO_V1;
  ASSERT_EQ(QueryContextAttributesA(&client.context, SECPKG_ATTR_CIPHER_INFO, &cipher), SEC_E_OK);
  EXPECT_EQ(cipher.dwProtocol, GetParam().wire);
  EXPECT_EQ(cipher.dwCipherLen, 256U);
  EXPECT_EQ(cipher.dwKeyType, 29U) << "X25519";
  EXPECT_EQ(std::u16string(cipher.szCertificate), u"ECDSA");

  SecPkgContext_ConnectionInfo info{};
  ASSERT_EQ(QueryContextAttributesW(&server.context, SECPKG_ATTR_CONNECTION_INFO, &info), SEC_E_OK);
  EXPECT_EQ(info.dwProtocol, GetParam().wire == 0x304U ? static_cast<DWORD>(SP_PROT_TLS1_3_SERVER)
                                                       : static_cast<DWORD>(SP_PROT_TLS1_2_SERVER));
  EXPECT_EQ(info.aiCipher, 0x6610U);
  EXPECT_EQ(info.dwHashStrength, 0U);

  for (TestEnd* end : {&client, &server}) {
    SecPkgContext_ApplicationProtocol alpn{};
    ASSERT_EQ(QueryContextAttributesA(&end->context, SECPKG_ATTR_APPLICATION_PROTOCOL, &alpn),
              SEC_E_OK);
    EXPECT_EQ(alpn.ProtoNegoStatus, SecApplicationProtocolNegotiationStatus_Success);
    EXPECT_EQ(std::string(alpn.ProtocolId, alpn.ProtocolId + alpn.ProtocolIdSize), "http/1.1")
        << "the server's order wins";
  }
}

TEST_P(TlsPairTest, ResumesWithEachNumberOfTickets) {
  for (const ULONG tickets : {0U, 1U, 2U}) {
    server_credential_.SetTickets(tickets);
    TestCredential client_credential = TestCredential::Client(GetParam().disabled);
    for (const bool second : {false, true}) {
      TestEnd client(false);
      TestEnd server(true);
      ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential_.get()));
      Append(client.inbox, server.Seal(ToBytes("hello")));
      EXPECT_EQ(ToText(client.Open(client_credential.get())), "hello");
      EXPECT_EQ(client.status, SEC_E_OK);
      // Without tickets TLS 1.3 has nothing to resume with; TLS 1.2 has session IDs.
      const bool expected = second && (tickets != 0 || GetParam().wire == 0x303);
      EXPECT_EQ(client.Resumed(), expected ? 1U : 0U) << tickets << " tickets";
      EXPECT_EQ(server.Resumed(), expected ? 1U : 0U) << tickets << " tickets";
    }
  }
}

TEST_P(TlsPairTest, DoesNotShareSessionsBetweenCredentials) {
  for (int i = 0; i < 2; ++i) {
    TestCredential client_credential = TestCredential::Client(GetParam().disabled);
    TestEnd client(false);
    TestEnd server(true);
    ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential_.get()));
    Append(client.inbox, server.Seal(ToBytes("x")));
    client.Open(client_credential.get());
    EXPECT_EQ(client.Resumed(), 0U);
  }
}

TEST_P(TlsPairTest, ClosesWithCloseNotifyBothWays) {
  TestEnd client(false);
  TestEnd server(true);
  ASSERT_TRUE(RunHandshake(client, client_credential_.get(), server, server_credential_.get()));
  // As a kernel-mode caller does it: an alert as out-of-band data.
  Append(server.inbox, client.Seal({1, 0}, SECQOP_WRAP_OOB_DATA));
  EXPECT_EQ(client.Seal(ToBytes("late")), Bytes());
  EXPECT_EQ(client.status, SEC_E_CONTEXT_EXPIRED);
  EXPECT_EQ(server.Open(server_credential_.get()), Bytes());
  EXPECT_EQ(server.status, SEC_I_CONTEXT_EXPIRED);
  // Half closed: the server may still send.
  Append(client.inbox, server.Seal(ToBytes("bye")));
  EXPECT_EQ(ToText(client.Open(client_credential_.get())), "bye");
  // As a user-mode caller does it: a control token, then a leg.
  DWORD shutdown = SCHANNEL_SHUTDOWN;
  SecBuffer token = {sizeof(shutdown), SECBUFFER_TOKEN, &shutdown};
  SecBufferDesc desc = {SECBUFFER_VERSION, 1, &token};
  ASSERT_EQ(ApplyControlToken(&server.context, &desc), SEC_E_OK);
  const Bytes alert = server.Leg(server_credential_.get());
  EXPECT_EQ(server.status, SEC_E_OK);
  EXPECT_FALSE(alert.empty());
  Append(client.inbox, alert);
  client.Open(client_credential_.get());
  EXPECT_EQ(client.status, SEC_I_CONTEXT_EXPIRED);
  server.Leg(server_credential_.get());
  EXPECT_EQ(server.status, SEC_E_INCOMPLETE_MESSAGE);
}

TEST_P(TlsPairTest, RefusesAChangedRecordAndHandsOutTheAlert) {
  TestEnd client(false);
  TestEnd server(true);
  ASSERT_TRUE(RunHandshake(client, client_credential_.get(), server, server_credential_.get()));
  Bytes record = client.Seal(ToBytes("attack at dawn"));
  record.back() ^= 1;
  Append(server.inbox, record);
  EXPECT_EQ(server.Open(server_credential_.get()), Bytes());
  EXPECT_EQ(server.status, SEC_E_MESSAGE_ALTERED);
  EXPECT_EQ(server.Seal(ToBytes("x")), Bytes());
  EXPECT_EQ(server.status, SEC_E_CONTEXT_EXPIRED);
  server.inbox.clear();
  Append(client.inbox, server.Leg(server_credential_.get()));
  EXPECT_EQ(server.status, SEC_E_OK);
  client.Open(client_credential_.get());
  EXPECT_EQ(client.status, SEC_E_MESSAGE_ALTERED) << "bad_record_mac, as the documented table says";
}

TEST_P(TlsPairTest, AnswersEveryCutFlightWithIncompleteMessage) {
  TestEnd client(false);
  const Bytes hello = client.Leg(client_credential_.get());
  for (std::size_t cut = 0; cut < hello.size(); ++cut) {
    TestEnd server(true);
    server.inbox.assign(hello.begin(), hello.begin() + static_cast<std::ptrdiff_t>(cut));
    server.Leg(server_credential_.get());
    ASSERT_EQ(server.status, SEC_E_INCOMPLETE_MESSAGE) << cut;
    ASSERT_FALSE(SecIsValidHandle(&server.context)) << "no context from an incomplete first call";
  }
}

TEST_P(TlsPairTest, KeepsTheFlightWhenTheCallersBufferIsTooSmall) {
  TestEnd client(false);
  TestEnd server(true);
  Append(server.inbox, client.Leg(client_credential_.get()));
  server.token_room = 10;
  server.Leg(server_credential_.get());
  ASSERT_EQ(server.status, SEC_E_BUFFER_TOO_SMALL);
  ASSERT_TRUE(SecIsValidHandle(&server.context)) << "the retry continues this context";
  server.token_room = 32768;
  Append(client.inbox, server.Leg(server_credential_.get()));
  EXPECT_EQ(server.status, SEC_I_CONTINUE_NEEDED);
  Append(server.inbox, client.Leg(client_credential_.get()));
  ASSERT_GE(client.status, 0) << std::hex << client.status;
  server.Leg(server_credential_.get());
  EXPECT_EQ(server.status, SEC_E_OK);
}

TEST_P(TlsPairTest, RefusesGarbageAndStaysAsItWas) {
  TestEnd client(false);
  TestEnd server(true);
  server.inbox = ToBytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  server.Leg(server_credential_.get());
  EXPECT_EQ(server.status, SEC_E_INVALID_TOKEN);
  Append(server.inbox, client.Leg(client_credential_.get()));
  client.inbox = Bytes(8192, 0xfa);
  client.Leg(client_credential_.get());
  EXPECT_EQ(client.status, SEC_E_INVALID_TOKEN);
  client.inbox = Bytes(8192, 0);
  client.Leg(client_credential_.get());
  EXPECT_EQ(client.status, SEC_E_INVALID_TOKEN);
}

TEST(TlsPackageTest, FailsWithAnAlertWhenNothingIsShared) {
  TestCredential server_credential = TestCredential::Server(SP_PROT_TLS1_2);
  TestCredential client_credential = TestCredential::Client(SP_PROT_TLS1_3);
  TestEnd client(false);
  TestEnd server(true);
  Append(server.inbox, client.Leg(client_credential.get()));
  const Bytes alert = server.Leg(server_credential.get());
  EXPECT_EQ(server.status, SEC_E_ALGORITHM_MISMATCH);
  ASSERT_EQ(alert.size(), 7U) << "a plaintext alert record";
  EXPECT_EQ(alert[0], 21);
  EXPECT_EQ(alert[6], 70) << "protocol_version";
}

TEST(TlsPackageTest, RefusesAnUnknownProtocolListWithoutOverlap) {
  TestCredential server_credential = TestCredential::Server();
  TestCredential client_credential = TestCredential::Client();
  TestEnd client(false);
  TestEnd server(true);
  client.alpn = AlpnBuffer({"spdy/1"});
  server.alpn = AlpnBuffer({"h2"});
  EXPECT_FALSE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  EXPECT_EQ(server.status, SEC_E_APPLICATION_PROTOCOL_MISMATCH);
}

TEST(TlsPackageTest, ChecksTheServersCertificateUnlessToldNotTo) {
  TestCredential server_credential = TestCredential::Server();
  TestCredential client_credential = TestCredential::Client(0, 0);
  TestEnd client(false);
  TestEnd server(true);
  EXPECT_FALSE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  EXPECT_EQ(client.status, SEC_E_UNTRUSTED_ROOT);
}

TEST(TlsPackageTest, KeepsContextsAliveWhenTheirCredentialIsFreed) {
  TestEnd client(false);
  TestEnd server(true);
  {
    TestCredential server_credential = TestCredential::Server();
    TestCredential client_credential = TestCredential::Client();
    ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  }
  Append(server.inbox, client.Seal(ToBytes("still here")));
  EXPECT_EQ(ToText(server.Open(nullptr)), "still here");
}

TEST(TlsPackageTest, EveryBitOfAHandleCounts) {
  TestCredential server_credential = TestCredential::Server();
  TestCredential client_credential = TestCredential::Client();
  TestEnd client(false);
  TestEnd server(true);
  ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  for (unsigned bit = 0; bit < 128; ++bit) {
    SCOPED_TRACE(bit);
    CtxtHandle other = client.context;
    (bit < 64 ? other.dwLower : other.dwUpper) ^= ULONG_PTR{1} << (bit % 64);
    Bytes record(64);
    SecBuffer buffers[4] = {{5, SECBUFFER_STREAM_HEADER, record.data()},
                            {10, SECBUFFER_DATA, record.data() + 5},
                            {17, SECBUFFER_STREAM_TRAILER, record.data() + 15},
                            {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    // The other end's handle happens to differ in one bit only.
    if (other.dwUpper == server.context.dwUpper && other.dwLower == server.context.dwLower) {
      continue;
    }
    EXPECT_EQ(EncryptMessage(&other, 0, &message, 0), SEC_E_INVALID_HANDLE);
    EXPECT_EQ(DecryptMessage(&other, &message, 0, nullptr), SEC_E_INVALID_HANDLE);
    SecPkgContext_StreamSizes sizes{};
    EXPECT_EQ(QueryContextAttributesA(&other, SECPKG_ATTR_STREAM_SIZES, &sizes),
              SEC_E_INVALID_HANDLE);
    EXPECT_EQ(DeleteSecurityContext(&other), SEC_E_INVALID_HANDLE);
    CredHandle credential = *client_credential.get();
    (bit < 64 ? credential.dwLower : credential.dwUpper) ^= ULONG_PTR{1} << (bit % 64);
    if (credential.dwUpper == server_credential.get()->dwUpper) continue;
    EXPECT_EQ(FreeCredentialsHandle(&credential), SEC_E_INVALID_HANDLE);
  }
  EXPECT_EQ(client.Seal(ToBytes("hello")).empty(), false);
}

TEST(TlsPackageTest, LeavesNothingBehind) {
  KtlsimStatistics before{};
  before.cbSize = sizeof(before);
  ASSERT_EQ(KtlsimQueryStatistics(&before), SEC_E_OK);
  for (int i = 0; i < 20; ++i) {
    TestCredential server_credential = TestCredential::Server();
    TestCredential client_credential = TestCredential::Client();
    TestEnd client(false);
    TestEnd server(true);
    ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  }
  KtlsimStatistics after{};
  after.cbSize = sizeof(after);
  ASSERT_EQ(KtlsimQueryStatistics(&after), SEC_E_OK);
  EXPECT_EQ(after.cSecurityContexts, before.cSecurityContexts);
  EXPECT_EQ(after.cCredentials, before.cCredentials);
  EXPECT_EQ(after.cAsyncContexts, before.cAsyncContexts);
  EXPECT_EQ(after.cContextBuffers, before.cContextBuffers);
  EXPECT_EQ(after.cHandshakesCompleted, before.cHandshakesCompleted + 40);
}

}  // namespace
}  // namespace ktlsim::test
