// Which side refused the other, and why: real programs against `ktlsim serve`, and `ktlsim load`
// against real servers. The words are asserted, since an operator sees nothing else.

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/authority.h"
#include "tests/system/load_process.h"
#include "tests/system/openssl_server.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

using Words = std::vector<std::string>;

Words Joined(Words first, const Words& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// ---- What the server reports

class ServedAlertsTest : public testing::TestWithParam<const char*> {
 protected:
  ServedAlertsTest() : version_(GetParam()), option_(version_ == "1.2" ? "-tls1_2" : "-tls1_3") {}

  void Serve(const Words& more = {}) {
    server_ =
        std::make_unique<ServeProcess>(Joined({"--self-signed", "localhost", "--echo"}, more));
    ASSERT_TRUE(server_->running()) << server_->output();
  }
  void Client(const Words& more) const {
    RunProgram(Joined({"openssl", "s_client", "-connect", server_->address(), option_}, more));
  }
  // A line of the log has all of these words, and the counters have the alert.
  void ExpectTold(const std::string& reason, const std::string& sent, const std::string& received) {
    EXPECT_TRUE(server_->WaitForOutput(reason)) << server_->output();
    EXPECT_TRUE(server_->WaitForOutput("alert-sent=" + sent + " alert-received=" + received))
        << server_->output();
    const nlohmann::json statistics = server_->StopCleanly();
    EXPECT_EQ(statistics["alerts_sent"], Counted(sent));
    EXPECT_EQ(statistics["alerts_received"], Counted(received));
    EXPECT_EQ(statistics["failures"]["peer_alert"], received == "none" ? 0 : 1);
  }

  static nlohmann::json Counted(const std::string& alert) {
    nlohmann::json counts = nlohmann::json::object();
    if (alert != "none") counts[alert] = 1;
    return counts;
  }

  const std::string version_;
  const std::string option_;
  std::unique_ptr<ServeProcess> server_;
};

TEST_P(ServedAlertsTest, TheClientRefusesOurCertificate) {
  Serve();
  Client({"-verify_return_error"});
  ExpectTold("the client refused our certificate (alert unknown_ca received)", "none",
             "unknown_ca");
}

TEST_P(ServedAlertsTest, TheClientSendsNoCertificate) {
  Authority authority("Known");
  Serve({"--client-auth", "require", "--client-ca", authority.certificate()});
  Client({});
  const std::string alert = version_ == "1.2" ? "handshake_failure" : "certificate_required";
  ExpectTold("the client sent no certificate (alert " + alert + " sent)", alert, "none");
}

TEST_P(ServedAlertsTest, WeRefuseTheClientsCertificate) {
  Authority authority("Known");
  Authority stranger("Stranger");
  const Authority::Files unknown = stranger.Issue("client");
  Serve({"--client-auth", "require", "--client-ca", authority.certificate()});
  Client({"-cert", unknown.certificate, "-key", unknown.key});
  ExpectTold("the peer's certificate comes from an issuer not known (alert unknown_ca sent)",
             "unknown_ca", "none");
}

TEST_P(ServedAlertsTest, NoCommonVersion) {
  Serve({"--tls", version_ == "1.2" ? "1.3" : "1.2"});
  Client({});
  ExpectTold("a version of TLS we do not accept (alert protocol_version sent)", "protocol_version",
             "none");
}

TEST_P(ServedAlertsTest, NoCommonCipherSuite) {
  Serve({"--cipher-suites", "TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"});
  Client(version_ == "1.2" ? Words{"-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"}
                           : Words{"-ciphersuites", "TLS_AES_128_GCM_SHA256"});
  ExpectTold("the client offered no cipher suite we accept (alert handshake_failure sent)",
             "handshake_failure", "none");
}

TEST_P(ServedAlertsTest, NoCommonGroup) {
  Serve({"--groups", "P-256"});
  Client({"-groups", "X25519"});
  // In TLS 1.2 a suite needs a group, too.
  ExpectTold(version_ == "1.2"
                 ? "the client offered no cipher suite we accept (alert handshake_failure sent)"
                 : "the client offered no key exchange group we accept (alert handshake_failure",
             "handshake_failure", "none");
}

TEST_P(ServedAlertsTest, NoCommonApplicationProtocol) {
  Serve({"--alpn", "other"});
  Client({"-alpn", "h3"});
  ExpectTold(
      "the client offered no application protocol we speak (alert no_application_protocol sent)",
      "no_application_protocol", "none");
}

TEST_P(ServedAlertsTest, CurlAndGnutlsAreReadAlike) {
  Serve();
  RunProgram({"curl", "-sS", "--max-time", "20", "--tlsv" + version_, "--tls-max", version_,
              server_->url()});
  EXPECT_TRUE(
      server_->WaitForNext("the client refused our certificate (alert unknown_ca received)"))
      << server_->output();
  RunProgram({"gnutls-cli", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS" + version_, "--sni-hostname",
              "localhost", "--port", std::to_string(server_->port()), "127.0.0.1"});
  EXPECT_TRUE(server_->WaitForNext("the client refused our certificate")) << server_->output();
  EXPECT_EQ(server_->StopCleanly()["failures"]["peer_alert"], 2);
}

INSTANTIATE_TEST_SUITE_P(Versions, ServedAlertsTest, testing::Values("1.2", "1.3"));

// ---- What the client reports

class LoadAlertsTest : public testing::TestWithParam<const char*> {
 protected:
  LoadAlertsTest() : version_(GetParam()) {}

  std::string LoadFrom(const Words& more) const {
    const LoadResult result =
        Load(server_->address().ToString(),
             Joined({"--connections", "1", "--seconds", "0.3", "--tls", version_}, more));
    EXPECT_EQ(result.code, 1) << result.output;
    return result.output;
  }
  void Start(const Words& more = {}) {
    server_ = std::make_unique<OpensslServer>(more);
    ASSERT_TRUE(server_->running());
  }
  static void ExpectIn(const std::string& output, const Words& words) {
    for (const std::string& word : words) {
      EXPECT_NE(output.find(word), std::string::npos) << word << "\nis not in\n" << output;
    }
  }

  const std::string version_;
  std::unique_ptr<OpensslServer> server_;
};

TEST_P(LoadAlertsTest, WeRefuseTheServersCertificate) {
  Start();
  ExpectIn(LoadFrom({}), {"self-signed and not trusted (alert unknown_ca sent)",
                          "SEC_E_UNTRUSTED_ROOT", "; --ca FILE", "--insecure"});
  ExpectIn(LoadFrom({"--ca", server_->certificate(), "--sni", "other.example"}),
           {"the peer's certificate is for another name (alert ", "; --sni NAME"});
}

TEST_P(LoadAlertsTest, TheServerWantsACertificate) {
  Start({"-Verify", "1", "-verify_return_error"});
  const std::string output = LoadFrom({"--insecure"});
  ExpectIn(output,
           version_ == "1.2"
               ? Words{"handshake failed: the server could not agree with us on parameters (alert "
                       "handshake_failure received)",
                       "a server of TLS 1.2 may also want a certificate: --cert FILE"}
               : Words{"after the handshake: the server requires a certificate from us (alert "
                       "certificate_required received)",
                       "; --cert FILE and --key FILE show one"});
}

TEST_P(LoadAlertsTest, TheServerRefusesOurCertificate) {
  Start({"-Verify", "1", "-verify_return_error"});
  Authority stranger("Stranger");
  const Authority::Files unknown = stranger.Issue("client");
  ExpectIn(LoadFrom({"--insecure", "--cert", unknown.certificate, "--key", unknown.key}),
           {"the server refused our certificate (alert unknown_ca received)",
            "; --cert FILE and --key FILE show another certificate"});
}

TEST_P(LoadAlertsTest, NoCommonVersion) {
  Start({version_ == "1.2" ? "-tls1_3" : "-tls1_2"});
  ExpectIn(LoadFrom({"--insecure"}),
           {"the server accepts none of our TLS versions (alert protocol_version received)",
            "; --tls offers other versions"});
}

TEST_P(LoadAlertsTest, NoCommonCipherSuiteOrGroup) {
  Start({"-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", "-ciphersuites", "TLS_AES_256_GCM_SHA384"});
  const Words told = {"could not agree with us on parameters (alert handshake_failure received)",
                      "; --tls, --cipher-suites and --groups"};
  ExpectIn(
      LoadFrom({"--insecure", "--cipher-suites",
                version_ == "1.2" ? "ECDHE-ECDSA-AES128-GCM-SHA256" : "TLS_AES_128_GCM_SHA256"}),
      told);
  Start({"-groups", "P-256"});
  ExpectIn(LoadFrom({"--insecure", "--groups", "X448"}), told);
}

TEST_P(LoadAlertsTest, NoCommonApplicationProtocol) {
  ServeProcess server({"--self-signed", "localhost", "--echo", "--alpn", "other"});
  ASSERT_TRUE(server.running()) << server.output();
  const LoadResult result =
      Load(server.address(), {"--connections", "1", "--seconds", "0.3", "--mode", "handshake",
                              "--insecure", "--alpn", "h3", "--tls", version_});
  ExpectIn(result.output, {"the server speaks none of our application protocols (alert "
                           "no_application_protocol received)",
                           "; --alpn offers others"});
}

INSTANTIATE_TEST_SUITE_P(Versions, LoadAlertsTest, testing::Values("1.2", "1.3"));

}  // namespace
}  // namespace ktlsim::system_tests
