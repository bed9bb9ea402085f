#include "kernel_sim/context_store/redis_store.h"

#include <array>
#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_sim/base/fork_gate.h"
#include "kernel_sim/context_store/redis_script.h"
#include "tests/context_store/redis_store_test_support.h"
#include "tests/support/seeds.h"
#include "tests/support/state_tables.h"

namespace ktlsim::context_store {
namespace {

TEST(RedisStateTest, TheTableIsWhatTheReadmeShows) {
  test::ExpectReadmeShows("kernel_sim/context_store/README.md", kRedisTable);
  test::ExpectLegalMovesOnly(kRedisTable, RedisState::kStopped, RedisEvent::kStop);
}

TEST_F(RedisStoreTest, LogsInAndLooksUp) {
  options.user = "me";
  options.password = "secret";
  options.database = 3;
  redis->reply = [](const Command&) { return FoundReply("value"); };
  Begin();
  EXPECT_EQ(store->epoch(), 0U) << "nothing is known of the server";
  TestCall call;
  ASSERT_EQ(store->Get(call, Named("name")), Begun::kPending) << "waits for the connection";
  EXPECT_EQ(Wait(call), StoreResult::kOk);
  EXPECT_EQ(call.text(), "value");
  EXPECT_NE(store->epoch(), 0U);
  ASSERT_EQ(redis->commands.size(), 5U);
  EXPECT_EQ(redis->commands[0], (Command{"AUTH", "me", "secret"}));
  EXPECT_EQ(redis->commands[1], (Command{"SELECT", "3"}));
  EXPECT_EQ(redis->commands[2], (Command{"INFO", "server"}));
  EXPECT_EQ(redis->commands[3], (Command{"INFO", "replication"}));
  ASSERT_EQ(redis->commands[4].size(), 5U);
  EXPECT_EQ(redis->commands[4][0], "EVALSHA");
  EXPECT_EQ(redis->commands[4][1], StoreScriptSha());
  EXPECT_THAT(redis->commands[4][3], ::testing::MatchesRegex("ktlsim:d:[0-9a-f]+"));
}

// OpenSSL's locks are not held when a child begins.
TEST_F(RedisStoreTest, NothingIsOpenedWhileTheProcessForks) {
  BeginAndLogIn();
  constexpr int kYields = 10'000;
  std::atomic<bool> forking{false};
  std::atomic<bool> over{false};
  bool over_while_forking = false;
  std::thread forker;
  const auto fork = [&] {
    ForkGate::Close();
    forking = true;
    for (int i = 0; i < kYields && !over; ++i) std::this_thread::yield();
    over_while_forking = over;
    ForkGate::Open();
  };
  std::string reply = FoundReply("value");
  redis->reply = [&](const Command&) {
    forker = std::thread(fork);
    while (!forking) std::this_thread::yield();
    return reply;
  };
  EXPECT_EQ(Get(), StoreResult::kOk);
  over = true;
  forker.join();
  EXPECT_FALSE(over_while_forking);
}

TEST_F(RedisStoreTest, APasswordAloneIsTheDefaultUsers) {
  options.password = "secret";
  BeginAndLogIn();
  EXPECT_EQ(redis->commands[0], (Command{"AUTH", "secret"}));
}

TEST_F(RedisStoreTest, WhatIsBegunTogetherIsPipelined) {
  redis->reply = [](const Command&) { return std::nullopt; };
  BeginAndLogIn();
  std::array<TestCall, 100> calls;
  for (TestCall& call : calls) {
    ASSERT_EQ(store->Get(call, Named("name")), Begun::kPending);
  }
  ASSERT_TRUE(Until([&] { return redis->commands.size() == 2 + calls.size(); }))
      << "none waits for the reply to another";
  for (const TestCall& call : calls) EXPECT_EQ(call.completions, 0);
  for (TestCall& call : calls) EXPECT_EQ(Wait(call), StoreResult::kTimedOut);
}

TEST_F(RedisStoreTest, EachCodeOfTheScriptIsAResult) {
  BeginAndLogIn();
  const StoreResult expected[] = {
      StoreResult::kOk,         StoreResult::kNotFound,      StoreResult::kExists,
      StoreResult::kStale,      StoreResult::kOutOfSequence, StoreResult::kWrongType,
      StoreResult::kUnavailable};
  for (std::size_t code = 0; code < std::size(expected); ++code) {
    redis->reply = [=](const Command&) { return "*1\r\n:" + std::to_string(code) + "\r\n"; };
    EXPECT_EQ(Advance(Use(1)), expected[code]) << code;
  }
}

TEST_F(RedisStoreTest, EachErrorIsAResult) {
  struct Case {
    std::string text;
    StoreResult result;
  };
  const Case cases[] = {
      {"OOM command not allowed when used memory > 'maxmemory'.", StoreResult::kFull},
      {"ERR Error running script (call to f_0): @user_script:9: OOM command not allowed",
       StoreResult::kFull},
      {"ERR Error running script (call to f_0): @user_script:9: @user_script: 9: WRONGTYPE "
       "Operation",
       StoreResult::kWrongType},
      {"ERR Error running script", StoreResult::kUnavailable},
      {"NOAUTH Authentication required.", StoreResult::kRefused},
      {"NOPERM this user has no permissions", StoreResult::kRefused},
      {"WRONGTYPE Operation against a key holding the wrong kind", StoreResult::kWrongType},
      {"MOVED 3999 127.0.0.1:6381", StoreResult::kUnsupported},
      {"CLUSTERDOWN Hash slot not served", StoreResult::kUnsupported},
      {"NOREPLICAS Not enough good replicas to write.", StoreResult::kNotDurable},
      {"LOADING Redis is loading the dataset in memory", StoreResult::kUnavailable},
      {"MISCONF Redis is configured to save RDB snapshots", StoreResult::kUnavailable},
      {"BUSY Redis is busy running a script.", StoreResult::kUnavailable},
      {"ERR something that nobody knows", StoreResult::kUnavailable},
  };
  BeginAndLogIn();
  for (const Case& one : cases) {
    redis->reply = [&](const Command&) { return "-" + one.text + "\r\n"; };
    EXPECT_EQ(Get(), one.result) << one.text;
    redis->reply = [&](const Command&) { return "*1\r\n:1\r\n"; };
    EXPECT_EQ(Get(), StoreResult::kNotFound) << "the connection goes on";
  }
  EXPECT_EQ(redis->connections, 1);
}

TEST_F(RedisStoreTest, AMasterThatBecameAReplicaIsLeft) {
  BeginAndLogIn();
  redis->reply = [](const Command&) { return "-READONLY You can't write against a replica\r\n"; };
  redis->role = "slave";
  EXPECT_EQ(Advance(Use(1)), StoreResult::kReadOnly);
  ASSERT_TRUE(Until([&] { return watcher.downs == 2; }));
  EXPECT_EQ(watcher.last, StoreResult::kReadOnly);
  EXPECT_THAT(watcher.last_words, ::testing::HasSubstr("name its master"));
}

TEST_F(RedisStoreTest, AMissingScriptIsSentWhole) {
  redis->reply = [](const Command& command) {
    return command[0] == "EVALSHA" ? "-NOSCRIPT No matching script.\r\n" : "*1\r\n:0\r\n";
  };
  BeginAndLogIn();
  EXPECT_EQ(Advance(Use(1)), StoreResult::kOk);
  EXPECT_EQ(redis->commands.back()[0], "EVAL");
  EXPECT_EQ(redis->commands.back()[1], kStoreScript);
  redis->reply = [](const Command&) { return "-NOSCRIPT No matching script.\r\n"; };
  EXPECT_EQ(Advance(Use(1)), StoreResult::kUnavailable) << "not for ever";
}

// The server ends the connection at every byte of its reply.
TEST_F(RedisStoreTest, EveryCutEndsTheCallAndIsOvercome) {
  std::string reply = FoundReply("value");
  redis->reply = [&](const Command&) { return std::optional(reply); };
  BeginAndLogIn();
  for (std::size_t cut = 0; cut < reply.size(); ++cut) {
    redis->cut_after = cut;
    EXPECT_EQ(Get(), StoreResult::kUnavailable) << cut;
    redis->cut_after.reset();
    ASSERT_TRUE(Until([&] { return watcher.ups == static_cast<int>(cut) + 2; }));
    EXPECT_EQ(Get(), StoreResult::kOk) << cut;
  }
}

TEST_F(RedisStoreTest, WhatIsNoRespEndsTheConnection) {
  const auto seeds = test::SeedsToRun(100);
  BeginAndLogIn();
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    std::mt19937_64 random(seed);
    std::string garbage;
    while (garbage.size() < 40) garbage += "*$:+-\r\n0123456789x\xff"[random() % 19];
    redis->reply = [&](const Command&) { return garbage; };
    const StoreResult result = Get(20 * kNsPerMs);
    EXPECT_TRUE(IsStoreFailure(result)) << "KTLSIM_SEED=" << seed << " " << result;
    redis->reply = [](const Command&) { return "*1\r\n:1\r\n"; };
    redis->Disconnect();
    Pass(2 * kNsPerSecond);
  }
  EXPECT_EQ(Get(), StoreResult::kNotFound);
}

TEST_F(RedisStoreTest, AReplyBeyondTheBoundsEndsTheConnection) {
  for (const std::string& start : {std::string("*70000\r\n"), std::string("*2147483647\r\n"),
                                   "$3000000\r\n" + std::string(2 << 20, 'x')}) {
    watcher = {};
    redis->reply = [&](const Command&) { return start; };
    BeginAndLogIn();
    EXPECT_EQ(Get(), StoreResult::kUnavailable);
    Stop();
  }
}

TEST_F(RedisStoreTest, AReplyThatNobodyAskedForEndsTheConnection) {
  redis->reply = [&](const Command&) { return "*1\r\n:1\r\n*1\r\n:1\r\n"; };
  BeginAndLogIn();
  EXPECT_EQ(Get(), StoreResult::kNotFound);
  EXPECT_TRUE(Until([&] { return watcher.downs == 1; }));
}

TEST_F(RedisStoreTest, AnEntryThatIsNotOursIsUnreadable) {
  BeginAndLogIn();
  std::string reply = FoundReply("value");
  reply[reply.size() - 40] ^= 1;
  redis->reply = [&](const Command&) { return reply; };
  EXPECT_EQ(Get(), StoreResult::kUnreadable);
  redis->reply = [&](const Command&) { return FoundReply("value", "0123456789abcdef"); };
  EXPECT_EQ(Get(), StoreResult::kStale) << "counts of another run";
}

TEST_F(RedisStoreTest, WithoutAReplyTheLimitEndsTheCall) {
  BeginAndLogIn();
  redis->silent = true;
  const std::uint64_t begun = ring->NowNs();
  EXPECT_EQ(Get(), StoreResult::kTimedOut);
  EXPECT_GE(ring->NowNs() - begun, options.limit_ns);
  EXPECT_LE(ring->NowNs() - begun, options.limit_ns + 10 * kNsPerMs);
  EXPECT_EQ(Get(5 * kNsPerMs), StoreResult::kTimedOut) << "what is left of the caller's own limit";
  EXPECT_LE(ring->NowNs() - begun, options.limit_ns + 20 * kNsPerMs);
}

TEST_F(RedisStoreTest, ALateReplyIsNotTheNextCalls) {
  BeginAndLogIn();
  redis->reply = [](const Command&) { return std::nullopt; };
  EXPECT_EQ(Get(), StoreResult::kTimedOut);
  // Both replies come with the second command.
  redis->reply = [](const Command&) { return FoundReply("late") + "*1\r\n:1\r\n"; };
  EXPECT_EQ(Get(), StoreResult::kNotFound);
  EXPECT_EQ(redis->connections, 1);
}

TEST_F(RedisStoreTest, AfterThreeFailuresNobodyWaits) {
  BeginAndLogIn();
  redis->silent = true;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Get(), StoreResult::kTimedOut);
  const std::uint64_t gone = ring->NowNs();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Get(), StoreResult::kUnavailable);
  EXPECT_LT(ring->NowNs() - gone, kNsPerMs) << "at once";
  ASSERT_TRUE(Until([&] { return watcher.downs >= 1; })) << "the connection is given up";
  Pass(RedisStore::kGoneNs);
  // One call tries; the others do not wait for it.
  TestCall probe;
  ASSERT_EQ(store->Get(probe, Named("name")), Begun::kPending);
  const std::uint64_t probed = ring->NowNs();
  EXPECT_EQ(Get(), StoreResult::kUnavailable);
  EXPECT_LT(ring->NowNs() - probed, kNsPerMs);
  EXPECT_TRUE(IsStoreFailure(Wait(probe)));
  redis->silent = false;
  redis->reply = [](const Command&) { return "*1\r\n:1\r\n"; };
  ASSERT_TRUE(Until([&] { return watcher.ups == 2; }));
  EXPECT_EQ(Get(), StoreResult::kNotFound) << "it is back";
}

TEST_F(RedisStoreTest, AServerThatIsNotThereIsTriedAtGrowingIntervals) {
  redis->StopListening();
  Begin();
  EXPECT_EQ(Get(), StoreResult::kUnavailable);
  EXPECT_THAT(watcher.last_words, ::testing::HasSubstr("cannot be connected"));
  Pass(30 * kNsPerSecond);
  EXPECT_GE(watcher.downs, 25);
  EXPECT_LE(watcher.downs, 40) << "once a second in the end";
  redis->ListenAgain();
  redis->reply = [](const Command&) { return "*1\r\n:1\r\n"; };
  ASSERT_TRUE(Until([&] { return watcher.ups == 1; }));
  EXPECT_EQ(Get(), StoreResult::kNotFound);
}

TEST_F(RedisStoreTest, ARefusedLoginIsSaidInWords) {
  struct Case {
    std::string reply;
    StoreResult result;
    std::string words;
  };
  const Case cases[] = {
      {"-WRONGPASS invalid username-password pair\r\n", StoreResult::kRefused, "password"},
      {"-NOAUTH Authentication required.\r\n", StoreResult::kRefused, ":PASSWORD@"},
      {"-DENIED Redis is running in protected mode\r\n", StoreResult::kRefused, "protected"},
      {"-ERR max number of clients reached\r\n", StoreResult::kUnavailable, "maxclients"},
      {"-ERR DB index is out of range\r\n", StoreResult::kRefused, "database"},
      {"+OK\r\n", StoreResult::kReadOnly, "replica"},
  };
  for (const Case& one : cases) {
    watcher = {};
    redis->login_reply = one.reply;
    Begin();
    EXPECT_EQ(Get(), one.result) << one.reply;
    EXPECT_THAT(watcher.last_words, ::testing::HasSubstr(one.words));
    EXPECT_EQ(watcher.last, one.result);
    Stop();
  }
}

TEST_F(RedisStoreTest, ServersOfOtherKindsAreRefusedWithTheRemedy) {
  struct Case {
    std::string mode;
    std::string role;
    StoreResult result;
    std::string words;
  };
  const Case cases[] = {
      {"cluster", "master", StoreResult::kUnsupported, "name a single server, or Sentinels"},
      {"sentinel", "sentinel", StoreResult::kUnsupported, "redis+sentinel://"},
      {"standalone", "slave", StoreResult::kReadOnly, "name its master"},
  };
  for (const Case& one : cases) {
    watcher = {};
    redis->mode = one.mode;
    redis->role = one.role;
    Begin();
    EXPECT_EQ(Get(), one.result) << one.mode;
    EXPECT_THAT(watcher.last_words, ::testing::HasSubstr(one.words));
    Stop();
  }
}

// A server that restarted may have loaded an old dump.
TEST_F(RedisStoreTest, ANonceOfAnotherRunIsNotEvenAskedFor) {
  BeginAndLogIn();
  const NonceUse before = Use(1);
  EXPECT_EQ(Advance(before), StoreResult::kOk);
  redis->run_id = "run-2";
  redis->Disconnect();
  ASSERT_TRUE(Until([&] { return watcher.ups == 2; }));
  EXPECT_NE(store->epoch(), before.epoch);
  const std::size_t commands = redis->commands.size();
  EXPECT_EQ(Advance(before), StoreResult::kStale);
  TestCall call;
  PutRequest put = Lasting("value", PutMode::kReplace);
  put.use = before;
  ASSERT_EQ(store->Put(call, Named("name"), put), Begun::kPending);
  EXPECT_EQ(Wait(call), StoreResult::kStale);
  EXPECT_EQ(redis->commands.size(), commands);
  redis->run_id = "run-1";
  redis->Disconnect();
  ASSERT_TRUE(Until([&] { return watcher.ups == 3; }));
  EXPECT_EQ(store->epoch(), before.epoch) << "a broken connection alone changes nothing";
}

TEST_F(RedisStoreTest, WithoutAnEpochEveryNonceIsStaleAtOnce) {
  Begin();
  TestCall call;
  EXPECT_EQ(store->Advance(call, Named("name"), Use(1)), Begun::kDone);
  EXPECT_EQ(call.result(), StoreResult::kStale);
  PutRequest put = Lasting("value");
  put.use = Use(1);
  EXPECT_EQ(store->Put(call, Named("name"), put), Begun::kDone);
  EXPECT_EQ(call.result(), StoreResult::kStale);
}

TEST_F(RedisStoreTest, CountsWaitForReplicasTogether) {
  options.replicas = 2;
  std::string confirmed = ":2\r\n";
  int waits = 0;
  redis->reply = [&](const Command& command) {
    if (command[0] != "WAIT") return std::string("*1\r\n:0\r\n");
    ++waits;
    EXPECT_EQ(command[1], "2");
    return confirmed;
  };
  BeginAndLogIn();
  std::array<TestCall, 10> calls;
  for (TestCall& call : calls) {
    ASSERT_EQ(store->Advance(call, Named("name"), Use(1)), Begun::kPending);
  }
  for (TestCall& call : calls) EXPECT_EQ(Wait(call), StoreResult::kOk);
  EXPECT_EQ(waits, 1);
  confirmed = ":1\r\n";
  EXPECT_EQ(Advance(Use(2)), StoreResult::kNotDurable);
  confirmed = "-UNBLOCKED force unblock from blocking operation\r\n";
  EXPECT_EQ(Advance(Use(3)), StoreResult::kNotDurable);
  redis->reply = [](const Command& command) {
    return command[0] == "WAIT" ? ":0\r\n" : "*1\r\n:4\r\n";
  };
  EXPECT_EQ(Advance(Use(3)), StoreResult::kOutOfSequence) << "a refusal needs no replica";
  EXPECT_TRUE(Until([&] { return redis->commands.back()[0] == "WAIT"; }));
}

TEST_F(RedisStoreTest, AMissingScriptIsConfirmedByItsOwnWait) {
  options.replicas = 1;
  int waits = 0;
  redis->reply = [&](const Command& command) -> std::string {
    if (command[0] == "WAIT") return ++waits == 1 ? ":1\r\n" : ":0\r\n";
    return command[0] == "EVALSHA" ? "-NOSCRIPT No matching script.\r\n" : "*1\r\n:0\r\n";
  };
  BeginAndLogIn();
  EXPECT_EQ(Advance(Use(1)), StoreResult::kNotDurable);
  EXPECT_EQ(waits, 2);
}

// The connection ends at every byte of the two replies.
TEST_F(RedisStoreTest, CutsWhileReplicasConfirm) {
  options.replicas = 1;
  redis->reply = [](const Command& command) {
    return command[0] == "WAIT" ? ":1\r\n" : "*1\r\n:0\r\n";
  };
  BeginAndLogIn();
  for (std::size_t cut = 0; cut < 12; ++cut) {
    redis->cut_after = cut;
    EXPECT_EQ(Advance(Use(1)), StoreResult::kUnavailable) << cut;
    redis->cut_after.reset();
    ASSERT_TRUE(Until([&] { return watcher.ups == static_cast<int>(cut) + 2; }));
    EXPECT_EQ(Advance(Use(1)), StoreResult::kOk) << cut;
  }
}

TEST_F(RedisStoreTest, CountsEntriesPageByPage) {
  redis->reply = [](const Command& command) {
    EXPECT_EQ(command[0], "SCAN");
    const std::string keys =
        "*3\r\n" + Bulk("ktlsim:d:1") + Bulk("ktlsim:t:2") + Bulk("ktlsim:x:3");
    return "*2\r\n" + Bulk(command[1] == "0" ? "17" : "0") + keys;
  };
  BeginAndLogIn();
  TestCall call;
  ASSERT_EQ(store->Count(call), Begun::kPending);
  EXPECT_EQ(Wait(call), StoreResult::kOk);
  EXPECT_EQ(call.counts().entries, (std::array<std::uint64_t, kKinds>{2, 2, 0}));
}

TEST_F(RedisStoreTest, RemovesUnderBothNodeKeys) {
  store = RedisStore::Create(*ring, TestKeys('a', 'b'), options).value();
  store->Start();
  redis->reply = [](const Command&) { return ":1\r\n"; };
  TestCall call;
  ASSERT_EQ(store->Remove(call, Named("name", Kind::kTlsSession)), Begun::kPending);
  EXPECT_EQ(Wait(call), StoreResult::kOk);
  ASSERT_EQ(redis->commands.back().size(), 3U);
  EXPECT_EQ(redis->commands.back()[0], "DEL");
  redis->reply = [](const Command&) { return ":0\r\n"; };
  TestCall again;
  ASSERT_EQ(store->Remove(again, Named("name", Kind::kTlsSession)), Begun::kPending);
  EXPECT_EQ(Wait(again), StoreResult::kNotFound);
  // A name that is used once stays taken, which only the script can see to.
  redis->reply = [](const Command&) { return "*1\r\n:0\r\n"; };
  TestCall once;
  ASSERT_EQ(store->Remove(once, Named("name")), Begun::kPending);
  EXPECT_EQ(Wait(once), StoreResult::kOk);
  ASSERT_EQ(redis->commands.back().size(), 6U);
  EXPECT_EQ(redis->commands.back()[0], "EVALSHA");
  EXPECT_EQ(redis->commands.back()[2], "2");
  EXPECT_EQ(redis->commands.back()[5], "remove");
}

TEST_F(RedisStoreTest, CallsAreBounded) {
  options.calls_max = 3;
  BeginAndLogIn();
  redis->silent = true;
  std::array<TestCall, 3> calls;
  for (TestCall& call : calls) {
    EXPECT_EQ(store->Get(call, Named("name")), Begun::kPending);
  }
  TestCall more;
  EXPECT_EQ(store->Get(more, Named("name")), Begun::kDone);
  EXPECT_EQ(more.result(), StoreResult::kUnavailable);
  for (TestCall& call : calls) EXPECT_EQ(Wait(call), StoreResult::kTimedOut);
  EXPECT_EQ(more.completions, 0);
}

// Stopped after every number of turns of the loop: while connecting, logging in, waiting.
TEST_F(RedisStoreTest, StopsAtEveryMoment) {
  options.replicas = 1;
  redis->reply = [](const Command& command) {
    return command[0] == "WAIT" ? ":1\r\n" : "*1\r\n:0\r\n";
  };
  for (int turns = 0; turns < 40; ++turns) {
    watcher = {};
    Begin();
    TestCall get;
    TestCall advance;
    ASSERT_EQ(store->Get(get, Named("name")), Begun::kPending);
    const Begun begun =
        store->Advance(advance, Named("name"), {.epoch = 1, .nonce = 1, .count = 1, .window = 0});
    ASSERT_EQ(begun, Begun::kPending);
    for (int i = 0; i < turns; ++i) ring->Turn(kNsPerSecond);
    Stop();
    EXPECT_EQ(get.completions, 1) << turns;
    EXPECT_EQ(advance.completions, 1) << turns;
  }
}

TEST_F(RedisStoreTest, StopsWhileTheServerIsGone) {
  redis->StopListening();
  for (int turns = 0; turns < 20; ++turns) {
    Begin();
    TestCall call;
    ASSERT_EQ(store->Get(call, Named("name")), Begun::kPending);
    for (int i = 0; i < turns; ++i) ring->Turn(kNsPerSecond);
    Stop();
    EXPECT_EQ(call.completions, 1) << turns;
  }
}

TEST_F(RedisStoreTest, OptionsAreChecked) {
  const auto category = [&](const RedisStoreOptions& bad) {
    return RedisStore::Create(*ring, TestKeys(), bad).status().category();
  };
  const Status without = RedisStore::Create(*ring, nullptr, options).status();
  EXPECT_EQ(without.category(), Category::kContract);
  EXPECT_THAT(without.ToString(), ::testing::HasSubstr("--node-key FILE"));
  RedisStoreOptions bad = options;
  bad.servers.clear();
  EXPECT_EQ(category(bad), Category::kContract);
  bad.servers.assign(2, redis->address());
  EXPECT_EQ(category(bad), Category::kContract) << "without the name of a master";
  bad = options;
  bad.limit_ns = 0;
  EXPECT_EQ(category(bad), Category::kContract);
  bad.limit_ns = 31 * kNsPerSecond;
  EXPECT_EQ(category(bad), Category::kContract);
  bad = options;
  bad.calls_max = 0;
  EXPECT_EQ(category(bad), Category::kContract);
}

TEST_F(RedisStoreTest, NamesAndValuesHaveBounds) {
  Begin();
  TestCall call;
  const std::string name(kNameBytesMax + 1, 'n');
  EXPECT_EQ(store->Get(call, Named(name)), Begun::kDone);
  EXPECT_EQ(call.result(), StoreResult::kTooLarge);
  EXPECT_EQ(store->Remove(call, Named("")), Begun::kDone);
  EXPECT_EQ(call.result(), StoreResult::kTooLarge);
  const std::string value(kValueBytesMax + 1, 'v');
  EXPECT_EQ(store->Put(call, Named("name"), Lasting(value)), Begun::kDone);
  EXPECT_EQ(call.result(), StoreResult::kTooLarge);
}

}  // namespace
}  // namespace ktlsim::context_store
