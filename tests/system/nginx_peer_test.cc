// nginx on the other side of TLS: as a client of `ktlsim serve`, and as the server of `ktlsim
// load`.

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/system/authority.h"
#include "tests/system/load_process.h"
#include "tests/system/nginx.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class NginxPeerTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!Nginx::installed()) GTEST_SKIP() << "nginx is not installed";
    own_ = authority_.Issue("localhost");
  }

  Authority authority_{"Known"};
  Authority::Files own_;
};

// nginx asks us over connections it keeps (/kept/) or makes anew (/fresh/), and verifies us.
TEST_P(NginxPeerTest, ProxiesToUsKeepingConnectionsAndSessions) {
  ServeProcess server({"--cert", own_.certificate, "--key", own_.key, "--respond-bytes", "1000"});
  ASSERT_TRUE(server.running()) << server.output();
  Nginx nginx(fmt::format("; proxy_http_version 1.1; proxy_ssl_protocols TLSv{};\n"
                          "proxy_ssl_verify on; proxy_ssl_trusted_certificate {};\n"
                          "proxy_ssl_name localhost; proxy_ssl_server_name on;\n"
                          "location /kept/ {{ proxy_set_header Connection \"\";\n"
                          "  proxy_pass https://kept/; }}\n"
                          "location /fresh/ {{ proxy_pass https://{}/; }}",
                          GetParam(), authority_.certificate(), server.address()),
              fmt::format("upstream kept {{ server {}; keepalive 4; }}\n", server.address()));
  ASSERT_TRUE(nginx.running());
  constexpr int kRequests = 20;
  const auto ask = [&](const std::string& path) {
    ChildProcess::Arguments curl = {"curl", "-sS", "--max-time", "20"};
    curl.insert(curl.end(), kRequests, "http://" + nginx.address() + path);
    std::string expected;
    for (int i = 0; i < kRequests; ++i) expected += Pattern(100'000);
    EXPECT_TRUE(RunProgram(curl).output == expected) << path;
  };
  ask("/kept/bytes/100000");
  ask("/fresh/bytes/100000");
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["established"], 1 + kRequests) << statistics.dump(2);
  EXPECT_EQ(statistics["handshakes_resumed"], kRequests - 1);
  EXPECT_EQ(statistics["ends"]["handshake_failed"], 0);
}

TEST_P(NginxPeerTest, ServesTheLoadGenerator) {
  Nginx nginx(
      fmt::format("ssl; ssl_certificate {}; ssl_certificate_key {};\n"
                  "ssl_protocols TLSv{}; ssl_session_cache shared:sessions:1m;\n"
                  "keepalive_requests 1000000; location / {{ return 200 \"hello\"; }}",
                  own_.certificate, own_.key, GetParam()));
  ASSERT_TRUE(nginx.running());
  for (const std::vector<std::string>& mode : {std::vector<std::string>{"--mode", "request"},
                                               {"--mode", "handshake"},
                                               {"--mode", "handshake", "--resume"}}) {
    std::vector<std::string> arguments = {"--connections", "2",    "--seconds",
                                          "0.3",           "--ca", authority_.certificate()};
    arguments.insert(arguments.end(), mode.begin(), mode.end());
    const LoadResult result = Load("localhost:" + std::to_string(nginx.port()), arguments);
    ExpectSound(result);
    EXPECT_EQ(result.json["version"], std::string("TLS ") + GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, NginxPeerTest, testing::Values("1.2", "1.3"));

}  // namespace
}  // namespace ktlsim::system_tests
