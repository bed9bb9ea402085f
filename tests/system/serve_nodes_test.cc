// Several servers behind a balancer that gives every connection to the next one: clients get in
// within two round trips, and a replay is caught on whichever server it comes.

#include "tests/system/serve_nodes.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/load_process.h"
#include "tests/system/proxies.h"

namespace ktlsim::system_tests {
namespace {

class ServeNodesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!context_store::IsInstalled("redis-server") || !context_store::IsInstalled("redis-cli")) {
      GTEST_SKIP() << "redis-server is not installed";
    }
    if (!Haproxy::installed()) GTEST_SKIP() << "haproxy is not installed";
    redis_.emplace();
    first_ = nodes_.StartWithStore(*redis_, {"--context-store-wait", "30s"});
    second_ = nodes_.StartWithStore(*redis_, {"--context-store-wait", "30s"});
    balancer_.emplace("\n mode tcp\n default_backend nodes",
                      "backend nodes\n mode tcp\n balance roundrobin\n server first " +
                          first_->address() + "\n server second " + second_->address());
    ASSERT_TRUE(balancer_->running());
  }
  // A request of a user, each time on a new connection: its code and how many connections it took.
  std::string Curl(const std::vector<std::string>& more) {
    std::vector<std::string> all = {
        "curl", "-sS", "-k", "--max-time", "30", "-H", "Connection: close"};
    all.insert(all.end(), {"-o", "/dev/null", "-w", "%{http_code} %{num_connects}"});
    all.insert(all.end(), more.begin(), more.end());
    all.push_back("https://" + balancer_->address() + "/page");
    return RunProgram(all).output;
  }
  int Sum(const char* outcome) {
    return first_digest_[outcome].get<int>() + second_digest_[outcome].get<int>();
  }
  void Stop() {
    first_digest_ = first_->StopCleanly()["digest"];
    second_digest_ = second_->StopCleanly()["digest"];
  }

  ServeNodes nodes_;
  std::optional<context_store::RedisServer> redis_;
  std::unique_ptr<ServeProcess> first_;
  std::unique_ptr<ServeProcess> second_;
  std::optional<Haproxy> balancer_;
  nlohmann::json first_digest_;
  nlohmann::json second_digest_;
};

// The challenge comes from one server, and the response goes to the other one.
TEST_F(ServeNodesTest, CurlGetsInWithinTwoRoundTrips) {
  const std::string user = std::string(ServeNodes::kUser) + ":" + ServeNodes::kPassword;
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(Curl({"--digest", "-u", user}), "200 2");
  }
  EXPECT_EQ(Curl({"--digest", "-u", std::string(ServeNodes::kUser) + ":wrong"}), "401 2");
  Stop();
  EXPECT_EQ(Sum("authenticated"), 6);
  EXPECT_EQ(Sum("stale"), 0);
  EXPECT_EQ(Sum("refused"), 1);
}

// One session: every request after the first is served at once, each by the other server.
TEST_F(ServeNodesTest, SessionGoesFromServerToServer) {
  if (RunProgram({"python3", "-c", "import requests"}).code != 0) {
    GTEST_SKIP() << "there is no Python requests here";
  }
  const std::string program = R"(
import sys, warnings, requests
from requests.auth import HTTPDigestAuth
warnings.simplefilter('ignore')
url, user, password = sys.argv[1:]
session = requests.Session()
session.auth = HTTPDigestAuth(user, password)
session.verify = False
session.trust_env = False
session.headers['Connection'] = 'close'
for i in range(7):
    answer = session.get(url)
    print(answer.status_code, len(answer.history), end=';')
print(answer.request.headers['Authorization'])
)";
  const Finished python =
      RunProgram({"python3", "-c", program, "https://" + balancer_->address() + "/page",
                  ServeNodes::kUser, ServeNodes::kPassword});
  const std::string expected = "200 1;200 0;200 0;200 0;200 0;200 0;200 0;";
  ASSERT_TRUE(python.output.starts_with(expected)) << python.output;
  std::string header = "Authorization: " + python.output.substr(expected.size());
  while (header.ends_with('\n')) header.pop_back();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Curl({"-H", header}), "401 1");
  Stop();
  EXPECT_EQ(Sum("authenticated"), 1);
  EXPECT_EQ(Sum("maintained"), 6);
  EXPECT_EQ(Sum("replayed"), 4);
  EXPECT_GE(first_digest_["maintained"].get<int>(), 2);
  EXPECT_GE(second_digest_["maintained"].get<int>(), 2);
  EXPECT_EQ(first_digest_["replayed"], 2);
}

TEST_F(ServeNodesTest, OurOwnClientIsServedByBoth) {
  const LoadResult result =
      Load(balancer_->address(), {"--insecure", "--connections", "4", "--digest",
                                  std::string(ServeNodes::kUser) + ":" + ServeNodes::kPassword});
  EXPECT_EQ(result.code, 0) << result.output;
  EXPECT_EQ(result.json["errors"], 0) << result.output;
  Stop();
  EXPECT_EQ(Sum("refused") + Sum("malformed") + Sum("unavailable"), 0);
}

}  // namespace
}  // namespace ktlsim::system_tests
