// Handshake messages after the handshake: KeyUpdate both ways against libssl, and what a hostile
// peer may send.
#include "tls/handshake/post_handshake.h"

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

using Outcome = PostHandshakeResult::Outcome;

class KeyUpdateTest : public testing::TestWithParam<Role> {
 protected:
  void SetUp() override {
    LibsslOptions libssl;
    libssl.versions = Only(Version::kTls13);
    const bool we_serve = GetParam() == Role::kServer;
    if (!we_serve) libssl.certificate = EcdsaCertificate();
    context = MakeLibsslContext(we_serve ? Role::kClient : Role::kServer, libssl);
    ours.emplace(we_serve ? MakeServer() : MakeClient());
    theirs.emplace(context.get(), we_serve ? Role::kClient : Role::kServer);
    ASSERT_TRUE(RunHandshake(*ours, *theirs));
  }
  void Exchange() {
    ours->Write("from us");
    Move(*ours, *theirs);
    ASSERT_EQ(theirs->Read(), "from us");
    theirs->Write("from them");
    Move(*theirs, *ours);
    ASSERT_EQ(ours->Read(), "from them");
  }
  ContextPtr context;
  std::optional<OurSide> ours;
  std::optional<LibsslSide> theirs;
};

TEST_P(KeyUpdateTest, LibsslUpdates) {
  for (const int kind : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
    Exchange();
    ASSERT_EQ(SSL_key_update(theirs->ssl, kind), 1);
    Exchange();  // its write begins with the KeyUpdate, and our reader's reply goes back
    Exchange();
  }
  EXPECT_EQ(ours->key_updates_seen, 2U);
}

TEST_P(KeyUpdateTest, WeUpdate) {
  for (const bool request : {false, true, true}) {
    ours->UpdateKey(request);
    EXPECT_EQ(ours->connection->writer.sequence_number(), 0U);
    Exchange();
  }
  Exchange();
  EXPECT_EQ(ours->key_updates_seen, 2U) << "replies to two requests";
}

INSTANTIATE_TEST_SUITE_P(Roles, KeyUpdateTest, testing::Values(Role::kServer, Role::kClient));

// Passes messages to one side as its reader would.
class PostHandshakeTest : public testing::Test {
 protected:
  PostHandshakeTest() : client_(MakeClient()), server_(MakeServer()) {
    EXPECT_TRUE(RunHandshake(client_, server_));
    client_.Read();
  }
  static PostHandshakeResult Feed(OurSide& side, const std::vector<std::uint8_t>& message) {
    return side.connection->post_handshake->Consume(std::as_bytes(std::span(message)),
                                                    side.connection->reader);
  }
  static void ExpectRefused(OurSide& side, const std::vector<std::uint8_t>& message,
                            AlertDescription description) {
    const PostHandshakeResult result = Feed(side, message);
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    EXPECT_EQ(result.alert, FatalAlert(description)) << AlertName(result.alert.description);
    EXPECT_FALSE(result.failure.ok());
  }
  OurSide client_;
  OurSide server_;
};

TEST_F(PostHandshakeTest, AMessageMayComeInPieces) {
  const std::vector<std::uint8_t> update = {24, 0, 0, 1, 1};
  for (std::size_t i = 0; i + 1 < update.size(); ++i) {
    EXPECT_EQ(Feed(server_, {update[i]}).outcome, Outcome::kAbsorbedPart);
    EXPECT_TRUE(server_.connection->post_handshake->mid_message());
  }
  const PostHandshakeResult result = Feed(server_, {update.back()});
  EXPECT_EQ(result.outcome, Outcome::kKeyUpdate);
  EXPECT_TRUE(result.update_requested);
  EXPECT_FALSE(server_.connection->post_handshake->mid_message());
}

TEST_F(PostHandshakeTest, RefusesMalformedKeyUpdates) {
  ExpectRefused(server_, {24, 0, 0, 1, 2}, AlertDescription::kIllegalParameter);
  ExpectRefused(server_, {24, 0, 0, 0}, AlertDescription::kDecodeError);
  ExpectRefused(server_, {24, 0, 0, 2, 0, 0}, AlertDescription::kDecodeError);
  ExpectRefused(server_, {24, 0, 0, 1, 0, 24, 0, 0, 1, 0}, AlertDescription::kUnexpectedMessage);
  ExpectRefused(server_, {24, 0, 0, 1, 0, 24}, AlertDescription::kUnexpectedMessage);
}

TEST_F(PostHandshakeTest, RefusesEveryOtherMessage) {
  for (unsigned type = 0; type < 256; ++type) {
    if (type == 24) continue;
    OurSide& side = type == 4 ? server_ : type % 2 == 0 ? client_ : server_;
    ExpectRefused(side, {static_cast<std::uint8_t>(type), 0, 0, 0},
                  AlertDescription::kUnexpectedMessage);
  }
}

TEST_F(PostHandshakeTest, RefusesAnOversizeMessageAtItsHeader) {
  ExpectRefused(client_, {4, 0, 0x50, 0x01}, AlertDescription::kUnexpectedMessage);
  ExpectRefused(client_, {4, 0xff, 0xff, 0xff}, AlertDescription::kUnexpectedMessage);
}

TEST_F(PostHandshakeTest, BoundsRunsOfKeyUpdates) {
  const std::uint32_t limit = RecordLimits().key_updates;
  for (int run = 0; run < 2; ++run) {
    for (std::uint32_t i = 0; i < limit; ++i) {
      client_.UpdateKey(true);
      Move(client_, server_);
      server_.Read();
      ASSERT_EQ(server_.post.outcome, Outcome::kKeyUpdate) << run << ' ' << i;
    }
    if (run == 1) break;
    client_.Write("x");  // starts the count again
    Move(client_, server_);
    ASSERT_EQ(server_.Read(), "x");
  }
  client_.UpdateKey(true);
  Move(client_, server_);
  server_.Read();
  EXPECT_EQ(server_.post.outcome, Outcome::kFailed);
  EXPECT_EQ(server_.post.alert, FatalAlert(AlertDescription::kUnexpectedMessage));
}

TEST(PostHandshakeTicketTest, AMalformedTicketEndsTheConnection) {
  EndpointOptions no_tickets;
  no_tickets.tickets = 0;
  OurSide client(MakeClient());
  OurSide server(MakeServer(no_tickets));
  ASSERT_TRUE(RunHandshake(client, server));
  const std::vector<std::uint8_t> message = {4, 0, 0, 3, 1, 2, 3};
  const PostHandshakeResult result = client.connection->post_handshake->Consume(
      std::as_bytes(std::span(message)), client.connection->reader);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.alert, FatalAlert(AlertDescription::kDecodeError));
}

TEST(PostHandshakeTicketTest, ATicketMayComeInPiecesOfAnySize) {
  // A ticket as a server seals it, opened by a reader that is not the client's.
  LibsslOptions libssl;
  libssl.versions = Only(Version::kTls13);
  libssl.certificate = EcdsaCertificate();
  libssl.tickets = 1;
  const ContextPtr context = MakeLibsslContext(Role::kServer, libssl);
  for (const std::size_t piece : {1U, 3U, 50U, 1000U}) {
    OurSide client(MakeClient());
    LibsslSide server(context.get(), Role::kServer);
    ASSERT_TRUE(RunHandshake(client, server));
    const OpenResult opened = client.connection->reader.Open(client.inbox);
    ASSERT_EQ(opened.type, ContentType::kHandshake);
    PostHandshakeResult result;
    for (std::size_t at = 0; at < opened.fragment.size(); at += piece) {
      const auto part = opened.fragment.subspan(at, std::min(piece, opened.fragment.size() - at));
      result = client.connection->post_handshake->Consume(part, client.connection->reader);
    }
    EXPECT_EQ(result.outcome, Outcome::kAbsorbed);
    EXPECT_TRUE(result.ticket_stored);
  }
}

class RenegotiationTest : public testing::TestWithParam<Role> {};

TEST_P(RenegotiationTest, IsRefusedByAWarning) {
  EndpointOptions options;
  options.versions = Only(Version::kTls12);
  OurSide client(MakeClient(options));
  OurSide server(MakeServer(options));
  ASSERT_TRUE(RunHandshake(client, server));
  OurSide& asked = GetParam() == Role::kClient ? client : server;
  OurSide& asks = GetParam() == Role::kClient ? server : client;
  Buffer header(asks.connection->writer.header_bytes());
  Buffer message(4);
  message[0] = GetParam() == Role::kClient ? std::byte{0} : std::byte{1};
  Buffer trailer(asks.connection->writer.trailer_bytes());
  ASSERT_EQ(asks.connection->writer.Seal(ContentType::kHandshake, header, message, trailer).outcome,
            SealOutcome::kSealed);
  for (const Buffer* piece : {&header, &message, &trailer}) {
    asked.inbox.insert(asked.inbox.end(), piece->begin(), piece->end());
  }
  asked.Read();
  EXPECT_EQ(asked.post.outcome, Outcome::kSendAlert);
  Move(asked, asks);
  asks.Read();
  EXPECT_EQ(asks.opened.outcome, OpenResult::Outcome::kIgnored);
  EXPECT_EQ(asks.opened.alert.description, AlertDescription::kNoRenegotiation);
  asked.Write("still here");
  Move(asked, asks);
  EXPECT_EQ(asks.Read(), "still here");
}

INSTANTIATE_TEST_SUITE_P(Roles, RenegotiationTest, testing::Values(Role::kServer, Role::kClient));

}  // namespace
}  // namespace ktlsim::tls::test
