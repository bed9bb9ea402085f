// `ktlsim serve --admin`: metrics as Prometheus takes them, health and drain, the live page.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/paths.h"
#include "tests/system/serve_process.h"
#include "tests/system/tcp_backend.h"

namespace ktlsim::system_tests {
namespace {

class AdminServer {
 public:
  explicit AdminServer(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--admin", ":0", "--drain-timeout", "60s"});
    server_ = std::make_unique<ServeProcess>(arguments);
    const std::string begin = "admin on http://";
    if (!server_->running() || !server_->WaitForOutput(begin)) return;
    if (!server_->WaitForOutput("/\n")) return;
    const std::size_t at = server_->output().find(begin) + begin.size();
    address_ = server_->output().substr(at, server_->output().find('/', at) - at);
  }

  ServeProcess& server() { return *server_; }
  const std::string& address() const { return address_; }
  // The body, and the status after it in a line of its own: "000", nobody has answered.
  std::string Get(const std::string& path) const {
    return RunProgram({"curl", "-s", "--max-time", "20", "-w", "\n%{http_code}",
                       fmt::format("http://{}{}", address_, path)})
        .output;
  }

 private:
  std::unique_ptr<ServeProcess> server_;
  std::string address_;
};

// The value of the series that begins with `series`; -1: there is none.
double Value(const std::string& metrics, const std::string& series) {
  std::istringstream lines(metrics);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return -1;
}

// Metrics may be a tenth of a second old. A server that does not answer is not asked again.
std::string MetricsWith(const AdminServer& admin, const std::string& series, double wanted) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::string metrics = admin.Get("/metrics");
  while (Value(metrics, series) != wanted && !metrics.ends_with("\n000") &&
         std::chrono::steady_clock::now() < until) {
    metrics = admin.Get("/metrics");
  }
  return metrics;
}

std::string HandshakeCount(const std::string& version, const std::string& suite,
                           const std::string& group, const std::string& resumed) {
  return fmt::format(
      "ktlsim_handshake_duration_seconds_count{{version=\"{}\",suite=\"{}\",group=\"{}\",resumed="
      "\"{}\"}}",
      version, suite, group, resumed);
}

// Two handshakes, the second of which resumes the session of the first.
void ShakeTwice(ServeProcess& server, const std::vector<std::string>& options) {
  const TemporaryFolder folder;
  const std::string session = folder.File("session");
  std::vector<std::string> first = {"openssl",   "s_client", "-connect",    server.address(),
                                    "-sess_out", session,    "-servername", "localhost"};
  first.insert(first.end(), options.begin(), options.end());
  const std::string request = "GET / HTTP/1.0\r\n\r\n";
  first.insert(first.end(), {"-quiet", "-no_ign_eof", "-ign_eof"});
  EXPECT_NE(RunProgram(first, request).output.find("200 OK"), std::string::npos);
  std::vector<std::string> second = first;
  for (std::string& word : second) {
    if (word == "-sess_out") word = "-sess_in";
  }
  EXPECT_NE(RunProgram(second, request).output.find("200 OK"), std::string::npos);
}

TEST(ServeAdminTest, HandshakesCountByVersionSuiteGroupAndResumption) {
  AdminServer admin({"--self-signed", "localhost", "--respond-bytes", "10"});
  ASSERT_NE(admin.address(), "") << admin.server().output();
  EXPECT_TRUE(admin.address().starts_with("127.0.0.1:")) << "without a host it is this machine";
  ShakeTwice(admin.server(),
             {"-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-groups", "P-384"});
  ShakeTwice(admin.server(),
             {"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-groups", "X25519:P-256"});
  const std::string metrics = MetricsWith(admin, "ktlsim_handshakes_total{resumed=\"yes\"}", 2);
  EXPECT_EQ(Value(metrics, "ktlsim_handshakes_total{resumed=\"no\"}"), 2);
  const std::string chacha = "TLS_CHACHA20_POLY1305_SHA256";
  const std::string aes = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
  EXPECT_EQ(Value(metrics, HandshakeCount("1.3", chacha, "P-384", "no")), 1) << metrics;
  EXPECT_EQ(Value(metrics, HandshakeCount("1.3", chacha, "P-384", "yes")), 1);
  EXPECT_EQ(Value(metrics, HandshakeCount("1.2", aes, "X25519", "no")), 1);
  EXPECT_EQ(Value(metrics, HandshakeCount("1.2", aes, "X25519", "yes")), 1);
  std::string sum = HandshakeCount("1.3", chacha, "P-384", "no");
  sum.replace(sum.find("_count"), 6, "_sum");
  EXPECT_GT(Value(metrics, sum), 0.00001) << "a handshake takes longer than this";
  EXPECT_LT(Value(metrics, sum), 20);
  EXPECT_GT(Value(metrics, "ktlsim_ring_submissions_total{processor=\"0\",role=\"io\"}"), 0);
  admin.server().StopCleanly();
}

TEST(ServeAdminTest, FailuresAndAlertsCountByTheirNames) {
  AdminServer admin({"--self-signed", "localhost", "--respond-bytes", "10", "--tls", "1.3"});
  ASSERT_NE(admin.address(), "") << admin.server().output();
  RunProgram({"openssl", "s_client", "-connect", admin.server().address(), "-tls1_2"});
  RunProgram({"curl", "-s", admin.server().url()});  // distrusts the certificate
  const std::string metrics =
      MetricsWith(admin, "ktlsim_alerts_total{direction=\"received\",alert=\"unknown_ca\"}", 1);
  EXPECT_EQ(Value(metrics, "ktlsim_alerts_total{direction=\"received\",alert=\"unknown_ca\"}"), 1);
  EXPECT_EQ(Value(metrics, "ktlsim_alerts_total{direction=\"sent\",alert=\"protocol_version\"}"), 1)
      << metrics;
  EXPECT_EQ(Value(metrics, "ktlsim_failures_total{class=\"algorithm_mismatch\"}"), 1);
  EXPECT_EQ(Value(metrics, "ktlsim_failures_total{class=\"peer_alert\"}"), 1);
  admin.server().StopCleanly();
}

TEST(ServeAdminTest, PromtoolFindsNothingWrongWithTheMetrics) {
  if (access("/usr/bin/promtool", X_OK) != 0) {
    GTEST_SKIP() << "promtool is not installed (Debian's prometheus)";
  }
  const TemporaryFolder folder;
  AdminServer admin({"--self-signed", "localhost", "--respond-bytes", "10"});
  ASSERT_NE(admin.address(), "") << admin.server().output();
  ASSERT_EQ(RunProgram({"curl", "-sk", admin.server().url()}).code, 0);
  const std::string metrics = MetricsWith(admin, "ktlsim_connections_total", 1);
  const std::string text = metrics.substr(0, metrics.rfind('\n'));
  const Finished found = RunProgram({"promtool", "check", "metrics"}, text);
  EXPECT_EQ(found.code, 0) << found.output;
  EXPECT_EQ(found.output, "");
  // It does look: a counter must not be called this.
  const Finished bad = RunProgram({"promtool", "check", "metrics"},
                                  "# TYPE a counter\na 1\n# HELP b b\n# TYPE b gauge\nb{ 1\n");
  EXPECT_NE(bad.code, 0);
  admin.server().StopCleanly();
}

TEST(ServeAdminTest, ReadinessEndsWhenTheDrainBeginsAndHealthDoesNot) {
  AdminServer admin({"--self-signed", "localhost", "--echo", "--close-timeout", "60s"});
  ASSERT_NE(admin.address(), "") << admin.server().output();
  EXPECT_EQ(admin.Get("/healthz"), "ok\n\n200");
  EXPECT_EQ(admin.Get("/readyz"), "ready\n\n200");
  EXPECT_EQ(admin.Get("/else").substr(0, 8), "there is");
  // A client that does not close keeps the drain going: it ignores close_notify, being stopped.
  ChildProcess client({"openssl", "s_client", "-quiet", "-connect", admin.server().address()},
                      ChildProcess::Interactive{});
  ASSERT_TRUE(client.Type("x\n"));
  ASSERT_TRUE(client.WaitForOutput("x\n")) << client.output();
  client.Signal(SIGSTOP);
  admin.server().Signal(SIGTERM);
  ASSERT_TRUE(admin.server().WaitForOutput("draining")) << admin.server().output();
  EXPECT_EQ(admin.Get("/readyz"), "draining\n\n503");
  EXPECT_EQ(admin.Get("/healthz"), "ok\n\n200");
  const std::string metrics = MetricsWith(admin, "ktlsim_draining", 1);
  EXPECT_EQ(Value(metrics, "ktlsim_ready"), 0);
  EXPECT_EQ(Value(metrics, "ktlsim_open_connections"), 1);
  client.Signal(SIGCONT);
  admin.server().StopCleanly();
}

// The older connection goes on with what was made for the configuration of before.
TEST(ServeAdminTest, AReloadTakesNothingBackThatAnOlderConnectionHasCounted) {
  TcpBackend backend([](int socket) {
    WriteAll(socket, "hello\n");
    ReadUntil(socket, "bye\n");
  });
  AdminServer admin({"--self-signed", "localhost", "--upstream", backend.address()});
  ASSERT_NE(admin.address(), "") << admin.server().output();
  ChildProcess client({"openssl", "s_client", "-quiet", "-connect", admin.server().address()},
                      ChildProcess::Interactive{});
  ASSERT_TRUE(client.WaitForOutput("hello\n")) << client.output();
  admin.server().Signal(SIGHUP);
  ASSERT_TRUE(admin.server().WaitForOutput("reloaded")) << admin.server().output();
  const std::string carried_out = "ktlsim_reloads_total{outcome=\"carried_out\"}";
  const std::string metrics = MetricsWith(admin, carried_out, 1);
  EXPECT_EQ(Value(metrics, carried_out), 1) << metrics;
  EXPECT_EQ(Value(metrics, "ktlsim_forwarded_connections_total"), 1);
  ASSERT_TRUE(client.Type("bye\n"));
  const nlohmann::json statistics = admin.server().StopCleanly();
  EXPECT_EQ(statistics["forward"]["forwarded"], 1) << statistics;
}

// A web page whose own name has been made to lead here: DNS rebinding.
TEST(ServeAdminTest, OnTheLoopbackAddressOtherNamesAreForbidden) {
  AdminServer admin({"--self-signed", "localhost", "--respond-bytes", "10"});
  ASSERT_NE(admin.address(), "") << admin.server().output();
  const auto by = [&admin](const std::string& host) {
    return RunProgram({"curl", "-s", "--max-time", "20", "-w", "%{http_code}", "-H",
                       "Host: " + host, "http://" + admin.address() + "/healthz"})
        .output;
  };
  EXPECT_EQ(by("localhost:9100"), "ok\n200");
  EXPECT_EQ(by("page.example:9100"), "403");
  admin.server().StopCleanly();
}

TEST(ServeAdminTest, AReloadKeepsTheFiguresAndSaysThatTheAddressNeedsARestart) {
  const TemporaryFolder folder;
  const auto write = [&folder](const std::string& admin, int bytes) {
    std::ofstream(folder.File("config")) << fmt::format(
        "admin = \"{}\"\nself-signed = \"localhost\"\n[[listener]]\n"
        "listen = \"127.0.0.1:0\"\nrespond-bytes = {}\n",
        admin, bytes);
  };
  write("127.0.0.1:0", 10);
  ChildProcess server({test::CommandPath(), "serve", "--config", folder.File("config")});
  ASSERT_TRUE(server.WaitForOutput("admin on http://127.0.0.1:")) << server.output();
  write("127.0.0.1:1", 20);
  server.Signal(SIGHUP);
  EXPECT_TRUE(server.WaitForOutput("takes effect with a restart only key=admin"))
      << server.output();
  ASSERT_TRUE(server.WaitForOutput("reloaded")) << server.output();
  const std::string begin = "admin on http://";
  const std::size_t at = server.output().find(begin) + begin.size();
  const std::string address = server.output().substr(at, server.output().find('/', at) - at);
  const std::string metrics = RunProgram({"curl", "-s", "http://" + address + "/metrics"}).output;
  EXPECT_EQ(Value(metrics, "ktlsim_reloads_total{outcome=\"carried_out\"}"), 1) << metrics;
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
}

TEST(ServeAdminTest, AnAddressThatOthersReachIsWarnedOfAndABadOneIsRefused) {
  const std::vector<std::string> serve = {
      test::CommandPath(), "serve",     "--listen", "127.0.0.1:0",
      "--self-signed",     "localhost", "--echo",   "--admin"};
  const auto with = [&serve](const std::string& address) {
    std::vector<std::string> all = serve;
    all.push_back(address);
    return all;
  };
  ChildProcess open(with("*:0"));
  EXPECT_TRUE(open.WaitForOutput("there is no authentication")) << open.output();
  EXPECT_TRUE(open.WaitForOutput("admin on http://")) << open.output();
  open.Signal(SIGTERM);
  EXPECT_EQ(open.Wait(), 0) << open.output();
  for (const char* bad : {"9100", "unix:/tmp/a", "127.0.0.1:99999", ""}) {
    const Finished refused = RunProgram(with(bad));
    EXPECT_EQ(refused.code, 2) << bad;
    EXPECT_NE(refused.output.find("--admin"), std::string::npos) << refused.output;
  }
}

// The page draws what it has asked for: curves with more than one point.
TEST(ServeAdminTest, TheLivePageDrawsInABrowser) {
  if (access("/usr/bin/chromium", X_OK) != 0) GTEST_SKIP() << "chromium is not installed";
  const TemporaryFolder folder;
  AdminServer admin({"--self-signed", "localhost", "--respond-bytes", "10"});
  ASSERT_NE(admin.address(), "") << admin.server().output();
  ASSERT_EQ(RunProgram({"curl", "-sk", admin.server().url()}).code, 0);
  const std::string page = admin.Get("/");
  EXPECT_EQ(page.find("http://www.w3.org/2000/svg"), page.find("http"))
      << "names nothing that it would load";
  const Finished browser = RunProgram(
      {"env", "HOME=" + folder.File(""), "chromium", "--headless", "--no-sandbox", "--disable-gpu",
       "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir=" + folder.File("profile"),
       "--virtual-time-budget=4000", "--dump-dom", "http://" + admin.address() + "/"},
      "", std::chrono::seconds(60));
  EXPECT_EQ(browser.code, 0) << browser.output;
  EXPECT_NE(browser.output.find("<span id=\"state\" class=\"\">ready</span>"), std::string::npos)
      << browser.output;
  EXPECT_NE(browser.output.find("aria-label=\"Handshake latency\""), std::string::npos);
  EXPECT_NE(browser.output.find("<td>TLS 1.3 TLS_AES_"), std::string::npos);
  const std::size_t path = browser.output.find("<path d=\"M");
  ASSERT_NE(path, std::string::npos) << browser.output;
  EXPECT_NE(browser.output.substr(path, 200).find('L'), std::string::npos)
      << "a curve has points: " << browser.output.substr(path, 200);
  admin.server().StopCleanly();
}

}  // namespace
}  // namespace ktlsim::system_tests
