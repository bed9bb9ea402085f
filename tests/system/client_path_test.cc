// Our client path against `openssl s_server`: versions, suites, tickets, refusals.
//
// A ticket that arrives late, after application data, cannot be had from s_server, which sends its
// tickets with the handshake; tests/tls and tests/transport cover it.

#include <cstdlib>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/child_process.h"
#include "tests/system/serve_process.h"
#include "tests/system/test_client.h"

namespace ktlsim::system_tests {
namespace {

using command::TlsVersions;

const std::string kRequest = "GET / HTTP/1.0\r\n\r\n";

// `openssl s_server -www` with a certificate for localhost.
class OpensslServer {
 public:
  explicit OpensslServer(const std::vector<std::string>& arguments) {
    const Finished made = RunProgram({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                      "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                                      "-addext", "subjectAltName=DNS:localhost", "-days", "2",
                                      "-keyout", folder_.File("key.pem"), "-out", certificate()});
    EXPECT_EQ(made.code, 0) << made.output;
    ChildProcess::Arguments all = {"openssl", "s_server",    "-accept", "127.0.0.1:0",
                                   "-cert",   certificate(), "-key",    folder_.File("key.pem"),
                                   "-www"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    child_ = std::make_unique<ChildProcess>(all);
    const std::string start = "ACCEPT 127.0.0.1:";
    if (!child_->WaitForOutput(start) || !child_->WaitForOutput("\n")) return;
    const std::string& output = child_->output();
    port_ = std::atoi(output.c_str() + output.find(start) + start.size());
  }

  std::string certificate() const { return folder_.File("certificate.pem"); }
  bool running() const { return port_ != 0; }
  io::Address address() const { return io::Address::Loopback(static_cast<std::uint16_t>(port_)); }

 private:
  TemporaryFolder folder_;
  std::unique_ptr<ChildProcess> child_;
  int port_ = 0;
};

struct Case {
  const char* option;
  TlsVersions versions;
  std::uint16_t wire_version;
  const char* tickets;
  bool resumes;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.option << " with " << c.tickets << " tickets";
}

class ClientPathTest : public testing::TestWithParam<Case> {};

TEST_P(ClientPathTest, ExchangesAndResumesWithOpensslServer) {
  const Case& c = GetParam();
  OpensslServer server({c.option, "-num_tickets", c.tickets});
  ASSERT_TRUE(server.running());
  TestClient client(server.certificate(), c.versions);
  ASSERT_EQ(client.error(), "");
  for (const bool second : {false, true}) {
    SCOPED_TRACE(second ? "second connection" : "first connection");
    const TestClient::Answer answer = client.Exchange(server.address(), kRequest);
    EXPECT_TRUE(answer.reason.orderly()) << answer.reason.ToString();
    EXPECT_EQ(answer.info.version, c.wire_version);
    EXPECT_EQ(answer.info.resumed, second && c.resumes);
    const char* const told = second && c.resumes ? "Reused, " : "New, ";
    EXPECT_NE(answer.text.find(told), std::string::npos) << answer.text;
  }
}

INSTANTIATE_TEST_SUITE_P(VersionsAndTickets, ClientPathTest,
                         testing::Values(Case{"-tls1_3", TlsVersions::k12And13, 0x0304, "0", false},
                                         Case{"-tls1_3", TlsVersions::k12And13, 0x0304, "1", true},
                                         Case{"-tls1_3", TlsVersions::k13, 0x0304, "2", true},
                                         Case{"-tls1_2", TlsVersions::k12And13, 0x0303, "1", true},
                                         Case{"-tls1_2", TlsVersions::k12, 0x0303, "2", true}));

TEST(ClientPathRefusalTest, CertificateThatIsNotTrusted) {
  OpensslServer server({"-tls1_3"});
  OpensslServer other({"-tls1_3"});
  ASSERT_TRUE(server.running() && other.running());
  TestClient client(other.certificate(), TlsVersions::k13);
  ASSERT_EQ(client.error(), "");
  const TestClient::Answer answer = client.Exchange(server.address(), kRequest);
  EXPECT_EQ(answer.reason.kind, transport::EndKind::kHandshakeFailed);
  EXPECT_EQ(answer.reason.status, SEC_E_UNTRUSTED_ROOT);
}

TEST(ClientPathRefusalTest, ServerThatSpeaksAnotherVersion) {
  OpensslServer server({"-tls1_2"});
  ASSERT_TRUE(server.running());
  TestClient client(server.certificate(), TlsVersions::k13);
  ASSERT_EQ(client.error(), "");
  const TestClient::Answer answer = client.Exchange(server.address(), kRequest);
  EXPECT_EQ(answer.reason.kind, transport::EndKind::kHandshakeFailed);
}

TEST(ClientPathRefusalTest, NobodyListens) {
  OpensslServer server({"-tls1_2"});
  ASSERT_TRUE(server.running());
  TestClient client(server.certificate(), TlsVersions::k13);
  ASSERT_EQ(client.error(), "");
  // Port 1 of the loopback address is nobody's.
  const TestClient::Answer answer = client.Exchange(io::Address::Loopback(1), kRequest);
  EXPECT_EQ(answer.reason.kind, transport::EndKind::kConnectFailed);
}

}  // namespace
}  // namespace ktlsim::system_tests
