// Whole connections in which an allocation fails, on either side: the call that needed it returns
// SEC_E_INSUFFICIENT_MEMORY, nothing is lost, and a peer that must be refused is never let in.
#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/faults/ends.h"

namespace ktlsim::test {
namespace {

constexpr ULONG kNoTls12 = SP_PROT_TLS1_2;
constexpr ULONG kNoTls13 = SP_PROT_TLS1_3;
// Without OpenSSL's reading of the system's certificates.
constexpr ULONG kAnyServer = SCH_CRED_MANUAL_CRED_VALIDATION;

FaultCredential::Wanted Server(ULONG disabled, PCCERT_CONTEXT certificate) {
  return {.use = SECPKG_CRED_INBOUND, .disabled = disabled, .certificate = certificate};
}
FaultCredential::Wanted Client(ULONG disabled, ULONG flags = kAnyServer) {
  return {.use = SECPKG_CRED_OUTBOUND, .disabled = disabled, .flags = flags};
}
FaultCredential::Wanted JudgingClient(ULONG disabled) {
  FaultCredential::Wanted wanted = Client(disabled, 0);
  wanted.trust = true;
  return wanted;
}

struct Version {
  const char* name;
  ULONG disabled;
};
void PrintTo(const Version& version, std::ostream* out) { *out << version.name; }

class HandshakeFaultsTest : public testing::TestWithParam<Version> {
 protected:
  ULONG disabled() const { return GetParam().disabled; }
  std::string Name(const std::string& scene) const { return GetParam().name + (" " + scene); }
  bool tls13() const { return disabled() == kNoTls12; }

  // `call` with the four buffers of a message.
  static void Exchange(FaultRun& run, TestEnd& from, TestEnd& to) {
    SecPkgContext_StreamSizes sizes{};
    QueryContextAttributesA(&from.context, SECPKG_ATTR_STREAM_SIZES, &sizes);
    Bytes record(sizes.cbHeader + 100 + sizes.cbTrailer, 'x');
    SecBuffer buffers[4];
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    run.ReturnsOrCanBeRetried(SEC_E_OK, "encrypt", [&] {
      buffers[0] = {sizes.cbHeader, SECBUFFER_STREAM_HEADER, record.data()};
      buffers[1] = {100, SECBUFFER_DATA, record.data() + sizes.cbHeader};
      buffers[2] = {sizes.cbTrailer, SECBUFFER_STREAM_TRAILER,
                    record.data() + sizes.cbHeader + 100};
      buffers[3] = {0, SECBUFFER_EMPTY, nullptr};
      return EncryptMessage(&from.context, 0, &message, 0);
    });
    Append(to.inbox, record);
    run.ReturnsOrCanBeRetried(SEC_E_OK, "decrypt", [&] { return Decrypt(to, buffers); });
    EXPECT_EQ(buffers[1].cbBuffer, 100U);
    to.inbox.clear();
  }
  static SECURITY_STATUS Decrypt(TestEnd& end, SecBuffer* buffers) {
    buffers[0] = {static_cast<ULONG>(end.inbox.size()), SECBUFFER_DATA, end.inbox.data()};
    for (int i = 1; i < 4; ++i) buffers[i] = {0, SECBUFFER_EMPTY, nullptr};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    return DecryptMessage(&end.context, &message, 0, nullptr);
  }
  // A leg after the handshake: its token goes to `peer`.
  static void HandOut(FaultRun& run, TestEnd& end, PCredHandle credential, TestEnd& peer) {
    Bytes input = end.inbox;
    Bytes output(4096);
    SecBuffer in[2];
    SecBuffer out{};
    SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
    SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
    run.ReturnsOrCanBeRetried(SEC_E_OK, "leg", [&] {
      in[0] = {static_cast<ULONG>(input.size()), SECBUFFER_TOKEN, input.data()};
      in[1] = {0, SECBUFFER_EMPTY, nullptr};
      out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
      return end.server
                 ? AcceptSecurityContext(credential, &end.context, &in_desc, 0, 0, &end.context,
                                         &out_desc, nullptr, nullptr)
                 : InitializeSecurityContextA(credential, &end.context, nullptr, 0, 0, 0, &in_desc,
                                              0, &end.context, &out_desc, nullptr, nullptr);
    });
    end.inbox.clear();
    Append(peer.inbox, Bytes(output.begin(), output.begin() + out.cbBuffer));
  }
  template <typename Token>
  static void Control(FaultRun& run, TestEnd& end, Token token) {
    SecBuffer buffer = {sizeof(token), SECBUFFER_TOKEN, &token};
    SecBufferDesc desc = {SECBUFFER_VERSION, 1, &buffer};
    run.ReturnsOrCanBeRetried(SEC_E_OK, "control",
                              [&] { return ApplyControlToken(&end.context, &desc); });
  }
  // The client updates its key and requests an update of the server's.
  static void UpdateKeys(FaultRun& run, TestEnd& client, PCredHandle client_credential,
                         TestEnd& server, PCredHandle server_credential) {
    Control(run, client, KtlsimControl_KeyUpdate{KTLSIM_CONTROL_KEY_UPDATE, 1});
    HandOut(run, client, client_credential, server);
    for (const bool at_server : {true, false}) {
      TestEnd& end = at_server ? server : client;
      SecBuffer buffers[4];
      run.ReturnsOrCanBeRetried(SEC_I_RENEGOTIATE, "key update",
                                [&] { return Decrypt(end, buffers); });
      HandOut(run, end, at_server ? server_credential : client_credential,
              at_server ? client : server);
    }
  }
  static void ShutDown(FaultRun& run, TestEnd& client, PCredHandle credential, TestEnd& server) {
    Control(run, client, DWORD{SCHANNEL_SHUTDOWN});
    HandOut(run, client, credential, server);
    SecBuffer buffers[4];
    run.ReturnsOrCanBeRetried(SEC_I_CONTEXT_EXPIRED, "close",
                              [&] { return Decrypt(server, buffers); });
  }

 private:
  RuntimeWith runtime_{OneProcessor()};
};

class FormsFaultsTest : public testing::TestWithParam<std::tuple<Version, Form>> {
 private:
  RuntimeWith runtime_{OneProcessor()};
};

TEST_P(FormsFaultsTest, AWholeHandshake) {
  const auto& [version, form] = GetParam();
  const FaultAuthority& authority = FaultAuthority::Get();
  FaultCredential server_credential(Server(version.disabled, authority.localhost));
  PlayWithFaults(version.name + (std::string(" handshake, ") + NameOf(form)), [&](FaultRun& run) {
    // A new credential has no session to resume.
    FaultCredential client_credential(JudgingClient(version.disabled));
    FaultEnd client(run, false, form, client_credential.get());
    FaultEnd server(run, true, form, server_credential.get());
    ShakeHands(run, client, server);
  });
}

INSTANTIATE_TEST_SUITE_P(
    All, FormsFaultsTest,
    testing::Combine(testing::Values(Version{"TLS 1.2", kNoTls13}, Version{"TLS 1.3", kNoTls12}),
                     testing::Values(Form::kA, Form::kW, Form::kKernel, Form::kAsyncA,
                                     Form::kAsyncW, Form::kAsyncKernel)));

// The client takes the tickets of a first connection, without faults; the second one is resumed.
TEST_P(HandshakeFaultsTest, AResumedHandshake) {
  FaultCredential server_credential(Server(disabled(), FaultAuthority::Get().localhost));
  PlayWithFaults(Name("resumed handshake"), [&](FaultRun& run) {
    FaultCredential client_credential(Client(disabled()));
    {
      TestEnd client(false);
      TestEnd server(true);
      ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
      client.Open(client_credential.get());
    }
    FaultEnd client(run, false, Form::kA, client_credential.get());
    FaultEnd server(run, true, Form::kA, server_credential.get());
    if (!ShakeHands(run, client, server) || run.fired()) return;
    SecPkgContext_SessionInfo info{};
    EXPECT_EQ(QueryContextAttributesA(&client.context, SECPKG_ATTR_SESSION_INFO, &info), SEC_E_OK);
    EXPECT_NE(info.dwFlags & SSL_SESSION_RECONNECT, 0U);
  });
}

TEST_P(HandshakeFaultsTest, AHandshakeWithTwoCertificates) {
  const FaultAuthority& authority = FaultAuthority::Get();
  FaultCredential::Wanted asks = Server(disabled(), authority.localhost);
  asks.client_auth = KTLSIM_CLIENT_AUTH_REQUIRE;
  FaultCredential server_credential(asks);
  FaultCredential::Wanted shows = Client(disabled());
  shows.certificate = authority.localhost;
  PlayWithFaults(Name("mutual handshake"), [&](FaultRun& run) {
    FaultCredential client_credential(shows);
    FaultEnd client(run, false, Form::kA, client_credential.get());
    FaultEnd server(run, true, Form::kA, server_credential.get());
    ShakeHands(run, client, server);
  });
}

// ---- After the handshake ------------------------------------------------------------------------

// Records in both directions, on a thread that has never protected any; a KeyUpdate that requests
// one; the shutdown. Each call can be made again.
TEST_P(HandshakeFaultsTest, RecordsKeyUpdatesAndTheEnd) {
  // Sessions that either end keeps would look like lost memory.
  FaultCredential::Wanted forgets = Server(disabled(), FaultAuthority::Get().localhost);
  forgets.flags = SCH_CRED_DISABLE_RECONNECTS;
  FaultCredential server_credential(forgets);
  FaultCredential client_credential(Client(disabled(), kAnyServer | SCH_CRED_DISABLE_RECONNECTS));
  PlayWithFaults(Name("records"), [&](FaultRun& run) {
    TestEnd client(false);
    TestEnd server(true);
    ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
    client.Open(client_credential.get());
    std::thread([&] {
      if (tls13())
        UpdateKeys(run, client, client_credential.get(), server, server_credential.get());
      Exchange(run, client, server);
      Exchange(run, server, client);
      ShutDown(run, client, client_credential.get(), server);
    }).join();
  });
}

// ---- Nothing fails open -------------------------------------------------------------------------

TEST_P(HandshakeFaultsTest, AClientThatJudgesRefusesWhatItRefusesWithMemory) {
  const FaultAuthority& authority = FaultAuthority::Get();
  struct Case {
    const char* name;
    PCCERT_CONTEXT certificate;
    SECURITY_STATUS refusal;
  };
  for (const Case& bad : {Case{"another name", authority.other_name, SEC_E_WRONG_PRINCIPAL},
                          Case{"out of date", authority.expired, SEC_E_CERT_EXPIRED},
                          Case{"untrusted", authority.untrusted, SEC_E_UNTRUSTED_ROOT}}) {
    FaultCredential server_credential(Server(disabled(), bad.certificate));
    PlayWithFaults(
        Name(bad.name),
        [&](FaultRun& run) {
          FaultCredential client_credential(JudgingClient(disabled()));
          FaultEnd client(run, false, Form::kA, client_credential.get());
          FaultEnd server(run, true, Form::kA, server_credential.get());
          ShakeHands(run, client, server, {.of_server = false, .refusal = bad.refusal});
        },
        40);
  }
}

TEST_P(HandshakeFaultsTest, AServerThatRequiresACertificateLetsNobodyInWithoutAGoodOne) {
  const FaultAuthority& authority = FaultAuthority::Get();
  struct Case {
    const char* name;
    PCCERT_CONTEXT certificate;
    SECURITY_STATUS refusal;
  };
  for (const Case& bad : {Case{"no client certificate", nullptr, SEC_E_NO_CREDENTIALS},
                          Case{"client out of date", authority.expired, SEC_E_CERT_EXPIRED},
                          Case{"client untrusted", authority.untrusted, SEC_E_UNTRUSTED_ROOT}}) {
    FaultCredential::Wanted asks = Server(disabled(), authority.localhost);
    asks.client_auth = KTLSIM_CLIENT_AUTH_REQUIRE;
    FaultCredential server_credential(asks);
    FaultCredential::Wanted shows = Client(disabled());
    shows.certificate = bad.certificate;
    PlayWithFaults(
        Name(bad.name),
        [&](FaultRun& run) {
          FaultCredential client_credential(shows);
          FaultEnd client(run, false, Form::kA, client_credential.get());
          FaultEnd server(run, true, Form::kA, server_credential.get());
          ShakeHands(run, client, server, {.of_server = true, .refusal = bad.refusal});
        },
        40);
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, HandshakeFaultsTest,
                         testing::Values(Version{"TLS 1.2", kNoTls13},
                                         Version{"TLS 1.3", kNoTls12}));

}  // namespace
}  // namespace ktlsim::test
