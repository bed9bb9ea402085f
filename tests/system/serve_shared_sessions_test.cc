// `ktlsim serve --context-store`: servers of one Redis resume each other's TLS sessions, for
// `openssl s_client`.

#include <signal.h>

#include <array>
#include <chrono>
#include <fstream>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/context_store/redis_server.h"
#include "tests/support/json_schema.h"
#include "tests/system/authority.h"
#include "tests/system/serve_process.h"

namespace ktlsim::system_tests {
namespace {

const std::string kRequest = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const std::string kKeysAreThere = "TLS tickets are sealed under the keys in the context store";

class ServeSharedSessionsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!context_store::IsInstalled("redis-server")) {
      GTEST_SKIP() << "there is no redis-server here";
    }
    redis_ = std::make_unique<context_store::RedisServer>();
    std::ofstream(folder_.File("key")) << std::string(64, 'k');
    certificate_ = authority_.Issue("localhost");
  }

  std::unique_ptr<ServeProcess> Start(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "--cert",          certificate_.certificate,
        "--key",           certificate_.key,
        "--respond-bytes", "10",
        "--node-key",      folder_.File("key"),
        "--context-store", "unix://" + redis_->socket(),
    };
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto server = std::make_unique<ServeProcess>(arguments);
    EXPECT_TRUE(server->running()) << server->output();
    return server;
  }
  // A connection, which leaves its session in the folder; `resume`: it offers the one there.
  std::string Connect(const ServeProcess& server, const std::string& version, bool resume) {
    const std::string session = folder_.File("session" + version);
    ChildProcess::Arguments all = {"openssl",     "s_client",  "-connect", server.address(),
                                   "-servername", "localhost", "-ign_eof", version,
                                   "-sess_out",   session};
    if (resume) all.insert(all.end(), {"-sess_in", session});
    const Finished client = RunProgram(all, kRequest);
    EXPECT_NE(client.output.find(Pattern(10)), std::string::npos) << client.output;
    return client.output;
  }
  // Until the store has so many: they are put after the handshake.
  void WaitForSessions(std::size_t count) {
    const auto limit = std::chrono::steady_clock::now() + kPatience;
    while (Sessions() < count) {
      ASSERT_FALSE(testing::Test::HasFailure());
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the store has too few sessions";
    }
  }
  std::size_t Sessions() {
    const std::string keys = redis_->Do({"KEYS", "ktlsim:t:*"});
    std::size_t found = 0;
    for (std::size_t at = keys.find("ktlsim:t:"); at != std::string::npos;
         at = keys.find("ktlsim:t:", at + 1)) {
      ++found;
    }
    return found;
  }
  static bool IsResumed(const std::string& output) {
    return output.find("Reused, ") != std::string::npos;
  }
  static nlohmann::json StopAndCheck(ServeProcess& server) {
    const nlohmann::json statistics = server.StopCleanly();
    EXPECT_EQ(CheckResult("serve", statistics), "");
    return statistics["tls_store"];
  }

  TemporaryFolder folder_;
  Authority authority_{"The Authority"};
  Authority::Files certificate_;
  std::unique_ptr<context_store::RedisServer> redis_;
};

TEST_F(ServeSharedSessionsTest, ServersOfOneStoreOpenEachOthersTickets) {
  // The first one makes the keys.
  std::array<std::unique_ptr<ServeProcess>, 2> servers;
  for (auto& server : servers) {
    server = Start({"--context-store-wait", "30s"});
    ASSERT_TRUE(server->WaitForOutput(kKeysAreThere)) << server->output();
  }
  for (const std::string version : {"-tls1_3", "-tls1_2"}) {
    EXPECT_FALSE(IsResumed(Connect(*servers[0], version, false)));
    for (std::size_t i = 1; i <= 4; ++i) {
      const std::string output = Connect(*servers[i % 2], version, true);
      EXPECT_TRUE(IsResumed(output)) << version << " " << i << output;
    }
  }
  const nlohmann::json first = StopAndCheck(*servers[0]);
  const nlohmann::json second = StopAndCheck(*servers[1]);
  EXPECT_GE(first["ticket_keys_made"], 2);
  EXPECT_GE(second["ticket_keys_taken"], 1);
  for (const nlohmann::json& one : {first, second}) {
    EXPECT_EQ(one["ticket_key_refreshes_failed"], 0);
    EXPECT_EQ(one["handshakes_without_ticket_key"], 0);
  }
}

TEST_F(ServeSharedSessionsTest, TicketsOutliveTheServersAndTheStoreTellsNothing) {
  std::unique_ptr<ServeProcess> server = Start();
  ASSERT_TRUE(server->WaitForOutput(kKeysAreThere)) << server->output();
  EXPECT_FALSE(IsResumed(Connect(*server, "-tls1_3", false)));
  StopAndCheck(*server);
  server = Start();
  ASSERT_TRUE(server->WaitForOutput(kKeysAreThere)) << server->output();
  EXPECT_TRUE(IsResumed(Connect(*server, "-tls1_3", true)));
  EXPECT_GE(StopAndCheck(*server)["ticket_keys_taken"], 1);
  // Whoever has another node key finds no key.
  std::ofstream(folder_.File("key")) << std::string(64, 'x');
  server = Start();
  ASSERT_TRUE(server->WaitForOutput(kKeysAreThere)) << server->output();
  EXPECT_FALSE(IsResumed(Connect(*server, "-tls1_3", true)));
  EXPECT_EQ(StopAndCheck(*server)["ticket_keys_taken"], 0);
}

TEST_F(ServeSharedSessionsTest, ServersOfOneStoreResumeEachOthersTls12SessionsById) {
  const std::vector<std::string> no_tickets = {"--tickets", "0", "--context-store-wait", "30s"};
  const std::array servers = {Start(no_tickets), Start(no_tickets)};
  for (const auto& server : servers) {
    ASSERT_TRUE(server->WaitForOutput("the context store is there")) << server->output();
  }
  EXPECT_FALSE(IsResumed(Connect(*servers[0], "-tls1_2", false)));
  WaitForSessions(1);
  for (std::size_t i = 1; i <= 4; ++i) {
    const std::string output = Connect(*servers[i % 2], "-tls1_2", true);
    EXPECT_TRUE(IsResumed(output)) << i << output;
  }
  const nlohmann::json first = StopAndCheck(*servers[0]);
  const nlohmann::json second = StopAndCheck(*servers[1]);
  EXPECT_EQ(first["stored"], 1);
  EXPECT_EQ(first["hits"], 2);
  EXPECT_EQ(second["hits"], 2);
  EXPECT_EQ(second["look_ups"], 2);
}

// A session that the store does not hand out in time is not waited for.
TEST_F(ServeSharedSessionsTest, ASlowStoreCostsAFullHandshake) {
  const auto server = Start({"--tickets", "0"});
  ASSERT_TRUE(server->WaitForOutput("the context store is there")) << server->output();
  EXPECT_FALSE(IsResumed(Connect(*server, "-tls1_2", false)));
  WaitForSessions(1);
  redis_->Signal(SIGSTOP);
  EXPECT_FALSE(IsResumed(Connect(*server, "-tls1_2", true)));
  redis_->Signal(SIGCONT);
  const nlohmann::json store = StopAndCheck(*server);
  EXPECT_EQ(store["look_ups"], 1);
  EXPECT_EQ(store["hits"], 0);
  EXPECT_EQ(store["timed_out"], 1);
}

TEST_F(ServeSharedSessionsTest, WithoutItsStoreAServerGoesOnWithTheKeysThatItHas) {
  const auto server = Start();
  ASSERT_TRUE(server->WaitForOutput(kKeysAreThere)) << server->output();
  EXPECT_FALSE(IsResumed(Connect(*server, "-tls1_3", false)));
  redis_->Kill();
  ASSERT_TRUE(server->WaitForOutput("the context store is gone")) << server->output();
  EXPECT_TRUE(IsResumed(Connect(*server, "-tls1_3", true)));
  StopAndCheck(*server);
}

TEST_F(ServeSharedSessionsTest, WithAStoreThatWasNeverThereHandshakesAreFull) {
  redis_->Kill();
  const auto server = Start();
  ASSERT_TRUE(server->WaitForOutput("there is no key for TLS tickets")) << server->output();
  for (const std::string version : {"-tls1_3", "-tls1_2"}) {
    EXPECT_FALSE(IsResumed(Connect(*server, version, false)));
  }
  EXPECT_GE(StopAndCheck(*server)["handshakes_without_ticket_key"], 2);
}

}  // namespace
}  // namespace ktlsim::system_tests
