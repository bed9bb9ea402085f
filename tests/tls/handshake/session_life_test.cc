// How long a session may be resumed, and with which credentials: certificates that expire,
// lifespans that a renewal does not extend, clocks that go back, credentials that replace others.
#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/support/test_authority.h"
#include "tests/tls/support.h"
#include "tls/handshake/resumption.h"
#include "tls/handshake/ticket_keys.h"

namespace ktlsim::tls::test {
namespace {

using ktlsim::test::IssuedCertificate;

std::int64_t g_now_ms = 0;
std::int64_t FakeClock() { return g_now_ms; }
std::int64_t RealNowMs() { return std::int64_t{time(nullptr)} * 1000; }
constexpr std::int64_t kDayMs = std::int64_t{86400} * 1000;

Certificate::Ptr Identity(const IssuedCertificate& leaf, const std::string& issuers) {
  auto made = Certificate::FromPem(leaf.Pem() + issuers, leaf.KeyPem());
  EXPECT_TRUE(made.ok()) << made.status().ToString();
  return *made;
}

struct Case {
  Version version;
  unsigned tickets;
};

// A root, an authority issued by it, and leaves issued by that authority.
class SessionLifeTest : public testing::TestWithParam<Case> {
 protected:
  SessionLifeTest() { g_now_ms = RealNowMs(); }

  EndpointOptions Plain() const {
    EndpointOptions options;
    options.versions = Only(GetParam().version);
    options.tickets = GetParam().tickets;
    options.session_lifespan_ms = EndpointOptions::kLifespanMsMax;
    return options;
  }
  EndpointOptions Judging() const {
    EndpointOptions options = Plain();
    options.verification = PeerVerification::kRequired;
    options.trust_pem = root_.Pem();
    options.clock_ms = &FakeClock;
    return options;
  }
  // True: resumed. A handshake that fails is not resumed, and stays in `client_` and `server_`.
  bool Resumes(const std::shared_ptr<Endpoint>& client, const std::shared_ptr<Endpoint>& server) {
    Connect(client, server);
    return established() && server_->connection->facts.resumed;
  }
  void Connect(const std::shared_ptr<Endpoint>& client, const std::shared_ptr<Endpoint>& server) {
    HandshakeOptions options;
    options.target_name = kName;
    client_.emplace(client, options);
    server_.emplace(server);
    if (!RunHandshake(*client_, *server_) || !established()) return;
    server_->Write("ticket, if any, and data");
    Move(*server_, *client_);
    EXPECT_EQ(client_->Read(), "ticket, if any, and data");
  }
  bool established() const { return client_->established() && server_->established(); }
  void ExpectExpired(const OurSide& side) const {
    EXPECT_EQ(side.last.outcome, StepOutcome::kFailed);
    EXPECT_EQ(side.last.certificate_fault, CertificateFault::kOutOfDate);
  }

  const IssuedCertificate root_ = IssuedCertificate::Root("The Root");
  std::optional<OurSide> client_;
  std::optional<OurSide> server_;
};

INSTANTIATE_TEST_SUITE_P(Sessions, SessionLifeTest,
                         testing::Values(Case{Version::kTls12, 0}, Case{Version::kTls12, 1},
                                         Case{Version::kTls13, 1}),
                         [](const auto& test) {
                           return std::string(test.param.version == Version::kTls12 ? "Tls12"
                                                                                    : "Tls13") +
                                  (test.param.tickets == 0 ? "Ids" : "Tickets");
                         });

TEST_P(SessionLifeTest, OfAClientEndsWithItsCertificateOrAnIssuers) {
  for (const bool leaf_first : {true, false}) {
    g_now_ms = RealNowMs();
    const IssuedCertificate between =
        root_.Authority("Between", {-3600, leaf_first ? 40000 : 20000});
    const IssuedCertificate leaf = between.Leaf("client", {-3600, leaf_first ? 20000 : 40000});
    EndpointOptions client_options = Plain();
    client_options.certificates = {Identity(leaf, between.Pem())};
    const auto client = MakeClient(client_options);
    const auto server = MakeServer(Judging());
    EXPECT_FALSE(Resumes(client, server));
    ASSERT_TRUE(established()) << server_->last.failure.ToString();
    for (int hours = 1; hours <= 5; ++hours) {
      g_now_ms += 3600 * 1000;
      EXPECT_TRUE(Resumes(client, server)) << hours;
      ASSERT_NE(server_->connection->facts.peer_chain, nullptr);
    }
    g_now_ms += 2010 * 1000;  // 20010 seconds
    EXPECT_FALSE(Resumes(client, server));
    ExpectExpired(*server_);
  }
}

TEST_P(SessionLifeTest, OfAServerEndsWithItsCertificateOrAnIssuers) {
  for (const bool leaf_first : {true, false}) {
    g_now_ms = RealNowMs();
    const IssuedCertificate between =
        root_.Authority("Between", {-3600, leaf_first ? 40000 : 20000});
    const IssuedCertificate leaf = between.Leaf(kName, {-3600, leaf_first ? 20000 : 40000});
    EndpointOptions server_options = Plain();
    server_options.certificates = {Identity(leaf, between.Pem())};
    const auto server = MakeServer(server_options);
    const auto client = MakeClient(Judging());
    EXPECT_FALSE(Resumes(client, server));
    ASSERT_TRUE(established()) << client_->last.failure.ToString();
    for (int hours = 1; hours <= 5; ++hours) {
      g_now_ms += 3600 * 1000;
      EXPECT_TRUE(Resumes(client, server)) << hours;
    }
    g_now_ms += 2010 * 1000;
    EXPECT_FALSE(Resumes(client, server));
    ExpectExpired(*client_);
  }
}

TEST_P(SessionLifeTest, IsNotResumedByWhomeverTheCertificateExpiredInTheMidstOf) {
  const IssuedCertificate leaf = root_.Leaf(kName, {-3600, 1000});
  EndpointOptions server_options = Plain();
  server_options.certificates = {Identity(leaf, "")};
  const auto server = MakeServer(server_options);
  const auto client = MakeClient(Judging());
  EXPECT_FALSE(Resumes(client, server));
  ASSERT_TRUE(established());
  for (const bool judge : {false, true}) {
    HandshakeOptions options;
    options.target_name = kName;
    options.verify_peer = judge;
    g_now_ms = RealNowMs();
    OurSide warm(client, options);
    OurSide warm_server(server);
    ASSERT_TRUE(RunHandshake(warm, warm_server));
    warm_server.Write("x");
    Move(warm_server, warm);
    warm.Read();
    OurSide late(client, options);
    OurSide late_server(server);
    late.Advance();
    g_now_ms += 1001 * 1000;
    Move(late, late_server);
    EXPECT_EQ(RunHandshake(late, late_server), !judge);
    if (judge) {
      ExpectExpired(late);
    } else {
      EXPECT_TRUE(late.connection->facts.resumed);
      EXPECT_EQ(late.connection->facts.certificate_fault, CertificateFault::kOutOfDate);
    }
  }
}

TEST_P(SessionLifeTest, IsCountedFromTheFullHandshakeOnBothSides) {
  for (const bool of_server : {true, false}) {
    g_now_ms = RealNowMs();
    EndpointOptions bounded = Plain();
    bounded.clock_ms = &FakeClock;
    bounded.session_lifespan_ms = 10'000;
    const auto client = MakeClient(of_server ? Plain() : bounded);
    const auto server = MakeServer(of_server ? bounded : Plain());
    EXPECT_FALSE(Resumes(client, server));
    for (int i = 1; i <= 3; ++i) {
      g_now_ms += 3'333;
      EXPECT_TRUE(Resumes(client, server)) << i << " renewed or not";
    }
    g_now_ms += 1;
    EXPECT_FALSE(Resumes(client, server)) << (of_server ? "server" : "client");
    EXPECT_TRUE(established());
    EXPECT_TRUE(Resumes(client, server)) << "a new session has begun";
  }
}

TEST_P(SessionLifeTest, DoesNotGrowWhenTheClockGoesBack) {
  EndpointOptions bounded = Plain();
  bounded.clock_ms = &FakeClock;
  const auto client = MakeClient(Plain());
  const auto server = MakeServer(bounded);
  EXPECT_FALSE(Resumes(client, server));
  g_now_ms -= 30'000;
  EXPECT_TRUE(Resumes(client, server)) << "another machine's clock";
  g_now_ms -= 40'000;
  EXPECT_FALSE(Resumes(client, server));
  EXPECT_TRUE(established());
}

TEST_P(SessionLifeTest, OfAnUnknownLengthIsRefused) {
  for (const std::int64_t lifespan_ms :
       {std::int64_t{0}, std::int64_t{-1}, EndpointOptions::kLifespanMsMax + 1}) {
    EndpointOptions options = Plain();
    options.certificates = {EcdsaCertificate()};
    options.session_lifespan_ms = lifespan_ms;
    EXPECT_EQ(Endpoint::Create(options).status().category(), Category::kContract);
  }
}

// ---- New endpoints with the same keys and the same store.

class SessionHandoverTest : public SessionLifeTest {
 protected:
  SessionHandoverTest() {
    EndpointOptions options = Plain();
    options.certificates = {own_, other_};
    options.verification = PeerVerification::kIfPresented;
    options.trust_pem = root_.Pem() + second_root_.Pem();
    options.session_lifespan_ms = kDayMs;
    first_ = MakeServer(options);
    client_endpoint_ = MakeClient(Plain());
    EXPECT_FALSE(Resumes(client_endpoint_, first_));
  }
  // Options as the first server's were.
  EndpointOptions Again() const { return first_->options(); }
  bool ResumesWith(const EndpointOptions& options) {
    return Resumes(client_endpoint_, MakeServer(options));
  }

  const IssuedCertificate second_root_ = IssuedCertificate::Root("The Second");
  const Certificate::Ptr own_ = Identity(root_.Leaf(kName), "");
  const Certificate::Ptr other_ = Identity(root_.Leaf("other.test"), "");
  std::shared_ptr<Endpoint> first_;
  std::shared_ptr<Endpoint> client_endpoint_;
};

INSTANTIATE_TEST_SUITE_P(Sessions, SessionHandoverTest,
                         testing::Values(Case{Version::kTls12, 0}, Case{Version::kTls12, 1},
                                         Case{Version::kTls13, 1}));

TEST_P(SessionHandoverTest, WithNothingChangedSessionsGoOn) {
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ResumesWith(Again()));
}

TEST_P(SessionHandoverTest, AnotherNamesCertificateEndsNothing) {
  EndpointOptions options = Again();
  options.certificates[1] = Identity(root_.Leaf("other.test"), "");
  EXPECT_TRUE(ResumesWith(options));
}

TEST_P(SessionHandoverTest, TheOwnCertificateEndsThem) {
  EndpointOptions options = Again();
  options.certificates[0] = Identity(root_.Leaf(kName), "");
  EXPECT_FALSE(ResumesWith(options));
  EXPECT_TRUE(established());
  EXPECT_TRUE(ResumesWith(options));
}

TEST_P(SessionHandoverTest, TheOrderOfTheTrustedEndsNothing) {
  EndpointOptions options = Again();
  options.trust_pem = "# a remark\n" + second_root_.Pem() + root_.Pem();
  EXPECT_TRUE(ResumesWith(options));
}

TEST_P(SessionHandoverTest, OthersTrustedEndThem) {
  EndpointOptions options = Again();
  options.trust_pem = root_.Pem();
  EXPECT_FALSE(ResumesWith(options));
  EXPECT_TRUE(established());
}

TEST_P(SessionHandoverTest, AnotherPolicyEndsThem) {
  EndpointOptions options = Again();
  options.verification = PeerVerification::kOnRequest;
  EXPECT_FALSE(ResumesWith(options));
  options.verification = PeerVerification::kRequired;
  EXPECT_FALSE(ResumesWith(options)) << "a session lets no client in without a certificate";
  EXPECT_FALSE(established());
}

TEST_P(SessionHandoverTest, WhomNobodyAsksNoChangeOfTrustConcerns) {
  EndpointOptions options = Again();
  options.verification = PeerVerification::kOnRequest;
  EXPECT_FALSE(ResumesWith(options));
  options.trust_pem = root_.Pem();
  EXPECT_TRUE(ResumesWith(options));
}

TEST_P(SessionHandoverTest, ASuiteNotInUseAnyMoreIsNotTakenFromASession) {
  EndpointOptions options = Again();
  const std::uint16_t before = static_cast<std::uint16_t>(server_->connection->facts.suite->id);
  options.cipher_suites = GetParam().version == Version::kTls12 ? "ECDHE-ECDSA-AES256-GCM-SHA384"
                                                                : "TLS_AES_256_GCM_SHA384";
  EXPECT_FALSE(ResumesWith(options));
  ASSERT_TRUE(established());
  EXPECT_NE(static_cast<std::uint16_t>(server_->connection->facts.suite->id), before);
}

TEST_P(SessionHandoverTest, AShorterLifespanCountsForOldSessionsToo) {
  EndpointOptions options = Again();
  options.session_lifespan_ms = 60'000;
  options.clock_ms = &FakeClock;
  g_now_ms = RealNowMs() + 70'000;
  EXPECT_FALSE(ResumesWith(options));
  EXPECT_TRUE(established());
}

// ---- Ticket keys and time.

// A session of a version that did not keep the keys of its client's issuers would make a client
// without any.
TEST(SessionOriginTest, IsUnknownInTheFormatWithoutKeys) {
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(SSL_SESSION_new(),
                                                                          &SSL_SESSION_free);
  std::array<std::uint8_t, 17> data{};
  const auto origin_of_format = [&](std::uint8_t format) {
    data[0] = format;
    EXPECT_EQ(SSL_SESSION_set1_ticket_appdata(session.get(), data.data(), data.size()), 1);
    return OriginOf(*session);
  };
  EXPECT_FALSE(origin_of_format(1));
  EXPECT_TRUE(origin_of_format(2));
  EXPECT_FALSE(origin_of_format(3));
}

TEST(OwnTicketKeysTest, ChangeByTimeAndOpenForASessionsLifeAfterwards) {
  const auto keys = OwnTicketKeys::Create().value();
  keys->Cover(7200);
  std::int64_t now = 1'000'000;
  const auto first = keys->At(now);
  EXPECT_EQ(first->keys.size(), 1U);
  EXPECT_EQ(keys->At(now + 7199)->sealing()->name, first->sealing()->name);
  const auto second = keys->At(now += 7200);
  EXPECT_NE(second->sealing()->name, first->sealing()->name);
  ASSERT_EQ(second->keys.size(), 2U);
  EXPECT_EQ(second->keys[1].name, first->sealing()->name);
  EXPECT_EQ(keys->At(now + 7199)->keys.size(), 2U);
  const auto third = keys->At(now += 7200);
  EXPECT_EQ(third->keys[1].name, second->sealing()->name) << "the first key is gone";
  const auto much_later = keys->At(now += 100 * 7200);
  EXPECT_EQ(much_later->keys.size(), 1U) << "nothing was sealed with it for so long";
  EXPECT_NE(much_later->sealing()->name, third->sealing()->name);
}

TEST(OwnTicketKeysTest, TheLongestLifespanCountsAndAnHourIsTheLeast) {
  const auto keys = OwnTicketKeys::Create().value();
  keys->Cover(10);
  const auto name = [&](std::int64_t now) { return keys->At(now)->sealing()->name; };
  const auto first = name(1000);
  EXPECT_EQ(name(1000 + 3599), first);
  const auto second = name(1000 + 3600);
  EXPECT_NE(second, first);
  EXPECT_EQ(keys->At(1000 + 3609)->keys.size(), 2U);
  EXPECT_EQ(keys->At(1000 + 3610)->keys.size(), 1U);
  keys->Cover(5000);
  keys->Cover(20);
  EXPECT_EQ(name(1000 + 3600 + 4999), second);
  EXPECT_NE(name(1000 + 3600 + 5000), second);
}

TEST(OwnTicketKeysTest, AClockThatGoesBackKeepsNoKeyForEver) {
  const auto keys = OwnTicketKeys::Create().value();
  keys->Cover(7200);
  const auto first = keys->At(1'000'000'000)->sealing()->name;
  EXPECT_EQ(keys->At(1000)->sealing()->name, first);
  EXPECT_NE(keys->At(1000 + 7200)->sealing()->name, first);
  EXPECT_NE(keys->At(1000 + 3 * 7200 + 1)->keys.back().name, first);
}

TEST(OwnTicketKeysTest, RotatedKeysStillOpenAndThenDoNot) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    g_now_ms = RealNowMs();
    EndpointOptions options;
    options.versions = Only(version);
    options.clock_ms = &FakeClock;
    options.session_lifespan_ms = 7'200'000;
    const auto server = MakeServer(options);
    const auto client = MakeClient();
    HandshakeOptions target;
    target.target_name = kName;
    const auto resumes = [&] {
      OurSide one(client, target);
      OurSide other(server);
      EXPECT_TRUE(RunHandshake(one, other));
      other.Write("x");
      Move(other, one);
      one.Read();
      return other.connection->facts.resumed;
    };
    EXPECT_FALSE(resumes());
    g_now_ms += 7'100'000;
    const auto before = server->options().ticket_keys->At(g_now_ms / 1000)->sealing()->name;
    EXPECT_TRUE(resumes());
    g_now_ms += 101'000;  // the key's time is over, and the session's
    EXPECT_FALSE(resumes());
    EXPECT_NE(server->options().ticket_keys->At(g_now_ms / 1000)->sealing()->name, before);
    g_now_ms += 7'000'000;
    EXPECT_TRUE(resumes());
  }
}

}  // namespace
}  // namespace ktlsim::tls::test
