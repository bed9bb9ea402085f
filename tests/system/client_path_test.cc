// Our client path against `openssl s_server`: versions, suites, tickets, refusals.
//
// s_server sends its tickets with the handshake, so it cannot send a late one, after application
// data; tests/tls and tests/transport cover that.

#include <cstdlib>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/child_process.h"
#include "tests/system/openssl_server.h"
#include "tests/system/serve_process.h"
#include "tests/system/test_client.h"

namespace ktlsim::system_tests {
namespace {

using command::TlsVersions;

const std::string kRequest = "GET / HTTP/1.0\r\n\r\n";

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

// The server's flight and its data in the shortest records that OpenSSL makes.
TEST(ClientPathRecordsTest, AServerMaySendShortRecords) {
  for (const char* const version : {"-tls1_2", "-tls1_3"}) {
    OpensslServer server({version, "-max_send_frag", "512"});
    ASSERT_TRUE(server.running());
    TestClient client(server.certificate(), TlsVersions::k12And13);
    ASSERT_EQ(client.error(), "");
    for (int time = 0; time < 2; ++time) {
      const TestClient::Answer answer = client.Exchange(server.address(), kRequest);
      EXPECT_TRUE(answer.reason.orderly()) << version << ": " << answer.reason.ToString();
      EXPECT_NE(answer.text.find("HTTP/1.0 200 ok"), std::string::npos) << answer.text;
    }
  }
}

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
  // No process listens on port 1 of the loopback address.
  const TestClient::Answer answer = client.Exchange(io::Address::Loopback(1), kRequest);
  EXPECT_EQ(answer.reason.kind, transport::EndKind::kConnectFailed);
}

}  // namespace
}  // namespace ktlsim::system_tests
