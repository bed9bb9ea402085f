// A flight may be cut into records anywhere (RFC 8446 5.1, RFC 5246 6.2.1): every cut of a
// handshake must lead to a connection whose first data opens, in both roles and versions.
#include <optional>
#include <string>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/tls/recutter.h"
#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

// A libssl peer whose flights are cut into other records than libssl made.
class CutConnection {
 public:
  CutConnection(Role ours, Version version, Cutting cutting, bool mutual = false) {
    LibsslOptions libssl;
    libssl.versions = Only(version);
    if (ours == Role::kClient || mutual) libssl.certificate = EcdsaCertificate();
    context_ = MakeLibsslContext(ours == Role::kServer ? Role::kClient : Role::kServer, libssl);
    EndpointOptions options;
    options.versions = Only(version);
    HandshakeOptions handshake;
    handshake.verify_peer = false;
    handshake.require_client_certificate = mutual;
    us.emplace(ours == Role::kServer ? MakeServer(options) : MakeClient(options), handshake);
    them.emplace(context_.get(), ours == Role::kServer ? Role::kClient : Role::kServer);
    recutter.emplace(context_.get(), *them, cutting);
  }

  // Both sides are established.
  bool Handshake() {
    for (int round = 0; round < 10; ++round) {
      if (!us->established()) us->Advance();
      Move(*us, *them);
      if (!them->established()) them->Advance();
      FromThem();
      if (us->established() && them->established()) return true;
      if (!us->last.failure.ok()) return false;
    }
    return false;
  }

  void ExpectExchange(const std::string& text) {
    us->Write(text);
    Move(*us, *them);
    EXPECT_EQ(them->Read(), text);
    them->Write(text);
    FromThem();
    EXPECT_EQ(us->Read(), text) << AlertName(us->opened.alert.description);
  }

  void FromThem() {
    const Buffer bytes = recutter->Drain();
    us->inbox.insert(us->inbox.end(), bytes.begin(), bytes.end());
  }

 private:
  ContextPtr context_;

 public:
  std::optional<OurSide> us;
  std::optional<LibsslSide> them;
  std::optional<Recutter> recutter;
};

using Case = std::tuple<Role, Version, std::size_t>;

class RecordCutsTest : public testing::TestWithParam<Case> {};

TEST_P(RecordCutsTest, EveryPieceOfAHandshakeIsTaken) {
  const auto [role, version, piece] = GetParam();
  CutConnection connection(role, version, {.piece_bytes = piece});
  ASSERT_TRUE(connection.Handshake()) << connection.us->last.failure.ToString();
  EXPECT_GT(connection.recutter->protected_handshake_records(), 0U);
  connection.ExpectExchange("first");
  connection.ExpectExchange(Pattern(20000));
}

INSTANTIATE_TEST_SUITE_P(Pieces, RecordCutsTest,
                         testing::Combine(testing::Values(Role::kServer, Role::kClient),
                                          testing::Values(Version::kTls12, Version::kTls13),
                                          testing::Values(1, 2, 3, 4, 5, 7, 15, 16, 100, 512,
                                                          16384)),
                         [](const testing::TestParamInfo<Case>& test) {
                           return std::string(std::get<0>(test.param) == Role::kServer ? "Server"
                                                                                       : "Client") +
                                  (std::get<1>(test.param) == Version::kTls12 ? "Tls12" : "Tls13") +
                                  "Bytes" + std::to_string(std::get<2>(test.param));
                         });

class RolesTest : public testing::TestWithParam<Role> {};

// RFC 5246 7.1: Finished follows change_cipher_spec at once.
TEST_P(RolesTest, NothingMayComeBetweenThePiecesOfFinished) {
  CutConnection connection(GetParam(), Version::kTls12, {.piece_bytes = 4, .warnings = true});
  EXPECT_FALSE(connection.Handshake());
  EXPECT_EQ(connection.us->last.sent_alert, FatalAlert(AlertDescription::kUnexpectedMessage));
}

INSTANTIATE_TEST_SUITE_P(Roles, RolesTest, testing::Values(Role::kServer, Role::kClient));

TEST(MutualRecordCutsTest, AClientsCertificateMayComeInPieces) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    for (const std::size_t piece : {1U, 3U, 64U, 512U}) {
      CutConnection connection(Role::kServer, version, {.piece_bytes = piece}, /*mutual=*/true);
      ASSERT_TRUE(connection.Handshake()) << connection.us->last.failure.ToString();
      ASSERT_NE(connection.us->connection->facts.peer_chain, nullptr);
      connection.ExpectExchange("first");
    }
  }
}

}  // namespace
}  // namespace ktlsim::tls::test
