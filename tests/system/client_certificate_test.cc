// Certificates on both sides: which one the server presents for a name, and which clients it lets
// in.

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/authority.h"
#include "tests/system/load_process.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

std::vector<std::string> Joined(std::vector<std::string> first,
                                const std::vector<std::string>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

class CertificateTest : public testing::TestWithParam<const char*> {
 protected:
  // A server with a certificate of the test's authority.
  void Serve(const std::vector<std::string>& more) {
    const Authority::Files own = authority_.Issue("localhost");
    server_ = std::make_unique<ServeProcess>(
        Joined({"--cert", own.certificate, "--key", own.key, "--respond-bytes", "5"}, more));
    ASSERT_TRUE(server_->running()) << server_->output();
  }

  std::string Url(const std::string& name) const {
    return "https://" + name + ":" + std::to_string(server_->port()) + "/";
  }
  Finished Curl(const std::vector<std::string>& more) const {
    const std::string version = GetParam();
    return RunProgram(
        Joined({"curl", "-sS", "--max-time", "20", "--cacert", authority_.certificate(),
                "--tlsv" + version, "--tls-max", version, "--connect-to", "::127.0.0.1:"},
               more));
  }
  Finished CurlWith(const Authority::Files& identity) const {
    return Curl({"--cert", identity.certificate, "--key", identity.key, Url("localhost")});
  }
  LoadResult LoadWith(const std::vector<std::string>& identity) const {
    return Load("localhost:" + std::to_string(server_->port()),
                Joined({"--ca", authority_.certificate(), "--tls", GetParam(), "--connections", "2",
                        "--seconds", "0.2"},
                       identity));
  }

  Authority authority_{"Known"};
  std::unique_ptr<ServeProcess> server_;
};

TEST_P(CertificateTest, RequiredOfClients) {
  Serve({"--client-auth", "require", "--client-ca", authority_.certificate()});
  const Authority::Files known = authority_.Issue("client");
  Authority stranger("Stranger");
  const Authority::Files unknown = stranger.Issue("client");
  EXPECT_EQ(CurlWith(known).output, "abcde");
  EXPECT_NE(Curl({Url("localhost")}).code, 0);
  EXPECT_NE(CurlWith(unknown).code, 0);
  EXPECT_EQ(CurlWith(known).output, "abcde");
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["established"], 2) << statistics.dump(2);
  EXPECT_EQ(statistics["ends"]["completed"], 2);
  EXPECT_EQ(statistics["ends"]["handshake_failed"], 2);
}

// A long chain, in more records than a handshake has messages.
TEST_P(CertificateTest, RequiredOfClientsThatSendShortRecords) {
  Serve({"--client-auth", "require", "--client-ca", authority_.certificate()});
  const Authority::Files known = authority_.Issue("client");
  const TemporaryFolder folder;
  const std::string chain = folder.File("chain.pem");
  {
    std::ofstream out(chain);
    for (int i = 0; i < 12; ++i) out << std::ifstream(authority_.certificate()).rdbuf();
  }
  const std::string version = GetParam() == std::string("1.2") ? "-tls1_2" : "-tls1_3";
  const Finished client = RunProgram(
      {"openssl", "s_client", "-connect", server_->address(), version, "-max_send_frag", "512",
       "-cert", known.certificate, "-key", known.key, "-cert_chain", chain, "-ign_eof", "-msg"},
      "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.code, 0) << client.output;
  EXPECT_NE(client.output.find("\r\n\r\nabcde"), std::string::npos) << client.output;
  EXPECT_EQ(server_->StopCleanly()["ends"]["completed"], 1);
}

TEST_P(CertificateTest, RequestedOfClients) {
  Serve({"--client-auth", "request", "--client-ca", authority_.certificate()});
  Authority stranger("Stranger");
  EXPECT_EQ(CurlWith(authority_.Issue("client")).output, "abcde");
  EXPECT_EQ(Curl({Url("localhost")}).output, "abcde");
  EXPECT_NE(CurlWith(stranger.Issue("client")).code, 0);
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["established"], 2) << statistics.dump(2);
  EXPECT_EQ(statistics["ends"]["handshake_failed"], 1);
}

TEST_P(CertificateTest, OfTheLoadGenerator) {
  Serve({"--client-auth", "require", "--client-ca", authority_.certificate()});
  const Authority::Files known = authority_.Issue("client");
  Authority stranger("Stranger");
  const Authority::Files unknown = stranger.Issue("client");
  const auto with = [](const Authority::Files& identity, const std::string& mode) {
    return std::vector<std::string>{"--cert", identity.certificate, "--key", identity.key, "--mode",
                                    mode};
  };
  ExpectSound(LoadWith(with(known, "handshake")));
  ExpectSound(LoadWith(with(known, "request")));
  // In TLS 1.3 the server judges after the client counts itself as established: only a request
  // shows the verdict.
  EXPECT_EQ(LoadWith({"--mode", "request"}).code, 1);
  EXPECT_EQ(LoadWith(with(unknown, "request")).code, 1);
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_GE(statistics["ends"]["handshake_failed"], 2) << statistics.dump(2);
}

TEST_P(CertificateTest, AreChosenByTheNameTheClientAsksFor) {
  const Authority::Files one = authority_.Issue("one.example");
  const Authority::Files any = authority_.Issue("any.example");
  Serve({"--sni", "one.example=" + one.certificate + "," + one.key, "--sni",
         "*.wild.example=" + any.certificate + "," + any.key});
  const auto subject = [&](const std::string& name) {
    // -v prints the subject; the names of --sni need not be in the certificate, hence -k.
    const std::string told = Curl({"-kv", Url(name)}).output;
    const std::size_t at = told.find("subject: CN=");
    return at == std::string::npos ? told : told.substr(at + 12, told.find('\n', at) - at - 12);
  };
  EXPECT_EQ(Curl({Url("one.example")}).output, "abcde");  // verified, with the name
  EXPECT_EQ(subject("one.example"), "one.example");
  EXPECT_EQ(subject("ONE.example"), "one.example");
  EXPECT_EQ(subject("a.wild.example"), "any.example");
  EXPECT_EQ(subject("a.b.wild.example"), "localhost");
  EXPECT_EQ(subject("other.example"), "localhost");
  EXPECT_EQ(subject("127.0.0.1"), "localhost");  // no name at all
  EXPECT_EQ(server_->StopCleanly()["ends"]["completed"], 7);
}

TEST_P(CertificateTest, StrictlyAreForKnownNamesOnly) {
  const Authority::Files one = authority_.Issue("one.example");
  Serve({"--sni", "one.example=" + one.certificate + "," + one.key, "--strict-sni"});
  EXPECT_EQ(Curl({Url("one.example")}).output, "abcde");
  EXPECT_EQ(Curl({Url("localhost")}).output, "abcde");
  const Finished refused = Curl({Url("other.example")});
  EXPECT_NE(refused.output.find("unrecognized name"), std::string::npos) << refused.output;
  EXPECT_EQ(Curl({"-k", Url("127.0.0.1")}).output, "abcde");
  const nlohmann::json statistics = server_->StopCleanly();
  EXPECT_EQ(statistics["established"], 3);
  EXPECT_EQ(statistics["ends"]["handshake_failed"], 1);
}

INSTANTIATE_TEST_SUITE_P(Versions, CertificateTest, testing::Values("1.2", "1.3"));

}  // namespace
}  // namespace ktlsim::system_tests
