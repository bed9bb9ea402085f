// `gnutls-cli` against `ktlsim serve`: a peer whose TLS implementation is not OpenSSL.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

struct Version {
  const char* name;
  const char* priority;
  const char* seen;  // as gnutls-cli describes the session
};

std::ostream& operator<<(std::ostream& out, const Version& version) { return out << version.name; }

class GnutlsClientTest : public testing::TestWithParam<Version> {
 protected:
  void SetUp() override {
    if (RunProgram({"gnutls-cli", "--version"}).code != 0) GTEST_SKIP() << "no gnutls-cli";
    ASSERT_TRUE(server_.running()) << server_.output();
    certificate_ = server_.ExportCertificate();
  }

  ChildProcess::Arguments Arguments(std::vector<std::string> more) const {
    ChildProcess::Arguments all = {
        "gnutls-cli",
        "--x509cafile=" + certificate_,
        "--verify-hostname=localhost",
        "--sni-hostname=localhost",
        std::string("--priority=NORMAL:-VERS-ALL:+") + GetParam().priority,
        "--port=" + std::to_string(server_.port())};
    all.insert(all.end(), more.begin(), more.end());
    all.emplace_back("127.0.0.1");
    return all;
  }

  // Types the line and waits for it to come back.
  static bool Echoes(ChildProcess& client, const std::string& line) {
    return client.Type(line + "\n") && client.WaitForOutput("\n" + line + "\n");
  }

  ServeProcess server_{{"--self-signed", "localhost", "--echo", "--alpn", "http/1.1,other"}};
  std::string certificate_;
};

TEST_P(GnutlsClientTest, VerifiesAgreesOnAlpnAndGetsItsDataBack) {
  ChildProcess client(Arguments({"--alpn=other", "--alpn=unknown"}), ChildProcess::Interactive{});
  ASSERT_TRUE(client.WaitForOutput("Simple Client Mode:\n\n")) << client.output();
  EXPECT_NE(client.output().find("The certificate is trusted."), std::string::npos);
  EXPECT_NE(client.output().find("Application protocol: other"), std::string::npos);
  EXPECT_NE(client.output().find(GetParam().seen), std::string::npos) << client.output();
  EXPECT_TRUE(Echoes(client, "hello")) << client.output();
  EXPECT_EQ(client.Wait(), 0) << client.output();
  const nlohmann::json statistics = server_.StopCleanly();
  EXPECT_EQ(statistics["plaintext_received_bytes"], 6);
  EXPECT_EQ(statistics["plaintext_sent_bytes"], 6);
  EXPECT_EQ(statistics["established"], 2);  // one exported the certificate
  EXPECT_EQ(statistics["ends"]["completed"], 2);
}

TEST_P(GnutlsClientTest, IsRefusedWithoutACommonProtocol) {
  const Finished client = RunProgram(Arguments({"--alpn=unknown"}));
  EXPECT_NE(client.code, 0);
  EXPECT_NE(client.output.find("No supported application protocol"), std::string::npos)
      << client.output;
  EXPECT_EQ(server_.StopCleanly()["failures"]["application_protocol"], 1);
}

TEST_P(GnutlsClientTest, ResumesAndGoesOn) {
  ChildProcess client(Arguments({"--resume", "--waitresumption", "--alpn=other"}),
                      ChildProcess::Interactive{});
  ASSERT_TRUE(client.WaitForOutput("*** This is a resumed session\n")) << client.output();
  EXPECT_TRUE(Echoes(client, "hello again")) << client.output();
  EXPECT_EQ(client.Wait(), 0) << client.output();
  const nlohmann::json statistics = server_.StopCleanly();
  EXPECT_EQ(statistics["handshakes_resumed"], 1);
  EXPECT_EQ(statistics["handshakes_full"], 2);
  EXPECT_EQ(statistics["plaintext_received_bytes"], 12);
}

// TLS 1.3 changes keys (`rekey` both, `rekey1` the client's); TLS 1.2 requests a renegotiation,
// which is refused with a warning. This client then repeats the request several times and gives up;
// each one is refused in the same way, so the connection has gone on.
TEST_P(GnutlsClientTest, RekeysOrIsRefusedARenegotiation) {
  const bool v13 = GetParam().name == std::string("Tls13");
  ChildProcess client(Arguments({"--inline-commands"}), ChildProcess::Interactive{});
  ASSERT_TRUE(client.WaitForOutput("Simple Client Mode:\n\n")) << client.output();
  EXPECT_TRUE(Echoes(client, "line0"));
  int lines = 1;
  for (; v13 && lines < 6; ++lines) {
    ASSERT_TRUE(client.Type(lines % 2 == 0 ? "^rekey1^\n" : "^rekey^\n"));
    EXPECT_TRUE(Echoes(client, "line" + std::to_string(lines))) << client.output();
  }
  if (!v13) {
    ASSERT_TRUE(client.Type("^renegotiate^\n"));
    for (int asked = 0; asked < 4; ++asked) {
      EXPECT_TRUE(client.WaitForNext("No renegotiation is allowed")) << client.output();
    }
  }
  client.Wait();
  const nlohmann::json statistics = server_.StopCleanly();
  // A client that gives up sends an alert or closes, as its timing has it.
  const int completed = statistics["ends"]["completed"].get<int>();
  const int failed = statistics["ends"]["record_failed"].get<int>();
  EXPECT_EQ(completed + failed, 2) << statistics.dump(2);
  EXPECT_LE(failed, v13 ? 0 : 1) << statistics.dump(2);
  EXPECT_EQ(statistics["plaintext_sent_bytes"], 6 * lines);
}

INSTANTIATE_TEST_SUITE_P(Versions, GnutlsClientTest,
                         testing::Values(Version{"Tls12", "VERS-TLS1.2", "(TLS1.2-X.509)"},
                                         Version{"Tls13", "VERS-TLS1.3", "(TLS1.3-X.509)"}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace ktlsim::system_tests
