// Ten thousand connections come, are used and go; nothing of them stays.

#include <poll.h>

#include <string>

#include <gtest/gtest.h>

#include "tests/system/serve_process.h"
#include "tests/system/test_client.h"

namespace ktlsim::system_tests {
namespace {

// Most of them in TLS 1.2, whose resumed handshake costs least; all of it is the same machinery.
constexpr std::size_t kConnections12 = 8'000;
constexpr std::size_t kConnections13 = 2'000;
constexpr std::size_t kInFlight = 64;
const std::string kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

TEST(ManyConnectionsTest, LeaveNothingBehind) {
  ServeProcess server({"--self-signed", "localhost", "--respond-bytes", "26"});
  ASSERT_TRUE(server.running()) << server.output();
  const std::string certificate = server.ExportCertificate();
  ASSERT_TRUE(server.Answers());
  const std::size_t files_before = server.OpenFiles();

  const auto exchange = [&](command::TlsVersions versions, std::size_t connections) {
    TestClient client(certificate, versions);
    ASSERT_EQ(client.error(), "");
    const auto peer = io::Address::Loopback(static_cast<std::uint16_t>(server.port()));
    EXPECT_EQ(client.ExchangeMany(peer, kRequest, "\r\n\r\n" + Pattern(26), connections, kInFlight),
              connections);
  };
  exchange(command::TlsVersions::k12, kConnections12);
  exchange(command::TlsVersions::k13, kConnections13);

  // The server closes its side of the last ones in its own time.
  std::size_t files_after = server.OpenFiles();
  for (int i = 0; i < 500 && files_after > files_before; ++i) {
    poll(nullptr, 0, 10);
    files_after = server.OpenFiles();
  }
  EXPECT_LE(files_after, files_before);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["established"], kConnections12 + kConnections13 + 2);
  EXPECT_GT(statistics["handshakes_resumed"], kConnections12 / 2);
}

}  // namespace
}  // namespace ktlsim::system_tests
