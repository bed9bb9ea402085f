// nginx and HAProxy on the other side of TLS: as clients of `ktlsim serve`, and as the servers of
// `ktlsim load`.

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/system/authority.h"
#include "tests/system/load_process.h"
#include "tests/system/proxies.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

class ProxyPeerTest : public testing::TestWithParam<const char*> {
 protected:
  // Requests this path `count` times in one call of curl; the body is that of /bytes/100000.
  static void ExpectAnswers(const Proxy& proxy, const std::string& path, int count) {
    ChildProcess::Arguments curl = {"curl", "-sS", "--max-time", "20"};
    std::string expected;
    for (int i = 0; i < count; ++i) {
      curl.push_back("http://" + proxy.address() + path);
      expected += Pattern(100'000);
    }
    EXPECT_TRUE(RunProgram(curl).output == expected) << path;
  }

  void ExpectToServeTheLoadGenerator(const Proxy& proxy) {
    for (const std::vector<std::string>& mode : {std::vector<std::string>{"--mode", "request"},
                                                 {"--mode", "handshake"},
                                                 {"--mode", "handshake", "--resume"}}) {
      std::vector<std::string> arguments = {"--connections", "2", "--ca", authority_.certificate()};
      arguments.insert(arguments.end(), mode.begin(), mode.end());
      const LoadResult result = Load("localhost:" + std::to_string(proxy.port()), arguments);
      ExpectSound(result);
      EXPECT_EQ(result.row()["negotiated"]["tls_version"], std::string("TLS ") + GetParam());
    }
  }

  Authority authority_{"Known"};
  const Authority::Files own_ = authority_.Issue("localhost");
};

class NginxPeerTest : public ProxyPeerTest {
 protected:
  void SetUp() override {
    if (!Nginx::installed()) GTEST_SKIP() << "nginx is not installed";
  }
};

class HaproxyPeerTest : public ProxyPeerTest {
 protected:
  void SetUp() override {
    if (!Haproxy::installed()) GTEST_SKIP() << "haproxy is not installed";
  }
};

// nginx sends requests to us over connections that it keeps (/kept/) or makes each time (/fresh/),
// and verifies us.
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
  ExpectAnswers(nginx, "/kept/bytes/100000", kRequests);
  ExpectAnswers(nginx, "/fresh/bytes/100000", kRequests);
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
  ExpectToServeTheLoadGenerator(nginx);
}

// HAProxy sends requests to us over one connection that it keeps, or one for each request.
TEST_P(HaproxyPeerTest, ProxiesToUsKeepingConnectionsAndSessions) {
  ServeProcess server({"--cert", own_.certificate, "--key", own_.key, "--respond-bytes", "1000"});
  ASSERT_TRUE(server.running()) << server.output();
  const std::string us = fmt::format(
      " server us {} ssl verify required ca-file {} sni str(localhost) verifyhost localhost"
      " ssl-min-ver TLSv{} ssl-max-ver TLSv{}\n",
      server.address(), authority_.certificate(), GetParam(), GetParam());
  Haproxy haproxy("\n use_backend kept if { path_beg /kept/ }\n default_backend fresh",
                  "backend kept\n http-request replace-path /kept(.*) \\1\n http-reuse always\n" +
                      us + "backend fresh\n option http-server-close\n" + us);
  ASSERT_TRUE(haproxy.running());
  constexpr int kRequests = 20;
  ExpectAnswers(haproxy, "/kept/bytes/100000", kRequests);
  ExpectAnswers(haproxy, "/bytes/100000", kRequests);
  const nlohmann::json statistics = server.StopCleanly();
  EXPECT_EQ(statistics["established"], 2 + kRequests) << statistics.dump(2);
  EXPECT_GE(statistics["handshakes_resumed"], kRequests - 1);
  EXPECT_EQ(statistics["ends"]["handshake_failed"], 0);
}

TEST_P(HaproxyPeerTest, ServesTheLoadGenerator) {
  // HAProxy reads certificate and key from one file.
  const std::string both = own_.certificate + ".both.pem";
  ASSERT_EQ(
      RunProgram({"bash", "-c", fmt::format("cat {} {} >{}", own_.certificate, own_.key, both)})
          .code,
      0);
  Haproxy haproxy(
      fmt::format("ssl crt {} ssl-min-ver TLSv{} ssl-max-ver TLSv{}\n"
                  " http-request return status 200 content-type text/plain string hello",
                  both, GetParam(), GetParam()));
  ASSERT_TRUE(haproxy.running());
  ExpectToServeTheLoadGenerator(haproxy);
}

INSTANTIATE_TEST_SUITE_P(Versions, NginxPeerTest, testing::Values("1.2", "1.3"));
INSTANTIATE_TEST_SUITE_P(Versions, HaproxyPeerTest, testing::Values("1.2", "1.3"));

}  // namespace
}  // namespace ktlsim::system_tests
