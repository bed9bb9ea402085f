// Against a real master with a replica and a Sentinel: what becomes of counts when another server
// takes over, and what WAIT is good for.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/context_store/redis_machine.h"
#include "tests/context_store/redis_server.h"

namespace ktlsim::context_store {
namespace {

// A redis-sentinel of the test's own that watches one master, called "main".
class Sentinel {
 public:
  explicit Sentinel(int master_port) {
    // Another program may take the port first.
    for (int attempt = 0; attempt < 5 && !started_; ++attempt) {
      port_ = system_tests::UnusedPort();
      const std::string port = std::to_string(port_);
      const std::string config =
          "port " + port + "\nbind 127.0.0.1\nprotected-mode no\ndir " + folder_.path() +
          "\nsentinel monitor main 127.0.0.1 " + std::to_string(master_port) +
          " 1\nsentinel down-after-milliseconds main 2000\nsentinel failover-timeout main 5000\n";
      process_ = std::make_unique<system_tests::ChildProcess>(
          RedisServer::Arguments{"redis-sentinel", folder_.Write("conf" + port, config)});
      started_ = process_->WaitForOutput("+monitor master main");
    }
    EXPECT_TRUE(started_) << process_->output();
  }
  Sentinel(const Sentinel&) = delete;
  Sentinel& operator=(const Sentinel&) = delete;

  io::Address address() const { return io::Address::Loopback(static_cast<std::uint16_t>(port_)); }
  std::string Do(RedisServer::Arguments command) const {
    command.insert(command.begin(), {"redis-cli", "-p", std::to_string(port_)});
    return system_tests::RunProgram(command).output;
  }

 private:
  test::TemporaryFolder folder_;
  int port_ = 0;
  bool started_ = false;
  std::unique_ptr<system_tests::ChildProcess> process_;
};

class RealSentinelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* program : {"redis-server", "redis-cli", "redis-sentinel"}) {
      if (!IsInstalled(program)) GTEST_SKIP() << program << " is not installed";
    }
    master_ = std::make_unique<RedisServer>(
        RedisServer::WithPort{}, RedisServer::Arguments{"--user", "replica", "on", ">secret",
                                                        "+psync", "+replconf", "+ping"});
    replica_ = std::make_unique<RedisServer>(
        RedisServer::WithPort{},
        RedisServer::Arguments{"--replicaof", "127.0.0.1 " + std::to_string(master_->port()),
                               "--masteruser", "replica", "--masterauth", "secret"});
    ASSERT_TRUE(Until([&] { return LinkIs("up"); })) << replica_->Do({"INFO", "replication"});
    ASSERT_TRUE(Until([&] { return Confirms(); }));
    sentinel_ = std::make_unique<Sentinel>(master_->port());
    ASSERT_TRUE(Until([&] {
      return sentinel_->Do({"SENTINEL", "REPLICAS", "main"}).find("slave") != std::string::npos;
    }));
    RedisStoreOptions options;
    options.servers = {sentinel_->address()};
    options.sentinel_master = "main";
    options.limit_ns = 4 * kNsPerSecond;  // a quarter of it for WAIT
    machine_.emplace(options);
    ASSERT_TRUE(machine_->UntilUp());
    old_epoch_ = machine_->store->epoch();
  }

  // Asks until it is so.
  static bool Until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + system_tests::kPatience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
    }
    return true;
  }
  bool LinkIs(const std::string& state) {
    return replica_->Do({"INFO", "replication"}).find("master_link_status:" + state) !=
           std::string::npos;
  }
  // The replica confirms what is written.
  bool Confirms() {
    const std::string told = system_tests::RunProgram({"redis-cli", "-s", master_->socket()},
                                                      "SET probe 1\nWAIT 1 1000\nDEL probe\n")
                                 .output;
    return told == "OK\n1\n1\n";
  }
  // The replica lags from now on.
  void CutReplicaOff() {
    EXPECT_EQ(master_->Do({"ACL", "SETUSER", "replica", "off"}), "OK");
    master_->Do({"CLIENT", "KILL", "TYPE", "replica"});
    ASSERT_TRUE(Until([&] { return LinkIs("down"); }));
  }
  void LetReplicaBack() {
    EXPECT_EQ(master_->Do({"ACL", "SETUSER", "replica", "on"}), "OK");
    ASSERT_TRUE(Until([&] { return LinkIs("up") && Confirms(); }));
  }
  // The store has found the server that took over.
  bool UntilAnotherMaster() {
    return machine_->Until(
        [&] { return machine_->watcher.up && machine_->store->epoch() != old_epoch_; });
  }

  NonceUse Old(std::uint64_t nonce, std::uint32_t count) const {
    return {.epoch = old_epoch_, .nonce = nonce, .count = count, .window = 64};
  }
  static PutRequest Context(const NonceUse& use, PutMode mode = PutMode::kSet) {
    PutRequest put = Lasting("session key", mode);
    put.use = use;
    return put;
  }
  // What the replica has as the highest count of the only entry.
  std::string CountOfReplica() {
    return replica_->Do({"HGET", replica_->Do({"KEYS", "ktlsim:d:*"}), "h"});
  }

  std::unique_ptr<RedisServer> master_;
  std::unique_ptr<RedisServer> replica_;
  std::unique_ptr<Sentinel> sentinel_;
  std::optional<Machine> machine_;
  std::uint64_t old_epoch_ = 0;
};

TEST_F(RealSentinelTest, WaitMakesACountCount) {
  EXPECT_EQ(machine_->Put("a", Context(machine_->Use(5, 1), PutMode::kCreate)), StoreResult::kOk);
  EXPECT_EQ(machine_->Advance("a", machine_->Use(5, 2)), StoreResult::kOk);
  EXPECT_EQ(CountOfReplica(), "2") << "a count that is good is on the replica, too";
  CutReplicaOff();
  EXPECT_EQ(machine_->Advance("a", machine_->Use(5, 3)), StoreResult::kNotDurable);
  EXPECT_EQ(CountOfReplica(), "2");
  EXPECT_EQ(machine_->Advance("a", machine_->Use(5, 3)), StoreResult::kOutOfSequence)
      << "nor is it good a second time";
  LetReplicaBack();
  EXPECT_EQ(machine_->Advance("a", machine_->Use(5, 4)), StoreResult::kOk);
  EXPECT_EQ(CountOfReplica(), "4");
}

TEST_F(RealSentinelTest, AfterAFailOverCountsOfTheOldMasterAreStale) {
  EXPECT_EQ(machine_->Put("a", Context(machine_->Use(5, 1), PutMode::kCreate)), StoreResult::kOk);
  EXPECT_EQ(machine_->Advance("a", machine_->Use(5, 2)), StoreResult::kOk);
  master_->Kill();
  ASSERT_TRUE(UntilAnotherMaster());
  EXPECT_EQ(machine_->Get("a"), StoreResult::kStale);
  EXPECT_EQ(machine_->call.text(), "session key") << "the context is known; its counts are not";
  for (const std::uint32_t count : {1U, 2U, 3U}) {
    EXPECT_EQ(machine_->Advance("a", Old(5, count)), StoreResult::kStale);
    EXPECT_EQ(machine_->Advance("a", machine_->Use(5, count)), StoreResult::kStale);
  }
  EXPECT_EQ(machine_->Put("b", Context(Old(5, 1), PutMode::kFirst)), StoreResult::kStale)
      << "a challenge of that time";
  // A fresh nonce goes on, as soon as the old master has become the replica of the new one. (The
  // Sentinel would see to that after 8 s.)
  master_->Start();
  master_->Do({"REPLICAOF", "127.0.0.1", std::to_string(replica_->port())});
  std::uint64_t nonce = 7;
  EXPECT_TRUE(Until(
      [&] { return machine_->Put("a", Context(machine_->Use(nonce++, 1))) == StoreResult::kOk; }));
  EXPECT_EQ(machine_->Advance("a", machine_->Use(nonce - 1, 2)), StoreResult::kOk);
  EXPECT_EQ(machine_->Advance("a", Old(5, 3)), StoreResult::kStale);
}

TEST_F(RealSentinelTest, AReplicaThatLaggedIsPromotedAndAcceptsNoReplay) {
  EXPECT_EQ(machine_->Put("a", Context(machine_->Use(5, 1), PutMode::kCreate)), StoreResult::kOk);
  CutReplicaOff();
  // The replica never sees these.
  EXPECT_EQ(machine_->Advance("a", machine_->Use(5, 2)), StoreResult::kNotDurable);
  EXPECT_EQ(machine_->Put("b", Context(machine_->Use(5, 1), PutMode::kFirst)),
            StoreResult::kNotDurable);
  master_->Kill();
  ASSERT_TRUE(UntilAnotherMaster());
  EXPECT_EQ(CountOfReplica(), "1") << "it is the one that lagged";
  EXPECT_EQ(machine_->Get("a"), StoreResult::kStale);
  EXPECT_EQ(machine_->Get("b"), StoreResult::kNotFound);
  EXPECT_EQ(machine_->Advance("a", Old(5, 2)), StoreResult::kStale);
  EXPECT_EQ(machine_->Advance("a", machine_->Use(5, 2)), StoreResult::kStale);
  EXPECT_EQ(machine_->Put("b", Context(Old(5, 1), PutMode::kFirst)), StoreResult::kStale);
  // Alone it confirms nothing, so that nothing is served.
  EXPECT_EQ(machine_->Put("a", Context(machine_->Use(7, 1))), StoreResult::kNotDurable);
}

}  // namespace
}  // namespace ktlsim::context_store
