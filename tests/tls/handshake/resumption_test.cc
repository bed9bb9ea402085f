// Sessions outlive their OpenSSL connection: resumption on both sides, with and without tickets.
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

struct Case {
  Version version;
  unsigned tickets;
};

class ResumptionTest : public testing::TestWithParam<Case> {
 protected:
  EndpointOptions Options() const {
    EndpointOptions options;
    options.versions = Only(GetParam().version);
    options.tickets = GetParam().tickets;
    return options;
  }
  // TLS 1.3 cannot resume without tickets.
  bool resumable() const { return GetParam().version == Version::kTls12 || GetParam().tickets > 0; }
};

HandshakeOptions Target() {
  HandshakeOptions options;
  options.target_name = kName;
  return options;
}

void Exchange(OurSide& client, OurSide& server) {
  client.Write("ping");
  Move(client, server);
  ASSERT_EQ(server.Read(), "ping");
  server.Write("pong");
  Move(server, client);
  ASSERT_EQ(client.Read(), "pong");
}

TEST_P(ResumptionTest, OursResumesWithOurs) {
  const auto client_endpoint = MakeClient(Options());
  const auto server_endpoint = MakeServer(Options());
  for (int i = 0; i < 4; ++i) {
    OurSide client(client_endpoint, Target());
    OurSide server(server_endpoint);
    ASSERT_TRUE(RunHandshake(client, server));
    EXPECT_EQ(client.connection->facts.resumed, i > 0 && resumable()) << i;
    EXPECT_EQ(server.connection->facts.resumed, i > 0 && resumable()) << i;
    Exchange(client, server);
    if (resumable()) {
      EXPECT_FALSE(client.connection->post_handshake->waiting_for_ticket());
    }
    if (i > 0) {
      ASSERT_NE(client.connection->facts.peer_chain, nullptr);
      EXPECT_EQ(client.connection->facts.peer_chain->der.size(), 1U);
    }
  }
}

TEST_P(ResumptionTest, LibsslClientResumesWithOurServer) {
  LibsslOptions libssl;
  libssl.versions = Only(GetParam().version);
  const ContextPtr context = MakeLibsslContext(Role::kClient, libssl);
  const auto endpoint = MakeServer(Options());
  SSL_SESSION* session = nullptr;
  for (int i = 0; i < 3; ++i) {
    OurSide server(endpoint);
    LibsslSide client(context.get(), Role::kClient);
    if (session != nullptr) SSL_set_session(client.ssl, session);
    SSL_SESSION_free(session);
    ASSERT_TRUE(RunHandshake(server, client)) << server.last.failure.ToString();
    EXPECT_EQ(server.connection->facts.resumed, i > 0 && resumable());
    EXPECT_EQ(SSL_session_reused(client.ssl), i > 0 && resumable() ? 1 : 0);
    client.Write("ping");
    Move(client, server);
    ASSERT_EQ(server.Read(), "ping");
    server.Write("pong");
    Move(server, client);
    ASSERT_EQ(client.Read(), "pong");
    SSL_shutdown(client.ssl);
    session = SSL_get1_session(client.ssl);
  }
  SSL_SESSION_free(session);
}

TEST_P(ResumptionTest, OurClientResumesWithLibsslServer) {
  LibsslOptions libssl;
  libssl.versions = Only(GetParam().version);
  libssl.certificate = EcdsaCertificate();
  libssl.tickets = static_cast<int>(GetParam().tickets);
  const ContextPtr context = MakeLibsslContext(Role::kServer, libssl);
  const auto endpoint = MakeClient(Options());
  for (int i = 0; i < 3; ++i) {
    OurSide client(endpoint, Target());
    LibsslSide server(context.get(), Role::kServer);
    ASSERT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
    EXPECT_EQ(client.connection->facts.resumed, i > 0 && resumable()) << i;
    client.Write("ping");
    Move(client, server);
    ASSERT_EQ(server.Read(), "ping");
    server.Write("pong");
    Move(server, client);
    ASSERT_EQ(client.Read(), "pong");
    SSL_shutdown(server.ssl);
  }
}

INSTANTIATE_TEST_SUITE_P(Tickets, ResumptionTest,
                         testing::Values(Case{Version::kTls12, 0}, Case{Version::kTls12, 1},
                                         Case{Version::kTls13, 0}, Case{Version::kTls13, 1},
                                         Case{Version::kTls13, 2}),
                         [](const testing::TestParamInfo<Case>& test) {
                           return std::string(test.param.version == Version::kTls12 ? "Tls12"
                                                                                    : "Tls13") +
                                  "Tickets" + std::to_string(test.param.tickets);
                         });

TEST(TicketTest, ATicketAfterMuchDataAndAKeyUpdateIsStillStored) {
  LibsslOptions libssl;
  libssl.versions = Only(Version::kTls13);
  libssl.certificate = EcdsaCertificate();
  libssl.tickets = 0;
  const ContextPtr context = MakeLibsslContext(Role::kServer, libssl);
  SSL_CTX_clear_options(context.get(), SSL_OP_NO_TICKET);
  const auto endpoint = MakeClient();
  OurSide client(endpoint, Target());
  LibsslSide server(context.get(), Role::kServer);
  ASSERT_TRUE(RunHandshake(client, server));
  for (int i = 0; i < 50; ++i) {
    server.Write("data");
    Move(server, client);
    ASSERT_EQ(client.Read(), "data");
  }
  ASSERT_EQ(SSL_key_update(server.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
  server.Write("after the update");
  ASSERT_EQ(SSL_new_session_ticket(server.ssl), 1);
  server.Write("with a ticket");
  Move(server, client);
  EXPECT_EQ(client.Read(), "after the updatewith a ticket");
  EXPECT_EQ(client.key_updates_seen, 1U);
  EXPECT_EQ(client.tickets_seen, 1U);
  EXPECT_FALSE(client.connection->post_handshake->waiting_for_ticket());

  OurSide second(endpoint, Target());
  LibsslSide again(context.get(), Role::kServer);
  ASSERT_TRUE(RunHandshake(second, again));
  EXPECT_TRUE(second.connection->facts.resumed);
}

TEST(TicketTest, WaitingEndsWithTimeOrData) {
  EndpointOptions no_tickets;
  no_tickets.tickets = 0;
  for (const bool by_time : {false, true}) {
    OurSide client(MakeClient());
    OurSide server(MakeServer(no_tickets));
    ASSERT_TRUE(RunHandshake(client, server));
    PostHandshake& late = *client.connection->post_handshake;
    EXPECT_TRUE(late.waiting_for_ticket());
    EXPECT_FALSE(late.Expired(1000, 0));
    EXPECT_FALSE(
        late.Expired(999 + PostHandshake::kTicketWaitNs, PostHandshake::kTicketWaitBytes - 1));
    EXPECT_TRUE(by_time ? late.Expired(1000 + PostHandshake::kTicketWaitNs, 0)
                        : late.Expired(1001, PostHandshake::kTicketWaitBytes));
    EXPECT_FALSE(late.waiting_for_ticket());
    Exchange(client, server);
  }
}

TEST(TicketTest, WithoutResumptionNothingIsKept) {
  EndpointOptions off;
  off.resumption = false;
  const auto client_endpoint = MakeClient(off);
  const auto server_endpoint = MakeServer();
  for (int i = 0; i < 2; ++i) {
    OurSide client(client_endpoint, Target());
    OurSide server(server_endpoint);
    ASSERT_TRUE(RunHandshake(client, server));
    EXPECT_FALSE(client.connection->facts.resumed);
    EXPECT_FALSE(client.connection->post_handshake->waiting_for_ticket());
    Exchange(client, server);
  }
}

TEST(TicketTest, SessionsAreNotSharedAcrossTargetsOrCredentials) {
  const auto client_endpoint = MakeClient();
  const auto server_endpoint = MakeServer();
  HandshakeOptions other_target = Target();
  other_target.target_name = "other.test";
  HandshakeOptions other_credential = Target();
  other_credential.resumption_key = "somebody else";
  HandshakeOptions other_judgement = Target();
  other_judgement.verify_peer = false;
  for (const HandshakeOptions& options :
       {Target(), other_target, other_credential, other_judgement}) {
    OurSide client(client_endpoint, options);
    OurSide server(server_endpoint);
    ASSERT_TRUE(RunHandshake(client, server));
    EXPECT_FALSE(client.connection->facts.resumed);
    Exchange(client, server);
  }
}

TEST(TicketTest, EndpointsThatShareKeysResumeEachOthersSessions) {
  auto keys = OwnTicketKeys::Create();
  ASSERT_TRUE(keys.ok());
  EndpointOptions options;
  options.ticket_keys = *keys;
  const auto client_endpoint = MakeClient();
  const auto first = MakeServer(options);
  const auto second = MakeServer(options);
  for (int i = 0; i < 4; ++i) {
    OurSide client(client_endpoint, Target());
    OurSide server(i % 2 == 0 ? first : second);
    ASSERT_TRUE(RunHandshake(client, server));
    EXPECT_EQ(client.connection->facts.resumed, i > 0);
    Exchange(client, server);
    if (i == 2) {
      ASSERT_TRUE((*keys)->Rotate().ok());
    }
  }
  // Two rotations later the key is gone.
  ASSERT_TRUE((*keys)->Rotate().ok());
  ASSERT_TRUE((*keys)->Rotate().ok());
  OurSide client(client_endpoint, Target());
  OurSide server(first);
  ASSERT_TRUE(RunHandshake(client, server));
  EXPECT_FALSE(client.connection->facts.resumed);
}

// Sessions by ID in addition to tickets (RFC 5246 7.4.1.3), for TLS 1.2 clients that take no
// ticket.
TEST(SessionIdTest, WithTicketsOnAClientWithoutThemResumes) {
  LibsslOptions libssl;
  libssl.versions = Only(Version::kTls12);
  libssl.tickets = 0;  // no session_ticket extension
  const ContextPtr context = MakeLibsslContext(Role::kClient, libssl);
  const auto store = std::make_shared<MemorySessionStore>();
  EndpointOptions options;
  options.sessions = store;
  const auto endpoint = MakeServer(options);
  SSL_SESSION* session = nullptr;
  for (int i = 0; i < 3; ++i) {
    OurSide server(endpoint);
    LibsslSide client(context.get(), Role::kClient);
    if (session != nullptr) SSL_set_session(client.ssl, session);
    SSL_SESSION_free(session);
    ASSERT_TRUE(RunHandshake(server, client)) << server.last.failure.ToString();
    EXPECT_EQ(server.connection->facts.resumed, i > 0);
    SSL_shutdown(client.ssl);
    session = SSL_get1_session(client.ssl);
    EXPECT_EQ(SSL_SESSION_has_ticket(session), 0);
  }
  SSL_SESSION_free(session);
  EXPECT_EQ(store->size(), 1U);
}

TEST(SessionIdTest, ClientsWithTicketsLeaveNothingInTheStore) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    const auto store = std::make_shared<MemorySessionStore>();
    EndpointOptions options;
    options.sessions = store;
    EndpointOptions of_client;
    of_client.versions = Only(version);
    OurSide client(MakeClient(of_client), Target());
    OurSide server(MakeServer(options));
    ASSERT_TRUE(RunHandshake(client, server));
    EXPECT_EQ(store->size(), 0U);
  }
}

// Several connections, on as many processors, resume one session at once: each a copy, because
// libssl writes to a session under the lock of its own SSL_CTX.
TEST(SessionIdTest, OneSessionIsResumedByManyThreadsAtOnce) {
  const auto store = std::make_shared<MemorySessionStore>();
  EndpointOptions options;
  options.versions = Only(Version::kTls12);
  options.tickets = 0;
  options.sessions = store;
  EndpointOptions of_client = options;
  of_client.client_sessions = std::make_shared<MemoryClientSessions>();
  {
    OurSide client(MakeClient(of_client), Target());
    OurSide server(MakeServer(options));
    ASSERT_TRUE(RunHandshake(client, server));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      const auto client_endpoint = MakeClient(of_client);
      const auto server_endpoint = MakeServer(options);
      for (int i = 0; i < 40; ++i) {
        OurSide client(client_endpoint, Target());
        OurSide server(server_endpoint);
        EXPECT_TRUE(RunHandshake(client, server));
        // It ends without close_notify, so libssl marks the session that it holds.
        const bool resumed = server.connection->facts.resumed;
        EXPECT_TRUE(resumed) << i;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(SessionIdTest, AFailedHandshakeEndsItsSessionOnBothSides) {
  EndpointOptions options;
  options.versions = Only(Version::kTls12);
  options.tickets = 0;
  const auto client_endpoint = MakeClient(options);
  const auto server_endpoint = MakeServer(options);
  const auto connect = [&] {
    OurSide client(client_endpoint, Target());
    OurSide server(server_endpoint);
    EXPECT_TRUE(RunHandshake(client, server));
    return server.connection->facts.resumed;
  };
  EXPECT_FALSE(connect());
  EXPECT_TRUE(connect());
  OurSide client(client_endpoint, Target());
  OurSide server(server_endpoint);
  client.Advance();
  Move(client, server);
  server.Advance();
  Move(server, client);
  client.inbox.back() ^= std::byte{1};  // the server's Finished
  client.Advance();
  EXPECT_EQ(client.last.outcome, StepOutcome::kFailed);
  Move(client, server);
  server.Advance();
  EXPECT_EQ(server.last.outcome, StepOutcome::kFailed);
  EXPECT_FALSE(connect());
}

// A credential may be used by more processors than there were when it was made.
TEST(EndpointTest, MayBeUsedByManyThreadsAtOnce) {
  EndpointOptions options;
  options.session_lifespan_ms = 1000;
  const auto client_endpoint = MakeClient(options);
  const auto keys = OwnTicketKeys::Create().value();
  options.ticket_keys = keys;
  const auto server_endpoint = MakeServer(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        OurSide client(client_endpoint, Target());
        OurSide server(server_endpoint);
        EXPECT_TRUE(RunHandshake(client, server));
        Exchange(client, server);
        if (t == 0 && i % 5 == 0) {
          EXPECT_TRUE(keys->Rotate().ok());
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(TicketTest, ATls13TicketIsUsedOnce) {
  auto store = std::make_shared<MemoryClientSessions>();
  EndpointOptions options;
  options.client_sessions = store;
  const auto client_endpoint = MakeClient(options);
  const auto server_endpoint = MakeServer();
  OurSide client(client_endpoint, Target());
  OurSide server(server_endpoint);
  ASSERT_TRUE(RunHandshake(client, server));
  Exchange(client, server);
  EXPECT_EQ(store->size(), 1U);
  OurSide second(client_endpoint, Target());
  second.Advance();
  EXPECT_EQ(store->size(), 0U);
}

}  // namespace
}  // namespace ktlsim::tls::test
