// Our handshake engine and record layer against an unmodified libssl, in both roles, every suite.
#include <algorithm>
#include <optional>
#include <string>
#include <tuple>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/support/test_authority.h"
#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

constexpr CipherSuite kSuites[] = {
    CipherSuite::kAes128GcmSha256,           CipherSuite::kAes256GcmSha384,
    CipherSuite::kChaCha20Poly1305Sha256,    CipherSuite::kEcdheEcdsaAes128GcmSha256,
    CipherSuite::kEcdheEcdsaAes256GcmSha384, CipherSuite::kEcdheRsaAes128GcmSha256,
    CipherSuite::kEcdheRsaAes256GcmSha384,   CipherSuite::kEcdheRsaChaCha20Poly1305,
    CipherSuite::kEcdheEcdsaChaCha20Poly1305};

class InteropTest : public testing::TestWithParam<std::tuple<CipherSuite, Role>> {
 protected:
  void SetUp() override {
    const Role their_role = our_role() == Role::kServer ? Role::kClient : Role::kServer;
    const bool rsa = std::string(suite().standard_name).find("_RSA_") != std::string::npos;
    certificate = rsa ? RsaCertificate() : EcdsaCertificate();
    LibsslOptions libssl;
    libssl.versions = Only(suite().version);
    libssl.suite = suite().openssl_name;
    EndpointOptions options;
    options.cipher_suites = suite().standard_name;
    HandshakeOptions handshake;
    if (our_role() == Role::kServer) {
      options.certificates = {certificate};
    } else {
      libssl.certificate = certificate;
      handshake.target_name = kName;
    }
    context = MakeLibsslContext(their_role, libssl);
    ours.emplace(our_role() == Role::kServer ? MakeServer(options) : MakeClient(options),
                 handshake);
    theirs.emplace(context.get(), their_role);
    ASSERT_TRUE(RunHandshake(*ours, *theirs)) << ours->last.failure.ToString();
  }

  const SuiteInfo& suite() const {
    return *FindSuite(static_cast<std::uint16_t>(std::get<0>(GetParam())));
  }
  Role our_role() const { return std::get<1>(GetParam()); }

  Certificate::Ptr certificate;
  ContextPtr context;
  std::optional<OurSide> ours;
  std::optional<LibsslSide> theirs;
};

std::string CaseName(const testing::TestParamInfo<InteropTest::ParamType>& test) {
  const auto id = static_cast<std::uint16_t>(std::get<0>(test.param));
  return std::string(FindSuite(id)->standard_name) +
         (std::get<1>(test.param) == Role::kServer ? "_OurServer" : "_OurClient");
}

void Converse(OurSide& ours, LibsslSide& theirs) {
  unsigned seed = 7;
  for (int round = 0; round < 3; ++round) {
    for (const std::size_t size : kSizes) {
      const std::string sent = Pattern(size, ++seed);
      ours.Write(sent);
      Move(ours, theirs);
      ASSERT_EQ(theirs.Read(), sent) << size;
      if (size == 0) continue;  // libssl has no way to write an empty record
      theirs.Write(sent);
      Move(theirs, ours);
      ASSERT_EQ(ours.Read(), sent) << size;
    }
  }
}

TEST_P(InteropTest, TalksToLibsslAfterTakeover) {
  const ConnectionFacts& facts = ours->connection->facts;
  EXPECT_EQ(facts.version, suite().version);
  EXPECT_EQ(facts.suite, &suite());
  EXPECT_EQ(facts.group, 29);
  EXPECT_EQ(facts.server_name, kName);
  EXPECT_FALSE(facts.resumed);
  if (our_role() == Role::kServer) {
    EXPECT_EQ(facts.local_certificate, certificate);
    EXPECT_EQ(facts.peer_chain, nullptr);
  } else {
    ASSERT_NE(facts.peer_chain, nullptr);
    ASSERT_EQ(facts.peer_chain->der.size(), 1U);
    EXPECT_TRUE(std::ranges::equal(facts.peer_chain->der[0], certificate->leaf()));
  }
  Converse(*ours, *theirs);
}

TEST_P(InteropTest, ExportsTheSameKeyingMaterial) {
  const std::string label = "EXPORTER-ktlsim-test";
  const std::vector<std::uint8_t> context_value = {1, 2, 3};
  for (const bool with_context : {false, true}) {
    std::vector<std::uint8_t> mine(100);
    std::vector<std::uint8_t> other(100);
    ASSERT_EQ(SSL_export_keying_material(theirs->ssl, other.data(), other.size(), label.data(),
                                         label.size(), context_value.data(), context_value.size(),
                                         with_context ? 1 : 0),
              1);
    ASSERT_TRUE(ours->connection->facts.ExportKeyingMaterial(
        label,
        with_context ? std::optional<std::span<const std::uint8_t>>(context_value) : std::nullopt,
        mine));
    EXPECT_EQ(mine, other);
  }
  std::uint8_t finished[64];
  const std::size_t size = SSL_get_finished(theirs->ssl, finished, sizeof finished);
  const FinishedValue& expected = our_role() == Role::kServer
                                      ? ours->connection->facts.client_finished
                                      : ours->connection->facts.server_finished;
  EXPECT_TRUE(std::ranges::equal(expected.span(), std::span(finished).first(size)));
}

TEST_P(InteropTest, CloseNotifyPassesBothWays) {
  ours->WriteAlert(kCloseNotifyAlert);
  EXPECT_TRUE(ours->connection->writer.closed());
  Move(*ours, *theirs);
  EXPECT_EQ(theirs->Read(), "");
  EXPECT_NE(SSL_get_shutdown(theirs->ssl) & SSL_RECEIVED_SHUTDOWN, 0);
  SSL_shutdown(theirs->ssl);
  Move(*theirs, *ours);
  ours->Read();
  EXPECT_EQ(ours->opened.outcome, OpenResult::Outcome::kAlert);
  EXPECT_TRUE(ours->connection->reader.received_close_notify());
}

INSTANTIATE_TEST_SUITE_P(AllSuites, InteropTest,
                         testing::Combine(testing::ValuesIn(kSuites),
                                          testing::Values(Role::kServer, Role::kClient)),
                         CaseName);

// A peer that has only one of our default groups.
TEST(DefaultGroupsTest, ReachPeersWithOneGroupOnly) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    for (const char* group : {"X25519", "P-256", "P-384", "P-521"}) {
      for (const Role theirs : {Role::kClient, Role::kServer}) {
        LibsslOptions libssl;
        libssl.versions = Only(version);
        if (theirs == Role::kServer) libssl.certificate = RsaCertificate();
        const ContextPtr context = MakeLibsslContext(theirs, libssl);
        ASSERT_EQ(SSL_CTX_set1_groups_list(context.get(), group), 1);
        EndpointOptions options;
        options.certificates = {RsaCertificate()};
        HandshakeOptions handshake;
        handshake.target_name = theirs == Role::kServer ? kName : "";
        OurSide ours(theirs == Role::kServer ? MakeClient() : MakeServer(options), handshake);
        LibsslSide peer(context.get(), theirs);
        EXPECT_TRUE(RunHandshake(ours, peer)) << group << ours.last.failure.ToString();
      }
    }
  }
}

// P-384 in addition to the default is what matters here: RFC 8422 5.1.1.
TEST(DefaultGroupsTest, LetCertificatesOnTheirCurvesPass) {
  const auto issued = ktlsim::test::IssuedCertificate::SelfSigned(kName, "P-384");
  LibsslOptions libssl;
  libssl.versions = Only(Version::kTls12);
  libssl.certificate = Certificate::FromPem(issued.Pem(), issued.KeyPem()).value();
  const ContextPtr context = MakeLibsslContext(Role::kServer, libssl);
  HandshakeOptions handshake;
  handshake.target_name = kName;
  OurSide client(MakeClient(), handshake);
  LibsslSide server(context.get(), Role::kServer);
  EXPECT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
}

}  // namespace
}  // namespace ktlsim::tls::test
