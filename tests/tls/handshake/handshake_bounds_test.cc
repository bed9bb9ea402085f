// What a handshake may cost: announced lengths and sent bytes. Each bound is reached once without
// harm and exceeded once, which leads to an alert (RFC 8446 6.2).
#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/tls/recutter.h"
#include "tests/tls/support.h"
#include "tls/handshake/announced_lengths.h"

namespace ktlsim::tls::test {
namespace {

constexpr std::uint8_t kClientHello = 1;
constexpr std::uint8_t kCertificate = 11;

std::vector<std::byte> Header(std::uint8_t type, std::size_t length) {
  return {std::byte{type}, static_cast<std::byte>(length >> 16),
          static_cast<std::byte>(length >> 8 & 0xff), static_cast<std::byte>(length & 0xff)};
}

void AppendRecord(std::span<const std::byte> fragment, Buffer& out) {
  out.insert(out.end(), {std::byte{22}, std::byte{3}, std::byte{3},
                         static_cast<std::byte>(fragment.size() >> 8),
                         static_cast<std::byte>(fragment.size() & 0xff)});
  out.insert(out.end(), fragment.begin(), fragment.end());
}

// `bytes` in records whose ends are set by the bits of `cuts`.
Buffer CutAs(std::span<const std::byte> bytes, unsigned cuts) {
  Buffer out;
  std::size_t from = 0;
  for (std::size_t i = 1; i <= bytes.size(); ++i) {
    if (i != bytes.size() && (cuts >> (i - 1) & 1) == 0) continue;
    AppendRecord(bytes.subspan(from, i - from), out);
    from = i;
  }
  return out;
}

void ExpectRefused(const OurSide& side, AlertDescription description) {
  EXPECT_EQ(side.last.outcome, StepOutcome::kFailed);
  EXPECT_EQ(side.last.sent_alert, FatalAlert(description))
      << (side.last.sent_alert ? AlertName(side.last.sent_alert->description) : "none");
  EXPECT_FALSE(side.outbox.empty()) << "the alert";
  EXPECT_TRUE(side.last.failure.category() == Category::kTls) << side.last.failure.ToString();
}

TEST(AnnouncedLengthTest, OfAClientHelloIsJudgedFromItsHeaderHoweverThatIsCut) {
  for (const std::size_t length :
       {AnnouncedLengths::kMessageBytesMax, AnnouncedLengths::kMessageBytesMax + 1,
        std::size_t{131'396}, std::size_t{131'397}, std::size_t{0xffffff}}) {
    for (unsigned cuts = 0; cuts < 8; ++cuts) {
      SCOPED_TRACE(testing::Message() << length << ' ' << cuts);
      OurSide server(MakeServer());
      server.inbox = CutAs(Header(kClientHello, length), cuts);
      server.Advance();
      if (length <= AnnouncedLengths::kMessageBytesMax) {
        EXPECT_EQ(server.last.outcome, StepOutcome::kContinue);
        EXPECT_TRUE(server.outbox.empty());
      } else {
        ExpectRefused(server, AlertDescription::kIllegalParameter);
      }
    }
  }
}

// A ClientHello with a list of application protocols of this size.
std::size_t HelloOf(std::size_t alpn_bytes, std::size_t piece, OurSide& server) {
  const ContextPtr context = MakeLibsslContext(Role::kClient, {});
  LibsslSide client(context.get(), Role::kClient);
  std::vector<unsigned char> alpn(alpn_bytes, 'a');
  for (std::size_t i = 0; i < alpn.size(); i += 100) {
    alpn[i] = static_cast<unsigned char>(std::min<std::size_t>(99, alpn.size() - i - 1));
  }
  EXPECT_EQ(SSL_set_alpn_protos(client.ssl, alpn.data(), static_cast<unsigned>(alpn.size())), 0);
  Recutter recutter(context.get(), client, {.piece_bytes = piece});
  client.Advance();
  server.inbox = recutter.Drain();
  server.Advance();
  return server.inbox.size();
}

TEST(AnnouncedLengthTest, ALongHelloInPiecesOfAnySizePasses) {
  for (const std::size_t piece : {1U, 2U, 3U, 500U, 16384U}) {
    OurSide server(MakeServer());
    HelloOf(15'000, piece, server);
    EXPECT_EQ(server.last.outcome, StepOutcome::kContinue) << server.last.failure.ToString();
    EXPECT_FALSE(server.outbox.empty());
    OurSide other(MakeServer());
    HelloOf(17'000, piece, other);
    ExpectRefused(other, AlertDescription::kIllegalParameter);
  }
}

TEST(AnnouncedLengthTest, OfASecondHelloIsJudgedToo) {
  LibsslOptions libssl;
  libssl.versions = Only(Version::kTls13);
  const ContextPtr context = MakeLibsslContext(Role::kClient, libssl);
  SSL_CTX_set1_groups_list(context.get(), "P-521:X25519");
  EndpointOptions options;
  options.groups = "X25519";
  OurSide server(MakeServer(options));
  LibsslSide client(context.get(), Role::kClient);
  client.Advance();
  Move(client, server);
  server.Advance();
  ASSERT_EQ(server.last.outcome, StepOutcome::kContinue) << server.last.failure.ToString();
  ASSERT_FALSE(server.outbox.empty()) << "a HelloRetryRequest";
  server.outbox.clear();
  server.inbox = {std::byte{20}, std::byte{3}, std::byte{3},
                  std::byte{0},  std::byte{1}, std::byte{1}};
  const Buffer hello = CutAs(Header(kClientHello, 131'396), 2);
  server.inbox.insert(server.inbox.end(), hello.begin(), hello.end());
  server.Advance();
  ExpectRefused(server, AlertDescription::kIllegalParameter);
}

// A server of ours that waits for the client's certificate, and a libssl client that has not sent
// it.
struct AwaitingCertificate {
  explicit AwaitingCertificate(Version version) {
    LibsslOptions libssl;
    libssl.versions = Only(version);
    libssl.certificate = EcdsaCertificate();
    context = MakeLibsslContext(Role::kClient, libssl);
    HandshakeOptions options;
    options.require_client_certificate = true;
    options.verify_peer = false;
    EndpointOptions endpoint;
    endpoint.tickets = 0;  // tickets would bound the chain more tightly
    server.emplace(MakeServer(endpoint), options);
    client.emplace(context.get(), Role::kClient);
    recutter.emplace(context.get(), *client, Cutting{.piece_bytes = 16384});
    client->Advance();
    Move(*client, *server);
    server->Advance();
    Move(*server, *client);
    client->Advance();
    client->Drain();
    EXPECT_EQ(server->last.outcome, StepOutcome::kContinue);
  }
  ContextPtr context;
  std::optional<OurSide> server;
  std::optional<LibsslSide> client;
  std::optional<Recutter> recutter;
};

TEST(AnnouncedLengthTest, OfAClientsCertificateHasItsOwnBound) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    for (const std::size_t past : {0U, 1U}) {
      AwaitingCertificate connection(version);
      const auto header =
          Header(kCertificate, AnnouncedLengths::kCertificateMessageBytesMax + past);
      OurSide& server = *connection.server;
      if (version == Version::kTls12) {
        AppendRecord(header, server.inbox);
      } else {
        server.inbox = connection.recutter->Forge(header);
      }
      server.Advance();
      if (past == 0) {
        EXPECT_EQ(server.last.outcome, StepOutcome::kContinue) << server.last.failure.ToString();
      } else {
        ExpectRefused(server, AlertDescription::kIllegalParameter);
      }
    }
  }
}

// HelloRequest may come at any time and has no effect (RFC 5246 7.4.1.1): only bytes bound it.
TEST(HandshakeBytesTest, AClientDoesNotReadForEver) {
  const std::array<std::byte, 4> hello_request{};
  Buffer record;
  AppendRecord(hello_request, record);
  EndpointOptions options;
  options.versions = Only(Version::kTls12);
  OurSide client(MakeClient(options));
  client.Advance();
  client.outbox.clear();
  const std::size_t fit = Handshake::kBytesMax / record.size();
  for (std::size_t i = 0; i < fit; ++i) {
    client.inbox = record;
    client.Advance();
    ASSERT_EQ(client.last.outcome, StepOutcome::kContinue) << i;
  }
  client.inbox = record;
  client.Advance();
  ExpectRefused(client, AlertDescription::kRecordOverflow);
  EXPECT_EQ(client.Advance().outcome, StepOutcome::kFailed) << "also later";
}

// Once there are keys, the alert is sealed, and the peer can open it.
TEST(HandshakeBytesTest, AServerDoesNotReadForEver) {
  AwaitingCertificate connection(Version::kTls13);
  OurSide& server = *connection.server;
  server.inbox = connection.recutter->Forge(
      Header(kCertificate, AnnouncedLengths::kCertificateMessageBytesMax));
  server.Advance();
  const std::array<std::byte, 1> piece{};
  for (std::size_t sent = 0; server.last.outcome == StepOutcome::kContinue; ++sent) {
    ASSERT_LT(sent, Handshake::kBytesMax);
    server.inbox = connection.recutter->Forge(piece);
    server.Advance();
  }
  ExpectRefused(server, AlertDescription::kRecordOverflow);
  Move(server, *connection.client);
  EXPECT_EQ(connection.client->Read(), "");
  EXPECT_EQ(SSL_get_shutdown(connection.client->ssl) & SSL_RECEIVED_SHUTDOWN,
            SSL_RECEIVED_SHUTDOWN);
}

// A part of a message's header is withheld from OpenSSL: anything that comes instead of the rest
// must still be refused.
TEST(AnnouncedLengthTest, NothingElseMayFollowHalfAHeader) {
  for (const unsigned type : {20U, 23U}) {
    OurSide server(MakeServer());
    AppendRecord(std::vector<std::byte>{std::byte{kClientHello}, std::byte{0}}, server.inbox);
    server.inbox.insert(server.inbox.end(), {std::byte(type), std::byte{3}, std::byte{3},
                                             std::byte{0}, std::byte{1}, std::byte{1}});
    server.Advance();
    ExpectRefused(server, AlertDescription::kUnexpectedMessage);
  }
}

TEST(AnnouncedLengthTest, AFatalAlertIsHeardInTheMiddleOfAHeader) {
  AwaitingCertificate connection(Version::kTls12);
  OurSide& server = *connection.server;
  AppendRecord(std::vector<std::byte>{std::byte{kCertificate}, std::byte{0}}, server.inbox);
  server.inbox.insert(server.inbox.end(), {std::byte{21}, std::byte{3}, std::byte{3}, std::byte{0},
                                           std::byte{2}, std::byte{2}, std::byte{80}});
  server.Advance();
  EXPECT_EQ(server.last.outcome, StepOutcome::kFailed);
  EXPECT_EQ(server.last.received_alert, FatalAlert(AlertDescription::kInternalError));
}

}  // namespace
}  // namespace ktlsim::tls::test
