// A flood of challenges that nobody answers, against a server that is running: who is honest gets
// in within two round trips all the while, also when his challenge has been pushed out meanwhile.

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sspi_digest/digest_scene.h"
#include "tests/system/https_client.h"
#include "tests/system/serve_nodes.h"

namespace ktlsim::system_tests {
namespace {

constexpr std::size_t kFlood = 200'000;
constexpr std::size_t kBound = 65'536;  // of the challenges that a server keeps
// A machine on which the flood takes longer sees less of it.
constexpr auto kFloodMax = std::chrono::seconds(60);

// Requests without Authorization, each of which gets a challenge.
class Flood {
 public:
  explicit Flood(int port) {
    for (int i = 0; i < 2; ++i) {
      threads_.emplace_back([this, port] { Run(port); });
    }
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  ~Flood() {
    for (std::thread& thread : threads_) thread.join();
  }

  std::size_t challenges() const { return challenges_; }
  bool over() const { return over_ == threads_.size(); }

 private:
  void Run(int port) {
    const auto end = std::chrono::steady_clock::now() + kFloodMax;
    HttpsClient client;
    while (challenges_ < kFlood && std::chrono::steady_clock::now() < end) {
      challenges_ += client.GetMany(port, "/page", 401, 500);
    }
    ++over_;
  }

  std::atomic<std::size_t> challenges_{0};
  std::atomic<std::size_t> over_{0};
  std::vector<std::thread> threads_;
};

TEST(ServeFloodTest, HonestClientsGetInWithinTwoRoundTrips) {
  ServeNodes nodes;
  const std::unique_ptr<ServeProcess> server = nodes.Start("");
  HttpsClient https;
  // He takes his time: the whole flood comes between his challenge and his response.
  test::DigestClient slow(ServeNodes::kUser, ServeNodes::kPassword);
  const HttpsClient::Response slow_challenge = https.Get(server->port(), "/page", "");
  ASSERT_EQ(slow_challenge.status, 401);

  std::size_t honest = 0;
  std::size_t flood_challenges = 0;
  {
    const Flood flood(server->port());
    while (!flood.over()) {
      test::DigestClient client(ServeNodes::kUser, ServeNodes::kPassword);
      https.Close();
      const HttpsClient::Response challenged = https.Get(server->port(), "/page", "");
      ASSERT_EQ(challenged.status, 401);
      const std::string header = client.Respond(challenged.challenge, {.uri = "/page"});
      ASSERT_EQ(https.Get(server->port(), "/page", header).status, 200)
          << "after " << flood.challenges() << " challenges";
      ++honest;
    }
    flood_challenges = flood.challenges();
  }
  RecordProperty("honest", static_cast<int>(honest));
  RecordProperty("challenges", static_cast<int>(flood_challenges));
  EXPECT_GT(honest, 0U);
  if (flood_challenges < kBound) {
    GTEST_SKIP() << "this machine is too slow: only " << flood_challenges << " challenges";
  }
  const std::string header = slow.Respond(slow_challenge.challenge, {.uri = "/page"});
  EXPECT_EQ(https.Get(server->port(), "/page", header).status, 200);
  EXPECT_EQ(https.Get(server->port(), "/page", header).status, 401) << "a replay";
  EXPECT_EQ(https.Get(server->port(), "/page", slow.Sign({.uri = "/page"})).status, 200);
  https.Close();

  const nlohmann::json digest = server->StopCleanly()["digest"];
  EXPECT_EQ(digest["stale"], 0) << digest;
  EXPECT_EQ(digest["authenticated"], honest + 1) << digest;
  EXPECT_EQ(digest["replayed"], 1) << digest;
}

}  // namespace
}  // namespace ktlsim::system_tests
