// Tokens that a context owes its peer: how many calls they take, what may be sealed meanwhile, and
// what happens when the caller's buffer is too small for one.

#include <ktlsim/sspi_ext.h>
#include <schannel.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "kernel_sim/sspi/certificates.h"
#include "tests/support/sspi_pair.h"

namespace ktlsim::test {
namespace {

constexpr ULONG kTls12Only = SP_PROT_TLS1_3;
constexpr ULONG kTls13Only = SP_PROT_TLS1_2;

template <typename Token>
SECURITY_STATUS Apply(TestEnd& end, Token token) {
  SecBuffer buffer = {sizeof(token), SECBUFFER_TOKEN, &token};
  SecBufferDesc desc = {SECBUFFER_VERSION, 1, &buffer};
  return ApplyControlToken(&end.context, &desc);
}
SECURITY_STATUS AskForShutdown(TestEnd& end) { return Apply(end, DWORD{SCHANNEL_SHUTDOWN}); }
SECURITY_STATUS AskForAlert(TestEnd& end, DWORD level, DWORD number) {
  return Apply(end, SCHANNEL_ALERT_TOKEN{SCHANNEL_ALERT, level, number});
}
SECURITY_STATUS AskForKeyUpdate(TestEnd& end, DWORD request_peer) {
  return Apply(end, KtlsimControl_KeyUpdate{KTLSIM_CONTROL_KEY_UPDATE, request_peer});
}

class OwedTokensTest : public testing::TestWithParam<ULONG> {
 protected:
  void Connect() {
    server_credential_.emplace(TestCredential::Server(GetParam()));
    client_credential_.emplace(TestCredential::Client(GetParam()));
    server_credential_->SetTickets(0);
    ASSERT_TRUE(
        RunHandshake(client_, client_credential_->get(), server_, server_credential_->get()));
  }
  PCredHandle CredentialOf(TestEnd& end) {
    return end.server ? server_credential_->get() : client_credential_->get();
  }
  TestEnd& PeerOf(TestEnd& end) { return end.server ? client_ : server_; }
  Bytes Leg(TestEnd& end) { return end.Leg(CredentialOf(end)); }

  void ExpectExchange() {
    Append(server_.inbox, client_.Seal(ToBytes("ping")));
    EXPECT_EQ(ToText(server_.Open(CredentialOf(server_))), "ping");
    Append(client_.inbox, server_.Seal(ToBytes("pong")));
    EXPECT_EQ(ToText(client_.Open(CredentialOf(client_))), "pong");
  }

  // The token that `end` owes does not fit into any smaller size, and is returned whole when there
  // is room. Nothing is sealed in between, so that no record overtakes it.
  Bytes TakeWithRetries(TestEnd& end, ULONG token_bytes) {
    for (const ULONG room : {1U, token_bytes - 1, 2U}) {
      end.token_room = room;
      Leg(end);
      EXPECT_EQ(end.status, SEC_E_BUFFER_TOO_SMALL);
      end.Seal(ToBytes("overtakes"));
      EXPECT_EQ(end.status, SEC_E_CONTEXT_EXPIRED);
    }
    end.token_room = token_bytes;
    const Bytes token = Leg(end);
    EXPECT_EQ(end.status, SEC_E_OK);
    EXPECT_EQ(token.size(), token_bytes);
    end.token_room = 32768;
    return token;
  }
  ULONG ControlBytes(ULONG message) const {
    return GetParam() == kTls13Only ? 5 + message + 17 : 13 + message + 16;
  }

  std::optional<TestCredential> server_credential_;
  std::optional<TestCredential> client_credential_;
  TestEnd client_{false};
  TestEnd server_{true};
};

INSTANTIATE_TEST_SUITE_P(Versions, OwedTokensTest, testing::Values(kTls12Only, kTls13Only),
                         [](const auto& test) {
                           return std::string(test.param == kTls12Only ? "Tls12" : "Tls13");
                         });

TEST_P(OwedTokensTest, CloseNotifyThatDidNotFitComesWhole) {
  for (const bool server : {false, true}) {
    Connect();
    TestEnd& end = server ? server_ : client_;
    ASSERT_EQ(AskForShutdown(end), SEC_E_OK);
    Append(PeerOf(end).inbox, TakeWithRetries(end, ControlBytes(2)));
    PeerOf(end).Open(CredentialOf(PeerOf(end)));
    EXPECT_EQ(PeerOf(end).status, SEC_I_CONTEXT_EXPIRED);
    DeleteSecurityContext(&client_.context);
    DeleteSecurityContext(&server_.context);
    SecInvalidateHandle(&client_.context);
    SecInvalidateHandle(&server_.context);
    client_.status = server_.status = SEC_I_CONTINUE_NEEDED;
  }
}

TEST_P(OwedTokensTest, AWarningThatDidNotFitComesWholeAndDataFollows) {
  Connect();
  ASSERT_EQ(AskForAlert(server_, TLS1_ALERT_WARNING, TLS1_ALERT_USER_CANCELED), SEC_E_OK);
  Append(client_.inbox, TakeWithRetries(server_, ControlBytes(2)));
  EXPECT_EQ(client_.Open(CredentialOf(client_)), Bytes());
  ExpectExchange();
}

TEST_P(OwedTokensTest, AKeyUpdateThatDidNotFitKeepsDataFromOvertakingIt) {
  if (GetParam() != kTls13Only) GTEST_SKIP() << "TLS 1.2 has no KeyUpdate";
  Connect();
  ASSERT_EQ(AskForKeyUpdate(client_, 0), SEC_E_OK);
  Append(server_.inbox, TakeWithRetries(client_, ControlBytes(5)));
  EXPECT_EQ(server_.Open(CredentialOf(server_)), Bytes());
  ExpectExchange();
}

TEST_P(OwedTokensTest, AnAnswerToAKeyUpdateThatDidNotFitKeepsDataFromOvertakingIt) {
  if (GetParam() != kTls13Only) GTEST_SKIP() << "TLS 1.2 has no KeyUpdate";
  Connect();
  ASSERT_EQ(AskForKeyUpdate(client_, 1), SEC_E_OK);
  server_.inbox = Leg(client_);
  SecBuffer buffers[4] = {
      {static_cast<ULONG>(server_.inbox.size()), SECBUFFER_DATA, server_.inbox.data()},
      {0, SECBUFFER_EMPTY, nullptr},
      {0, SECBUFFER_EMPTY, nullptr},
      {0, SECBUFFER_EMPTY, nullptr}};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
  ASSERT_EQ(DecryptMessage(&server_.context, &message, 0, nullptr), SEC_I_RENEGOTIATE);
  Append(client_.inbox, TakeWithRetries(server_, ControlBytes(5)));
  EXPECT_EQ(client_.Open(CredentialOf(client_)), Bytes());
  ExpectExchange();
}

// Its token does not depend on the input: the retry may come with another input.
TEST_P(OwedTokensTest, TheRetryOfAControlTokenTakesAnyInput) {
  Connect();
  ASSERT_EQ(AskForAlert(server_, TLS1_ALERT_WARNING, TLS1_ALERT_USER_CANCELED), SEC_E_OK);
  server_.token_room = 3;
  Leg(server_);
  EXPECT_EQ(server_.status, SEC_E_BUFFER_TOO_SMALL);
  const Bytes data = client_.Seal(ToBytes("came meanwhile"));
  server_.inbox = data;
  server_.token_room = 1000;
  Append(client_.inbox, Leg(server_));
  EXPECT_EQ(server_.status, SEC_E_OK);
  EXPECT_EQ(server_.inbox, data) << "all of it is EXTRA";
  EXPECT_EQ(ToText(server_.Open(CredentialOf(server_))), "came meanwhile");
  EXPECT_EQ(client_.Open(CredentialOf(client_)), Bytes());
  ExpectExchange();
}

TEST_P(OwedTokensTest, TheAlertForABadRecordThatDidNotFitComesWhole) {
  Connect();
  Bytes record = client_.Seal(ToBytes("damaged"));
  record.back() ^= 1;
  server_.inbox = record;
  server_.Open(CredentialOf(server_));
  ASSERT_EQ(server_.status, SEC_E_MESSAGE_ALTERED);
  server_.inbox.clear();
  Append(client_.inbox, TakeWithRetries(server_, ControlBytes(2)));
  client_.Open(CredentialOf(client_));
  EXPECT_EQ(client_.status, SEC_E_MESSAGE_ALTERED) << "bad_record_mac";
}

TEST_P(OwedTokensTest, AlertsAreHandedOutAfterCloseNotifyAsBefore) {
  for (const DWORD level : {DWORD{TLS1_ALERT_WARNING}, DWORD{TLS1_ALERT_FATAL}}) {
    TestEnd client(false);
    TestEnd server(true);
    server_credential_.emplace(TestCredential::Server(GetParam()));
    client_credential_.emplace(TestCredential::Client(GetParam()));
    ASSERT_TRUE(RunHandshake(client, client_credential_->get(), server, server_credential_->get()));
    for (TestEnd* end : {&client, &server}) {
      end->inbox.clear();
      for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(AskForShutdown(*end), SEC_E_OK);
        const Bytes token = Leg(*end);
        EXPECT_EQ(end->status, SEC_E_OK);
        EXPECT_EQ(token.size(), ControlBytes(2)) << i;
      }
      ASSERT_EQ(AskForAlert(*end, level, TLS1_ALERT_INTERNAL_ERROR), SEC_E_OK);
      EXPECT_EQ(Leg(*end).size(), ControlBytes(2));
      EXPECT_EQ(end->status, SEC_E_OK);
      Leg(*end);
      EXPECT_EQ(end->status, SEC_E_INCOMPLETE_MESSAGE) << "nothing is owed any more";
      end->Seal(ToBytes("no data behind it"));
      EXPECT_EQ(end->status, SEC_E_CONTEXT_EXPIRED);
    }
  }
}

TEST_P(OwedTokensTest, AClientLegThatFailedFailsAgain) {
  server_credential_.emplace(TestCredential::Server(GetParam()));
  client_credential_.emplace(TestCredential::Client(GetParam(), 0));
  Append(server_.inbox, Leg(client_));
  client_.inbox = Leg(server_);
  const Bytes flight = client_.inbox;
  Leg(client_);
  ASSERT_EQ(client_.status, SEC_E_UNTRUSTED_ROOT);
  for (const Bytes& input : {Bytes(), flight, Bytes(3, 0x16)}) {
    client_.inbox = input;
    EXPECT_EQ(Leg(client_), Bytes()) << "the alert is out";
    EXPECT_EQ(client_.status, SEC_E_UNTRUSTED_ROOT);
  }
  // The caller may still send an alert.
  ASSERT_EQ(AskForShutdown(client_), SEC_E_OK);
  EXPECT_FALSE(Leg(client_).empty());
  EXPECT_EQ(client_.status, SEC_E_OK);
  Leg(client_);
  EXPECT_EQ(client_.status, SEC_E_UNTRUSTED_ROOT);
}

TEST_P(OwedTokensTest, AServerLegThatFailedFailsAgain) {
  server_credential_.emplace(TestCredential::Server(GetParam()));
  client_credential_.emplace(TestCredential::Client(GetParam()));
  Append(server_.inbox, Leg(client_));
  Leg(server_);
  ASSERT_EQ(server_.status, SEC_I_CONTINUE_NEEDED);
  server_.inbox = {21, 3, 3, 0, 2, 2, 80};  // the client gives up: internal_error
  Leg(server_);
  const SECURITY_STATUS failure = server_.status;
  ASSERT_LT(failure, 0);
  ASSERT_NE(failure, SEC_E_INCOMPLETE_MESSAGE);
  for (const Bytes& input : {Bytes(), Bytes(3, 0x16)}) {
    server_.inbox = input;
    Leg(server_);
    EXPECT_EQ(server_.status, failure);
  }
}

// The failure is returned at once; its alert, in both forms, with the next call that has room for
// it.
TEST_P(OwedTokensTest, TheAlertOfAFailedLegThatDidNotFitComesWithTheNext) {
  server_credential_.emplace(TestCredential::Server(GetParam()));
  client_credential_.emplace(TestCredential::Client(GetParam(), 0));
  Append(server_.inbox, Leg(client_));
  client_.inbox = Leg(server_);
  client_.token_room = 3;
  EXPECT_EQ(Leg(client_), Bytes());
  EXPECT_EQ(client_.status, SEC_E_UNTRUSTED_ROOT);
  EXPECT_EQ(Leg(client_), Bytes());
  EXPECT_EQ(client_.status, SEC_E_UNTRUSTED_ROOT);
  client_.token_room = 1000;
  server_.inbox = Leg(client_);
  EXPECT_EQ(client_.status, SEC_E_UNTRUSTED_ROOT);
  ASSERT_FALSE(server_.inbox.empty());
  Leg(server_);
  EXPECT_EQ(server_.status, SEC_E_UNTRUSTED_ROOT) << "unknown_ca was received";
  EXPECT_EQ(Leg(client_), Bytes()) << "once";
}

// A server that has refused a message after the handshake refuses everything from then on; it sends
// its alert once.
TEST_P(OwedTokensTest, ALateMessageThatFailedFailsAgain) {
  if (GetParam() != kTls13Only) GTEST_SKIP() << "DecryptMessage says so in TLS 1.2";
  Connect();
  for (int i = 0; i < 33; ++i) {
    ASSERT_EQ(AskForKeyUpdate(client_, 0), SEC_E_OK);
    server_.inbox = Leg(client_);
    SecBuffer buffers[4] = {
        {static_cast<ULONG>(server_.inbox.size()), SECBUFFER_DATA, server_.inbox.data()},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    ASSERT_EQ(DecryptMessage(&server_.context, &message, 0, nullptr), SEC_I_RENEGOTIATE);
    server_.token_room = i == 32 ? 3 : 1000;
    Leg(server_);
  }
  EXPECT_EQ(server_.status, SEC_E_ILLEGAL_MESSAGE);
  server_.token_room = 1000;
  EXPECT_EQ(Leg(server_).size(), ControlBytes(2)) << "the alert, which did not fit";
  EXPECT_EQ(server_.status, SEC_E_ILLEGAL_MESSAGE);
  EXPECT_EQ(Leg(server_), Bytes());
  EXPECT_EQ(server_.status, SEC_E_ILLEGAL_MESSAGE);
  server_.Seal(ToBytes("nothing follows it"));
  EXPECT_EQ(server_.status, SEC_E_CONTEXT_EXPIRED);
}

// ---- Messages after the handshake, while data waits to be sealed (TLS 1.3)

class OwedLegTest : public testing::Test {
 protected:
  // The client has received `record`, which is for a leg; the leg has not been called yet.
  void Receive(const Bytes& record) {
    Append(client_.inbox, record);
    SecBuffer buffers[4] = {
        {static_cast<ULONG>(client_.inbox.size()), SECBUFFER_DATA, client_.inbox.data()},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr},
        {0, SECBUFFER_EMPTY, nullptr}};
    SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
    ASSERT_EQ(DecryptMessage(&client_.context, &message, 0, nullptr), SEC_I_RENEGOTIATE);
  }

  TestCredential server_credential_ = TestCredential::Server(kTls13Only);
  TestCredential client_credential_ = TestCredential::Client(kTls13Only);
  TestEnd client_{false};
  TestEnd server_{true};
};

// Records may be queued when a ticket comes: they must not fail because of it.
TEST_F(OwedLegTest, ATicketDoesNotHoldBackWhatIsSealed) {
  server_credential_.SetTickets(1);
  ASSERT_TRUE(RunHandshake(client_, client_credential_.get(), server_, server_credential_.get()));
  ASSERT_FALSE(client_.inbox.empty()) << "the ticket";
  Receive({});
  Append(server_.inbox, client_.Seal(ToBytes("meanwhile")));
  EXPECT_EQ(client_.status, SEC_E_OK);
  EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "meanwhile");
  client_.Leg(client_credential_.get());
  EXPECT_EQ(client_.status, SEC_E_OK);
  Append(client_.inbox, server_.Seal(ToBytes("pong")));
  EXPECT_EQ(ToText(client_.Open(client_credential_.get())), "pong");
}

// RFC 8446 4.6.3: a requested update goes before the next data.
TEST_F(OwedLegTest, AKeyUpdateDoes) {
  server_credential_.SetTickets(0);
  ASSERT_TRUE(RunHandshake(client_, client_credential_.get(), server_, server_credential_.get()));
  ASSERT_EQ(AskForKeyUpdate(server_, 1), SEC_E_OK);
  Receive(server_.Leg(server_credential_.get()));
  client_.Seal(ToBytes("overtakes"));
  EXPECT_EQ(client_.status, SEC_E_CONTEXT_EXPIRED);
  Append(server_.inbox, client_.Leg(client_credential_.get()));
  Append(server_.inbox, client_.Seal(ToBytes("after it")));
  EXPECT_EQ(ToText(server_.Open(server_credential_.get())), "after it");
}

// ---- Renegotiation, requested by an unmodified libssl (TLS 1.2)

class LibsslPeer {
 public:
  explicit LibsslPeer(bool server)
      : context_(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method())) {
    SSL_CTX_set_max_proto_version(context_, TLS1_2_VERSION);
    if (server) {
      const tls::Certificate::Ptr certificate = sspi::CertificateOf(LocalhostCertificate());
      const unsigned char* der = certificate->leaf().data();
      X509* leaf = d2i_X509(nullptr, &der, static_cast<long>(certificate->leaf().size()));
      EXPECT_EQ(SSL_CTX_use_certificate(context_, leaf), 1);
      EXPECT_EQ(SSL_CTX_use_PrivateKey(context_, certificate->private_key()), 1);
      X509_free(leaf);
    }
    ssl_ = SSL_new(context_);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_), -1);
    if (server) {
      SSL_set_accept_state(ssl_);
    } else {
      SSL_set_connect_state(ssl_);
    }
  }
  ~LibsslPeer() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  LibsslPeer(const LibsslPeer&) = delete;
  LibsslPeer& operator=(const LibsslPeer&) = delete;

  SSL* ssl() { return ssl_; }
  void Feed(const Bytes& bytes) {
    if (!bytes.empty()) BIO_write(SSL_get_rbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
  }
  Bytes Drain() {
    Bytes bytes(BIO_ctrl_pending(SSL_get_wbio(ssl_)));
    if (!bytes.empty()) BIO_read(SSL_get_wbio(ssl_), bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  // Until neither has anything to send.
  bool Handshake(TestEnd& end, PCredHandle credential) {
    for (int round = 0; round < 10; ++round) {
      if (end.status != SEC_E_OK && (!end.server || !end.inbox.empty())) {
        Feed(end.Leg(credential));
        if (end.status < 0 && end.status != SEC_E_INCOMPLETE_MESSAGE) return false;
      }
      SSL_do_handshake(ssl_);
      Append(end.inbox, Drain());
      if (end.status == SEC_E_OK && SSL_is_init_finished(ssl_) == 1) return true;
    }
    return false;
  }

 private:
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
};

TEST(RenegotiationTest, OneCallOfAServerAnswersAClientHello) {
  TestCredential credential = TestCredential::Server(kTls12Only);
  LibsslPeer peer(/*server=*/false);
  TestEnd server(true);
  ASSERT_TRUE(peer.Handshake(server, credential.get()));
  ASSERT_EQ(SSL_renegotiate(peer.ssl()), 1);
  SSL_do_handshake(peer.ssl());
  server.inbox = peer.Drain();
  Bytes reply;
  EXPECT_EQ(server.Open(credential.get(), &reply), Bytes());
  ASSERT_EQ(reply.size(), 13 + 2 + 16U) << "no_renegotiation";
  const Bytes data = server.Seal(ToBytes("and goes on"));
  EXPECT_EQ(server.status, SEC_E_OK);
  // libssl treats the refusal as fatal, whichever side wanted to renegotiate.
  peer.Feed(reply);
  EXPECT_LE(SSL_do_handshake(peer.ssl()), 0);
  Bytes received(100);
  peer.Feed(data);
  EXPECT_LE(SSL_read(peer.ssl(), received.data(), 100), 0);
}

TEST(RenegotiationTest, OneCallOfAClientAnswersAHelloRequest) {
  TestCredential credential = TestCredential::Client(kTls12Only);
  LibsslPeer peer(/*server=*/true);
  TestEnd client(false);
  ASSERT_TRUE(peer.Handshake(client, credential.get()));
  client.inbox.clear();
  ASSERT_EQ(SSL_renegotiate(peer.ssl()), 1);
  SSL_do_handshake(peer.ssl());
  client.inbox = peer.Drain();
  ASSERT_FALSE(client.inbox.empty());
  Bytes reply;
  EXPECT_EQ(client.Open(credential.get(), &reply), Bytes());
  ASSERT_EQ(reply.size(), 13 + 2 + 16U) << "no_renegotiation";
  EXPECT_FALSE(client.Seal(ToBytes("and goes on")).empty());
  EXPECT_EQ(client.status, SEC_E_OK);
  client.Leg(credential.get());
  EXPECT_EQ(client.status, SEC_E_INCOMPLETE_MESSAGE) << "nothing is owed any more";
}

// A reply that did not fit is not overtaken by data.
TEST(RenegotiationTest, ARefusalThatDidNotFitComesWhole) {
  TestCredential credential = TestCredential::Server(kTls12Only);
  LibsslPeer peer(/*server=*/false);
  TestEnd server(true);
  ASSERT_TRUE(peer.Handshake(server, credential.get()));
  ASSERT_EQ(SSL_renegotiate(peer.ssl()), 1);
  SSL_do_handshake(peer.ssl());
  Bytes record = peer.Drain();
  SecBuffer buffers[4] = {{static_cast<ULONG>(record.size()), SECBUFFER_DATA, record.data()},
                          {0, SECBUFFER_EMPTY, nullptr},
                          {0, SECBUFFER_EMPTY, nullptr},
                          {0, SECBUFFER_EMPTY, nullptr}};
  SecBufferDesc message = {SECBUFFER_VERSION, 4, buffers};
  ASSERT_EQ(DecryptMessage(&server.context, &message, 0, nullptr), SEC_I_RENEGOTIATE);
  server.inbox.clear();
  server.token_room = 30;
  server.Leg(credential.get());
  EXPECT_EQ(server.status, SEC_E_BUFFER_TOO_SMALL);
  server.Seal(ToBytes("overtakes"));
  EXPECT_EQ(server.status, SEC_E_CONTEXT_EXPIRED);
  server.token_room = 31;
  EXPECT_EQ(server.Leg(credential.get()).size(), 31U);
  EXPECT_EQ(server.status, SEC_E_OK);
  EXPECT_FALSE(server.Seal(ToBytes("goes on")).empty());
}

}  // namespace
}  // namespace ktlsim::test
