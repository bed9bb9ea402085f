// Judging the peer's certificate: which ones pass, which fail, and with which words and alerts.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"
#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

class VerificationTest : public testing::TestWithParam<Version> {
 protected:
  EndpointOptions Judging(const Certificate::Ptr& trusted) const {
    EndpointOptions options;
    options.versions = Only(GetParam());
    options.verification = PeerVerification::kRequired;
    options.trust_pem = trusted->ChainPem().value();
    return options;
  }
  EndpointOptions Plain() const {
    EndpointOptions options;
    options.versions = Only(GetParam());
    return options;
  }
  void ExpectRefused(const EndpointOptions& options, const std::string& name,
                     AlertDescription alert, const char* words) {
    HandshakeOptions handshake;
    handshake.target_name = name;
    OurSide client(MakeClient(options), handshake);
    OurSide server(MakeServer(Plain()));
    ASSERT_FALSE(RunHandshake(client, server));
    EXPECT_EQ(client.last.sent_alert, FatalAlert(alert))
        << AlertName(client.last.sent_alert.value_or(Alert()).description);
    EXPECT_EQ(client.last.failure.category(), Category::kTls);
    EXPECT_EQ(client.last.failure.code(), static_cast<int>(alert));
    EXPECT_STREQ(client.last.failure.what(), words);
    EXPECT_EQ(server.last.received_alert, FatalAlert(alert));
  }
};

TEST_P(VerificationTest, AcceptsTheRightCertificate) {
  HandshakeOptions handshake;
  handshake.target_name = kName;
  OurSide client(MakeClient(Judging(EcdsaCertificate())), handshake);
  OurSide server(MakeServer(Plain()));
  ASSERT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
  EXPECT_TRUE(client.connection->facts.peer_judged);
  EXPECT_EQ(client.connection->facts.verify_error, 0);
}

TEST_P(VerificationTest, RefusesAnotherName) {
  ExpectRefused(Judging(EcdsaCertificate()), "other.test", AlertDescription::kBadCertificate,
                "the peer's certificate is for another name");
}

TEST_P(VerificationTest, RefusesAnAddressTheCertificateLacks) {
  ExpectRefused(Judging(EcdsaCertificate()), "192.0.2.7", AlertDescription::kBadCertificate,
                "the peer's certificate is for another address");
}

TEST_P(VerificationTest, AcceptsAnAddressTheCertificateHas) {
  const auto certificate = Certificate::SelfSigned("192.0.2.7", KeyType::kEcdsaP256).value();
  EndpointOptions options = Plain();
  options.certificates = {certificate};
  HandshakeOptions handshake;
  handshake.target_name = "192.0.2.7";
  OurSide client(MakeClient(Judging(certificate)), handshake);
  OurSide server(MakeServer(options));
  EXPECT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
}

TEST_P(VerificationTest, RefusesTheUntrusted) {
  ExpectRefused(Judging(RsaCertificate()), kName, AlertDescription::kUnknownCa,
                "the peer's certificate is self-signed and not trusted");
}

TEST_P(VerificationTest, RefusesTheExpiredAndTheFuture) {
  EndpointOptions options = Judging(EcdsaCertificate());
  options.verification_time = EcdsaCertificate()->not_after() + 1;
  ExpectRefused(options, kName, AlertDescription::kCertificateExpired,
                "the peer's certificate has expired");
  options.verification_time = EcdsaCertificate()->not_before() - 1;
  ExpectRefused(options, kName, AlertDescription::kBadCertificate,
                "the peer's certificate is not valid yet");
}

TEST_P(VerificationTest, TheCallerMayJudgeInstead) {
  HandshakeOptions handshake;
  handshake.target_name = "other.test";
  handshake.verify_peer = false;
  OurSide client(MakeClient(Judging(RsaCertificate())), handshake);
  OurSide server(MakeServer(Plain()));
  ASSERT_TRUE(RunHandshake(client, server));
  EXPECT_TRUE(client.connection->facts.peer_judged);
  EXPECT_NE(client.connection->facts.verify_error, 0);
  EXPECT_STRNE(client.connection->facts.verify_failure, "");
}

TEST_P(VerificationTest, AServerMayRequireACertificate) {
  const EndpointOptions server_options = Judging(RsaCertificate());
  EndpointOptions with = Plain();
  with.certificates = {RsaCertificate()};
  const auto server_endpoint = MakeServer(server_options);
  {
    OurSide client(MakeClient(with));
    OurSide server(server_endpoint);
    ASSERT_TRUE(RunHandshake(client, server)) << server.last.failure.ToString();
    ASSERT_NE(server.connection->facts.peer_chain, nullptr);
    EXPECT_TRUE(
        std::ranges::equal(server.connection->facts.peer_chain->der[0], RsaCertificate()->leaf()));
    EXPECT_EQ(client.connection->facts.local_certificate, RsaCertificate());
    EXPECT_EQ(server.connection->facts.peer_signature, 0x0804);
  }
  OurSide client(MakeClient(Plain()));
  OurSide server(server_endpoint);
  // A TLS 1.3 client is established before the server judges.
  EXPECT_FALSE(RunHandshake(client, server));
  EXPECT_STREQ(server.last.failure.what(), "the client sent no certificate");
}

TEST_P(VerificationTest, AServerMayAskWithoutRequiring) {
  HandshakeOptions ask;
  ask.request_client_certificate = true;
  EndpointOptions with = Plain();
  with.certificates = {RsaCertificate()};
  for (const bool has_certificate : {false, true}) {
    OurSide client(MakeClient(has_certificate ? with : Plain()));
    OurSide server(MakeServer(Plain()), ask);
    ASSERT_TRUE(RunHandshake(client, server)) << server.last.failure.ToString();
    EXPECT_EQ(server.connection->facts.peer_chain != nullptr, has_certificate);
    EXPECT_FALSE(server.connection->facts.peer_judged);
  }
}

TEST_P(VerificationTest, PeerChainsAreInterned) {
  const auto client_endpoint = MakeClient(Plain());
  const auto server_endpoint = MakeServer(Plain());
  OurSide first(client_endpoint);
  OurSide first_server(server_endpoint);
  OurSide second(client_endpoint);
  OurSide second_server(server_endpoint);
  ASSERT_TRUE(RunHandshake(first, first_server));
  ASSERT_TRUE(RunHandshake(second, second_server));
  EXPECT_EQ(first.connection->facts.peer_chain, second.connection->facts.peer_chain);
}

// The file that this process uses as the system's trusted certificates.
class SystemTrustFile {
 public:
  SystemTrustFile() {
    setenv("SSL_CERT_FILE", path_.c_str(), 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
  }
  ~SystemTrustFile() {
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
  }
  SystemTrustFile(const SystemTrustFile&) = delete;
  SystemTrustFile& operator=(const SystemTrustFile&) = delete;

  void Write(const Certificate::Ptr& certificate) const {
    const std::string next = path_ + ".next";
    std::ofstream(next) << certificate->ChainPem().value();
    std::rename(next.c_str(), path_.c_str());
  }

 private:
  const ktlsim::test::TemporaryFolder folder_;
  const std::string path_ = folder_.File("trust.pem");
};

TEST_P(VerificationTest, WithoutATrustOfItsOwnTheSystemsCounts) {
  const SystemTrustFile system;
  system.Write(EcdsaCertificate());
  EndpointOptions options = Judging(EcdsaCertificate());
  options.trust_pem.clear();
  HandshakeOptions handshake;
  handshake.target_name = kName;
  const auto before = MakeClient(options);
  for (int i = 0; i < 2; ++i) {
    OurSide client(i == 0 ? before : MakeClient(options), handshake);
    OurSide server(MakeServer(Plain()));
    EXPECT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
  }
  // The file has changed: later endpoints judge by the new one, earlier ones do not.
  system.Write(RsaCertificate());
  ExpectRefused(options, kName, AlertDescription::kUnknownCa,
                "the peer's certificate is self-signed and not trusted");
  OurSide client(before, handshake);
  OurSide server(MakeServer(Plain()));
  EXPECT_TRUE(RunHandshake(client, server)) << client.last.failure.ToString();
}

INSTANTIATE_TEST_SUITE_P(Versions, VerificationTest,
                         testing::Values(Version::kTls12, Version::kTls13));

}  // namespace
}  // namespace ktlsim::tls::test
