// Whole TLS connections through the asynchronous functions, with both placements and both notify
// modes, from threads outside the library and from a processor's own loop; and both record claims
// at once.

#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <sspi.h>

#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/sspi_async.h"
#include "tests/support/sspi_conversation.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

constexpr ULONG kOnly12 = SP_PROT_TLS1_3;  // what is disabled
constexpr ULONG kOnly13 = SP_PROT_TLS1_2;

class TlsAsyncTest : public PlacementTest {};

INSTANTIATE_TEST_SUITE_P(Placements, TlsAsyncTest, AllPlacements(), PlacementName);

// `post`: from the loops of the processors; else from this thread.
void Converse(int count, ULONG disabled, ULONG notify_mode, bool post) {
  TestCredential server = TestCredential::Server(disabled);
  TestCredential client = TestCredential::Client(disabled);
  const std::vector<io::Loop*> loops = Loops();
  ASSERT_FALSE(loops.empty());
  std::vector<std::unique_ptr<TlsConversation>> conversations;
  for (int i = 0; i < count; ++i) {
    conversations.push_back(
        std::make_unique<TlsConversation>(client.get(), server.get(), notify_mode));
  }
  for (std::size_t i = 0; i < conversations.size(); ++i) {
    if (post) {
      loops[i % loops.size()]->Post(*conversations[i]);
    } else {
      conversations[i]->Start();
    }
  }
  for (auto& conversation : conversations) ASSERT_EQ(conversation->Wait(), SEC_E_OK);
}

TEST_P(TlsAsyncTest, TwoHundredTls12ConnectionsFromAForeignThread) {
  Converse(Repetitions(200), kOnly12, notify_mode(), false);
}

TEST_P(TlsAsyncTest, TwoHundredTls13ConnectionsFromAForeignThread) {
  Converse(Repetitions(200), kOnly13, notify_mode(), false);
}

TEST_P(TlsAsyncTest, AHundredTls12ConnectionsFromTheLoops) {
  Converse(Repetitions(100), kOnly12, notify_mode(), true);
}

TEST_P(TlsAsyncTest, AHundredTls13ConnectionsFromTheLoops) {
  Converse(Repetitions(100), kOnly13, notify_mode(), true);
}

TEST_P(TlsAsyncTest, FailedHandshakesComeBackToo) {
  TestCredential server = TestCredential::Server(kOnly13);
  TestCredential client = TestCredential::Client(kOnly12);
  for (int i = 0; i < 20; ++i) {
    TlsConversation conversation(client.get(), server.get(), notify_mode());
    conversation.Start();
    ASSERT_EQ(conversation.Wait(), SEC_E_ALGORITHM_MISMATCH);
  }
}

TEST_P(TlsAsyncTest, CredentialsCanBeAcquiredAndFreedAsynchronously) {
  AsyncCall call(notify_mode());
  SCH_CREDENTIALS credentials{};
  credentials.dwVersion = SCH_CREDENTIALS_VERSION;
  PCCERT_CONTEXT certificate = LocalhostCertificate();
  credentials.cCreds = 1;
  credentials.paCred = &certificate;
  char name[] = UNISP_NAME_A;
  CredHandle server;
  SecInvalidateHandle(&server);
  ASSERT_EQ(
      SspiAcquireCredentialsHandleAsyncA(call.get(), nullptr, name, SECPKG_CRED_INBOUND, nullptr,
                                         &credentials, nullptr, nullptr, &server, nullptr),
      SEC_E_OK);
  name[0] = 0;
  ASSERT_EQ(call.Finish(), SEC_E_OK);
  TestCredential client = TestCredential::Client();
  {
    TlsConversation conversation(client.get(), &server, notify_mode());
    conversation.Start();
    EXPECT_EQ(conversation.Wait(), SEC_E_OK);
  }
  ASSERT_EQ(SspiFreeCredentialsHandleAsync(call.get(), &server), SEC_E_OK);
  EXPECT_EQ(call.Finish(), SEC_E_OK);
}

// Goal: the documented sample, whose first and only leg is taken to succeed, as the last leg of a
// real handshake. The callback frees the context that this thread polls.
TEST_P(TlsAsyncTest, LastServerLegInTheFormOfTheSample) {
  for (const ULONG disabled : {kOnly12, kOnly13}) {
    TestCredential server_credential = TestCredential::Server(disabled);
    for (int i = 0; i < 10; ++i) {
      // No resumption: the last leg of a resumed TLS 1.2 server has nothing to send.
      TestCredential client_credential = TestCredential::Client(disabled);
      TestEnd client(false);
      TestEnd server(true);
      Append(server.inbox, client.Leg(client_credential.get()));
      Append(client.inbox, server.Leg(server_credential.get()));
      Append(server.inbox, client.Leg(client_credential.get()));
      Bytes output(16384);
      SecBuffer in[2] = {
          {static_cast<ULONG>(server.inbox.size()), SECBUFFER_TOKEN, server.inbox.data()},
          {0, SECBUFFER_EMPTY, nullptr}};
      SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
      SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
      SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
      Count freed;
      SspiAsyncContext* async = SspiCreateAsyncContext();
      ASSERT_EQ(SspiSetAsyncNotifyCallback(
                    async,
                    [](SspiAsyncContext* handle, PVOID data) {
                      SspiFreeAsyncContext(handle);
                      static_cast<Count*>(data)->Add();
                    },
                    &freed),
                SEC_E_OK);
      ASSERT_EQ(KtlsimSetNotifyMode(async, notify_mode()), SEC_E_OK);
      ASSERT_EQ(SspiAcceptSecurityContextAsync(async, server_credential.get(), &server.context,
                                               &in_desc, server.Flags(), 0, &server.context,
                                               &out_desc, &server.attributes, nullptr),
                SEC_E_OK);
      SECURITY_STATUS status = SspiGetAsyncCallStatus(async);
      while (status == SEC_I_ASYNC_CALL_PENDING) {
        std::this_thread::yield();
        status = SspiGetAsyncCallStatus(async);
      }
      EXPECT_EQ(status, SEC_E_OK);
      freed.WaitFor(1);
      server.inbox.clear();
      output.resize(out.cbBuffer);
      EXPECT_FALSE(output.empty()) << "a token comes with SEC_E_OK";
      Append(client.inbox, output);
      if (client.status == SEC_I_CONTINUE_NEEDED) client.Leg(client_credential.get());
      EXPECT_EQ(client.status, SEC_E_OK);
      Append(client.inbox, server.Seal(ToBytes("welcome")));
      EXPECT_EQ(ToText(client.Open(client_credential.get())), "welcome");
    }
  }
}

// One leg of `end`, submitted on `async`; `wait` returns when its outcome is final and the async
// context idle again.
template <typename Wait>
void SubmitAndWait(TestEnd& end, PCredHandle credential, Bytes& to_peer, SspiAsyncContext* async,
                   Wait wait) {
  Bytes output(16384);
  SecBuffer in[2] = {{static_cast<ULONG>(end.inbox.size()), SECBUFFER_TOKEN, end.inbox.data()},
                     {0, SECBUFFER_EMPTY, nullptr}};
  SecBuffer out = {static_cast<ULONG>(output.size()), SECBUFFER_TOKEN, output.data()};
  SecBufferDesc in_desc = {SECBUFFER_VERSION, 2, in};
  SecBufferDesc out_desc = {SECBUFFER_VERSION, 1, &out};
  const bool first = !SecIsValidHandle(&end.context);
  PCtxtHandle context = first ? nullptr : &end.context;
  char target[] = "localhost";
  const SECURITY_STATUS submitted =
      end.server
          ? SspiAcceptSecurityContextAsync(async, credential, context, &in_desc, end.Flags(), 0,
                                           &end.context, &out_desc, &end.attributes, nullptr)
          : SspiInitializeSecurityContextAsyncA(async, credential, context, target, end.Flags(), 0,
                                                0, first ? nullptr : &in_desc, 0, &end.context,
                                                &out_desc, &end.attributes, nullptr);
  ASSERT_EQ(submitted, SEC_E_OK);
  end.status = wait();
  ASSERT_TRUE(end.status == SEC_E_OK || end.status == SEC_I_CONTINUE_NEEDED) << end.status;
  end.inbox.clear();
  output.resize(out.cbBuffer);
  Append(to_peer, output);
}

template <typename Wait>
void DriveHandshakes(SspiAsyncContext* async, Wait wait) {
  for (const ULONG disabled : {kOnly12, kOnly13}) {
    TestCredential server_credential = TestCredential::Server(disabled);
    TestCredential client_credential = TestCredential::Client(disabled);
    for (int i = 0; i < 5; ++i) {
      TestEnd client(false);
      TestEnd server(true);
      for (int legs = 0; client.status != SEC_E_OK || server.status != SEC_E_OK; ++legs) {
        ASSERT_LT(legs, 10);
        TestEnd& end = legs % 2 == 0 ? client : server;
        TestEnd& other = legs % 2 == 0 ? server : client;
        if (end.status == SEC_E_OK) continue;
        ASSERT_NO_FATAL_FAILURE(
            SubmitAndWait(end, (legs % 2 == 0 ? client_credential : server_credential).get(),
                          other.inbox, async, wait));
      }
      Append(client.inbox, server.Seal(ToBytes("welcome")));
      EXPECT_EQ(ToText(client.Open(client_credential.get())), "welcome");
    }
  }
}

TEST_P(TlsAsyncTest, BlockingRightAfterEachSubmissionDrivesAWholeHandshake) {
  AsyncCall call(notify_mode());
  DriveHandshakes(call.get(), [&call] { return call.Finish(); });
}

TEST_P(TlsAsyncTest, PollingAloneDrivesAWholeHandshake) {
  AsyncCall call(notify_mode());
  int legs = 0;
  DriveHandshakes(call.get(), [&call, &legs] {
    ++legs;
    SECURITY_STATUS status = SspiGetAsyncCallStatus(call.get());
    while (status == SEC_I_ASYNC_CALL_PENDING) {
      std::this_thread::yield();
      status = SspiGetAsyncCallStatus(call.get());
    }
    // No thread waits for its callback, which has to be entered before the context is used again.
    WaitUntil([&call] { return SspiReinitAsyncContext(call.get()) == STATUS_SUCCESS; });
    return status;
  });
  WaitUntil([&] { return call.callbacks() == legs; });
}

TEST_P(TlsAsyncTest, EncryptAndDecryptRunAtOnceOnOneContext) {
  for (const ULONG disabled : {kOnly12, kOnly13}) {
    TestCredential server_credential = TestCredential::Server(disabled);
    TestCredential client_credential = TestCredential::Client(disabled);
    TestEnd client(false);
    TestEnd server(true);
    ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
    const int records = Repetitions(1000);
    Bytes to_server;
    for (int i = 0; i < records; ++i) Append(to_server, client.Seal(Bytes(500, 'c')));
    Bytes opened;
    std::thread opener([&] {
      std::size_t at = 0;
      while (at < to_server.size()) {
        SecBuffer buffers[4] = {
            {static_cast<ULONG>(to_server.size() - at), SECBUFFER_DATA, to_server.data() + at},
            {0, SECBUFFER_EMPTY, nullptr},
            {0, SECBUFFER_EMPTY, nullptr},
            {0, SECBUFFER_EMPTY, nullptr}};
        SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
        ASSERT_EQ(DecryptMessage(&server.context, &message, 0, nullptr), SEC_E_OK);
        const auto* data = static_cast<unsigned char*>(buffers[1].pvBuffer);
        opened.insert(opened.end(), data, data + buffers[1].cbBuffer);
        at =
            to_server.size() - (buffers[3].BufferType == SECBUFFER_EXTRA ? buffers[3].cbBuffer : 0);
      }
    });
    for (int i = 0; i < records; ++i) Append(client.inbox, server.Seal(Bytes(500, 's')));
    opener.join();
    EXPECT_EQ(opened, Bytes(static_cast<std::size_t>(records) * 500, 'c'));
    EXPECT_EQ(client.Open(client_credential.get()),
              Bytes(static_cast<std::size_t>(records) * 500, 's'));
    EXPECT_EQ(client.status, SEC_E_OK);
  }
}

TEST_P(TlsAsyncTest, TicketsReadAfterMuchDataWasSentStillResume) {
  TestCredential server_credential = TestCredential::Server(kOnly13);
  TestCredential client_credential = TestCredential::Client(kOnly13);
  for (const bool second : {false, true}) {
    TestEnd client(false);
    TestEnd server(true);
    ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
    for (int i = 0; i < 64; ++i) Append(server.inbox, client.Seal(Bytes(16384, 'u')));
    EXPECT_EQ(server.Open(server_credential.get()).size(), 64U * 16384U);
    Append(client.inbox, server.Seal(ToBytes("got it")));
    EXPECT_EQ(ToText(client.Open(client_credential.get())), "got it");
    EXPECT_EQ(client.Resumed(), second ? 1U : 0U);
  }
}

TEST_P(TlsAsyncTest, ClientThatWaitsInVainForATicketGoesOn) {
  TestCredential server_credential = TestCredential::Server(kOnly13);
  server_credential.SetTickets(0);
  TestCredential client_credential = TestCredential::Client(kOnly13);
  TestEnd client(false);
  TestEnd server(true);
  ASSERT_TRUE(RunHandshake(client, client_credential.get(), server, server_credential.get()));
  for (int i = 0; i < 128; ++i) {
    Append(client.inbox, server.Seal(Bytes(16384, 'd')));
    ASSERT_EQ(client.Open(client_credential.get()).size(), 16384U);
    ASSERT_EQ(client.status, SEC_E_OK);
  }
}

}  // namespace
}  // namespace ktlsim::test
