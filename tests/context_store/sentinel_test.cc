// Which server is the master: asked of Sentinels, one after the other, and again when it changes.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/context_store/redis_store_test_support.h"

namespace ktlsim::context_store {
namespace {

// What a Sentinel says of a server.
std::string MasterReply(const io::Address& address) {
  return "*2\r\n" + Bulk("127.0.0.1") + Bulk(std::to_string(address.port()));
}

class SentinelTest : public RedisStoreTest {
 protected:
  // `redis` is the master; two Sentinels know it.
  SentinelTest() {
    for (int i = 0; i < 2; ++i) {
      sentinels.push_back(std::make_unique<ScriptedRedis>(*ring));
      sentinels.back()->reply = [&](const Command&) { return MasterReply(redis->address()); };
    }
    options.servers = {sentinels[0]->address(), sentinels[1]->address()};
    options.sentinel_master = "main";
    redis->reply = [](const Command& command) {
      return command[0] == "WAIT" ? ":1\r\n" : "*1\r\n:0\r\n";
    };
  }
  void TearDown() override {
    if (store != nullptr) Stop();
    sentinels.clear();
    RedisStoreTest::TearDown();
  }
  std::vector<std::unique_ptr<ScriptedRedis>> sentinels;
};

TEST_F(SentinelTest, TheMasterIsAskedFor) {
  BeginAndLogIn();
  ASSERT_EQ(sentinels[0]->commands.size(), 1U);
  EXPECT_EQ(sentinels[0]->commands[0], (Command{"SENTINEL", "get-master-addr-by-name", "main"}));
  EXPECT_EQ(sentinels[1]->connections, 0);
  EXPECT_EQ(Advance(Use(1)), StoreResult::kOk);
  EXPECT_EQ(redis->commands.back(), (Command{"WAIT", "1", "500"})) << "a replica confirms";
}

TEST_F(SentinelTest, TheNextOneIsAskedWhenOneIsGone) {
  sentinels[0]->StopListening();
  BeginAndLogIn();
  EXPECT_EQ(sentinels[1]->connections, 1);
}

TEST_F(SentinelTest, TheNextOneIsAskedWhenOneIsSilent) {
  sentinels[0]->silent = true;
  BeginAndLogIn();
  EXPECT_EQ(sentinels[1]->connections, 1);
}

TEST_F(SentinelTest, WhatNoSentinelKnowsIsSaidInWords) {
  struct Case {
    std::string reply;
    std::string words;
  };
  const Case cases[] = {
      {"*-1\r\n", "know no master of this name"},
      {"-NOAUTH Authentication required.\r\n", "refuse"},
      {"*2\r\n" + Bulk("redis.example") + Bulk("6379"), "resolve-hostnames"},
      {"*2\r\n" + Bulk("127.0.0.1") + Bulk("70000"), "resolve-hostnames"},
      {"*1\r\n" + Bulk("127.0.0.1"), "resolve-hostnames"},
  };
  for (const Case& one : cases) {
    watcher = {};
    for (const auto& sentinel : sentinels) {
      sentinel->reply = [&](const Command&) { return one.reply; };
    }
    Begin();
    EXPECT_EQ(Get(), StoreResult::kUnavailable) << one.reply;
    EXPECT_THAT(watcher.last_words, ::testing::HasSubstr(one.words)) << one.reply;
    Stop();
  }
}

TEST_F(SentinelTest, WithoutSentinelsNothingIsAvailable) {
  for (const auto& sentinel : sentinels) sentinel->StopListening();
  Begin();
  EXPECT_EQ(Get(), StoreResult::kUnavailable);
  EXPECT_THAT(watcher.last_words, ::testing::HasSubstr("no Sentinel replies"));
  sentinels[1]->ListenAgain();
  ASSERT_TRUE(Until([&] { return watcher.ups == 1; }));
}

TEST_F(SentinelTest, ANewMasterIsFollowed) {
  BeginAndLogIn();
  const NonceUse before = Use(1);
  EXPECT_EQ(Advance(before), StoreResult::kOk);
  ScriptedRedis promoted(*ring);
  promoted.run_id = "run-2";
  promoted.reply = redis->reply;
  // Sentinels may still name the old one for a while, which then is a replica.
  redis->role = "slave";
  redis->Disconnect();
  ASSERT_TRUE(Until([&] { return watcher.last == StoreResult::kReadOnly; }));
  for (const auto& sentinel : sentinels) {
    sentinel->reply = [&](const Command&) { return MasterReply(promoted.address()); };
  }
  ASSERT_TRUE(Until([&] { return watcher.ups == 2; }));
  EXPECT_EQ(promoted.connections, 1);
  EXPECT_EQ(Advance(before), StoreResult::kStale);
  EXPECT_EQ(Advance(Use(1)), StoreResult::kOk);
  Stop();
}

TEST_F(SentinelTest, StopsAtEveryMoment) {
  for (int turns = 0; turns < 40; ++turns) {
    watcher = {};
    Begin();
    TestCall call;
    ASSERT_EQ(store->Get(call, Named("name")), Begun::kPending);
    for (int i = 0; i < turns; ++i) ring->Turn(kNsPerSecond);
    Stop();
    EXPECT_EQ(call.completions, 1) << turns;
  }
}

}  // namespace
}  // namespace ktlsim::context_store
