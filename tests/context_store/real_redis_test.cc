// Against a real redis-server: what its script does, and what is left of an entry when the server
// is restarted from an old dump, is gone, full, slow, or another one.
#include <chrono>
#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_sim/context_store/nonce_counts.h"
#include "kernel_sim/context_store/redis_store.h"
#include "tests/context_store/redis_machine.h"
#include "tests/context_store/redis_server.h"
#include "tests/context_store/redis_store_test_support.h"
#include "tests/support/seeds.h"
#include "tests/system/child_process.h"

namespace ktlsim::context_store {
namespace {

class RealRedisTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!IsInstalled("redis-server") || !IsInstalled("redis-cli")) {
      GTEST_SKIP() << "redis-server is not installed";
    }
  }
  static RedisStoreOptions At(const RedisServer& server) {
    RedisStoreOptions options;
    options.servers = {server.address()};
    return options;
  }
  static PutRequest Context(const NonceUse& use, PutMode mode = PutMode::kCreate) {
    PutRequest put = Lasting("session key", mode);
    put.use = use;
    put.previous_nonce_ns = 3600 * kNsPerSecond;
    return put;
  }
};

TEST_F(RealRedisTest, PutsGetsAndRemoves) {
  RedisServer redis;
  Machine machine(At(redis));
  EXPECT_EQ(machine.Get("a"), StoreResult::kNotFound);
  EXPECT_EQ(machine.Put("a", Lasting("1", PutMode::kReplace)), StoreResult::kNotFound);
  EXPECT_EQ(machine.Put("a", Lasting("2", PutMode::kCreate)), StoreResult::kOk);
  EXPECT_EQ(machine.Put("a", Lasting("3", PutMode::kCreate)), StoreResult::kExists);
  EXPECT_EQ(machine.Get("a"), StoreResult::kOk);
  EXPECT_EQ(machine.call.text(), "2");
  const std::string binary("\0\r\n\xff", 4);
  EXPECT_EQ(machine.Put("a", Lasting(binary)), StoreResult::kOk);
  EXPECT_EQ(machine.Get("a"), StoreResult::kOk);
  EXPECT_EQ(machine.call.text(), binary);
  const std::string largest(kValueBytesMax, 'x');
  EXPECT_EQ(machine.Put("b", Lasting(largest)), StoreResult::kOk);
  EXPECT_EQ(machine.Get("b"), StoreResult::kOk);
  EXPECT_EQ(machine.call.text(), largest);
  EXPECT_EQ(machine.Count(), StoreResult::kOk);
  EXPECT_EQ(machine.call.counts().entries[0], 2U);
  EXPECT_EQ(machine.Remove("a"), StoreResult::kOk);
  EXPECT_EQ(machine.Remove("a"), StoreResult::kNotFound);
  EXPECT_EQ(machine.Get("a"), StoreResult::kNotFound);
}

TEST_F(RealRedisTest, EntriesExpire) {
  RedisServer redis;
  Machine machine(At(redis));
  PutRequest put = Lasting("value");
  put.lifetime_ns = 5 * kNsPerMs;
  EXPECT_EQ(machine.Put("brief", put), StoreResult::kOk);
  while (machine.Get("brief") == StoreResult::kOk) {
  }
  EXPECT_EQ(machine.call.result(), StoreResult::kNotFound);
  // The idle time ends it earlier, and each use begins it anew.
  ASSERT_TRUE(machine.UntilUp());
  put = Context(machine.Use(5, 1));
  put.idle_ns = 60 * kNsPerSecond;
  EXPECT_EQ(machine.Put("idle", put), StoreResult::kOk);
  const std::string key = redis.Do({"KEYS", "ktlsim:d:*"});
  const auto left_ms = [&] { return std::stol(redis.Do({"PTTL", key})); };
  EXPECT_LE(left_ms(), 60'000);
  EXPECT_GT(left_ms(), 30'000);
  redis.Do({"PEXPIRE", key, "31000"});
  EXPECT_EQ(machine.Advance("idle", machine.Use(5, 2)), StoreResult::kOk);
  EXPECT_GT(left_ms(), 31'000);
  put.idle_ns = 0;
  put.use = {};
  put.mode = PutMode::kReplace;
  EXPECT_EQ(machine.Put("idle", put), StoreResult::kOk);
  EXPECT_GT(left_ms(), 3'000'000) << "its lifetime";
}

// The script in Redis and the counts in memory judge random uses in the same way.
TEST_F(RealRedisTest, TheScriptCountsAsMemoryDoes) {
  RedisServer redis;
  Machine machine(At(redis));
  ASSERT_EQ(machine.Get("a"), StoreResult::kNotFound);
  const auto seeds = test::SeedsToRun(4);
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    SCOPED_TRACE("KTLSIM_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    const std::string name = "context" + std::to_string(seed);
    NonceCounts counts;
    bool there = false;
    std::uint64_t nonce = 1;
    std::uint32_t highest = 0;
    for (int step = 0; step < 400; ++step) {
      const std::uint64_t used = nonce - random() % std::min<std::uint64_t>(nonce, 3);
      if (random() % 40 == 0) {
        nonce += 1 + random() % 2;
        highest = 0;
      }
      const std::uint32_t leap = random() % 20 == 0 ? 100 : 4;
      const auto count = static_cast<std::uint32_t>(std::max<std::int64_t>(
          0, std::int64_t{highest} + 2 -
                 static_cast<std::int64_t>(random() % (std::uint64_t{2} * leap))));
      // Up and down across the edges of the widest window, too.
      const auto edge = static_cast<std::uint32_t>(kNonceWindowMax - 1 + random() % 3);
      std::uint32_t chosen = count;
      if (random() % 6 == 0) chosen = highest + (random() % 2 == 0 ? edge : 4);
      if (random() % 6 == 0 && highest > edge) chosen = highest - edge;
      const std::uint32_t window = random() % 3 == 0 ? 0 : random() % 2 == 0 ? 64 : 8;
      const NonceUse use = machine.Use(used, chosen, window);
      StoreResult expected;
      StoreResult got;
      if (random() % 4 == 0) {
        expected = counts.Put(use, ~std::uint64_t{0} / 2, 0);
        got = machine.Put(name, Context(use, PutMode::kSet));
        there = there || expected == StoreResult::kOk;
      } else {
        expected = there ? counts.Advance(use, 0) : StoreResult::kNotFound;
        got = machine.Advance(name, use);
      }
      ASSERT_EQ(got, expected) << "step " << step << ": nonce " << used << " count " << chosen
                               << " window " << window;
      if (got == StoreResult::kOk && used == nonce) highest = std::max(highest, chosen);
    }
  }
}

TEST_F(RealRedisTest, ThePreviousNonceEndsWithItsTime) {
  RedisServer redis;
  Machine machine(At(redis));
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Put("a", Context(machine.Use(5, 1))), StoreResult::kOk);
  PutRequest put = Context(machine.Use(6, 1), PutMode::kReplace);
  put.previous_nonce_ns = 20 * kNsPerMs;
  EXPECT_EQ(machine.Put("a", put), StoreResult::kOk);
  std::uint32_t count = 1;
  while (machine.Advance("a", machine.Use(5, ++count)) == StoreResult::kOk) {
  }
  EXPECT_EQ(machine.call.result(), StoreResult::kStale);
  EXPECT_EQ(machine.Advance("a", machine.Use(6, 2)), StoreResult::kOk);
}

TEST_F(RealRedisTest, TwoMachinesCatchAReplay) {
  RedisServer redis;
  Machine one(At(redis));
  Machine other(At(redis));
  ASSERT_TRUE(one.UntilUp());
  ASSERT_TRUE(other.UntilUp());
  EXPECT_EQ(one.store->epoch(), other.store->epoch());
  EXPECT_EQ(one.Put("a", Context(one.Use(5, 1))), StoreResult::kOk);
  EXPECT_EQ(other.Put("a", Context(other.Use(5, 1))), StoreResult::kExists);
  EXPECT_EQ(other.Put("a", Context(other.Use(5, 1), PutMode::kReplace)),
            StoreResult::kOutOfSequence);
  EXPECT_EQ(other.Get("a"), StoreResult::kOk);
  EXPECT_EQ(other.call.text(), "session key");
  for (std::uint32_t count = 2; count < 20; ++count) {
    Machine& first = count % 2 == 0 ? one : other;
    Machine& second = count % 2 == 0 ? other : one;
    EXPECT_EQ(first.Advance("a", first.Use(5, count)), StoreResult::kOk);
    EXPECT_EQ(second.Advance("a", second.Use(5, count)), StoreResult::kOutOfSequence);
  }
  EXPECT_EQ(other.Remove("a"), StoreResult::kOk);
  EXPECT_EQ(one.Advance("a", one.Use(5, 30)), StoreResult::kNotFound) << "ended for all";
}

// Otherwise the challenge of a context that was deleted could be answered once more.
TEST_F(RealRedisTest, ARemovedContextKeepsItsNameUntilItWouldHaveExpired) {
  RedisServer redis;
  Machine machine(At(redis));
  ASSERT_TRUE(machine.UntilUp());
  PutRequest put = Context(machine.Use(5, 1));
  put.idle_ns = 60 * kNsPerSecond;
  EXPECT_EQ(machine.Put("a", put), StoreResult::kOk);
  EXPECT_EQ(machine.Remove("a"), StoreResult::kOk);
  for (const PutMode mode : {PutMode::kCreate, PutMode::kFirst}) {
    EXPECT_EQ(machine.Put("a", Context(machine.Use(6, 1), mode)), StoreResult::kExists);
  }
  for (const PutMode mode : {PutMode::kSet, PutMode::kReplace}) {
    EXPECT_EQ(machine.Put("a", Context(machine.Use(6, 1), mode)), StoreResult::kNotFound);
  }
  EXPECT_EQ(machine.Get("a"), StoreResult::kNotFound);
  EXPECT_EQ(machine.Advance("a", machine.Use(5, 2)), StoreResult::kNotFound);
  EXPECT_EQ(machine.Remove("a"), StoreResult::kNotFound);
  const std::string key = redis.Do({"KEYS", "ktlsim:d:*"});
  EXPECT_EQ(redis.Do({"HKEYS", key}), "x") << "nothing else is left of it";
  const long left_ms = std::stol(redis.Do({"PTTL", key}));
  EXPECT_GT(left_ms, 0);
  EXPECT_LE(left_ms, 60'000);
  redis.Do({"PEXPIRE", key, "1"});
  const auto end = std::chrono::steady_clock::now() + system_tests::kPatience;
  while (redis.Do({"EXISTS", key}) != "0") {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "Redis does not let it expire";
  }
  EXPECT_EQ(machine.Put("a", Context(machine.Use(6, 1))), StoreResult::kOk);
}

// A server that makes room by dropping entries may have dropped this one.
TEST_F(RealRedisTest, TheFirstUseOfANameNeedsAServerThatDropsNothing) {
  RedisServer redis;
  Machine machine(At(redis));
  ASSERT_TRUE(machine.UntilUp());
  const auto first = [&](const char* name) {
    return machine.Put(name, Context(machine.Use(5, 1), PutMode::kFirst));
  };
  EXPECT_EQ(first("a"), StoreResult::kOk);
  EXPECT_EQ(first("a"), StoreResult::kExists);
  EXPECT_EQ(redis.Do({"CONFIG", "SET", "maxmemory-policy", "volatile-ttl"}), "OK");
  EXPECT_EQ(first("b"), StoreResult::kOk) << "it has all the memory that it wants";
  EXPECT_EQ(redis.Do({"CONFIG", "SET", "maxmemory", "100mb"}), "OK");
  EXPECT_EQ(first("c"), StoreResult::kStale);
  EXPECT_EQ(machine.Put("c", Context(machine.Use(5, 1))), StoreResult::kOk);
  EXPECT_EQ(first("c"), StoreResult::kExists);
  EXPECT_EQ(redis.Do({"CONFIG", "SET", "maxmemory-policy", "noeviction"}), "OK");
  EXPECT_EQ(first("d"), StoreResult::kOk);
}

TEST_F(RealRedisTest, MachinesReplaceTheNodeKeyOneAfterTheOther) {
  RedisServer redis;
  Machine before(At(redis), TestKeys('a', 'b'));
  Machine after(At(redis), TestKeys('b', 'a'));
  ASSERT_TRUE(before.UntilUp());
  ASSERT_TRUE(after.UntilUp());
  EXPECT_EQ(before.Put("a", Context(before.Use(5, 1))), StoreResult::kOk);
  EXPECT_EQ(after.Get("a"), StoreResult::kOk);
  EXPECT_EQ(after.call.text(), "session key");
  EXPECT_EQ(after.Put("a", Context(after.Use(5, 1))), StoreResult::kExists);
  EXPECT_EQ(after.Advance("a", after.Use(5, 2)), StoreResult::kOk);
  EXPECT_EQ(before.Advance("a", before.Use(5, 2)), StoreResult::kOutOfSequence);
  EXPECT_EQ(after.Put("a", Lasting("new", PutMode::kReplace)), StoreResult::kOk);
  EXPECT_EQ(before.Get("a"), StoreResult::kOk);
  EXPECT_EQ(before.call.text(), "new");
  Machine stranger(At(redis), TestKeys('c'));
  EXPECT_EQ(stranger.Get("a"), StoreResult::kNotFound);
  EXPECT_EQ(after.Remove("a"), StoreResult::kOk);
  EXPECT_EQ(before.Get("a"), StoreResult::kNotFound);
}

// A dump that somebody stole names nobody, and has nobody's key.
TEST_F(RealRedisTest, ADumpTellsNothing) {
  RedisServer redis;
  Machine machine(At(redis));
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Put("opaque-of-a-user", Context(machine.Use(5, 1))), StoreResult::kOk);
  EXPECT_EQ(redis.Do({"SAVE"}), "OK");
  std::ifstream file(redis.file("dump.rdb"), std::ios::binary);
  std::stringstream dump;
  dump << file.rdbuf();
  EXPECT_THAT(dump.str(), ::testing::HasSubstr("ktlsim:d:"));
  EXPECT_THAT(dump.str(), ::testing::Not(::testing::HasSubstr("opaque-of-a-user")));
  EXPECT_THAT(dump.str(), ::testing::Not(::testing::HasSubstr("session key")));
}

// The dump is older than the last counts: a replay would look new.
TEST_F(RealRedisTest, ARestartFromAnOldDumpAcceptsNoReplay) {
  RedisServer redis;
  Machine machine(At(redis));
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Put("a", Context(machine.Use(5, 1))), StoreResult::kOk);
  EXPECT_EQ(redis.Do({"SAVE"}), "OK");
  const NonceUse after_the_dump = machine.Use(5, 2);
  const NonceUse newer_nonce = machine.Use(6, 1);
  EXPECT_EQ(machine.Advance("a", after_the_dump), StoreResult::kOk);
  EXPECT_EQ(machine.Put("a", Context(newer_nonce, PutMode::kReplace)), StoreResult::kOk);
  redis.Kill();
  redis.Start();
  ASSERT_TRUE(machine.Until([&] { return machine.watcher.ups == 2; }));
  EXPECT_EQ(machine.Get("a"), StoreResult::kStale);
  EXPECT_EQ(machine.call.text(), "session key") << "the context is known; its counts are not";
  EXPECT_EQ(machine.Advance("a", after_the_dump), StoreResult::kStale);
  EXPECT_EQ(machine.Put("a", Context(newer_nonce, PutMode::kReplace)), StoreResult::kStale);
  // The same nonce, had it been made in this run: not known to the entry either.
  EXPECT_EQ(machine.Advance("a", machine.Use(5, 2)), StoreResult::kStale);
  // A fresh nonce goes on.
  EXPECT_EQ(machine.Put("a", Context(machine.Use(7, 1), PutMode::kReplace)), StoreResult::kOk);
  EXPECT_EQ(machine.Get("a"), StoreResult::kOk);
  EXPECT_EQ(machine.Advance("a", machine.Use(7, 2)), StoreResult::kOk);
  EXPECT_EQ(machine.Advance("a", after_the_dump), StoreResult::kStale);
}

TEST_F(RealRedisTest, AServerThatIsGoneComesBack) {
  RedisServer redis;
  Machine machine(At(redis));
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Put("a", Lasting("value")), StoreResult::kOk);
  redis.Kill();
  ASSERT_TRUE(machine.Until([&] { return machine.watcher.downs >= 1; }));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(machine.Get("a"), StoreResult::kUnavailable);
  redis.Start();
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Get("a"), StoreResult::kNotFound);
  EXPECT_EQ(machine.Put("a", Lasting("value")), StoreResult::kOk);
}

TEST_F(RealRedisTest, AFullServerRefusesWritesOnly) {
  RedisServer redis({"--maxmemory-policy", "noeviction"});
  Machine machine(At(redis));
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Put("a", Context(machine.Use(5, 1))), StoreResult::kOk);
  EXPECT_EQ(redis.Do({"CONFIG", "SET", "maxmemory", "1"}), "OK");
  EXPECT_EQ(machine.Put("b", Lasting("value")), StoreResult::kFull);
  EXPECT_EQ(machine.Advance("a", machine.Use(5, 2)), StoreResult::kFull);
  EXPECT_EQ(machine.Get("a"), StoreResult::kOk);
  EXPECT_EQ(redis.Do({"CONFIG", "SET", "maxmemory", "0"}), "OK");
  EXPECT_EQ(machine.Advance("a", machine.Use(5, 2)), StoreResult::kOk);
  EXPECT_EQ(redis.Do({"CONFIG", "SET", "maxmemory", "1"}), "OK");
  EXPECT_EQ(machine.Remove("a"), StoreResult::kOk);
}

TEST_F(RealRedisTest, ASlowServerReachesTheLimit) {
  RedisServer redis;
  RedisStoreOptions options = At(redis);
  options.limit_ns = 100 * kNsPerMs;
  Machine machine(options);
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Put("a", Lasting("value")), StoreResult::kOk);
  redis.Signal(SIGSTOP);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(machine.Get("a"), StoreResult::kTimedOut);
  EXPECT_EQ(machine.Get("a"), StoreResult::kUnavailable) << "nobody waits any more";
  ASSERT_TRUE(machine.Until([&] { return !machine.watcher.up; }));
  redis.Signal(SIGCONT);
  ASSERT_TRUE(machine.UntilUp());
  EXPECT_EQ(machine.Get("a"), StoreResult::kOk);
}

TEST_F(RealRedisTest, PasswordsAndUsers) {
  RedisServer redis({"--requirepass", "secret"});
  redis.password = "secret";
  RedisStoreOptions options = At(redis);
  {
    Machine without(options);
    EXPECT_EQ(without.Get("a"), StoreResult::kRefused);
    EXPECT_THAT(without.watcher.last_words, ::testing::HasSubstr(":PASSWORD@"));
  }
  options.password = "wrong";
  {
    Machine wrong(options);
    EXPECT_EQ(wrong.Get("a"), StoreResult::kRefused);
  }
  options.password = "secret";
  options.database = 7;
  {
    Machine right(options);
    EXPECT_EQ(right.Put("a", Lasting("value")), StoreResult::kOk);
    EXPECT_THAT(redis.Do({"-n", "7", "DBSIZE"}), ::testing::HasSubstr("1"));
  }
  // What the words name is enough.
  EXPECT_EQ(redis.Do({"ACL", "SETUSER", "node", "on", ">other", "~ktlsim:*", "+@hash",
                      "+@scripting", "+@keyspace", "+info", "+wait", "+time", "+select"}),
            "OK");
  options.user = "node";
  options.password = "other";
  Machine user(options);
  EXPECT_EQ(user.Get("a"), StoreResult::kOk);
  EXPECT_EQ(user.Put("b", Context(user.Use(5, 1))), StoreResult::kOk);
  EXPECT_EQ(user.Advance("b", user.Use(5, 2)), StoreResult::kOk);
  EXPECT_EQ(user.Count(), StoreResult::kOk);
  EXPECT_EQ(user.Remove("b"), StoreResult::kOk);
  EXPECT_EQ(redis.Do({"ACL", "SETUSER", "node", "-@scripting"}), "OK");
  EXPECT_EQ(user.Get("a"), StoreResult::kRefused);
}

TEST_F(RealRedisTest, AKeyOfSomethingElseIsRefused) {
  RedisServer redis;
  Machine machine(At(redis));
  EXPECT_EQ(machine.Put("a", Lasting("value")), StoreResult::kOk);
  const std::string key = redis.Do({"KEYS", "ktlsim:d:*"});
  redis.Do({"SET", key, "text"});
  EXPECT_EQ(machine.Get("a"), StoreResult::kWrongType);
  EXPECT_EQ(machine.Put("a", Lasting("value")), StoreResult::kWrongType);
  redis.Do({"DEL", key});
  redis.Do({"HSET", key, "other", "field"});
  EXPECT_EQ(machine.Get("a"), StoreResult::kWrongType);
  redis.Do({"HSET", key, "v", "value", "e", "0"});
  EXPECT_EQ(machine.Get("a"), StoreResult::kUnreadable);
  EXPECT_EQ(machine.Remove("a"), StoreResult::kOk);
}

TEST_F(RealRedisTest, AForgottenScriptIsSentAgain) {
  RedisServer redis;
  Machine machine(At(redis));
  EXPECT_EQ(machine.Put("a", Lasting("value")), StoreResult::kOk);
  EXPECT_EQ(redis.Do({"SCRIPT", "FLUSH"}), "OK");
  EXPECT_EQ(machine.Get("a"), StoreResult::kOk);
  EXPECT_THAT(redis.Do({"INFO", "commandstats"}), ::testing::HasSubstr("cmdstat_evalsha"));
}

TEST_F(RealRedisTest, AClusterIsRefused) {
  RedisServer redis(RedisServer::WithPort{}, {"--cluster-enabled", "yes"});
  Machine machine(At(redis));
  EXPECT_EQ(machine.Get("a"), StoreResult::kUnsupported);
  EXPECT_THAT(machine.watcher.last_words, ::testing::HasSubstr("single server, or Sentinels"));
}

}  // namespace
}  // namespace ktlsim::context_store
